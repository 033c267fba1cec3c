//! One name, one handler: two of one name would get each other's replies. (Two that only lock may share a lock.)

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{PoisonError, RwLock};

use crate::error::Error;

/// Which handler has which name.
#[derive(Debug, Default)]
pub(crate) struct Names(RwLock<HashMap<&'static str, &'static str>>);

impl Names {
    /// The handler of this type has this name, and no other may have it.
    pub(crate) fn claim(&self, name: &'static str, handler: &'static str) -> Result<(), Error> {
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .copied();
        let owner = known.unwrap_or_else(|| self.enter(name, handler));
        if owner == handler {
            return Ok(());
        }
        Err(Error::setup(format!(
            "`{owner}` and `{handler}` have the same name in keys, `{name}`: give one of them another by `name = \"…\"`"
        )))
    }

    fn enter(&self, name: &'static str, handler: &'static str) -> &'static str {
        match self
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
        {
            Entry::Occupied(known) => known.get(),
            Entry::Vacant(free) => free.insert(handler),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_handler_s() {
        let names = Names::default();
        assert!(
            names.claim("shop::create", "A").is_ok() && names.claim("shop::create", "A").is_ok()
        );
        let error = names
            .claim("shop::create", "B")
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.contains("name = ")));
    }
}
