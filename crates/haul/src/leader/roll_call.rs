//! Who is out there: every machine that is heard of, whether it would help, and why not if not.
//!
//! Machines are found as a download finds them. Those that run a helper say what their policy says
//! of this machine at this moment; their owners hear nothing of it, and nothing is fetched.
//!
//! ```no_run
//! # async fn example() -> Result<(), haul::Error> {
//! # use haul::roll_call::{Called, RollCall};
//! let mut roll = RollCall::new().start()?;
//! while let Some(called) = roll.next().await {
//!     match called {
//!         Called::Machine(machine) => println!("{} {:?}", machine.address, machine.helps),
//!         Called::Note(text) => eprintln!("{text}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```

use super::errand::Errand;
use super::hosting::Hosting;
use super::invite::Invitation;
use super::peer::News;
use super::search::Search;
use super::sightings::{Dial, Sight, Unreached};
use crate::trust::Standing;
use crate::{Error, Happening, Helpers, Home};
use haul_link::{LinkError, Session};
use haul_wire::{ByeReason, Frame, Verdict};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long machines are looked for: asks are repeated after a second, the network is scanned then,
/// and what does not answer is dialled a second later.
const LOOKING: Duration = Duration::from_millis(3200);

/// How long a helper may take to say whether it would help.
const ANSWER: Duration = Duration::from_secs(2);

/// A roll call to be held; without further words everybody is called.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RollCall {
    home: Option<Home>,
    helpers: Helpers,
    interfaces: Vec<String>,
    no_scan: bool,
    group_only: bool,
    ask_port: Option<u16>,
}

/// A roll call under way. Dropping it ends it.
pub struct Calling {
    told: mpsc::UnboundedReceiver<Attendance>,
    news: mpsc::Receiver<News>,
    hosting: Arc<Hosting>,
    tasks: JoinSet<()>,
    ends: Instant,
    seen: BTreeSet<String>,
    /// Those that could not be talked to, once the time is over.
    others: Option<IntoIter<Attendance>>,
}

/// What a roll call tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// A machine that was heard of.
    Machine(Attendance),
    /// Why some are not looked for: a name that the DNS does not know, a line of the roster that
    /// cannot be read.
    Note(String),
}

/// A machine that was heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attendance {
    /// Its address.
    pub address: IpAddr,
    /// The name that it gives itself, if it runs a helper.
    pub name: Option<String>,
    /// Its id, 64 hexadecimal digits, if it runs a helper.
    pub id: Option<String>,
    /// Who it is to this machine, if it runs a helper.
    #[serde(flatten)]
    pub standing: Option<Standing>,
    /// How it was found: `ask`, `named`, `former`, or as a scan or another list found it.
    pub how: &'static str,
    /// Whether it would help.
    pub helps: Helps,
    /// Why it does not, as far as it is known.
    pub because: Option<String>,
    /// What may change that.
    pub r#try: Option<String>,
}

/// Whether a machine would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Helps {
    /// It would, or asks its owner each time.
    Yes,
    /// Its owner or their policy does not want to.
    No,
    /// It helps as many as it may.
    Busy,
    /// Not at present.
    Later,
    /// It runs a helper, or did, and says nothing.
    Silent,
    /// It speaks another version of haul.
    Version,
    /// It is there, and no helper runs on it.
    Absent,
    /// It cannot be reached.
    Unreachable,
}

impl RollCall {
    /// Of every machine that can be found.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of these machines; [`Helpers::Auto`] unless told.
    pub fn helpers(mut self, helpers: Helpers) -> Self {
        self.helpers = helpers;
        self
    }

    /// On this interface only; may be said several times.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interfaces.push(name.into());
        self
    }

    /// Never scans the network, only asks.
    pub const fn no_scan(mut self) -> Self {
        self.no_scan = true;
        self
    }

    /// Listens only to machines of the own group.
    pub const fn group_only(mut self) -> Self {
        self.group_only = true;
        self
    }

    /// Where the installation's key is; [`Home::of_user`] unless told.
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// Sends asks to this UDP port.
    pub const fn ask_port(mut self, port: u16) -> Self {
        self.ask_port = Some(port);
        self
    }

    /// Starts to look, for some three seconds, on the current tokio runtime.
    pub fn start(self) -> Result<Calling, Error> {
        let search = self.search()?;
        let (tell, told) = mpsc::unbounded_channel();
        let (tell_news, news) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        let invitation = Invitation::prepare(
            &search,
            Errand::RollCall(tell),
            Arc::default(),
            tell_news,
            &mut tasks,
        )?;
        let hosting = Arc::clone(&invitation.hosting);
        invitation.send(&mut tasks);
        let ends = Instant::now() + LOOKING;
        Ok(Calling { told, news, hosting, tasks, ends, seen: BTreeSet::new(), others: None })
    }

    fn search(self) -> Result<Search, Error> {
        let search = Search::of(self.helpers, self.home.map_or_else(Home::of_user, Ok)?)?;
        Ok(Search {
            scan: !self.no_scan,
            interfaces: self.interfaces,
            ask_port: self.ask_port.unwrap_or(search.ask_port),
            group_only: self.group_only,
            ..search
        })
    }
}

