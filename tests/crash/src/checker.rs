//! What was answered, held against what is in the database. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Answer;
use crate::kind::{BALANCE, Effect};

/// What is known of a key.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Every answer that anyone got.
    pub answers: Vec<Answer>,
    /// Whether someone waits in vain.
    pub waits: bool,
}

/// All that is known at the end.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What was answered.
    pub keys: BTreeMap<String, Told>,
    /// What was done.
    pub effects: Vec<Effect>,
    /// What is in the accounts, from the first on.
    pub balances: Vec<i32>,
    /// Records that do not say "done", although every key was answered.
    pub open: usize,
}

/// The keys for which the promise was broken, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// More effects than were answered.
    pub doubled: BTreeSet<String>,
    /// An answer whose effect is not there.
    pub lost: BTreeSet<String>,
    /// Two answers.
    pub differing: BTreeSet<String>,
    /// No answer any more, or a record that says nothing.
    pub stuck: BTreeSet<String>,
    /// Accounts whose balance is not what the effects have made of it.
    pub money: BTreeSet<String>,
}

impl Verdict {
    /// Whether the promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// Both of them.
    pub fn add(&mut self, other: Self) {
        self.doubled.extend(other.doubled);
        self.lost.extend(other.lost);
        self.differing.extend(other.differing);
        self.stuck.extend(other.stuck);
        self.money.extend(other.money);
    }
}

/// Finds out for which keys the promise was broken.
#[must_use]
pub fn check(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let mut effects: BTreeMap<&str, Vec<&Effect>> = BTreeMap::new();
    for effect in &evidence.effects {
        effects.entry(&effect.entry).or_default().push(effect);
    }
    for (key, told) in &evidence.keys {
        let done = effects.remove(key.as_str()).unwrap_or_default();
        judge(&mut verdict, key, told, &done);
    }
    // What nobody has asked for.
    verdict
        .doubled
        .extend(effects.into_keys().map(str::to_owned));
    let open = (0..evidence.open).map(|number| format!("open record {number}"));
    verdict.stuck.extend(open);
    verdict.money = money(&evidence.effects, &evidence.balances);
    verdict
}

fn judge(verdict: &mut Verdict, key: &str, told: &Told, done: &[&Effect]) {
    let answers: BTreeSet<_> = told.answers.iter().collect();
    let success = answers.iter().any(|answer| answer.is_success());
    let is_there = |answer: &&&Answer| {
        let execution = answer.execution();
        done.iter()
            .any(|effect| Some(&effect.execution) == execution.as_ref())
    };
    if done.len() > usize::from(success) {
        verdict.doubled.insert(key.to_owned());
    }
    if !answers
        .iter()
        .filter(|answer| answer.is_success())
        .all(|answer| is_there(&answer))
    {
        verdict.lost.insert(key.to_owned());
    }
    if answers.len() > 1 {
        verdict.differing.insert(key.to_owned());
    }
    if told.waits || answers.is_empty() {
        verdict.stuck.insert(key.to_owned());
    }
}

