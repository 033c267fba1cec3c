//! Examples that are no module here, and why. rustdoc compiles each by itself and checks that it still is as said here.

use std::path::Path;

use crate::condition;
use crate::example::Example;

/// How an exception behaves as a crate of its own.
pub enum Kind {
    /// It works, through tracked connections.
    Works,
    /// Through Diesel's own connections it compiles; through tracked ones it does not.
    NeedsBareConnection,
    /// It does not compile through Diesel's own connections either.
    NeedsDieselAlone,
}

pub struct Exception {
    file: &'static str,
    /// What only this example of its file says.
    says: &'static str,
    pub kind: Kind,
    pub because: &'static str,
}

/// Diesel's macro writes `register_impl` for `diesel::SqliteConnection`, which is a tracked one here; it calls what Diesel
/// hides from its documentation.
const REGISTERS: &str = "`register_impl` takes Diesel's own connection; `untracked()` lends it.";

const ALL: [Exception; 9] = [
    Exception {
        file: "diesel/src/macros/mod.rs",
        says: "(users::name, posts::id, posts::title);",
        kind: Kind::Works,
        because: "It implements traits for tables in `crate::schema`, and so does the next example.",
    },
    Exception {
        file: "diesel/src/pg/query_builder/copy/copy_to.rs",
        says: ".load_raw(",
        kind: Kind::NeedsBareConnection,
        because: "Only Diesel can implement its `ExecuteCopyToConnection`; `untracked()` lends the connection that has it.",
    },
    Exception {
        file: "diesel/src/pg/query_builder/copy/copy_to.rs",
        says: ".load::<User, _>(connection)",
        kind: Kind::NeedsBareConnection,
        because: "As the one before.",
    },
    Exception {
        file: "diesel/src/sqlite/expression/functions.rs",
        says: "dsl::{sql, json_array_length}",
        kind: Kind::NeedsDieselAlone,
        because: "PostgreSQL's function of this name hides it wherever Diesel is compiled for both databases, as it is here.",
    },
    Exception {
        file: "diesel_derives/src/lib.rs",
        says: "use crate::diesel_full_text_search",
        kind: Kind::Works,
        because: "It imports from itself as `crate`.",
    },
    Exception {
        file: "diesel_derives/src/lib.rs",
        says: "crates.order(random());",
        kind: Kind::NeedsBareConnection,
        because: REGISTERS,
    },
    Exception {
        file: "diesel_derives/src/lib.rs",
        says: "fn add_mul(",
        kind: Kind::NeedsBareConnection,
        because: REGISTERS,
    },
    Exception {
        file: "diesel_derives/src/lib.rs",
        says: "fn my_sum(",
        kind: Kind::NeedsBareConnection,
        because: REGISTERS,
    },
    Exception {
        file: "diesel_derives/src/lib.rs",
        says: "fn range_max(",
        kind: Kind::NeedsBareConnection,
        because: REGISTERS,
    },
];

/// The exception that an example is.
pub fn of(example: &Example) -> Option<&'static Exception> {
    ALL.iter().find(|exception| exception.is(example))
}

/// Panics unless every exception is of one example.
pub fn check(examples: &[Example]) {
    for exception in &ALL {
        let count = examples
            .iter()
            .filter(|example| exception.is(example))
            .count();
        let expected = usize::from(condition::is_compiled(exception.within()));
        assert_eq!(
            count, expected,
            "examples in {} that say `{}`",
            exception.file, exception.says
        );
    }
}

impl Exception {
    /// Its file, seen from its package's `src`.
    fn within(&self) -> &Path {
        Path::new(
            self.file
                .split_once("/src/")
                .map_or(self.file, |(_, file)| file),
        )
    }

    fn is(&self, example: &Example) -> bool {
        example.file.as_os_str() == self.file && example.text.contains(self.says)
    }
}