impl Calling {
    /// The next machine: first those that answer, as they do, and in the end those that could not
    /// be talked to, with notes between them; `None` when all were told. Cancel safe.
    pub async fn next(&mut self) -> Option<Called> {
        while self.others.is_none() {
            tokio::select! {
                biased;
                Some(one) = self.told.recv() => if self.is_new(&one) {
                    return Some(Called::Machine(one));
                },
                // What else is found on the way is told when it has answered, or not.
                Some(news) = self.news.recv() => if let News::Told(Happening::Note { text }) = news {
                    return Some(Called::Note(text));
                },
                () = sleep_until(self.ends) => {
                    self.tasks.abort_all();
                    self.others = Some(self.hosting.sightings.others().into_iter());
                }
            }
        }
        self.others.as_mut().and_then(Iterator::next).map(Called::Machine)
    }

    /// Whether this machine was not told of yet, at another of its addresses.
    fn is_new(&mut self, one: &Attendance) -> bool {
        one.id.as_ref().is_none_or(|id| self.seen.insert(id.clone()))
    }
}

/// A helper that has greeted.
pub(super) struct Present {
    pub(super) address: IpAddr,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) standing: Standing,
    pub(super) how: &'static str,
}

/// Asks a helper whether it would help, and thanks it.
pub(super) async fn call(
    session: &mut Session,
    present: Present,
    tell: &mpsc::UnboundedSender<Attendance>,
) {
    let answered = timeout(ANSWER, ask(session)).await;
    let silent = LinkError::Silent { awaiting: "answer", after: ANSWER };
    let (helps, because) =
        answered.unwrap_or(Err(silent)).map_or_else(|error| wordless(&error), in_words);
    // Whoever is gone need not be thanked, and whoever does not listen any more not be told.
    let _ = session.send(&Frame::Bye { reason: ByeReason::Done }).await;
    let Present { address, name, id, standing, how } = present;
    let _ = tell.send(Attendance {
        address,
        name: Some(name),
        id: Some(id),
        standing: Some(standing),
        how,
        helps,
        because,
        r#try: None,
    });
}

async fn ask(session: &mut Session) -> Result<Verdict, LinkError> {
    session.send(&Frame::RollCall).await?;
    match session.next().await? {
        Frame::Answer(answer) => Ok(answer.verdict),
        Frame::Bye { reason: ByeReason::Version } => Err(LinkError::Version),
        Frame::Bye { reason: ByeReason::NotWanted } => Ok(Verdict::No),
        other => Err(LinkError::Unexpected { awaiting: "an answer", kind: other.kind() }),
    }
}

fn in_words(verdict: Verdict) -> (Helps, Option<String>) {
    let (helps, because) = match verdict {
        Verdict::Yes => return (Helps::Yes, None),
        Verdict::Busy => (Helps::Busy, "it helps as many as its owner lets it"),
        Verdict::Later => (
            Helps::Later,
            "not now: its owner has said no of late or is being asked about somebody; or it is \
             paused, or it is the hour, the network, the battery or what it has spent",
        ),
        _ => (Helps::No, "its policy says no to this machine"),
    };
    (helps, Some(because.into()))
}

/// A machine that greets and then says nothing that can be understood.
fn wordless(error: &LinkError) -> (Helps, Option<String>) {
    let helps = match error {
        LinkError::Version | LinkError::Wire(_) | LinkError::Closed => Helps::Version,
        _ => Helps::Silent,
    };
    (helps, Some(error.to_string()))
}

impl Attendance {
    /// A machine that could not be talked to; nothing for one that could.
    pub(super) fn of(address: IpAddr, sight: &Sight) -> Option<Self> {
        let (helps, because, remedy) = match &sight.dial {
            Dial::Done => return None,
            Dial::Never => (Helps::Silent, "it does not answer", Some(RUN)),
            Dial::Begun | Dial::Failed(Unreached::Silent) if sight.is_alive => (
                Helps::Unreachable,
                "it is there, and drops what it is sent: a firewall",
                Some(DOCTOR),
            ),
            Dial::Begun | Dial::Failed(Unreached::Silent) => (
                Helps::Unreachable,
                "nothing comes back: it is off, or behind a firewall",
                Some(DOCTOR),
            ),
            Dial::Failed(Unreached::Refused) => {
                (Helps::Absent, "it is there, and no helper listens", Some(RUN))
            }
            Dial::Failed(Unreached::NoRoute) => {
                (Helps::Unreachable, "no way leads there, or nobody has that address", None)
            }
            Dial::Failed(Unreached::Version) => {
                (Helps::Version, "it speaks another version of haul", Some(UPDATE))
            }
            Dial::Failed(Unreached::HungUp) => {
                (Helps::No, "it hung up: it may help its own group only", None)
            }
            Dial::Failed(Unreached::TurnedAway(because)) => (Helps::No, *because, None),
            Dial::Failed(Unreached::Other(because)) => (Helps::Unreachable, because.as_str(), None),
        };
        Some(Self {
            address,
            name: None,
            id: None,
            standing: None,
            how: sight.how,
            helps,
            because: Some(because.to_owned()),
            r#try: remedy.map(str::to_owned),
        })
    }
}

const RUN: &str = "start `helper run` there";
const DOCTOR: &str = "run `helper doctor` there, which names the command that opens the firewall";
const UPDATE: &str = "install the same version on both machines";
