//! Chance -> a schema and a program for it.

mod changes;
mod inserts;
mod schemas;

use crate::random::Random;
use crate::schema::{Kind, Schema};
use crate::statement::{
    Block, Body, Dress, End, Insert, Opening, Program, Returning, Statement, Step, Way,
};

/// What to make more of than usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// Nothing.
    #[default]
    Even,
    /// One of these, by the seed.
    Any,
    /// Foreign keys that change what refers.
    Cascades,
    /// Triggers, views, rules, heirs and parts.
    Hidden,
    /// Rows that are in another's way.
    Conflicts,
    /// Keys that are set.
    Keys,
    /// Comments, quotes, aliases.
    Text,
    /// Transactions in transactions.
    Nesting,
}

/// What [`Focus::Any`] may be; nothing in particular comes most.
const FOCUSES: [Focus; 12] = [
    Focus::Even,
    Focus::Even,
    Focus::Even,
    Focus::Even,
    Focus::Even,
    Focus::Even,
    Focus::Cascades,
    Focus::Hidden,
    Focus::Conflicts,
    Focus::Keys,
    Focus::Text,
    Focus::Nesting,
];

/// Everything that a run is made of.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// The tables.
    pub schema: Schema,
    /// Rows that are there at first.
    pub seeds: Vec<Insert>,
    /// What happens.
    pub program: Program,
}

impl Case {
    /// A case of about so many statements.
    #[must_use]
    pub fn new(kind: Kind, seed: u64, statements: usize, focus: Focus) -> Self {
        let mut random = Random::new(seed);
        let focus = match focus {
            Focus::Any => random.pick(&FOCUSES),
            focus => focus,
        };
        let schema = schemas::schema(kind, focus, &mut random);
        let mut maker = Maker {
            schema: &schema,
            focus,
            random: &mut random,
        };
        let seeds = maker.seeds();
        let program = maker.program(statements);
        Self {
            seed,
            schema,
            seeds,
            program,
        }
    }
}

/// Makes statements for a schema.
struct Maker<'a> {
    schema: &'a Schema,
    focus: Focus,
    random: &'a mut Random,
}

