use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How fast a link is, in bytes per second.
///
/// Written as `500k` or `2M` (bytes, powers of 1024) or `16Mbit` (bits, powers of 1000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate(u64);

impl Rate {
    /// Nothing passes.
    pub const ZERO: Self = Self(0);

    /// So many bytes per second.
    pub const fn bytes_per_second(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many megabits (10^6 bits) per second.
    pub const fn mbit(megabits: u64) -> Self {
        Self(megabits * 125_000)
    }

    /// In bytes per second.
    pub const fn as_bytes_per_second(self) -> u64 {
        self.0
    }

    /// How long `bytes` take, or `None` at a rate of zero.
    pub fn time_for(self, bytes: u64) -> Option<Duration> {
        let nanos = u128::from(bytes) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.0))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// How many bytes pass in `time`.
    pub fn bytes_in(self, time: Duration) -> u64 {
        let bytes = u128::from(self.0) * time.as_nanos() / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.saturating_mul(8);
        let thousandths = (bits / 1000) % 1000;
        write!(f, "{}.{thousandths:03} Mbit/s", bits / 1_000_000)
    }
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRate(String);

impl fmt::Display for BadRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no rate: write 500k, 2M or 16Mbit", self.0)
    }
}

impl std::error::Error for BadRate {}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Self, BadRate> {
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = text[..text.len() - unit.len()].parse::<u64>().ok();
        let (times, parts) = match unit {
            "" => (1, 1),
            "k" | "K" => (1 << 10, 1),
            "m" | "M" => (1 << 20, 1),
            "g" | "G" => (1 << 30, 1),
            "kbit" | "Kbit" => (1_000, 8),
            "mbit" | "Mbit" => (1_000_000, 8),
            "gbit" | "Gbit" => (1_000_000_000, 8),
            _ => return Err(BadRate(text.to_owned())),
        };
        let bytes = number.and_then(|number| number.checked_mul(times)).map(|total| total / parts);
        bytes.map(Self).ok_or_else(|| BadRate(text.to_owned()))
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;

    fn try_from(text: String) -> Result<Self, BadRate> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_as_the_programs_read_them() {
        let rate = |text: &str| text.parse::<Rate>().map(Rate::as_bytes_per_second).ok();
        assert_eq!(rate("500k"), Some(512_000));
        assert_eq!(rate("2M"), Some(2 << 20));
        assert_eq!(rate("16Mbit"), Some(2_000_000));
        assert_eq!(rate("7"), Some(7));
        for bad in ["", "k", "-1", "1.5M", "2 M", "2Mb", "99999999999999999999", "20000000000000G"]
        {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    #[test]
    fn time_and_bytes_are_each_others_inverse() {
        let rate = Rate::mbit(20);
        assert_eq!(rate.time_for(2_500_000), Some(Duration::from_secs(1)));
        assert_eq!(rate.bytes_in(Duration::from_millis(10)), 25_000);
        assert_eq!(Rate::ZERO.time_for(1), None);
    }
}
