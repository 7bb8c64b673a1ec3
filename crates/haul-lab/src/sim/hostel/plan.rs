use crate::sim::chance::Chance;
use crate::sim::scenario::Seconds;
use crate::{Error, Rate};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// A hostel: who comes, and who helps.
///
/// Hostels are TOML files as scenarios are; every range is drawn from so that its logarithm is
/// even.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hostel {
    /// What is tried, in one sentence.
    pub about: String,
    /// What is promised here.
    pub promise: Promises,
    /// Whether leaders with much help leave full helpers to others with less, which
    /// nothing in the product does.
    #[serde(default)]
    pub(crate) yields: bool,
    pub(crate) leaders: Leaders,
    pub(crate) helpers: Helpers,
}

/// What is promised in a hostel.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promises {
    /// The least part of the links that is used, 0 to 1.
    pub used: f64,
    /// The least of Jain's index of the help, 0 to 1.
    pub fair: f64,
    /// No job takes more than so many times as long as on the leader's own link alone.
    pub alone: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Leaders {
    pub(crate) count: usize,
    /// They come evenly within so long.
    pub(crate) within: Seconds,
    /// What their files are as long as.
    pub(crate) size: (Rate, Rate),
    pub(crate) link: (Rate, Rate),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Helpers {
    pub(crate) count: usize,
    pub(crate) link: (Rate, Rate),
    /// How many leaders one serves.
    #[serde(default = "four")]
    pub(crate) at_once: usize,
}

impl Hostel {
    /// The folder of the hostels that come with the lab.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("hostels")
    }

    /// Reads a hostel from a file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(Error::io(format!("read {name}")))?;
        toml::from_str(&text).map_err(|error| Error::Scenario { name, why: error.to_string() })
    }
}

impl fmt::Display for Promises {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, fair, alone } = self;
        write!(f, "links used >= {used:.2}, Jain >= {fair:.2}, alone x {alone:.2}")
    }
}

/// Between two rates, evenly by their logarithm.
pub(crate) fn draw((low, high): (Rate, Rate), chance: &mut Chance) -> f64 {
    let log = |rate: Rate| (rate.as_bytes_per_second().max(1) as f64).ln();
    chance.between(log(low), log(high)).exp()
}

const fn four() -> usize {
    4
}