impl Maker<'_> {
    fn kind(&self) -> Kind {
        self.schema.kind
    }

    fn seeds(&mut self) -> Vec<Insert> {
        let mut seeds = Vec::new();
        for _ in 0..6 {
            for table in 0..self.schema.tables.len() {
                seeds.push(self.seed(table));
            }
        }
        seeds
    }

    fn program(&mut self, statements: usize) -> Program {
        let mut steps = Vec::new();
        let mut count = 0;
        while count < statements {
            let step = self.outermost();
            count += step.statements();
            steps.push(step);
        }
        Program(steps)
    }

    fn outermost(&mut self) -> Step {
        let blocks = if self.focus == Focus::Nesting { 70 } else { 25 };
        match self.random.chance(blocks) {
            true => Step::Block(self.block(0)),
            false => Step::Statement(self.statement(true)),
        }
    }

    fn block(&mut self, depth: u32) -> Block {
        let count = 1 + self.random.below(if depth == 0 { 4 } else { 2 });
        let steps = (0..count).map(|_| self.step(depth)).collect();
        let other = if self.focus == Focus::Nesting { 60 } else { 20 };
        Block {
            opening: self.random.weighted(&[
                (40, Opening::Diesel),
                (20, Opening::Sql),
                (other, Opening::Other),
            ]),
            steps,
            end: self
                .random
                .weighted(&[(80, End::Commit), (20, End::Rollback)]),
            swallows: self.random.chance(40),
        }
    }

    fn step(&mut self, depth: u32) -> Step {
        let deeper = if self.focus == Focus::Nesting { 50 } else { 30 };
        match depth < 3 && self.random.chance(deeper) {
            true => Step::Block(self.block(depth + 1)),
            false => Step::Statement(self.statement(false)),
        }
    }

    fn statement(&mut self, outermost: bool) -> Statement {
        let body = self.body(outermost);
        let way = self.way(&body);
        Statement {
            body,
            way,
            dress: self.dress(),
        }
    }

    fn dress(&mut self) -> Dress {
        let plain = if self.focus == Focus::Text { 10 } else { 60 };
        self.random.weighted(&[
            (plain, Dress::Plain),
            (10, Dress::Closed),
            (10, Dress::Before),
            (10, Dress::Inside),
            (10, Dress::After),
        ])
    }

    fn way(&mut self, body: &Body) -> Way {
        let single = matches!(body, Body::Insert(_) | Body::Update(_) | Body::Delete(_));
        if matches!(body, Body::Several(..) | Body::Define(_) | Body::Alter(_)) {
            return Way::Batch;
        }
        if single && returning(body) == Returning::Column && self.random.chance(70) {
            let whole = self.random.chance(70);
            return self.random.pick(&[Way::Builder, Way::Load { whole }]);
        }
        let binds = !matches!(body, Body::Code(_)) && self.random.chance(50);
        let built = single || matches!(body, Body::Copy(_));
        let builder = if built { 50 } else { 0 };
        self.random.weighted(&[
            (builder, Way::Builder),
            (40, Way::Query { binds }),
            (8, Way::Batch),
        ])
    }

    fn body(&mut self, outermost: bool) -> Body {
        let kind = self.kind();
        let rare = |wanted: bool, weight: u32| if wanted { weight } else { 0 };
        let postgres = kind == Kind::Postgres;
        let server = kind != Kind::Sqlite;
        let altering = if self.focus == Focus::Cascades { 12 } else { 3 };
        let routines = server && !self.schema.routines.is_empty();
        let which = self.random.weighted(&[
            (300, 0),
            (300, 1),
            (180, 2),
            (rare(kind != Kind::Mariadb, 15), 3),
            (rare(postgres, 12), 4),
            (rare(postgres, 12), 5),
            (rare(server, 6), 6),
            (rare(postgres, 6), 7),
            (rare(server, 5), 8),
            (rare(routines, 6), 9),
            (20, 10),
            (rare(!self.schema.late.is_empty() && outermost, 8), 11),
            (rare(outermost, altering), 12),
        ]);
        match which {
            0 => Body::Insert(self.insert()),
            1 => Body::Update(self.update()),
            2 => Body::Delete(self.delete()),
            3 => Body::Reading(self.any_table(), Box::new(self.readable())),
            4 => Body::With(Box::new(self.told()), Box::new(self.told())),
            5 => self
                .merge()
                .map_or_else(|| Body::Delete(self.delete()), Body::Merge),
            6 => self.truncate(),
            7 => self
                .copy()
                .map_or_else(|| Body::Insert(self.insert()), Body::Copy),
            8 => Body::Code(Box::new(self.simple())),
            9 => Body::Call(self.routine()),
            11 => Body::Define(0),
            12 => Body::Alter(self.alterable()),
            _ => self.several(outermost),
        }
    }

    fn several(&mut self, outermost: bool) -> Body {
        let count = 2 + self.random.below(2);
        let bodies = (0..count).map(|_| self.simple()).collect();
        Body::Several(bodies, outermost && self.random.chance(40))
    }

    fn simple(&mut self) -> Body {
        match self.random.below(3) {
            0 => Body::Insert(Insert {
                returning: Returning::None,
                ..self.insert()
            }),
            1 => {
                let mut update = self.update();
                update.returning = Returning::None;
                Body::Update(update)
            }
            _ => {
                let mut delete = self.delete();
                delete.returning = Returning::None;
                Body::Delete(delete)
            }
        }
    }

    /// With rows, for WITH wants them.
    fn told(&mut self) -> Body {
        let mut body = self.simple();
        match &mut body {
            Body::Insert(insert) => insert.returning = Returning::Column,
            Body::Update(update) => update.returning = Returning::Column,
            Body::Delete(delete) => delete.returning = Returning::Column,
            _ => {}
        }
        body
    }

    /// What may stand behind a WITH that only reads.
    fn readable(&mut self) -> Body {
        self.simple()
    }

    fn routine(&mut self) -> usize {
        self.random
            .pick(&(0..self.schema.routines.len()).collect::<Vec<_>>())
    }

    /// Without a tracked table there would be nothing to see.
    fn alterable(&mut self) -> usize {
        let untracked = |table: &usize| !self.schema.model(*table).tracked;
        let tables = 0..self.schema.tables.len();
        match self.kind() {
            Kind::Sqlite => self
                .random
                .pick(&tables.filter(untracked).collect::<Vec<_>>()),
            _ => self.any_table(),
        }
    }

    fn any_table(&mut self) -> usize {
        self.random
            .pick(&(0..self.schema.tables.len()).collect::<Vec<_>>())
    }
}

fn returning(body: &Body) -> Returning {
    match body {
        Body::Insert(insert) => insert.returning,
        Body::Update(update) => update.returning,
        Body::Delete(delete) => delete.returning,
        _ => Returning::None,
    }
}
