//! The scripts, each in a file of its own that says what it takes and gives.
//!
//! They are called by their digests. A server is given their texts when a connection is made, and once more where it
//! turns out not to know one (its scripts were flushed).

use std::sync::LazyLock;

use deadpool_redis::redis::{Pipeline, Script};

macro_rules! scripts {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!($file)));)+

        /// Gives a server all of them.
        pub(super) fn load(commands: &mut Pipeline) {
            $(commands.cmd("SCRIPT").arg("LOAD").arg(include_str!($file)).ignore();)+
        }
    };
}

scripts! {
    LOOK = "look.lua",
    FIND = "find.lua",
    KEEP = "keep.lua",
    STAMP = "stamp.lua",
    LOCK = "lock.lua",
    RENEW = "renew.lua",
    FREE = "free.lua",
}
