use crate::{Error, ErrorKind};
use std::num::NonZeroU64;
use std::str::FromStr;

/// A rate in bytes per second, as `--limit-rate` takes it: `500k`, `2M` (1024-based) or `16Mbit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(NonZeroU64);

impl ByteRate {
    /// So many bytes per second.
    pub const fn new(bytes_per_second: NonZeroU64) -> Self {
        Self(bytes_per_second)
    }

    /// Bytes per second.
    pub const fn bytes_per_second(self) -> NonZeroU64 {
        self.0
    }
}

impl FromStr for ByteRate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unreadable = || {
            Error::new(ErrorKind::Usage, "the rate cannot be read", format!("`{text}` is no rate"))
                .with_remedy("write bytes per second as 500k or 2M, or bits as 16Mbit")
        };
        bytes_in(text).map(Self).ok_or_else(unreadable)
    }
}

/// The bytes that a text such as `500k` or `16Mbit` says; `None` for none, and for what is no
/// number of bytes.
pub(crate) fn bytes_in(text: &str) -> Option<NonZeroU64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    whole(number.parse::<f64>().ok()? * unit_bytes(unit)?)
}

fn unit_bytes(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kbit" => 1e3 / 8.0,
        "mbit" => 1e6 / 8.0,
        "gbit" => 1e9 / 8.0,
        _ => return None,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked first"
)]
fn whole(bytes: f64) -> Option<NonZeroU64> {
    (1.0..1e18).contains(&bytes).then_some(bytes as u64).and_then(NonZeroU64::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_in_bytes_and_bits() {
        let rate = |text: &str| text.parse::<ByteRate>().unwrap().bytes_per_second().get();
        assert_eq!(rate("1"), 1);
        assert_eq!(rate("500k"), 512_000);
        assert_eq!(rate("2M"), 2 << 20);
        assert_eq!(rate("1.5m"), 3 << 19);
        assert_eq!(rate("16Mbit"), 2_000_000);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "k", "0", "0.1", "-5", "5x", "1e9", "nan", "inf", "99999999999G", "1.2.3"]
        {
            assert!(text.parse::<ByteRate>().is_err(), "{text}");
        }
    }
}
