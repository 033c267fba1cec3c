//! Finding the examples, as rustdoc does.

use std::path::{Path, PathBuf};

use crate::condition;
use crate::source::File;

/// An example that rustdoc would run.
pub struct Example {
    /// As [`File::name`].
    pub file: PathBuf,
    /// Where it begins.
    pub line: usize,
    /// The text of a Rust file.
    pub text: String,
}

impl Example {
    /// `diesel_expression_sql_literal_217`.
    pub fn name(&self) -> String {
        let file = self.file.with_extension("");
        let parts = file.iter().filter_map(|part| part.to_str());
        let parts: Vec<_> = parts.filter(|part| *part != "src").collect();
        format!("{}_{}", parts.join("_"), self.line)
    }
}

pub fn of_file(file: &File) -> Vec<Example> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut examples = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let documented = |line: &&&str| documentation(line).is_some();
        let length = lines[at..].iter().take_while(documented).count();
        if length > 0 && is_wanted(&lines, at, at + length) {
            examples.extend(of_documentation(&file.name, at, &lines[at..at + length]));
        }
        at += length.max(1);
    }
    examples
}

/// What a line of documentation says.
fn documentation(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let text = line
        .strip_prefix("///")
        .or_else(|| line.strip_prefix("//!"))?;
    (!text.starts_with('/')).then(|| text.strip_prefix(' ').unwrap_or(text))
}

/// Whether the item is compiled whose documentation stands in these lines.
fn is_wanted(lines: &[&str], start: usize, end: usize) -> bool {
    let is_attribute = |line: &&&str| line.trim_start().starts_with("#[");
    let before = lines[..start].iter().rev().take_while(is_attribute);
    let after = lines[end..].iter().take_while(is_attribute);
    before.chain(after).all(|line| condition::holds_in(line))
}

fn of_documentation(file: &Path, start: usize, lines: &[&str]) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut block: Option<(usize, &str, Vec<String>)> = None;
    for (number, line) in lines.iter().enumerate() {
        let said = documentation(line).unwrap_or_default();
        let Some(tag) = said.trim_start().strip_prefix("```") else {
            if let Some((_, _, code)) = &mut block {
                code.push(shown(said));
            }
            continue;
        };
        match block.take() {
            None => block = Some((start + number + 1, tag, Vec::new())),
            Some((line, "" | "rust", code)) => examples.push(Example {
                file: file.to_owned(),
                line,
                text: program(&code),
            }),
            Some(_) => {}
        }
    }
    examples
}

/// A line of code without the mark by which the documentation hides it.
fn shown(line: &str) -> String {
    match line.trim_start() {
        "#" => String::new(),
        hidden if hidden.starts_with("# ") => hidden[2..].to_owned(),
        _ => line.to_owned(),
    }
}

/// The example as a whole file: rustdoc puts one without a `main` into one.
fn program(code: &[String]) -> String {
    let text = code.join("\n");
    if text.contains("fn main") {
        return text;
    }
    format!("fn main() {{\n{text}\n}}")
}
