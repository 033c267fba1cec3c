//! Live records: what each takes, and how long it takes to find one.

use crate::Result;
use crate::arguments::Arguments;
use crate::candidate::command;
use crate::growth::{Curve, Curves};
use crate::parts::{Database, Keys, Own, Parts};
use crate::spread::Spread;

/// One store with a number of records.
struct Filled {
    /// Bytes, in the process or in Redis.
    memory: f64,
    /// Nanoseconds, with 64 looks under way.
    look: f64,
}

pub(crate) fn measured(arguments: &Arguments) -> Result<Vec<Curves>> {
    let counts: &[usize] = match arguments.quick {
        true => &[1_000, 10_000, 100_000],
        false => &[1_000, 10_000, 100_000, 1_000_000],
    };
    let mut memory = Vec::new();
    let mut looks = Vec::new();
    for (name, keys) in [("fill-memory", Keys::None), ("fill-redis", Keys::Redis)] {
        let place = if keys == Keys::None {
            "in memory"
        } else {
            "in Redis"
        };
        let mut of_record = Vec::new();
        let mut of_tag = Vec::new();
        let mut of_look = Vec::new();
        for &count in counts {
            let (without, with) = (filled(name, keys, count, 0)?, filled(name, keys, count, 1)?);
            let each = |bytes: f64| bytes / count as f64;
            of_record.push((count as f64, once(each(without.memory))));
            of_tag.push((count as f64, once(each(with.memory - without.memory))));
            of_look.push((count as f64, once(with.look)));
        }
        memory.push(curve(format!("a record {place}"), of_record));
        memory.push(curve(format!("a tag of its own {place}"), of_tag));
        looks.push(curve(format!("a look {place}"), of_look));
    }
    Ok(vec![
        Curves {
            name: "memory",
            of: "live records, and memory",
            what: "bytes for each record of a reply of 300 bytes, and for a tag that is its own",
            curves: memory,
        },
        Curves {
            name: "looks",
            of: "live records, and looks",
            what: "ns for each look that finds one, 64 under way",
            curves: looks,
        },
    ])
}

fn filled(name: &str, keys: Keys, records: usize, tags: usize) -> Result<Filled> {
    let own = Parts::default().own(keys, Database::None)?;
    let before = used(&own)?;
    let output = command(name, &own)?
        .args([records.to_string(), tags.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = told
        .strip_prefix("filled ")
        .into_iter()
        .flat_map(str::split_whitespace)
        .map_while(|number| number.parse().ok())
        .collect();
    let [resident, look] = numbers[..] else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{name} {records} {tags}: {told}{complaint}").into());
    };
    let memory = match keys {
        Keys::None => resident,
        _ => used(&own)? - before,
    };
    Ok(Filled { memory, look })
}

/// What Redis says that it has allocated.
fn used(own: &Own) -> Result<f64> {
    let mut sum = 0.0;
    for redis in own.keys.servers() {
        let told = redis.ask(&["INFO", "memory"]).remove(0);
        let used = told
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"));
        sum += used.ok_or("no used_memory")?.trim().parse::<f64>()?;
    }
    Ok(sum)
}

fn once(value: f64) -> Spread {
    Spread {
        median: value,
        least: value,
        most: value,
    }
}

fn curve(name: String, points: Vec<(f64, Spread)>) -> Curve {
    Curve { name, points }
}
