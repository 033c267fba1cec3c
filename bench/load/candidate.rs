//! A candidate: its process, and what it has of its own.

use std::process::Command;

use support::Server;
use support::http::{self, Response};

use crate::Result;
use crate::parts::Own;

pub(crate) struct Candidate {
    pub(crate) name: String,
    pub(crate) own: Own,
    pub(crate) server: Server,
    pub(crate) port: u16,
}

impl Candidate {
    /// Starts the program `candidate`, which is beside this one.
    pub(crate) fn start(name: &str, own: Own) -> Result<Self> {
        let server = Server::start(&command(name, &own)?);
        let port = server.await_line("listening on ");
        let port = port.rsplit(' ').next().unwrap_or_default().parse()?;
        Ok(Self {
            name: name.to_owned(),
            own,
            server,
            port,
        })
    }

    /// Another process of the same kind, with the same Redis and database.
    pub(crate) fn sibling(&self) -> Result<(Server, u16)> {
        let server = Server::start(&command(&self.name, &self.own)?);
        let line = server.await_line("listening on ");
        Ok((server, line.rsplit(' ').next().unwrap_or_default().parse()?))
    }

    /// The answer to one request, which must be a success.
    pub(crate) fn send(&self, request: &[u8]) -> Result<Response> {
        let mut connection = http::Connection::open(self.address());
        connection.send(request);
        let response = connection.response();
        if (200..300).contains(&response.status) {
            Ok(response)
        } else {
            Err(format!(
                "{}: {} {}",
                self.name,
                response.status,
                String::from_utf8_lossy(&response.body)
            )
            .into())
        }
    }

    pub(crate) fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }

    /// How often its handler has run.
    pub(crate) fn runs(&self) -> Result<u64> {
        Ok(counts(self.port, "runs"))
    }
}

/// What a candidate has counted.
pub(crate) fn counts(port: u16, of: &str) -> u64 {
    let told = http::send(("127.0.0.1", port), "GET", "/counts", &[], b"");
    told.json()[of].as_u64().unwrap_or(0)
}

pub(crate) fn command(name: &str, own: &Own) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?.with_file_name("candidate"));
    command.arg(name);
    own.tell(&mut command);
    Ok(command)
}