fn money(effects: &[Effect], balances: &[i32]) -> BTreeSet<String> {
    let moved = |account| {
        let of = |effect: &Effect| {
            let gained = if effect.target == account {
                effect.amount
            } else {
                0
            };
            let spent = if effect.source == account {
                effect.amount
            } else {
                0
            };
            gained - spent
        };
        effects.iter().map(of).sum::<i32>()
    };
    let count = i32::try_from(balances.len()).unwrap_or(i32::MAX);
    let total = (balances.iter().sum::<i32>(), BALANCE * count);
    let gone = (total.0 != total.1).then(|| format!("all have {} instead of {}", total.0, total.1));
    let wrong = (1..)
        .zip(balances)
        .map(|(account, balance)| (account, *balance, BALANCE + moved(account)))
        .filter(|(_, is, should)| is != should)
        .map(|(account, is, should)| format!("account {account} has {is} instead of {should}"));
    wrong.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, execution: &str) -> Answer {
        Answer {
            status,
            headers: BTreeSet::new(),
            body: format!("{{\"execution\":\"{execution}\"}}").into_bytes(),
        }
    }

    fn effect(entry: &str, execution: &str) -> Effect {
        Effect {
            entry: entry.to_owned(),
            execution: execution.to_owned(),
            source: 1,
            target: 2,
            amount: 5,
        }
    }

    fn evidence(answers: &[Answer], effects: &[Effect]) -> Evidence {
        let told = Told {
            answers: answers.to_vec(),
            waits: false,
        };
        let moved = 5 * i32::try_from(effects.len()).unwrap_or_default();
        Evidence {
            keys: BTreeMap::from([("k".to_owned(), told)]),
            effects: effects.to_vec(),
            balances: vec![BALANCE - moved, BALANCE + moved, BALANCE],
            open: 0,
        }
    }

    fn of(key: &str) -> BTreeSet<String> {
        BTreeSet::from([key.to_owned()])
    }

    #[test]
    fn one_effect_and_one_answer_to_all_is_the_promise() {
        let all = [answer(201, "a"), answer(201, "a")];
        assert!(check(&evidence(&all, &[effect("k", "a")])).is_clean());
        assert!(check(&evidence(&[answer(402, "a")], &[])).is_clean());
    }

    #[test]
    fn a_second_effect_is_doubled() {
        let two = [effect("k", "a"), effect("k", "b")];
        let verdict = check(&evidence(&[answer(201, "a")], &two));
        assert_eq!(verdict.doubled, of("k"));
        assert!(verdict.lost.is_empty() && verdict.differing.is_empty());
    }

    #[test]
    fn an_effect_of_what_was_refused_is_doubled() {
        let verdict = check(&evidence(&[answer(402, "a")], &[effect("k", "b")]));
        assert_eq!(verdict.doubled, of("k"));
    }

    #[test]
    fn an_effect_that_nobody_has_asked_for_is_doubled() {
        let verdict = check(&evidence(&[answer(402, "a")], &[effect("l", "b")]));
        assert_eq!(verdict.doubled, of("l"));
    }

    #[test]
    fn an_answer_without_its_effect_is_lost() {
        assert_eq!(check(&evidence(&[answer(201, "a")], &[])).lost, of("k"));
        let other = check(&evidence(&[answer(201, "a")], &[effect("k", "b")]));
        assert_eq!(other.lost, of("k"));
    }

    #[test]
    fn two_answers_are_differing() {
        let both = [answer(201, "a"), answer(402, "b")];
        let verdict = check(&evidence(&both, &[effect("k", "a")]));
        assert_eq!(verdict.differing, of("k"));
        let mut other = answer(201, "a");
        other.headers.insert(("x".to_owned(), "y".to_owned()));
        let verdict = check(&evidence(&[answer(201, "a"), other], &[effect("k", "a")]));
        assert_eq!(verdict.differing, of("k"));
    }

    #[test]
    fn who_gets_no_answer_is_stuck() {
        let mut evidence = evidence(&[], &[]);
        assert_eq!(check(&evidence).stuck, of("k"));
        evidence.keys.clear();
        evidence.open = 1;
        assert_eq!(check(&evidence).stuck, of("open record 0"));
        let told = Told {
            answers: vec![answer(402, "a")],
            waits: true,
        };
        evidence.open = 0;
        evidence.keys.insert("l".to_owned(), told);
        assert_eq!(check(&evidence).stuck, of("l"));
    }

    #[test]
    fn money_that_no_effect_has_moved_is_seen() {
        let mut evidence = evidence(&[answer(201, "a")], &[effect("k", "a")]);
        evidence.balances[2] += 1;
        let verdict = check(&evidence);
        let wrong = [
            "account 3 has 1001 instead of 1000",
            "all have 3001 instead of 3000",
        ];
        assert_eq!(verdict.money, wrong.map(str::to_owned).into());
        assert!(!verdict.is_clean());
    }

    #[test]
    fn money_for_nobody_is_seen() {
        let mut evidence = evidence(&[answer(201, "a")], &[effect("k", "a")]);
        evidence.effects[0].target = 9;
        evidence.balances[1] = BALANCE;
        let verdict = check(&evidence);
        assert_eq!(verdict.money, of("all have 2995 instead of 3000"));
    }
}
