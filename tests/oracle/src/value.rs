//! Values, by the type of their column: few of each, so that statements hit rows, and the awkward ones among them.

use crate::random::Random;

/// The type of a column. Each database has its own name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 16 bits.
    Small,
    /// 32 bits.
    Int,
    /// 64 bits.
    Big,
    /// Text that is compared byte by byte.
    Text,
    /// Text that is compared without case.
    Folded,
    /// A UUID, where there is none its text.
    Uuid,
    /// Bytes.
    Bytes,
    /// A date.
    Date,
    /// A date with a time.
    Moment,
    /// A number with decimals.
    Numeric,
    /// A truth value.
    Bool,
}

/// A value in a statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// The column's default.
    Default,
    /// A number, of whatever width.
    Int(i64),
    /// Text, also a UUID's, a date's or a time's.
    Text(&'static str),
    /// Bytes.
    Bytes(&'static [u8]),
    /// A number with decimals, as it is written.
    Numeric(&'static str),
    /// A truth value.
    Bool(bool),
}

const TEXTS: [&str; 24] = [
    "a",
    "b",
    "A",
    "any",
    "*",
    "a,b",
    "a:b",
    "a%3ab",
    "%null",
    "",
    " ",
    "a ",
    "it's",
    "\"q\"",
    "é",
    "É",
    "日本",
    "back\\slash",
    "line\nbreak",
    "tab\t",
    "0x61",
    "1",
    "{x}/y",
    "; DELETE FROM t_text --",
];

const FOLDED: [&str; 10] = ["a", "A", "b", "B", "any", "ANY", "é", "É", "ß", "x:Y"];

const UUIDS: [&str; 6] = [
    "00000000-0000-0000-0000-000000000000",
    "8e03978e-40d5-43e8-bc93-6894a57f9324",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "12345678-9abc-4def-8123-456789abcdef",
    "00000000-0000-0000-0000-000000000001",
];

const BYTES: [&[u8]; 7] = [b"", b"\0", b"a", b"\x01\x02", b"\xff\xfe\0", b"'", b"0x61"];

const DATES: [&str; 6] = [
    "2000-01-01",
    "1999-12-31",
    "2024-02-29",
    "1970-01-01",
    "2038-01-19",
    "1900-06-15",
];

const MOMENTS: [&str; 6] = [
    "2000-01-01 00:00:00",
    "1999-12-31 23:59:59",
    "2024-02-29 12:00:00.5",
    "1970-01-02 00:00:00",
    "2037-01-19 03:14:07",
    "2024-10-27 02:30:00",
];

// Their fractions are sums of powers of two, so that they are the same numbers in binary.
const NUMERICS: [&str; 10] = [
    "0", "1", "1.0", "1.50", "1.5", "-2.25", "1000000", "0.125", "-1", "10.00",
];

impl Type {
    /// Any value but NULL.
    pub fn value(self, random: &mut Random) -> Value {
        match self {
            Self::Small | Self::Int | Self::Big => Value::Int(self.integer(random)),
            Self::Text => Value::Text(random.pick(&TEXTS)),
            Self::Folded => Value::Text(random.pick(&FOLDED)),
            Self::Uuid => Value::Text(random.pick(&UUIDS)),
            Self::Bytes => Value::Bytes(random.pick(&BYTES)),
            Self::Date => Value::Text(random.pick(&DATES)),
            Self::Moment => Value::Text(random.pick(&MOMENTS)),
            Self::Numeric => Value::Numeric(random.pick(&NUMERICS)),
            Self::Bool => Value::Bool(random.chance(50)),
        }
    }

    fn integer(self, random: &mut Random) -> i64 {
        match random.below(20) {
            0 => self.least(),
            1 => -self.least() - 1 - i64::from(self == Self::Big),
            2 => -1,
            3 => 0,
            _ => 1 + i64::from(random.below(12)),
        }
    }

    fn least(self) -> i64 {
        match self {
            Self::Small => i16::MIN.into(),
            Self::Big => i64::MIN + 1,
            _ => i32::MIN.into(),
        }
    }

    /// Whether it is a number without decimals.
    #[must_use]
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Small | Self::Int | Self::Big)
    }
}
