//! The owner's rules: what they say, how they are written, and what they make of a request.
//!
//! A [`Policy`] is read from TOML, field by field over safe defaults. It decides as a pure function
//! of the request, of facts about the machine, of what has been spent and of the moment.

mod decide;
mod file;
mod form;
mod hosts;
mod hours;
mod moment;
mod watch;
mod written;

pub(crate) use decide::Cares;
pub use decide::{Battery, Fact, Facts, LEAST_HELP, Rule, Ruling, Spent, Verdict};
pub use file::PolicyError;
pub use form::{PolicyField, Shape, Unsaved};
pub use hosts::HostPattern;
pub use hours::Hours;
pub(crate) use moment::DAY;
pub use moment::Moment;
pub use watch::PolicySource;
pub(crate) use watch::{InForce, Policies};
pub use written::{Percent, Rate};

use crate::ByteRate;
use haul_fetch::Cidr;
use std::num::NonZeroU64;

/// Whom to help, with what, when, and how much. The default is safe for a home.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Who decides about a leader that is not known.
    pub mode: Mode,
    /// Leaders that are helped without a question.
    pub known: Vec<KnownLeader>,
    /// The ids of leaders that are never helped.
    pub blocked: Vec<String>,
    /// How many leaders are helped at a time, 1 to 256.
    pub at_once: u16,
    /// For how many days "always" holds when it is said at a prompt, 1 to 366.
    pub grant_days: u16,
    /// Hosts that may be fetched from.
    pub hosts_allowed: Vec<HostPattern>,
    /// Hosts that may not, although they are allowed.
    pub hosts_denied: Vec<HostPattern>,
    /// Networks that are open on every port although they are private.
    pub networks: Vec<Cidr>,
    /// The largest file that is helped with, in bytes.
    pub largest_file: u64,
    /// The largest part of one file that is fetched.
    pub largest_share: Percent,
    /// The most bytes that are received for one job.
    pub per_job: u64,
    /// The most bytes that are received in a day of local time.
    pub per_day: u64,
    /// The most bytes that are received in 30 such days.
    pub per_30_days: u64,
    /// How fast.
    pub rate: Rate,
    /// How fast while the machine's user is busy on the network.
    pub rate_while_busy: Rate,
    /// From how many bytes a second that others receive on this machine its user is taken for busy.
    pub busy_above: ByteRate,
    /// How many connections to an origin, 1 to 8.
    pub connections: u16,
    /// When.
    pub hours: Hours,
    /// On a connection that is paid for by the byte.
    pub metered: Care,
    /// While a VPN is up.
    pub vpn: Care,
    /// Where it cannot be told whether the connection is metered, a VPN is up, or power is short.
    pub unknown: Care,
    /// Not on battery below this charge.
    pub battery: Percent,
    /// How many prompts are shown in an hour, 0 to 60.
    pub prompts_per_hour: u16,
}

/// Who decides about a leader that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A person, whose yes [lasts](crate::Lasts) as long as they say.
    Ask,
    /// Nobody: only known leaders are helped.
    Known,
    /// Nobody: everybody on this network is helped.
    Always,
    /// Nobody is helped, known or not.
    Never,
}

/// What to do in a circumstance that calls for care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Care {
    /// Do not help.
    Never,
    /// Let a person decide, also about known leaders.
    Ask,
    /// Help as ever.
    Allow,
}

/// A leader that is helped without a question, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLeader {
    /// Its id, 64 hexadecimal digits in lower case.
    pub id: String,
    /// The last local day on which it is, counted from 1970-01-01; for ever if there is none.
    pub until: Option<i64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Ask,
            known: Vec::new(),
            blocked: Vec::new(),
            at_once: 4,
            grant_days: 30,
            hosts_allowed: vec![HostPattern::ALL],
            hosts_denied: Vec::new(),
            networks: Vec::new(),
            largest_file: 20 << 30,
            largest_share: Percent::ALL,
            per_job: 2 << 30,
            per_day: 5 << 30,
            per_30_days: 20 << 30,
            rate: Rate::Unlimited,
            rate_while_busy: Rate::Part(QUARTER),
            busy_above: BUSY_ABOVE,
            connections: 8,
            hours: Hours::any(),
            metered: Care::Never,
            vpn: Care::Never,
            unknown: Care::Ask,
            battery: FORTY,
            prompts_per_hour: 6,
        }
    }
}

impl Policy {
    /// The most bytes that may be received for a job on a file of `size` bytes, and the rule that
    /// says so.
    pub(crate) fn job_limit(&self, size: u64) -> (u64, Rule) {
        let share = self.largest_share.of(size);
        // What counts are received bytes, heads and all, which for all of a file are more than it.
        if self.largest_share < Percent::ALL && share < self.per_job {
            (share, Rule::LargestShare)
        } else {
            (self.per_job, Rule::PerJob)
        }
    }

    /// Whether anything may be asked of `host`.
    pub(crate) fn admits_host(&self, host: &str) -> bool {
        let named = |patterns: &[HostPattern]| patterns.iter().any(|pattern| pattern.matches(host));
        named(&self.hosts_allowed) && !named(&self.hosts_denied)
    }
}

const QUARTER: Percent = percent(25);
const FORTY: Percent = percent(40);
const BUSY_ABOVE: ByteRate = ByteRate::new(NonZeroU64::new(256 << 10).expect("not zero"));

const fn percent(percent: u8) -> Percent {
    Percent::new(percent).expect("at most 100")
}
