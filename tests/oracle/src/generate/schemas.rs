//! Random schemas.

use super::Focus;
use crate::models::{HEIR, MODELS, VIEW};
use crate::random::Random;
use crate::schema::{
    Action, Column, Effect, Event, Fill, Keyed, Kind, Reference, Schema, Storage, Table, Trigger,
    View, Writing,
};
use crate::statement::{
    Body, Conflict, Delete, Expr, Filter, Insert, Relation, Returning, Rows, Update,
};
use crate::value::{Type, Value};

use super::inserts::plain;

pub(super) fn schema(kind: Kind, focus: Focus, random: &mut Random) -> Schema {
    let mut schema = Schema {
        kind,
        tables: tables(kind, focus, random),
        views: Vec::new(),
        routines: Vec::new(),
        triggers: Vec::new(),
        late: Vec::new(),
        called: None,
        logged: random.chance(80),
    };
    references(&mut schema, focus, random);
    storage(&mut schema, random);
    views(&mut schema, focus, random);
    effects(&mut schema, focus, random);
    schema
}

/// Some of the tracked tables and an untracked one. Those with an integer key come most, as they do.
fn tables(kind: Kind, focus: Focus, random: &mut Random) -> Vec<Table> {
    let mut models = vec![0];
    for model in 1..HEIR {
        if random.chance(35) {
            models.push(model);
        }
    }
    models.push(VIEW + 1);
    if random.chance(40) {
        models.push(VIEW + 2);
    }
    models
        .into_iter()
        .map(|model| table(model, kind, focus, random))
        .collect()
}

fn table(model: usize, kind: Kind, focus: Focus, random: &mut Random) -> Table {
    let key = MODELS[model].key;
    let mut columns: Vec<_> = key
        .iter()
        .map(|(name, ty)| Column {
            name,
            ty: *ty,
            fill: if key.len() == 1 {
                filled(*ty, kind, random)
            } else {
                Fill::Nothing
            },
            required: false,
            unique: false,
            clash: None,
        })
        .collect();
    columns.push(number(random));
    columns.push(text(random));
    if random.chance(40) {
        columns.push(extra(random));
    }
    if random.chance(25) {
        columns.push(generated(kind, random));
    }
    if focus == Focus::Conflicts {
        clashing(&mut columns, kind, random);
    }
    Table {
        model,
        columns,
        references: Vec::new(),
        keyed: random.weighted(&[(85, Keyed::Primary), (15, Keyed::Unique)]),
        storage: Storage::Plain,
        elsewhere: kind == Kind::Postgres && random.chance(20),
    }
}

/// More columns without duplicates, and what to do about them.
fn clashing(columns: &mut [Column], kind: Kind, random: &mut Random) {
    for column in columns {
        column.unique |= matches!(column.name, "n" | "s" | "x") && random.chance(50);
        if kind == Kind::Sqlite && random.chance(15) {
            column.clash = Some(random.pick(&["REPLACE", "IGNORE", "FAIL", "ROLLBACK"]));
        }
    }
}

fn filled(ty: Type, kind: Kind, random: &mut Random) -> Fill {
    let counted = match kind {
        // The row's own number, which only INTEGER PRIMARY KEY is.
        Kind::Sqlite => ty == Type::Int,
        _ => ty.is_integer(),
    };
    match ty {
        _ if counted && kind == Kind::Postgres && random.chance(10) => Fill::Identity,
        _ if counted && random.chance(60) => Fill::Counted,
        Type::Text if random.chance(30) => Fill::Value(Value::Text("default")),
        _ => Fill::Nothing,
    }
}

fn number(random: &mut Random) -> Column {
    let fill = match random.chance(30) {
        true => Fill::Value(Value::Int(i64::from(random.below(5)))),
        false => Fill::Nothing,
    };
    Column {
        name: "n",
        ty: Type::Int,
        fill,
        required: fill != Fill::Nothing && random.chance(30),
        unique: fill == Fill::Nothing && random.chance(15),
        clash: None,
    }
}

fn text(random: &mut Random) -> Column {
    Column {
        name: "s",
        ty: Type::Text,
        fill: Fill::Nothing,
        required: false,
        unique: random.chance(8),
        clash: None,
    }
}

fn extra(random: &mut Random) -> Column {
    const TYPES: [Type; 8] = [
        Type::Small,
        Type::Big,
        Type::Text,
        Type::Bytes,
        Type::Date,
        Type::Moment,
        Type::Numeric,
        Type::Bool,
    ];
    Column {
        name: "x",
        ty: random.pick(&TYPES),
        fill: Fill::Nothing,
        required: false,
        unique: random.chance(10),
        clash: None,
    }
}

fn generated(kind: Kind, random: &mut Random) -> Column {
    Column {
        name: "g",
        ty: Type::Big,
        fill: Fill::Generated {
            stored: kind == Kind::Postgres || random.chance(50),
        },
        required: false,
        unique: false,
        clash: None,
    }
}

