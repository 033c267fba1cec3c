//! How a statement calls its tables and columns.

use sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, Ident, ObjectName, ObjectNamePart, TableFactor,
    TableWithJoins,
};

use super::super::change::Columns;
use crate::track::fold;

/// A quoted name keeps its case.
pub(super) fn spelled(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => fold(&name.value),
    }
}

/// A table of a join.
pub(super) struct Named<'a> {
    pub(super) name: &'a ObjectName,
    pub(super) alias: Option<&'a Ident>,
}

/// The tables of joins; queries among them have no rows of their own.
pub(super) fn tables(joined: &[TableWithJoins]) -> Option<Vec<Named<'_>>> {
    let relations = joined.iter().flat_map(|table| {
        let joins = table.joins.iter().map(|join| &join.relation);
        std::iter::once(&table.relation).chain(joins)
    });
    let mut tables = Vec::new();
    for relation in relations {
        match relation {
            TableFactor::Table { name, alias, .. } => tables.push(Named {
                name,
                alias: alias.as_ref().map(|alias| &alias.name),
            }),
            TableFactor::Derived { .. } => {}
            _ => return None,
        }
    }
    Some(tables)
}

/// The table that a statement calls so.
pub(super) fn named<'t, 'a>(tables: &'t [Named<'a>], name: &str) -> Option<&'t Named<'a>> {
    tables.iter().find(|table| {
        let known = table.alias.or_else(|| table.name.0.last()?.as_ident());
        known.is_some_and(|known| fold(&known.value) == fold(name))
    })
}

/// What a statement calls a table.
pub(super) fn called(table: &TableWithJoins) -> Option<&Ident> {
    match &table.relation {
        TableFactor::Table {
            alias: Some(alias), ..
        } => Some(&alias.name),
        TableFactor::Table { name, .. } => name.0.last()?.as_ident(),
        _ => None,
    }
}

/// The columns of a SET. Every part of a name counts: a qualifier taken for a column does no harm.
pub(super) fn set(assignments: &[Assignment], target: Option<&Ident>) -> Columns {
    let names = assignments
        .iter()
        .filter(|assignment| !keeps(assignment, target))
        .flat_map(|assignment| match &assignment.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names,
        });
    let parts = names.flat_map(|name| &name.0);
    let columns = parts.map(|part| part.as_ident().map(|ident| fold(&ident.value)));
    columns
        .collect::<Option<_>>()
        .map_or(Columns::All, Columns::Some)
}

/// `id = id`, which is how Diesel says DO NOTHING to MySQL, and `id = users.id`. `target`: what users is called.
pub(super) fn keeps(assignment: &Assignment, target: Option<&Ident>) -> bool {
    let AssignmentTarget::ColumnName(name) = &assignment.target else {
        return false;
    };
    let value = match &assignment.value {
        Expr::Identifier(ident) => std::slice::from_ref(ident),
        Expr::CompoundIdentifier(idents) => idents.as_slice(),
        _ => return false,
    };
    let same = |(part, ident): (&ObjectNamePart, &Ident)| {
        part.as_ident()
            .is_some_and(|part| fold(&part.value) == fold(&ident.value))
    };
    let value = match (name.0.as_slice(), value) {
        ([_], [qualifier, column]) if target == Some(qualifier) => std::slice::from_ref(column),
        _ => value,
    };
    name.0.len() == value.len() && name.0.iter().zip(value).all(same)
}
