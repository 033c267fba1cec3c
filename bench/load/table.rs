//! Markdown tables, and their place in the documentation.

use std::path::Path;

use crate::Result;

pub(crate) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut lines = vec![
        format!("| {} |", head.join(" | ")),
        format!("| --- |{}", " ---: |".repeat(head.len() - 1)),
    ];
    lines.extend(rows.map(|cells| format!("| {} |", cells.join(" | "))));
    lines.join("\n") + "\n"
}

/// Puts a text between `<!-- name -->` and the `<!-- end -->` after it in `benchmarks.md`.
pub(crate) fn put(pages: &Path, name: &str, text: &str) -> Result<()> {
    let page = pages.join("benchmarks.md");
    let old = std::fs::read_to_string(&page)?;
    let mark = format!("<!-- {name} -->\n");
    let (before, rest) = old
        .split_once(&mark)
        .ok_or_else(|| format!("no {mark:?} in {}", page.display()))?;
    let end = rest
        .find("<!-- end -->")
        .ok_or("no `<!-- end -->` after it")?;
    Ok(std::fs::write(
        page,
        format!("{before}{mark}{text}{}", &rest[end..]),
    )?)
}
