//! The names of changed rows as they are documented, made from what the database says of their keys.
//!
//! This is written anew, not taken from the crate that is under test.

use crate::models::MODELS;
use crate::schema::Kind;
use crate::value::Type;

/// The name of a row, from its model and its key as [`raw_key`](crate::dialect::raw_key) has it.
#[must_use]
pub fn row(model: usize, raw: &str, kind: Kind) -> String {
    let columns = MODELS[model].key.iter().zip(raw.split(','));
    let values: Vec<_> = columns
        .map(|((_, ty), raw)| value(*ty, raw, kind))
        .collect();
    format!("{}:{}", table(model), values.join(","))
}

/// The name of a table.
#[must_use]
pub fn table(model: usize) -> String {
    escaped(&MODELS[model].name.to_lowercase())
}

/// The name for all rows of a table.
#[must_use]
pub fn whole(model: usize) -> String {
    format!("{}:*", table(model))
}

fn value(ty: Type, raw: &str, kind: Kind) -> String {
    match kind {
        Kind::Sqlite => sqlite(raw),
        _ if raw == "null" => "%null".to_owned(),
        Kind::Postgres => postgres(ty, raw),
        Kind::Mariadb => mariadb(ty, raw),
    }
}

fn sqlite(raw: &str) -> String {
    match raw.split_once(':') {
        Some(("integer", number)) => number.to_owned(),
        Some(("text", hex)) => text(hex),
        Some(("blob", hex)) => bytes(hex),
        Some(("real", number)) => {
            let number: f64 = number.parse().unwrap_or(f64::NAN);
            if number.fract() == 0.0 {
                return format!("{number:.0}");
            }
            number
                .to_be_bytes()
                .iter()
                .fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}"))
        }
        _ => "%null".to_owned(),
    }
}

fn postgres(ty: Type, raw: &str) -> String {
    match ty {
        Type::Text => text(raw),
        Type::Bytes | Type::Date | Type::Moment => bytes(raw),
        _ => raw.to_owned(),
    }
}

fn mariadb(ty: Type, raw: &str) -> String {
    match ty {
        Type::Text => text(raw),
        Type::Bytes | Type::Folded => bytes(raw),
        // The client's library gives its text as bytes.
        Type::Uuid => raw
            .bytes()
            .fold("0x".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
        _ => escaped(raw),
    }
}

fn text(hex: &str) -> String {
    match String::from_utf8(unhex(hex)) {
        Ok(text) => escaped(&text),
        Err(_) => bytes(hex),
    }
}

fn bytes(hex: &str) -> String {
    format!("0x{}", hex.to_lowercase())
}

fn unhex(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.filter_map(byte).collect()
}

/// What would end a part of a name, or read as another one, as `%` and the number of the character.
fn escaped(part: &str) -> String {
    if part == "any" {
        return "%61ny".to_owned();
    }
    let mut out = String::new();
    for c in part.chars() {
        if ":,*%{}/".contains(c) || c.is_control() {
            out += &format!("%{:02x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rows_name_is_its_table_and_its_key() {
        assert_eq!(row(0, "integer:7", Kind::Sqlite), "t_int:7");
        assert_eq!(row(11, "7,613a62", Kind::Postgres), "t_pair:7,a%3ab");
        assert_eq!(row(11, "integer:7,null:", Kind::Sqlite), "t_pair:7,%null");
        assert_eq!(whole(12), "odd%3anäme:*");
        assert_eq!(row(9, "real:1.5", Kind::Sqlite), "t_num:0x3ff8000000000000");
    }
}
