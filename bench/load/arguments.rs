//! What the caller wants.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) quick: bool,
    /// One row, with those that its goal names.
    pub(crate) only: Option<String>,
    pub(crate) report: PathBuf,
    /// Where the documentation is that gets tables and plots.
    pub(crate) pages: Option<PathBuf>,
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut parsed = Arguments {
        quick: false,
        only: None,
        report: "report.json".into(),
        pages: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--quick" => parsed.quick = true,
            "--only" => parsed.only = Some(value()?),
            "--report" => parsed.report = value()?.into(),
            "--pages" => parsed.pages = Some(value()?.into()),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    Ok(parsed)
}

impl Arguments {
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 3 } else { 5 }
    }

    /// How long 64 connections put load on a candidate; whole seconds, as `wrk` wants.
    pub(crate) fn load(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 3 })
    }

    /// How many requests one connection sends one after the other.
    pub(crate) fn singles(&self) -> usize {
        if self.quick { 400 } else { 2_000 }
    }
}
