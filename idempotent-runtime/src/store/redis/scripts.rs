//! The scripts, each in a file of its own that says what it takes and gives.
//!
//! They are called by their digests. A server is given their texts when a connection is made, and once more where it
//! turns out not to know one (its scripts were flushed).

use std::borrow::Cow;
use std::sync::LazyLock;

use deadpool_redis::redis::{
    self, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, ServerErrorKind, ToRedisArgs, cmd,
};

use super::wire::Wire;
use crate::faults::Fault;

macro_rules! scripts {
    ($($name:ident = $file:literal),+ $(,)?) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script(redis::Script::new(&text(include_str!($file)))));)+

        /// Gives a server all of them.
        pub(super) fn load(commands: &mut Pipeline) {
            $(commands.cmd("SCRIPT").arg("LOAD").arg(text(include_str!($file)).as_bytes()).ignore();)+
        }
    };
}

/// A script, to be called by its digest.
pub(super) struct Script(redis::Script);

/// A call of a script: the keys, of which there must be as many as were said, and then the arguments.
pub(super) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Script {
    pub(super) fn call(&'static self, keys: usize) -> Call {
        let mut command = cmd("EVALSHA");
        command.arg(self.0.get_hash()).arg(keys);
        Call {
            script: self,
            command,
        }
    }
}

impl Call {
    pub(super) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    pub(super) async fn send<T: FromRedisValue>(&self, wire: &mut Wire) -> RedisResult<T> {
        match self.command.query_async(wire).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                Box::pin(self.script.0.load_async(wire)).await?;
                self.command.query_async(wire).await
            }
            answer => answer,
        }
    }
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
