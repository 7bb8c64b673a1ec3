//! Talking to the helper that runs on this machine, as its owner.
//!
//! It listens on the Unix socket `run/helper.sock` of haul's home, in a folder that only its user
//! may enter, and hears nobody whom the kernel does not name as that user. One request is one line
//! of JSON, and so is its answer.

mod server;

pub use super::history::Helped;
pub(crate) use server::{Asked, Server};

use super::history;
use super::policy::{Battery, Fact, Mode, Percent, Spent};
use crate::trust::Grant;
use crate::{Error, ErrorKind, Home};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// What a helper is told by its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    /// Say how it is.
    Status,
    /// Help nobody, and end the help that is under way, at once.
    Pause {
        /// For so many seconds; until it is resumed if not said.
        seconds: Option<u64>,
    },
    /// Help again.
    Resume,
    /// End one help that is under way, at once, take back every yes to its leader, and wait for asks
    /// as before.
    End {
        /// Its number in [`Status::helping`].
        help: u64,
    },
    /// Receive no faster than this for others, all of them together and whatever the policy allows
    /// besides, until nobody is helped any more.
    Limit {
        /// Bytes a second, no less than 1024; as the policy says if not said.
        rate: Option<u64>,
    },
    /// Look again at whom the owner trusts, and end help that would not be given any more: for who
    /// changed that by [`Trust`](crate::trust::Trust).
    Review,
    /// Take a refusal back: the leader is asked about when it comes again.
    Lift {
        /// The leader's id, as in [`Status::refused`].
        leader: String,
    },
    /// End at once, and the program with it.
    Stop,
}

/// A leader that was refused at a prompt, by a no or by no answer, and is not asked about yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The name that it gave itself.
    pub leader: String,
    /// Its id.
    pub leader_id: String,
    /// When it may be asked about again, in seconds since 1970-01-01 00:00 UTC.
    pub until: i64,
}

/// How a helper is, after it did what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this form, 1.
    pub v: u8,
    /// What it does.
    pub state: State,
    /// When the pause ends, in seconds since 1970-01-01 00:00 UTC.
    pub paused_until: Option<i64>,
    /// Who decides about leaders that are not known.
    pub mode: Mode,
    /// The owner's policy file, if there is one.
    pub policy: Option<PathBuf>,
    /// Why the newest version of a policy file is not in force.
    pub policy_error: Option<String>,
    /// The fields that are managed by the owner's organisation.
    pub managed: Vec<String>,
    /// Why nobody is helped at this moment, as the rule that says so.
    pub refuses: Option<String>,
    /// Whether the connection is metered.
    pub metered: Fact,
    /// Whether a VPN is up.
    pub vpn: Fact,
    /// What the machine runs on.
    pub battery: Battery,
    /// What was received for others.
    pub spent: Spent,
    /// The most that may be received in a day.
    pub per_day: u64,
    /// The most that may be received in 30 days.
    pub per_30_days: u64,
    /// The most that may be received for one job.
    #[serde(default)]
    pub per_job: u64,
    /// The largest part of one file that is fetched, in percent.
    #[serde(default)]
    pub largest_share: u8,
    /// How fast all help together may be at this moment, in bytes a second; none without a limit.
    pub rate: Option<u64>,
    /// What of that the owner has said for the help under way, by [`Command::Limit`].
    pub limit: Option<u64>,
    /// The fastest that this machine was seen to receive, in bytes a second, if it was seen.
    pub fastest: Option<u64>,
    /// Who is being helped.
    pub helping: Vec<Helping>,
    /// Every yes that holds.
    #[serde(default)]
    pub granted: Vec<Grant>,
    /// Who was refused of late, and is not asked about yet.
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// What a helper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for asks.
    Waiting,
    /// It helps.
    Helping,
    /// It is paused.
    Paused,
}

/// A help that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helping {
    /// Its number, by which it can be ended.
    #[serde(default)]
    pub help: u64,
    /// The name that the leader gives itself.
    pub leader: String,
    /// The host that the file comes from.
    pub host: String,
    /// Bytes that were received from there.
    pub bytes: u64,
    /// Bytes in the last second.
    #[serde(default)]
    pub rate: u64,
    /// For how many seconds.
    pub seconds: u64,
}

/// What helping with a file takes of the owner's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Bytes at the most.
    pub bytes: u64,
    /// For how many seconds, if the link is as fast as it was seen to be and nobody else helps.
    pub seconds: Option<u64>,
}

