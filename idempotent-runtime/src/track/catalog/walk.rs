//! From a change to all that follows from it.

use std::collections::HashSet;

use super::{Catalog, Name, Source, Touched};
use crate::track::rules::Rule;
use crate::track::statement::change::Change;

/// What follows from a statement's own change of a table.
pub(super) fn from(catalog: &Catalog, table: &str, change: &Change, chained: bool) -> Touched {
    let mut walk = Walk::new(catalog);
    walk.chained = chained;
    let heirs = catalog.heirs(table);
    for heir in &heirs {
        walk.name(heir);
        walk.effects(heir, change);
    }
    // Rows of heirs that were reached through the table are among those that it tells of.
    walk.touched.tables.remove(table);
    walk.shown(table);
    walk.effects(table, change);
    walk.run()
}

/// What follows from calls.
pub(super) fn calls<'a>(
    catalog: &Catalog,
    functions: impl IntoIterator<Item = &'a String>,
) -> Touched {
    let mut walk = Walk::new(catalog);
    for function in functions {
        walk.call(function);
    }
    walk.run()
}

struct Walk<'a> {
    catalog: &'a Catalog,
    touched: Touched,
    /// The rows that foreign keys change are told by others.
    chained: bool,
    seen: HashSet<Step>,
    called: HashSet<String>,
    open: Vec<Step>,
}

/// A change of a table that follows from the statement.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Step {
    table: Name,
    change: Change,
    /// Others tell which rows.
    told: bool,
}

impl<'a> Walk<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            touched: Touched::default(),
            chained: false,
            seen: HashSet::new(),
            called: HashSet::new(),
            open: Vec::new(),
        }
    }

    fn run(mut self) -> Touched {
        while let Some(step) = self.open.pop() {
            match step.told {
                true => self.shown(&step.table),
                false => self.name(&step.table),
            }
            match step.told && self.catalog.quiet_keys {
                true => self.passed_on(&step.table, &step.change, true),
                false => self.followed(&step),
            }
        }
        self.touched
    }

    fn followed(&mut self, step: &Step) {
        self.effects_of(&step.table, &step.change, step.told);
        for heir in self.catalog.heirs(&step.table) {
            match step.told {
                true => self.told_heir(&heir, &step.change),
                false => self.hit(&heir, step.change.clone()),
            }
        }
    }

    /// Its rows are told by the name of its ancestor.
    fn told_heir(&mut self, heir: &Name, change: &Change) {
        self.touched.tables.extend(self.catalog.views(heir));
        self.touched.tables.insert(heir.clone());
        // Foreign keys that refer to an heir alone are followed by no chain.
        self.effects_of(heir, change, true);
    }

    /// Rows of a table change, which ones is not told.
    fn hit(&mut self, table: &Name, change: Change) {
        self.step(table, change, false);
    }

    fn step(&mut self, table: &Name, change: Change, told: bool) {
        let step = Step {
            table: table.clone(),
            change,
            told,
        };
        if self.seen.insert(step.clone()) {
            self.open.push(step);
        }
    }

    fn name(&mut self, table: &Name) {
        self.touched.tables.insert(table.clone());
        self.shown(table);
    }

    /// Names the relations that show a table's rows as their own.
    fn shown(&mut self, table: &str) {
        let ancestors = self.catalog.ancestors(table);
        for relation in &ancestors {
            self.touched.tables.extend(self.catalog.views(relation));
        }
        self.touched.tables.extend(ancestors);
        self.touched.tables.extend(self.catalog.views(table));
    }

    fn effects(&mut self, table: &str, change: &Change) {
        self.effects_of(table, change, self.chained);
    }

    /// `told`: so are the rows that foreign keys change here.
    fn effects_of(&mut self, table: &str, change: &Change, told: bool) {
        let Some(relation) = self.catalog.relations.get(table) else {
            return;
        };
        self.passed_on(table, change, told);
        let replaces =
            self.catalog.replaces && change.delete && (change.insert || change.update.is_some());
        let mut change = relation.suffers(change);
        if change.update.is_some() && self.catalog.is_divided(table) {
            (change.insert, change.delete) = (true, true);
        }
        let change = &change;
        for trigger in &relation.triggers {
            if trigger.on.overlaps(change) && Rule::Triggers.applies() {
                self.does(&trigger.does, replaces);
            }
        }
        for rule in &relation.rules {
            if rule.on.overlaps(change) && Rule::Rewriting.applies() {
                self.does(&rule.does, false);
            }
        }
        if change.insert {
            self.does(&relation.defaults, false);
        }
        for base in relation.bases.iter().filter(|_| Rule::Views.applies()) {
            self.hit(base, change.widened());
        }
    }

    fn passed_on(&mut self, table: &str, change: &Change, told: bool) {
        let Some(relation) = self.catalog.relations.get(table) else {
            return;
        };
        let change = &relation.suffers(change);
        for reference in self.catalog.references(table) {
            if let Some(effect) = relation.passed_on(reference, change) {
                self.step(&reference.child, effect, told);
            }
        }
    }

    /// `replaces`: its insertions and updates make room for their rows.
    fn does(&mut self, source: &Source, replaces: bool) {
        self.touched.every |= source.every;
        let mut change = source.change.clone();
        change.delete |= replaces && (change.insert || change.update.is_some());
        let changes = change != Change::default();
        for table in source.tables.iter().filter(|_| changes) {
            self.hit(table, change.clone());
        }
        for function in &source.functions {
            self.call(function);
        }
    }

    fn call(&mut self, function: &str) {
        if let Some(source) = self.catalog.functions.get(function)
            && Rule::Functions.applies()
            && self.called.insert(function.to_owned())
        {
            self.does(source, false);
        }
    }
}