/// Foreign keys, also to the table itself and in circles.
fn references(schema: &mut Schema, focus: Focus, random: &mut Random) {
    let often = if focus == Focus::Cascades { 90 } else { 40 };
    for child in 0..schema.tables.len() {
        for name in ["f", "f2"] {
            if random.chance(often) {
                reference(schema, child, name, random);
            }
        }
        if random.chance(often / 3) {
            own_key(schema, child, random);
        }
    }
}

/// Columns that refer to a key, or to another column without duplicates.
fn reference(schema: &mut Schema, child: usize, name: &'static str, random: &mut Random) {
    let parent = random.pick(&(0..schema.tables.len()).collect::<Vec<_>>());
    let kind = schema.kind;
    let to = referred(&schema.tables[parent], random);
    let names = [name, if name == "f" { "fb" } else { "f2b" }];
    let own = &mut schema.tables[child];
    for ((_, ty), name) in to.iter().zip(names) {
        own.columns
            .push(referring(name, *ty, to.len() == 1, random));
    }
    own.references.push(Reference {
        columns: names[..to.len()].to_vec(),
        parent,
        to: to.into_iter().map(|(column, _)| column).collect(),
        on_delete: action(kind, random),
        on_update: action(kind, random),
        deferred: kind != Kind::Mariadb && random.chance(10),
    });
}

fn referred(parent: &Table, random: &mut Random) -> Vec<(&'static str, Type)> {
    match parent.column("n") {
        Some(column) if column.unique && random.chance(40) => vec![("n", Type::Int)],
        _ => MODELS[parent.model].key.to_vec(),
    }
}

fn referring(name: &'static str, ty: Type, alone: bool, random: &mut Random) -> Column {
    let fill = match random.chance(40) {
        true => Fill::Value(ty.value(random)),
        false => Fill::Nothing,
    };
    Column {
        name,
        ty,
        fill,
        required: false,
        unique: alone && random.chance(5),
        clash: None,
    }
}

/// A key that refers to another table's key, and changes with it.
fn own_key(schema: &mut Schema, child: usize, random: &mut Random) {
    let ty = schema.tables[child].columns[0].ty;
    let parents: Vec<_> = (0..schema.tables.len())
        .filter(|parent| {
            let key = schema.tables[*parent].key();
            *parent != child && key.len() == 1 && schema.tables[*parent].columns[0].ty == ty
        })
        .collect();
    if parents.is_empty() {
        return;
    }
    let parent = random.pick(&parents);
    let to = schema.tables[parent].key()[0];
    let own = &mut schema.tables[child];
    if matches!(own.columns[0].fill, Fill::Counted | Fill::Identity) && schema.kind != Kind::Sqlite
    {
        own.columns[0].fill = Fill::Nothing;
    }
    let columns = vec![own.columns[0].name];
    own.references.push(Reference {
        columns,
        parent,
        to: vec![to],
        on_delete: random.pick(&[Action::Cascade, Action::Nothing]),
        on_update: random.pick(&[Action::Cascade, Action::Cascade, Action::Nothing]),
        deferred: false,
    });
}

fn action(kind: Kind, random: &mut Random) -> Action {
    let default = if kind == Kind::Mariadb { 0 } else { 15 };
    random.weighted(&[
        (40, Action::Cascade),
        (20, Action::Null),
        (default, Action::Default),
        (12, Action::Nothing),
        (8, Action::Restrict),
    ])
}

fn storage(schema: &mut Schema, random: &mut Random) {
    let referred: Vec<_> = schema
        .tables
        .iter()
        .flat_map(|table| table.references.iter().map(|reference| reference.parent))
        .collect();
    for at in 0..schema.tables.len() {
        let free = !referred.contains(&at) && schema.tables[at].references.is_empty();
        schema.tables[at].storage = match schema.kind {
            Kind::Sqlite if random.chance(25) && without_rowid(&schema.tables[at]) => {
                Storage::WithoutRowid
            }
            Kind::Postgres if random.chance(15) && partable(&schema.tables[at]) => {
                Storage::Partitioned
            }
            Kind::Mariadb if free && random.chance(30) && partable(&schema.tables[at]) => {
                Storage::Partitioned
            }
            _ => Storage::Plain,
        };
    }
    let parent = &schema.tables[0];
    if schema.kind == Kind::Postgres && parent.storage == Storage::Plain && random.chance(25) {
        schema.tables.push(heir(0));
    }
}

fn without_rowid(table: &Table) -> bool {
    table.keyed == Keyed::Primary
}

/// Whatever is without duplicates must hold the key by which the parts are told apart.
fn partable(table: &Table) -> bool {
    table.columns.iter().all(|column| !column.unique)
        && table.columns[0].fill != Fill::Identity
        && table.columns[0].ty != Type::Folded
        && table
            .references
            .iter()
            .all(|reference| !reference.to.contains(&"n"))
}

