use crate::doctor::Suspect;
use crate::trust::Standing;
use crate::{Error, Report};
use serde::{Serialize, Serializer};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Something that happened in a job, and when.
///
/// As JSON this is one line of `--json`: the fields of what happened beside `event`, its name, and
/// `at`, seconds since the job began.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Since the job began.
    #[serde(serialize_with = "as_seconds")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened in a job.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Happening {
    /// The origin answered: what the file is.
    Probed {
        /// Its length in bytes, if the origin tells.
        size: Option<u64>,
        /// Whether the origin serves parts of it, without which nobody can help.
        ranges: bool,
        /// What names this version of it.
        validator: Option<String>,
        /// The name that it will be saved under.
        name: String,
    },
    /// A machine was found on the network.
    Found {
        /// Its address.
        address: IpAddr,
        /// How: `arp`, `icmp` or `neighbour` by a scan; `ask` if it answered one. If it had to be
        /// dialled, who knew its address: `named` the user, `roster` the user's list, `former` a
        /// former job, `srv` a domain's records, `dns-sd` the machine's own announcement.
        how: &'static str,
    },
    /// The network was asked for help.
    Asked {
        /// On how many interfaces.
        interfaces: usize,
        /// How many machines were asked by address.
        addresses: usize,
    },
    /// A machine's owner, or their policy, is being asked.
    Offered {
        /// Its number in this job.
        worker: u32,
        /// The name it gives itself.
        name: String,
        /// Where it is.
        address: SocketAddr,
        /// What its owner types there to help this machine always.
        code: String,
        /// Who it is to this machine.
        #[serde(flatten)]
        standing: Standing,
    },
    /// A machine answered the offer.
    Answered {
        /// Its number in this job.
        worker: u32,
        /// The name it gives itself.
        name: String,
        /// Where it is.
        address: SocketAddr,
        /// `yes`, `no`, `busy` or `later`.
        answer: Answer,
        /// Why it does not help, as far as it told.
        because: Option<String>,
    },
    /// A helper is ready to fetch.
    Joined {
        /// Its number in this job.
        worker: u32,
        /// The name it gives itself.
        name: String,
        /// Where it is.
        address: SocketAddr,
        /// The code that its screen shows too.
        code: String,
    },
    /// How far the job is; at most four a second.
    Progress {
        /// Bytes written.
        stored: u64,
        /// Bytes that survive a power cut.
        durable: u64,
        /// Bytes per second, all together.
        rate: u64,
        /// Everybody who fetches.
        workers: Vec<WorkerProgress>,
        /// The file from its first byte on, in at most 240 cells of equal length; empty while its
        /// length is unknown.
        map: Vec<Stretch>,
    },
    /// A helper is gone, or was let go.
    Lost {
        /// Its number in this job.
        worker: u32,
        /// The name it gives itself.
        name: String,
        /// Why.
        because: String,
    },
    /// A helper delivered bytes that are not those of the origin.
    Blamed {
        /// Its number in this job.
        worker: u32,
        /// The name it gives itself.
        name: String,
        /// Where it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<IpAddr>,
        /// How many bytes are not trusted for it.
        bytes: u64,
    },
    /// Bytes failed their check and are fetched again.
    Repaired {
        /// How many.
        bytes: u64,
    },
    /// Something that a user may want to know.
    Note {
        /// One sentence.
        text: String,
    },
    /// Nobody was found to help, and the job goes on without; told once, within 5 s.
    Nobody {
        /// Why that may be, the likeliest first; at least one.
        causes: Vec<Cause>,
    },
    /// The file has its final name.
    Published {
        /// Where it is.
        path: PathBuf,
    },
    /// The last event of a job that ended well.
    Done(Report),
    /// The last event of one that did not.
    Failed(Failed),
}

/// Why nobody may have been found to help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What seems to be the matter.
    pub because: String,
    /// What to try.
    pub r#try: String,
}

impl From<Suspect> for Cause {
    fn from(Suspect { because, remedy }: Suspect) -> Self {
        Self { because, r#try: remedy }
    }
}

/// A machine's answer to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It helps.
    Yes,
    /// It does not.
    No,
    /// It helps somebody else.
    Busy,
    /// Not now.
    Later,
}

/// How one worker is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerProgress {
    /// Its number in this job; 0 is the own link.
    pub worker: u32,
    /// Its name.
    pub name: String,
    /// Bytes that it delivered and that were stored.
    pub bytes: u64,
    /// Bytes per second at present.
    pub rate: u64,
    /// Connections at work.
    pub lanes: u8,
    /// How much of its time its data waited until the way to the leader took more, in hundredths:
    /// 0 to 100, by what the helper says about once a second, without what waited for the leader's
    /// own disk. Near 100 the local network is narrower than what the helper fetches. 0 for the own
    /// link, and where nothing was said in the last 3 s.
    pub held: u8,
}

/// Neighbouring cells of a file's map that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// How many cells.
    pub cells: u16,
    /// Who delivered most of each.
    pub by: Deliverer,
}

/// Who delivered a part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Deliverer {
    /// Nobody yet.
    Missing,
    /// A former run of the job.
    Earlier,
    /// This worker; 0 is the own link.
    Worker(u32),
}

/// Why a job failed, as an event.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Version of this line.
    pub v: u8,
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub error: String,
    /// Why.
    pub because: String,
    /// What to try.
    pub r#try: String,
}

impl From<&Error> for Failed {
    fn from(error: &Error) -> Self {
        Self {
            v: 1,
            code: error.kind().code(),
            error: error.what().to_owned(),
            because: error.because().to_owned(),
            r#try: error
                .remedy()
                .unwrap_or("run the same command with -v and read what it says")
                .to_owned(),
        }
    }
}

pub(crate) fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((time.as_secs_f64() * 1000.0).round() / 1000.0)
}
