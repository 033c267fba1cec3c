//! CPU time by the operating system's accounting.

use std::collections::HashMap;
use std::fs;

use crate::Result;

/// The kernel's unit in `/proc`: a hundredth of a second on every Linux that Rust runs on.
const TICK: f64 = 10_000.0;

/// What a process and its threads have used, in microseconds.
pub(crate) fn of_process(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let process = Process::parse(&stat).ok_or_else(|| format!("no numbers in {stat:?}"))?;
    Ok(process.own * TICK)
}

/// What the machine has used, and what of it others than this bench have, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    others: f64,
}

impl Machine {
    pub(crate) fn now() -> Result<Self> {
        let busy = busy()? * TICK;
        Ok(Self {
            others: busy - ours()? * TICK,
        })
    }

    /// The share of the machine's CPUs that others have used in the meantime.
    pub(crate) fn others_since(&self, before: &Self, elapsed: f64, cores: f64) -> f64 {
        ((self.others - before.others) / (elapsed * cores)).max(0.0)
    }
}

/// All but idle time, stolen time included.
fn busy() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<f64> = first
        .split_whitespace()
        .skip(1)
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle: f64 = fields.iter().skip(3).take(2).sum();
    Ok(fields.iter().sum::<f64>() - idle)
}

/// This process and all below it, with those that have ended.
fn ours() -> Result<f64> {
    let mut processes = HashMap::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        // It may end at any moment.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(process) = Process::parse(&stat) {
            processes.insert(pid, process);
        }
    }
    let me = i32::try_from(std::process::id())?;
    let is_ours = |pid: &i32| {
        let mut at = *pid;
        while at != me {
            match processes.get(&at) {
                Some(process) if process.parent > 0 => at = process.parent,
                _ => return false,
            }
        }
        true
    };
    let ours = processes.iter().filter(|(pid, _)| is_ours(pid));
    Ok(ours
        .map(|(_, process)| process.own + process.children)
        .sum())
}

#[derive(Debug)]
struct Process {
    parent: i32,
    /// In ticks.
    own: f64,
    /// Of children that have ended and were waited for.
    children: f64,
}

impl Process {
    fn parse(stat: &str) -> Option<Self> {
        // The name before it may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Process;

    #[test]
    fn a_name_with_a_parenthesis_shifts_no_number() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194560 1 0 0 0 50 20 5 6 20 0 1 0 9";
        let process = Process::parse(stat).unwrap();
        assert_eq!(
            (process.parent, process.own, process.children),
            (3, 70.0, 11.0)
        );
    }
}