/// With the columns of its parent, and a key of its own.
fn heir(parent: usize) -> Table {
    Table {
        model: HEIR,
        columns: vec![
            Column {
                name: "id",
                ty: Type::Int,
                fill: Fill::Nothing,
                required: true,
                unique: false,
                clash: None,
            },
            Column {
                name: "n",
                ty: Type::Int,
                fill: Fill::Nothing,
                required: false,
                unique: false,
                clash: None,
            },
            Column {
                name: "s",
                ty: Type::Text,
                fill: Fill::Nothing,
                required: false,
                unique: false,
                clash: None,
            },
        ],
        references: Vec::new(),
        keyed: Keyed::Primary,
        storage: Storage::Inherits(parent),
        elsewhere: false,
    }
}

fn views(schema: &mut Schema, focus: Focus, random: &mut Random) {
    let often = if focus == Focus::Hidden { 80 } else { 20 };
    let writing = |random: &mut Random| match schema.kind {
        Kind::Sqlite => Writing::Triggers,
        Kind::Postgres => random.pick(&[
            Writing::Updatable,
            Writing::Updatable,
            Writing::Triggers,
            Writing::Rules,
        ]),
        Kind::Mariadb => Writing::Updatable,
    };
    let mut views = Vec::new();
    if random.chance(often) {
        views.push(View {
            name: "v_int",
            model: Some(VIEW),
            base: 0,
            writing: writing(random),
        });
    }
    if random.chance(often) {
        let single: Vec<_> = (0..schema.tables.len())
            .filter(|table| schema.tables[*table].key().len() == 1)
            .collect();
        views.push(View {
            name: "v_any",
            model: None,
            base: random.pick(&single),
            writing: writing(random),
        });
    }
    schema.views = views;
}

/// What follows from changes. A trigger changes only tables behind its own, so that none runs in circles.
fn effects(schema: &mut Schema, focus: Focus, random: &mut Random) {
    let often = if focus == Focus::Hidden { 80 } else { 20 };
    if schema.kind != Kind::Sqlite && random.chance(often) {
        let body = effect(schema, 0, random);
        schema.routines.push(body);
    }
    for _ in 0..2 {
        if random.chance(often) {
            let trigger = trigger(schema, random);
            schema.triggers.push(trigger);
        }
    }
    if random.chance(often) {
        let trigger = trigger(schema, random);
        schema.late.push(trigger);
    }
    if schema.kind == Kind::Postgres && !schema.routines.is_empty() && random.chance(30) {
        let table = random.pick(&(0..schema.tables.len()).collect::<Vec<_>>());
        schema.called = Some((table, 0));
    }
}

fn trigger(schema: &Schema, random: &mut Random) -> Trigger {
    let last = schema.tables.len() - 1;
    let table = random.pick(&(0..last).collect::<Vec<_>>());
    let event = random.pick(&[Event::Insert, Event::Update, Event::Delete]);
    let body = effect(schema, table + 1, random);
    let key = schema.tables[table].columns[0].ty;
    let postgres = schema.kind == Kind::Postgres;
    let server = schema.kind != Kind::Sqlite;
    let instead = schema.kind != Kind::Mariadb && event == Event::Insert;
    let rekeys = server && event != Event::Delete && schema.tables[table].storage == Storage::Plain;
    let which = random.weighted(&[
        (60, 0),
        (if instead { 10 } else { 0 }, 1),
        (if postgres { 15 } else { 0 }, 2),
        (if rekeys { 25 } else { 0 }, 3),
        (if postgres { 10 } else { 0 }, 4),
        (if postgres { 10 } else { 0 }, 5),
        (if postgres { 8 } else { 0 }, 6),
    ]);
    let does = match which {
        1 => Effect::Instead(body),
        2 => Effect::Dynamic(body),
        3 => Effect::Rekey(key.value(random)),
        4 => Effect::Together(body),
        5 => Effect::Deferred(body),
        6 => Effect::Rule(body),
        _ => Effect::Also(body),
    };
    Trigger { table, event, does }
}

/// A change of some table from this place on that fails seldom.
fn effect(schema: &Schema, from: usize, random: &mut Random) -> Body {
    let table = random.pick(&(from..schema.tables.len()).collect::<Vec<_>>());
    let target = plain(Relation::Table(table));
    let filter = Filter::Is("n", "<", Value::Int(i64::from(random.below(8))));
    let key = schema.tables[table].columns[0].clone();
    match random.below(3) {
        0 if schema.tables[table].key().len() == 1 && key.settable() => Body::Insert(Insert {
            target,
            columns: vec![key.name],
            rows: Rows::Values(vec![vec![key.ty.value(random)]]),
            conflict: match schema.kind {
                Kind::Mariadb => Conflict::Or("IGNORE"),
                _ => Conflict::Nothing,
            },
            returning: Returning::None,
        }),
        1 => Body::Delete(Delete {
            target,
            using: None,
            filter,
            limit: None,
            returning: Returning::None,
        }),
        _ => Body::Update(Update {
            target,
            set: vec![("s", Expr::Value(Value::Null))],
            from: None,
            filter,
            limit: None,
            conflict: Conflict::None,
            returning: Returning::None,
        }),
    }
}
