//! No two holders of a lock whose lease was kept.

use super::{Broken, Verdict};
use crate::history::{History, LOCK, Span, Turn};

pub(super) fn check(history: &History, verdict: &mut Verdict) {
    let mut turns: Vec<&Turn> = history.turns.iter().collect();
    turns.sort_by_key(|turn| (&turn.lock, turn.entered));
    for (place, first) in turns.iter().enumerate() {
        // Who was killed is nobody's rival.
        let Some(left) = first.left else { continue };
        let behind = turns[place + 1..].iter();
        for second in behind.take_while(|second| second.lock == first.lock && second.entered < left)
        {
            let between = Span {
                from: first.asked,
                to: second.entered,
            };
            let ran_out = first.lost && between.to - between.from >= LOCK;
            if ran_out || history.losses.iter().any(|loss| loss.meets(between)) {
                verdict.lost += 1;
            } else {
                let shown = format!("{second:?} within {first:?}");
                verdict.found(Broken::Overlap, shown);
            }
        }
    }
}
