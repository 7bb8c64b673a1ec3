use crate::{Error, Rate};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

/// One simulated download: the file, the machines, and what befalls them.
///
/// Scenarios are TOML files; times are seconds, rates are written as in [`Rate`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What is tried, in one sentence.
    pub about: String,
    /// What the planner promises here.
    pub promise: Promise,
    /// Length of the file, in bytes.
    #[serde(deserialize_with = "size")]
    size: u64,
    #[serde(default)]
    pub(crate) origin: Origin,
    /// Links that several machines share, by name.
    #[serde(default)]
    pub(crate) uplinks: BTreeMap<String, Rate>,
    pub(crate) own: Machine,
    #[serde(default)]
    pub(crate) helpers: Vec<Machine>,
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// What the planner promises in a scenario.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Promise {
    /// The mean efficiency over many seeds is at least this.
    Efficiency(f64),
    /// It takes at most so many times as long as the leader's own link alone.
    Alone(f64),
}

/// What the origin allows.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Origin {
    /// The most that one connection gets.
    pub(crate) connection_rate: Option<Rate>,
    /// The most that one machine gets.
    pub(crate) address_rate: Option<Rate>,
    /// The most connections of one machine: one more is answered with 429.
    pub(crate) connections: Option<usize>,
    /// What a 429 says in `Retry-After`.
    #[serde(default)]
    pub(crate) retry_after: Seconds,
}

/// A machine that fetches, or several of a kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    pub(crate) link: Rate,
    #[serde(default = "one")]
    pub(crate) count: usize,
    /// The uplink that this link goes out through.
    pub(crate) uplink: Option<String>,
    /// Most lanes that the planner may use.
    #[serde(default = "eight")]
    pub(crate) lanes: u8,
    /// Round trip to the origin.
    #[serde(default = "forty_milliseconds")]
    pub(crate) rtt: Seconds,
    /// One way to or from the leader.
    #[serde(default = "two_milliseconds")]
    pub(crate) lan: Seconds,
    /// When it joins.
    #[serde(default)]
    pub(crate) joins: Seconds,
    /// Within how long after that it joins in truth; the seed says when.
    #[serde(default)]
    pub(crate) within: Seconds,
    pub(crate) change: Option<Change>,
}

/// How a link's rate changes by itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Change {
    /// Every so often the rate is multiplied by e to a normal deviate times `by`, and stays
    /// within a quarter and four times of what it was.
    Wander { every: Seconds, by: f64 },
    /// Every so often the rate is drawn anew, evenly between these multiples.
    Redraw { every: Seconds, between: (f64, f64) },
    /// It is shared equally by so many leaders at most, and every so often by another number.
    Serve { every: Seconds, most: usize },
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) who: Who,
    /// Between when and when; the seed says when exactly.
    pub(crate) at: (Seconds, Seconds),
    pub(crate) what: Mishap,
}

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Who {
    Own,
    /// One helper, drawn by the seed; the next fault hits another.
    OneHelper,
    EveryHelper,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Mishap {
    /// No byte comes for so long, though the machine answers.
    Stall(Seconds),
    /// It stops for ever, and the leader notices after so long.
    Death(Seconds),
    /// It says goodbye, and is back after so long.
    Leave(Seconds),
}

/// A time in seconds, as TOML writes it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

impl Scenario {
    /// The folder of the scenarios that come with the lab.
    pub fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
    }

    /// Reads a scenario from a file.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(Error::io(format!("read {name}")))?;
        Self::parse(&text).map_err(|why| Error::Scenario { name, why })
    }

    /// Reads a scenario from its text; the error says what is wrong with it.
    fn parse(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut named = scenario.machines().filter_map(|machine| machine.uplink.clone());
        let unknown = named.find(|name| !scenario.uplinks.contains_key(name));
        drop(named);
        unknown.map_or(Ok(scenario), |name| Err(format!("there is no uplink `{name}`")))
    }

    /// The same without helpers.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.helpers.clear();
        self.faults.retain(|fault| fault.who == Who::Own);
        self
    }

    /// Length of the file, in bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Every machine by itself, the leader's own first.
    pub(crate) fn machines(&self) -> impl Iterator<Item = &Machine> {
        let helpers = self.helpers.iter().flat_map(|kind| std::iter::repeat_n(kind, kind.count));
        std::iter::once(&self.own).chain(helpers)
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Efficiency(least) => write!(f, ">= {least:.2}"),
            Self::Alone(most) => write!(f, "alone x {most:.2}"),
        }
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|error| error.to_string())
    }
}

/// A size is written as a rate is.
fn size<'de, D: Deserializer<'de>>(text: D) -> Result<u64, D::Error> {
    Rate::deserialize(text).map(Rate::as_bytes_per_second)
}

const fn one() -> usize {
    1
}

const fn eight() -> u8 {
    8
}

const fn forty_milliseconds() -> Seconds {
    Seconds(Duration::from_millis(40))
}

const fn two_milliseconds() -> Seconds {
    Seconds(Duration::from_millis(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str =
        "about = 'x'\npromise = { efficiency = 0.9 }\nsize = '64M'\n[own]\nlink = '20Mbit'\n";

    #[test]
    fn the_least_scenario_is_one_link() {
        let scenario = Scenario::parse(LEAST).unwrap();
        assert_eq!(scenario.size(), 64 << 20);
        assert_eq!(scenario.machines().count(), 1);
    }

    #[test]
    fn mistakes_are_named() {
        for (more, word) in [
            ("colour = 'red'", "colour"),
            ("uplink = 'street'", "street"),
            ("rtt = -1.0", "rtt"),
            ("change = { redraw = { every = 2.0 } }", "between"),
        ] {
            let error = Scenario::parse(&format!("{LEAST}{more}\n")).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
