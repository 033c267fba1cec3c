//! Where commands are sent.

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::{Cmd, Pipeline, RedisFuture, Value, cmd};

/// A connection on which each command may have to be announced.
#[derive(Clone)]
pub(super) struct Wire {
    connection: MultiplexedConnection,
    /// Each command follows an `ASKING`, which holds for one command alone: so the two are sent as one, or another
    /// request's would come between them.
    asking: bool,
}

impl Wire {
    pub(super) fn new(connection: MultiplexedConnection, asking: bool) -> Self {
        Self { connection, asking }
    }

    async fn send_asking(&mut self, commands: impl Iterator<Item = &Cmd>) -> AskedAll {
        let mut announced = Pipeline::new();
        announced.ignore_errors();
        for command in commands {
            announced.add_command(cmd("ASKING"));
            announced.add_command(command.clone());
        }
        let count = announced.len();
        let answers = self
            .connection
            .req_packed_commands(&announced, 0, count)
            .await?;
        Ok(answers.into_iter().skip(1).step_by(2).collect())
    }
}

type AskedAll = deadpool_redis::redis::RedisResult<Vec<Value>>;

impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        if !self.asking {
            return self.connection.req_packed_command(command);
        }
        Box::pin(async move {
            let answers = self.send_asking(std::iter::once(command)).await?;
            match answers.into_iter().next() {
                Some(Value::ServerError(error)) => Err(error.into()),
                answer => Ok(answer.unwrap_or(Value::Nil)),
            }
        })
    }

    /// Transactions, which alone have another offset, are never sent.
    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        if !self.asking {
            return self.connection.req_packed_commands(commands, offset, count);
        }
        Box::pin(self.send_asking(commands.cmd_iter()))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}