impl Status {
    /// What helping with a file of `size` bytes would cost at the most, by the limits in force.
    pub fn cost(&self, size: u64) -> Cost {
        let share = Percent::new(self.largest_share).map_or(size, |share| share.of(size));
        let today = self.per_day.saturating_sub(self.spent.today);
        let month = self.per_30_days.saturating_sub(self.spent.last_30_days);
        let bytes = share.min(self.per_job).min(today).min(month);
        let rate = self.rate.into_iter().chain(self.fastest).min();
        Cost { bytes, seconds: rate.map(|rate| bytes.div_ceil(rate.max(1))) }
    }
}

/// How a request is written.
#[derive(Serialize, Deserialize)]
struct Line {
    v: u8,
    #[serde(flatten)]
    command: Command,
}

/// How an answer is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Status(Box<Status>),
    Error(String),
}

/// How long a helper may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// No request is longer, in bytes.
const LONGEST: u64 = 64 << 10;

/// And no answer.
const ANSWER_LONGEST: u64 = 1 << 20;

/// Tells the helper of this home something, and returns how it is then.
pub fn tell(home: &Home, command: Command) -> Result<Status, Error> {
    match exchange(home, command) {
        Ok(Reply::Status(status)) => Ok(*status),
        Ok(Reply::Error(because)) => {
            Err(Error::new(ErrorKind::Other, "the helper did not do it", because)
                .with_remedy("run this version of `helper` for both"))
        }
        Err(error) if is_absent(&error) => Err(Error::new(
            ErrorKind::Other,
            "no helper runs here",
            format!("nobody listens on {}", path(home).display()),
        )
        .with_remedy("start one with `helper run`, or set HAUL_HOME as it is set for that one")),
        Err(error) => Err(Error::new(
            ErrorKind::Other,
            "the helper could not be talked to",
            format!("{}: {error}", path(home).display()),
        )
        .with_remedy("run this as the user that runs the helper, with the same HAUL_HOME")),
    }
}

/// Every help of this home that is remembered, the oldest first.
pub fn history(home: &Home) -> Result<Vec<Helped>, Error> {
    history::read(home)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn exchange(home: &Home, command: Command) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(path(home))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let line = serde_json::to_string(&Line { v: 1, command })? + "\n";
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_LONGEST)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

fn path(home: &Home) -> PathBuf {
    home.run().join("helper.sock")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn status() -> Status {
        Status {
            v: 1,
            state: State::Waiting,
            paused_until: None,
            mode: Mode::Ask,
            policy: None,
            policy_error: None,
            managed: Vec::new(),
            refuses: None,
            metered: Fact::No,
            vpn: Fact::No,
            battery: Battery::Mains,
            spent: Spent { today: GIB, last_30_days: 2 * GIB },
            per_day: 5 * GIB,
            per_30_days: 20 * GIB,
            per_job: 2 * GIB,
            largest_share: 50,
            rate: None,
            limit: None,
            fastest: None,
            helping: Vec::new(),
            granted: Vec::new(),
            refused: Vec::new(),
        }
    }

    #[test]
    fn the_narrowest_limit_tells_what_a_help_costs() {
        let cost = |change: fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            status.cost(3 * GIB).bytes
        };
        assert_eq!(cost(|_| {}), 3 * GIB / 2, "the share of the file");
        assert_eq!(cost(|status| status.per_job = GIB), GIB);
        assert_eq!(cost(|status| status.per_day = GIB + 7), 7, "what is left of the day");
        assert_eq!(cost(|status| status.per_30_days = 2 * GIB + 9), 9);
        assert_eq!(cost(|status| status.per_day = 1), 0, "more was spent than now may be");
    }

    #[test]
    fn the_time_is_that_of_the_slower_of_limit_and_link_and_unknown_without_both() {
        let seconds = |rate, fastest| Status { rate, fastest, ..status() }.cost(GIB).seconds;
        assert_eq!(seconds(None, None), None);
        assert_eq!(seconds(Some(1 << 20), None), Some(512));
        assert_eq!(seconds(Some(1 << 20), Some(1 << 19)), Some(1024));
        assert_eq!(seconds(None, Some(u64::MAX)), Some(1));
    }

    #[test]
    fn what_a_helper_of_another_version_leaves_out_is_unknown() {
        let mut told = serde_json::to_value(status()).unwrap();
        let fields = told.as_object_mut().unwrap();
        for new in ["per_job", "largest_share", "rate", "limit", "fastest"] {
            fields.remove(new);
        }
        let read: Status = serde_json::from_value(told).unwrap();
        assert_eq!((read.per_job, read.rate), (0, None));
    }
}
