use super::hours::HoursText;
use super::written::{Bytes, Count, Day, Id, Plain, Written};
use super::{Care, HostPattern, Hours, KnownLeader, Mode, Percent, Policy, Rate};
use crate::{Error, ErrorKind};
use haul_fetch::Cidr;
use serde::Deserialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// A policy as it is written: every field may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyFile {
    #[expect(dead_code, reason = "there is one version, which reading it has checked")]
    version: Count<1, 1>,
    mode: Option<Mode>,
    #[serde(default)]
    leaders: Leaders,
    #[serde(default)]
    hosts: Hosts,
    #[serde(default)]
    networks: Networks,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    when: When,
    #[serde(default)]
    prompts: Prompts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaders {
    known: Option<Vec<Known>>,
    blocked: Option<Vec<Id>>,
    at_once: Option<Count<1, 256>>,
    grant_days: Option<Count<1, 366>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    id: Id,
    #[expect(dead_code, reason = "it helps the owner to remember who that is")]
    name: Option<String>,
    until: Option<Day>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hosts {
    allow: Option<Vec<HostPattern>>,
    deny: Option<Vec<HostPattern>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Networks {
    allow: Option<Vec<Network>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    largest_file: Option<Bytes>,
    largest_share: Option<Percent>,
    per_job: Option<Bytes>,
    per_day: Option<Bytes>,
    per_30_days: Option<Bytes>,
    rate: Option<Rate>,
    rate_while_busy: Option<Rate>,
    busy_above: Option<Plain>,
    connections: Option<Count<1, 8>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    hours: Option<Vec<HoursText>>,
    metered: Option<Care>,
    vpn: Option<Care>,
    unknown: Option<Care>,
    battery: Option<Percent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompts {
    per_hour: Option<Count<0, 60>>,
}

#[derive(Debug)]
struct Network(Cidr);

impl Written for Network {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\"";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

super::written::written!(Network);

impl PolicyFile {
    /// Lays what is written over `policy`. Lists that only refuse are added to those below.
    pub(crate) fn lay_over(self, policy: &mut Policy) {
        let Self { mode, leaders, hosts, networks, limits, when, prompts, .. } = self;
        set(&mut policy.mode, mode);
        leaders.lay_over(policy);
        set(&mut policy.hosts_allowed, hosts.allow);
        policy.hosts_denied.extend(hosts.deny.into_iter().flatten());
        set(&mut policy.networks, networks.allow.map(|all| all.iter().map(|net| net.0).collect()));
        limits.lay_over(policy);
        when.lay_over(policy);
        set(&mut policy.prompts_per_hour, prompts.per_hour.map(Count::get));
    }
}

impl Leaders {
    fn lay_over(self, policy: &mut Policy) {
        let known =
            |known: Known| KnownLeader { id: known.id.0, until: known.until.map(|day| day.0) };
        set(&mut policy.known, self.known.map(|all| all.into_iter().map(known).collect()));
        policy.blocked.extend(self.blocked.into_iter().flatten().map(|id| id.0));
        set(&mut policy.at_once, self.at_once.map(Count::get));
        set(&mut policy.grant_days, self.grant_days.map(Count::get));
    }
}

impl Limits {
    fn lay_over(self, policy: &mut Policy) {
        set(&mut policy.largest_file, self.largest_file.map(|bytes| bytes.0));
        set(&mut policy.largest_share, self.largest_share);
        set(&mut policy.per_job, self.per_job.map(|bytes| bytes.0));
        set(&mut policy.per_day, self.per_day.map(|bytes| bytes.0));
        set(&mut policy.per_30_days, self.per_30_days.map(|bytes| bytes.0));
        set(&mut policy.rate, self.rate);
        set(&mut policy.rate_while_busy, self.rate_while_busy);
        set(&mut policy.busy_above, self.busy_above.map(|rate| rate.0));
        set(&mut policy.connections, self.connections.map(Count::get));
    }
}

impl When {
    fn lay_over(self, policy: &mut Policy) {
        set(&mut policy.hours, self.hours.map(Hours::of));
        set(&mut policy.metered, self.metered);
        set(&mut policy.vpn, self.vpn);
        set(&mut policy.unknown, self.unknown);
        set(&mut policy.battery, self.battery);
    }
}

fn set<T>(field: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *field = written;
    }
}

/// Why a policy cannot be used; the one before it stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    path: PathBuf,
    /// Line and column, counted from 1; none if the file could not be read at all.
    place: Option<(usize, usize)>,
    because: String,
}

impl PolicyError {
    pub(crate) fn unreadable(path: &Path, because: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), place: None, because: because.to_string() }
    }

    fn at(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(text.len(), |span| span.start.min(text.len()));
        let before = String::from_utf8_lossy(&text.as_bytes()[..start]);
        let line = before.split('\n').count();
        let column = before.split('\n').next_back().map_or(0, |begun| begun.chars().count()) + 1;
        let because = error.message().replace('\n', " ");
        Self { path: path.to_owned(), place: Some((line, column)), because }
    }

    /// What is wrong, without where.
    pub(crate) fn because(&self) -> &str {
        &self.because
    }

    /// The line with the fault, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.map(|(line, _)| line)
    }

    /// What to try.
    pub fn remedy(&self) -> String {
        let path = self.path.display();
        match self.place {
            Some((line, _)) => format!(
                "correct line {line} of {path}, or move the file away: the next `helper run` \
                 writes one that explains every field"
            ),
            None => format!("make {path} a text file that you can read, or move it away"),
        }
    }
}

/// `FILE:LINE:COLUMN: what is wrong`.
impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.because)
    }
}

impl std::error::Error for PolicyError {}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        let kind = if error.place.is_some() { ErrorKind::Usage } else { ErrorKind::Disk };
        Self::new(kind, "the policy cannot be used", error.to_string()).with_remedy(error.remedy())
    }
}

/// Reads a policy; `path` is for the error.
pub(crate) fn parse(path: &Path, text: &str) -> Result<PolicyFile, PolicyError> {
    toml::from_str(text).map_err(|error| PolicyError::at(path, text, &error))
}

/// The fields that a text sets, as `table.field`.
pub(crate) fn fields(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap_or_default();
    let inner = |(name, value): (String, toml::Value)| match value {
        toml::Value::Table(fields) => {
            fields.into_iter().map(|(field, _)| format!("{name}.{field}")).collect()
        }
        _ => vec![name],
    };
    table.into_iter().flat_map(inner).filter(|name| name != "version").collect()
}
