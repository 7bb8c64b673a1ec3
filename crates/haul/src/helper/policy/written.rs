//! Values that are written as text or as a number in a policy, read with an error that says what
//! was expected.

use crate::ByteRate;
use crate::size::bytes_in;
use jiff::civil::Date;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A value that is written as text.
pub(crate) trait Written: Sized {
    /// What a reader of an error should have written.
    const EXPECTED: &'static str;

    fn read(text: &str) -> Option<Self>;
}

/// Reads a [`Written`] value wherever serde meets one.
macro_rules! written {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_str($crate::helper::policy::written::Reader::new())
            }
        }
    };
}

pub(crate) use written;

pub(crate) struct Reader<T>(PhantomData<T>);

impl<T> Reader<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: Written> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// A number of bytes, such as `500M`, in units of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

impl Written for Bytes {
    const EXPECTED: &'static str = "a size such as \"500M\" or \"2G\", up to \"1024T\"";

    fn read(text: &str) -> Option<Self> {
        let bytes = bytes_in(text)?.get();
        (bytes <= 1 << 50).then_some(Self(bytes))
    }
}

written!(Bytes);

/// A part of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100);

    /// So many of a hundred, 100 at the most.
    pub const fn new(percent: u8) -> Option<Self> {
        if percent <= 100 { Some(Self(percent)) } else { None }
    }

    /// So many of a hundred.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// This part of `whole`.
    pub(crate) fn of(self, whole: u64) -> u64 {
        let part = u128::from(whole) * u128::from(self.0) / 100;
        u64::try_from(part).unwrap_or(whole)
    }
}

impl Written for Percent {
    const EXPECTED: &'static str = "a percentage from \"0%\" to \"100%\"";

    fn read(text: &str) -> Option<Self> {
        Self::new(text.strip_suffix('%')?.trim().parse().ok()?)
    }
}

written!(Percent);

/// How fast help may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as it goes.
    Unlimited,
    /// No faster than this.
    Fixed(ByteRate),
    /// A part of the fastest that this machine was seen to download.
    Part(Percent),
}

impl Written for Rate {
    const EXPECTED: &'static str =
        "a rate of at least 1k such as \"500k\", \"16Mbit\", \"25%\" or \"unlimited\"";

    fn read(text: &str) -> Option<Self> {
        if text == "unlimited" {
            return Some(Self::Unlimited);
        }
        if text.ends_with('%') {
            return Percent::read(text).filter(|part| part.0 > 0).map(Self::Part);
        }
        let rate: ByteRate = text.parse().ok()?;
        (rate.bytes_per_second().get() >= 1024).then_some(Self::Fixed(rate))
    }
}

written!(Rate);

/// A rate that is no part of anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain(pub(crate) ByteRate);

impl Written for Plain {
    const EXPECTED: &'static str = "a rate such as \"256k\" or \"2Mbit\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

written!(Plain);

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

impl Written for Day {
    const EXPECTED: &'static str = "a date such as \"2027-01-31\"";

    fn read(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
        Some(Self(date.duration_since(Date::constant(1970, 1, 1)).as_hours() / 24))
    }
}

written!(Day);

/// A machine's id: 64 hexadecimal digits, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) String);

impl Written for Id {
    const EXPECTED: &'static str = "a machine's id, 64 hexadecimal digits";

    fn read(text: &str) -> Option<Self> {
        let digits = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits.then(|| Self(text.to_ascii_lowercase()))
    }
}

written!(Id);

/// A whole number within bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count<const LEAST: i64, const MOST: i64>(i64);

impl<const LEAST: i64, const MOST: i64> Count<LEAST, MOST> {
    pub(crate) fn get(self) -> u16 {
        // The bounds of every field fit.
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl<'de, const LEAST: i64, const MOST: i64> Deserialize<'de> for Count<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_i64(Whole::<LEAST, MOST>)
    }
}

struct Whole<const LEAST: i64, const MOST: i64>;

impl<const LEAST: i64, const MOST: i64> Visitor<'_> for Whole<LEAST, MOST> {
    type Value = Count<LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        if (LEAST..=MOST).contains(&number) {
            return Ok(Count(number));
        }
        Err(E::invalid_value(Unexpected::Signed(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_in_units_of_1024_and_have_an_end() {
        assert_eq!(Bytes::read("2G"), Some(Bytes(2 << 30)));
        assert_eq!(Bytes::read("1024T"), Some(Bytes(1 << 50)));
        for text in ["", "-5", "0", "G", "1025T", "99999999999999999999G", "5 x", "nan"] {
            assert_eq!(Bytes::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        assert_eq!(Day::read("1970-01-01"), Some(Day(0)));
        assert_eq!(Day::read("2026-03-01"), Some(Day(20_513)));
        for text in ["2026-02-29", "2026-13-01", "01.02.2026", "2026-03-01T00:00", ""] {
            assert_eq!(Day::read(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_fixed_or_a_part_or_none() {
        assert_eq!(Rate::read("unlimited"), Some(Rate::Unlimited));
        assert_eq!(Rate::read("25%"), Some(Rate::Part(Percent(25))));
        assert!(matches!(Rate::read("500k"), Some(Rate::Fixed(_))));
        for text in ["0%", "101%", "1023", "-1M", "fast"] {
            assert_eq!(Rate::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_of_the_largest_number_does_not_overflow() {
        assert_eq!(Percent(50).of(u64::MAX), u64::MAX / 2);
        assert_eq!((Percent::ALL.of(7), Percent(0).of(7)), (7, 0));
    }
}
