//! Puts load on the candidates, round by round beside the bare handler, and says how they compare.
//!
//! `load [--quick] [--only NAME] [--report FILE] [--pages DIRECTORY]`; `scripts/bench` builds and calls it.

mod arguments;
mod candidate;
mod check;
mod goal;
mod growth;
mod handover;
mod measure;
mod orders;
mod parts;
mod plot;
mod report;
mod rounds;
mod rows;
mod spread;
mod table;
mod usage;
mod waiters;
mod wrk;

/// Whatever makes a run worthless.
type Failure = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Failure>;

fn main() -> Result<()> {
    let arguments = arguments::parse(std::env::args().skip(1))?;
    let parts = parts::Parts::default();
    let mut report = report::Report::new(&arguments);
    let rows = rows::chosen(arguments.only.as_deref())?;
    report.rows(&rounds::measured(&rows, &parts, &arguments)?);
    report.write()?;
    if arguments.wants("handover-redis") {
        report.row(handover::measured(&arguments)?);
    }
    if arguments.wants("waiters-redis") {
        report.row(waiters::measured()?);
    }
    println!("{}", report.table());
    report.write()?;
    if arguments.only.is_none() || arguments.wants("growth") {
        let growth = growth::measured(&parts, &arguments)?;
        println!("{}", growth.table());
        report.growth(&growth);
        report.write()?;
        if let Some(pages) = &arguments.pages {
            growth.draw(pages)?;
            table::put(pages, "growth", &growth.table())?;
        }
    }
    if let (Some(pages), None) = (&arguments.pages, &arguments.only) {
        table::put(pages, "load", &report.table())?;
    }
    Ok(())
}
