#![allow(clippy::unwrap_used)]

use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

fn row((name, of, unit, labels, text): &Metric) -> String {
    let of = format!("{of:?}").to_lowercase();
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() {
        "–".to_owned()
    } else {
        labels.join(", ")
    };
    format!("| `{name}` | {of} | {} | {labels} | {text}", unit.as_str())
}

#[test]
fn the_operators_page_has_all_metrics_and_no_others() {
    let page = include_str!("../../../docs/operations.md");
    let is_metric = |line: &&str| line.starts_with("| `idempotent_");
    let rows: Vec<_> = page.lines().filter(is_metric).collect();
    let wanted: Vec<_> = ALL.iter().map(row).collect();
    assert_eq!(rows.len(), wanted.len(), "{wanted:#?}");
    for (row, wanted) in rows.iter().zip(&wanted) {
        assert!(row.starts_with(wanted), "{row}\nis not\n{wanted}");
    }
}

#[test]
fn whatever_collects_them_is_told_what_they_are() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    describe();
    lease_lost(Kind::Claim);
    let seen = recorder.snapshotter().snapshot().into_vec();
    let [(key, unit, text, value)] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(key.key().name(), LOST);
    assert_eq!(unit, &Some(Unit::Count));
    assert!(text.as_ref().unwrap().contains("leases"));
    assert_eq!(value, &DebugValue::Counter(1));
}
