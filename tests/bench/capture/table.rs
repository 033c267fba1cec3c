//! The result, as Markdown.

use std::fmt;

use crate::pair::Round;
use crate::planning::Planning;
use crate::spread::Spread;

/// All that was measured.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) databases: Vec<(&'static str, String)>,
    pub(crate) lines: Vec<Line>,
    pub(crate) planning: Vec<Planning>,
}

pub(crate) struct Line {
    pub(crate) database: &'static str,
    pub(crate) case: &'static str,
    pub(crate) goal: Option<f64>,
    pub(crate) rounds: Vec<Round>,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self
            .databases
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect();
        writeln!(f, "{}.\n", versions.join(", "))?;
        writeln!(
            f,
            "| database | operation | bare, µs | tracked, µs | ratio | goal | reached |"
        )?;
        writeln!(f, "| --- | --- | ---: | ---: | ---: | ---: | --- |")?;
        // A case that the command line leaves out has no rounds.
        for line in self.lines.iter().filter(|line| !line.rounds.is_empty()) {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "\n| planning a statement | ns | goal | reached |")?;
        writeln!(f, "| --- | ---: | ---: | --- |")?;
        for line in self.planning.iter().filter(|line| !line.rounds.is_empty()) {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = |seconds: fn(&Round) -> f64| {
            Spread::of(self.rounds.iter().map(|round| seconds(round) * 1e6)).median
        };
        let ratio = Spread::of(self.rounds.iter().map(Round::ratio));
        write!(
            f,
            "| {} | {} | {:.1} | {:.1} | {:.3} ({:.2}–{:.2}) | {} |",
            self.database,
            self.case,
            microseconds(|round| round.bare),
            microseconds(|round| round.tracked),
            ratio.median,
            ratio.least,
            ratio.most,
            Goal {
                most: self.goal,
                got: ratio.median,
                digits: 2
            },
        )
    }
}

impl fmt::Display for Planning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread {
            least,
            median,
            most,
        } = Spread::of(self.rounds.iter().copied());
        let goal = Goal {
            most: self.goal,
            got: median,
            digits: 0,
        };
        write!(
            f,
            "| {} | {median:.0} ({least:.0}–{most:.0}) | {goal} |",
            self.name
        )
    }
}

/// Two columns: the goal, and whether it is reached.
struct Goal {
    most: Option<f64>,
    got: f64,
    digits: usize,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) => {
                let reached = if self.got <= most { "yes" } else { "no" };
                write!(f, "≤ {most:.*} | {reached}", self.digits)
            }
            None => write!(f, "– | –"),
        }
    }
}
