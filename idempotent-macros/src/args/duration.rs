//! `15`, `"500ms"`, `"24h"`: lengths of time, in milliseconds.

use proc_macro2::Ident;
use syn::parse::ParseStream;
use syn::{Lit, LitInt, LitStr, Token};

/// The longest time that can be asked for, which is far beyond sense but within every store's arithmetic.
const LONGEST: u64 = u32::MAX as u64 * 1000;

/// Reads a time of at least one millisecond.
pub(super) fn positive(name: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    let (millis, literal) = read(name, input, "must be at least 1 millisecond")?;
    if millis == 0 {
        let message = format!("`{name}` must be at least 1 millisecond");
        return Err(syn::Error::new_spanned(literal, message));
    }
    Ok(millis)
}

/// Reads a time that may be zero.
pub(super) fn or_zero(name: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    let negative = "must not be negative; `0` means not to wait";
    read(name, input, negative).map(|(millis, _)| millis)
}

fn read(name: &Ident, input: ParseStream<'_>, negative: &str) -> syn::Result<(u64, Lit)> {
    if input.peek(Token![-]) {
        return Err(input.error(format!("`{name}` {negative}")));
    }
    let Ok(literal) = input.parse::<Lit>() else {
        return Err(input.error(shape(name)));
    };
    let millis = match &literal {
        Lit::Int(seconds) => integer(seconds),
        Lit::Str(text) => string(text),
        _ => Err(Mistake::Shape),
    };
    match millis {
        Ok(millis) => Ok((millis, literal)),
        Err(mistake) => Err(syn::Error::new_spanned(literal, mistake.message(name))),
    }
}

#[derive(Debug, PartialEq)]
enum Mistake {
    Shape,
    TooLong,
}

impl Mistake {
    fn message(&self, name: &Ident) -> String {
        match self {
            Self::Shape => shape(name),
            Self::TooLong => format!("`{name}` must be at most {} seconds", u32::MAX),
        }
    }
}

fn shape(name: &Ident) -> String {
    format!(
        "`{name}` takes whole seconds, as in `{name} = 15`, or a time such as \"500ms\", \"15s\", \"5m\", \"24h\", \"2d\""
    )
}

fn integer(seconds: &LitInt) -> Result<u64, Mistake> {
    match seconds.suffix() {
        "" => millis(seconds.base10_digits(), 1000),
        _ => Err(Mistake::Shape),
    }
}

fn string(text: &LitStr) -> Result<u64, Mistake> {
    let text = text.value();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return Err(Mistake::Shape),
    };
    millis(&text[..text.len() - unit.len()], factor)
}

fn millis(digits: &str, factor: u64) -> Result<u64, Mistake> {
    if digits.is_empty() {
        return Err(Mistake::Shape);
    }
    // Digits only: the one way to fail is to be too large.
    let number = digits.parse::<u64>().map_err(|_| Mistake::TooLong)?;
    number
        .checked_mul(factor)
        .filter(|millis| *millis <= LONGEST)
        .ok_or(Mistake::TooLong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> Result<u64, Mistake> {
        string(&syn::parse_str(&format!("{text:?}")).unwrap())
    }

    fn number(text: &str) -> Result<u64, Mistake> {
        integer(&syn::parse_str(text).unwrap())
    }

    #[test]
    fn a_plain_number_is_seconds() {
        assert_eq!(number("15"), Ok(15_000));
        assert_eq!(number("86_400"), Ok(86_400_000));
        assert_eq!(number("0"), Ok(0));
    }

    #[test]
    fn every_unit_is_known() {
        assert_eq!(text("500ms"), Ok(500));
        assert_eq!(text("15s"), Ok(15_000));
        assert_eq!(text("5m"), Ok(300_000));
        assert_eq!(text("24h"), Ok(86_400_000));
        assert_eq!(text("2d"), Ok(172_800_000));
    }

    #[test]
    fn the_longest_time_is_u32_max_seconds_in_every_unit() {
        assert_eq!(number("4294967295"), Ok(LONGEST));
        assert_eq!(number("4294967296"), Err(Mistake::TooLong));
        assert_eq!(text("4294967295000ms"), Ok(LONGEST));
        assert_eq!(text("4294967295001ms"), Err(Mistake::TooLong));
        assert_eq!(text("49711d"), Err(Mistake::TooLong));
        assert_eq!(
            number("340282366920938463463374607431768211456"),
            Err(Mistake::TooLong)
        );
        assert_eq!(text("18446744073709551615d"), Err(Mistake::TooLong));
    }

    #[test]
    fn anything_else_is_no_time() {
        for wrong in [
            "", "15", "s", " 15s", "15 s", "1.5s", "-1s", "1h30m", "15S", "١s", "15µs",
        ] {
            assert_eq!(text(wrong), Err(Mistake::Shape), "{wrong:?}");
        }
        assert_eq!(number("15u64"), Err(Mistake::Shape));
        assert_eq!(number("15s"), Err(Mistake::Shape));
    }
}
