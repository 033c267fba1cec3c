//! From a change to all that follows from it.

use std::collections::HashSet;

use super::{Catalog, Name, Source, Touched};
use crate::track::statement::change::Change;

/// What follows from a statement's own change of a table.
pub(super) fn from(catalog: &Catalog, table: &str, change: &Change) -> Touched {
    let mut walk = Walk::new(catalog);
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
    seen: HashSet<(Name, Change)>,
    called: HashSet<String>,
    open: Vec<(Name, Change)>,
}

impl<'a> Walk<'a> {
    fn new(catalog: &'a Catalog) -> Self {
        Self {
            catalog,
            touched: Touched::default(),
            seen: HashSet::new(),
            called: HashSet::new(),
            open: Vec::new(),
        }
    }

    fn run(mut self) -> Touched {
        while let Some((table, change)) = self.open.pop() {
            self.name(&table);
            self.effects(&table, &change);
            for heir in self.catalog.heirs(&table) {
                self.hit(&heir, change.clone());
            }
        }
        self.touched
    }

    /// Rows of a table change, which ones is not told.
    fn hit(&mut self, table: &Name, change: Change) {
        if self.seen.insert((table.clone(), change.clone())) {
            self.open.push((table.clone(), change));
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
        let Some(relation) = self.catalog.relations.get(table) else {
            return;
        };
        let change = &relation.suffers(change);
        for reference in &relation.references {
            if let Some(effect) = relation.passed_on(reference, change) {
                self.hit(&reference.child, effect);
            }
        }
        for trigger in &relation.triggers {
            if trigger.on.overlaps(change) {
                self.does(&trigger.does);
            }
        }
        self.does(&relation.rules);
        if change.insert {
            self.does(&relation.defaults);
        }
        for base in &relation.bases {
            self.hit(base, change.widened());
        }
    }

    fn does(&mut self, source: &Source) {
        self.touched.every |= source.every;
        for table in &source.tables {
            self.hit(table, Change::any());
        }
        for function in &source.functions {
            self.call(function);
        }
    }

    fn call(&mut self, function: &str) {
        if let Some(source) = self.catalog.functions.get(function)
            && self.called.insert(function.to_owned())
        {
            self.does(source);
        }
    }
}
