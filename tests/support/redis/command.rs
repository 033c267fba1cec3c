//! Commands, without a client's library: what the tests of one ask beside it.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::{Ipv4Addr, TcpStream};

use super::Redis;
use crate::DEADLINE;

impl Redis {
    /// Sends a command on a connection of its own, and gives the words of the answer, however they were nested.
    ///
    /// # Panics
    ///
    /// When there is no answer, or it is an error.
    #[track_caller]
    pub fn ask(&self, words: &[&str]) -> Vec<String> {
        match self.try_ask(words) {
            Ok(answer) => answer,
            Err(error) => panic!("{words:?}: {error}"),
        }
    }

    /// The same, where there may be none.
    ///
    /// # Errors
    ///
    /// When there is no answer, or it is an error.
    pub fn try_ask(&self, words: &[&str]) -> Result<Vec<String>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        if let Some(password) = &self.password {
            exchange(&mut stream, &["AUTH", password])?;
        }
        exchange(&mut stream, words)
    }
}

fn exchange(stream: &mut TcpStream, words: &[&str]) -> Result<Vec<String>> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(command.as_bytes())?;
    let mut answer = Vec::new();
    read(&mut BufReader::new(stream), &mut answer)?;
    Ok(answer)
}

fn read(reader: &mut impl BufRead, words: &mut Vec<String>) -> Result<()> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let (mark, rest) = line.split_at_checked(1).ok_or(ErrorKind::UnexpectedEof)?;
    let count = || rest.parse::<i64>().map_err(Error::other);
    match mark {
        "+" | ":" => words.push(rest.to_owned()),
        "-" => return Err(Error::other(rest.to_owned())),
        "$" => match usize::try_from(count()?) {
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                reader.read_exact(&mut bytes)?;
                bytes.truncate(length);
                words.push(String::from_utf8_lossy(&bytes).into_owned());
            }
            Err(_) => words.push(String::new()),
        },
        "*" => {
            for _ in 0..count()? {
                read(reader, words)?;
            }
        }
        _ => {
            return Err(Error::other(format!(
                "an answer of another protocol: {line}"
            )));
        }
    }
    Ok(())
}
