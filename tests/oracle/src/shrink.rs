//! A failing case, made as small as it fails.

use crate::generate::Case;
use crate::statement::{Block, Body, Program, Relation, Statement, Step};

/// Leaves out whatever can be left out while `fails` says that it still does.
pub fn shrink(mut case: Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut fails = |case: &Case| is_sound(case) && fails(case);
    unlogged(&mut case, &mut fails);
    let mut smaller = true;
    while smaller {
        smaller = fewer(&mut case, |case| &mut case.program.0, &mut fails);
        smaller |= inner(&mut case, &mut fails);
        smaller |= fewer(&mut case, |case| &mut case.seeds, &mut fails);
        smaller |= fewer(&mut case, |case| &mut case.schema.triggers, &mut fails);
        smaller |= fewer(&mut case, |case| &mut case.schema.late, &mut fails);
        smaller |= fewer(&mut case, |case| &mut case.schema.views, &mut fails);
        for table in 0..case.schema.tables.len() {
            smaller |= fewer(
                &mut case,
                |case| &mut case.schema.tables[table].references,
                &mut fails,
            );
        }
    }
    case
}

/// Without row triggers there is less to read, if snapshots tell it, too.
fn unlogged(case: &mut Case, fails: &mut impl FnMut(&Case) -> bool) {
    let mut candidate = case.clone();
    candidate.schema.logged = false;
    if fails(&candidate) {
        *case = candidate;
    }
}

/// Whether everything that the program names is there.
fn is_sound(case: &Case) -> bool {
    let mut sound = true;
    let mut see = |statement: &Statement| {
        sound &= match &statement.body {
            Body::Define(late) => *late < case.schema.late.len(),
            body => views(body)
                .iter()
                .all(|view| *view < case.schema.views.len()),
        };
    };
    case.program.0.iter().for_each(|step| step.each(&mut see));
    sound
}

fn views(body: &Body) -> Vec<usize> {
    let target = match body {
        Body::Insert(insert) => insert.target,
        Body::Update(update) => update.target,
        Body::Delete(delete) => delete.target,
        Body::Reading(_, body) | Body::Code(body) => return views(body),
        Body::With(one, other) => return [views(one), views(other)].concat(),
        Body::Several(bodies, _) => return bodies.iter().flat_map(views).collect(),
        _ => return Vec::new(),
    };
    match target.relation {
        Relation::View(view) => vec![view],
        _ => Vec::new(),
    }
}

/// Halves first, then quarters, down to single ones.
fn fewer<T: Clone>(
    case: &mut Case,
    list: impl Fn(&mut Case) -> &mut Vec<T>,
    fails: &mut impl FnMut(&Case) -> bool,
) -> bool {
    let mut smaller = false;
    let mut size = list(case).len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < list(case).len() {
            let mut candidate = case.clone();
            let all = list(&mut candidate);
            let end = (at + size).min(all.len());
            all.drain(at..end);
            if fails(&candidate) {
                *case = candidate;
                smaller = true;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    smaller
}

/// Leaves out steps of blocks, and blocks around steps.
fn inner(case: &mut Case, fails: &mut impl FnMut(&Case) -> bool) -> bool {
    let mut smaller = false;
    for at in 0..case.program.0.len() {
        let mut next = 0;
        while let Some(step) = variants(&case.program.0[at]).into_iter().nth(next) {
            let mut candidate = case.clone();
            candidate.program.0[at] = step;
            if fails(&candidate) {
                *case = candidate;
                smaller = true;
                next = 0;
            } else {
                next += 1;
            }
        }
    }
    smaller
}

/// The same step, one thing smaller.
fn variants(step: &Step) -> Vec<Step> {
    let Step::Block(block) = step else {
        return Vec::new();
    };
    let mut variants = block.steps.clone();
    for at in 0..block.steps.len() {
        let with = |steps: Vec<Step>| {
            Step::Block(Block {
                steps,
                ..block.clone()
            })
        };
        let mut without = block.steps.clone();
        without.remove(at);
        if !without.is_empty() {
            variants.push(with(without));
        }
        for variant in self::variants(&block.steps[at]) {
            let mut steps = block.steps.clone();
            steps[at] = variant;
            variants.push(with(steps));
        }
    }
    variants
}

/// The program up to and with the step at this place.
#[must_use]
pub fn up_to(case: &Case, last: usize) -> Case {
    Case {
        program: Program(case.program.0[..=last].to_vec()),
        ..case.clone()
    }
}
