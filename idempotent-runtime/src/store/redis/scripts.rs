//! The scripts, each in a file of its own that says what it takes and gives.
//!
//! They are called by their digests. A server is given their texts when a connection is made, and once more where it
//! turns out not to know one (its scripts were flushed).

use std::borrow::Cow;
use std::sync::LazyLock;

use deadpool_redis::redis::{Pipeline, Script};

use crate::faults::Fault;

macro_rules! scripts {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(&text(include_str!($file))));)+

        /// Gives a server all of them.
        pub(super) fn load(commands: &mut Pipeline) {
            $(commands.cmd("SCRIPT").arg("LOAD").arg(text(include_str!($file)).as_bytes()).ignore();)+
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

/// The rules that are kept in a script: what keeps one, and what is there where it is broken on purpose.
const RULES: [(Fault, &str, &str); 3] = [
    (
        Fault::VersionsOfClient,
        "struct.pack('>I8', count) .. ARGV[1]",
        "ARGV[1] .. ARGV[1]",
    ),
    (
        Fault::MissingTagValid,
        "if present[n - first + 1] ~= versions[n] then",
        "if present[n - first + 1] and present[n - first + 1] ~= versions[n] then",
    ),
    (
        Fault::ReleaseWithoutToken,
        "if not holder or string.sub(holder, 1, #ARGV[1]) ~= ARGV[1] then",
        "if not holder then",
    ),
];

fn text(script: &'static str) -> Cow<'static, str> {
    let broken = RULES.iter().filter(|(fault, ..)| fault.is_on());
    broken.fold(Cow::Borrowed(script), |script, (_, kept, broken)| {
        script.replace(kept, broken).into()
    })
}
