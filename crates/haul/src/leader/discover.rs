//! Asking around: machines whose address is known one by one, everybody else by broadcast and
//! multicast, and dialling those that do not answer.

use super::agenda::{Again, Agenda, Deed, How};
use super::errand::Errand;
use super::hosting::Hosting;
#[cfg(feature = "scan")]
use super::peer::News;
use super::peer::visit;
use super::search::Search;
use crate::Error;
#[cfg(feature = "scan")]
use crate::Happening;
use crate::trust::{Group, minute};
use haul_link::{Asker, Interface, PeerId, interfaces};
use haul_wire::Ask;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

/// With fewer machines than this at the door a second after the first ask, the network is scanned.
#[cfg(feature = "scan")]
const FEW: u32 = 3;

/// How many machines are dialled at a time.
const DIALS: usize = 64;

/// How long an ask holds, in seconds.
const EXPIRES: u16 = 60;

/// The asks of one job.
pub(crate) struct Asking {
    asker: Asker,
    ask: Ask,
    group: Option<Group>,
    agenda: Agenda,
    seeker: Seeker,
    told: mpsc::UnboundedReceiver<Lead>,
    /// Where helpers hear asks.
    #[cfg_attr(not(feature = "scan"), expect(dead_code, reason = "there is no scan"))]
    port: u16,
    /// The interfaces that the user named; none means all that fit.
    interfaces: Vec<String>,
    #[cfg_attr(not(feature = "scan"), expect(dead_code, reason = "there is no scan"))]
    scan: bool,
    dialled: BTreeSet<SocketAddr>,
    dials: Arc<Semaphore>,
    /// What goes on beside the asks: dials with what comes of them, and a scan.
    tasks: JoinSet<Option<SocketAddr>>,
}

/// Where whoever learns of a machine's address tells it.
#[derive(Clone)]
pub(crate) struct Seeker(mpsc::UnboundedSender<Lead>);

/// What is told of a machine's address.
#[derive(Clone, Copy)]
enum Lead {
    /// It may run a helper.
    Seek(SocketAddr, How),
    /// It runs one, which is to be asked again.
    Again(SocketAddr, Again),
}

impl Seeker {
    /// Asks this machine for help, now and at the repeats, and dials it if it has not answered a
    /// second later. It is sought once, however many say it.
    pub(crate) fn seek(&self, machine: SocketAddr, how: How) {
        // Once the job has ended nobody is sought any more.
        let _ = self.0.send(Lead::Seek(machine, how));
    }

    /// Asks a helper that was talked to again and again, until it answers.
    pub(super) fn ask_again(&self, machine: SocketAddr, why: Again) {
        let _ = self.0.send(Lead::Again(machine, why));
    }
}

impl Asking {
    /// Opens what asks are sent through. `port` is where helpers come in.
    pub(crate) fn open(
        search: &Search,
        group: Option<Group>,
        id: [u8; 16],
        leader: PeerId,
        port: u16,
        errand: &Errand,
    ) -> Result<Self, Error> {
        let everybody = search.helpers.finds_others();
        let outlets = if everybody { chosen(&search.interfaces) } else { Vec::new() };
        let (tell, told) = mpsc::unbounded_channel();
        let ask = Ask {
            id,
            leader: leader.0,
            port,
            size: errand.size(),
            wanted: errand.wanted(),
            expires: EXPIRES,
            group: [0; 8],
            tag: [0; 16],
        };
        Ok(Self {
            asker: Asker::open(&outlets, search.ask_port)?,
            ask,
            group,
            agenda: Agenda::new(everybody),
            seeker: Seeker(tell),
            told,
            port: search.ask_port,
            interfaces: search.interfaces.clone(),
            scan: everybody && search.scan,
            dialled: BTreeSet::new(),
            dials: Arc::new(Semaphore::new(DIALS)),
            tasks: JoinSet::new(),
        })
    }

    /// On how many interfaces everybody is asked.
    pub(crate) fn reach(&self) -> usize {
        self.asker.reach()
    }

    /// Where machines are named.
    pub(crate) fn seeker(&self) -> Seeker {
        self.seeker.clone()
    }

    /// Asks now and again, until dropped.
    pub(crate) async fn run(mut self, hosting: Arc<Hosting>) {
        let began = Instant::now();
        loop {
            while let Ok(lead) = self.told.try_recv() {
                self.follow(began.elapsed(), lead, &hosting);
            }
            let has_answered = |address| hosting.presence.has_answered(address);
            while let Some(deed) = self.agenda.next(began.elapsed(), has_answered) {
                self.act(deed, began.elapsed(), &hosting);
            }
            tokio::select! {
                Some(lead) = self.told.recv() => self.follow(began.elapsed(), lead, &hosting),
                Some(ended) = self.tasks.join_next() => if let Ok(Some(machine)) = ended {
                    self.dialled.remove(&machine);
                },
                () = sleep_until(began + self.agenda.next_at()) => {}
            }
        }
    }

    fn follow(&mut self, now: Duration, lead: Lead, hosting: &Hosting) {
        match lead {
            Lead::Seek(machine, how) if self.agenda.seek(now, machine, how) => {
                hosting.presence.invite(machine);
            }
            Lead::Seek(..) => {}
            Lead::Again(machine, why) => self.agenda.ask_again(now, machine, why),
        }
    }

    fn act(&mut self, deed: Deed, now: Duration, hosting: &Arc<Hosting>) {
        match deed {
            Deed::Look => self.look(now),
            Deed::Ask(machine) => self.asker.ask_one(&self.ask(), machine),
            Deed::AskAll { repeat } => self.asker.ask_all(&self.ask(), repeat),
            Deed::Dial(machine) => self.dial(machine, hosting),
            Deed::Scan => self.scan_if_few(hosting),
        }
    }

    /// Asks everybody anew if there are interfaces that were not asked on.
    fn look(&mut self, now: Duration) {
        if self.asker.refresh(&chosen(&self.interfaces)) {
            self.agenda.ask_all(now);
        }
    }

    fn dial(&mut self, machine: SocketAddr, hosting: &Arc<Hosting>) {
        if !self.dialled.insert(machine) {
            return;
        }
        let how = self.agenda.how(machine).map_or("ask", How::name);
        let (hosting, dials) = (Arc::clone(hosting), Arc::clone(&self.dials));
        self.tasks.spawn(async move {
            visit(machine, how, &dials, &hosting).await;
            Some(machine)
        });
    }

    /// Asks every live machine by address, once, if asks to everybody brought too few.
    #[cfg(feature = "scan")]
    fn scan_if_few(&mut self, hosting: &Arc<Hosting>) {
        if !self.scan || hosting.met() >= FEW {
            return;
        }
        let mut scan = match crate::HostScan::start(&self.interfaces) {
            Ok(scan) => scan,
            Err(error) => return debug!(%error, "no scan"),
        };
        let (hosting, seeker, port) = (Arc::clone(hosting), self.seeker.clone(), self.port);
        self.tasks.spawn(async move {
            while let Some(finding) = scan.next().await {
                match finding {
                    crate::Finding::Host(crate::Host { address, how, .. }) => {
                        hosting.sightings.note_alive(address, how);
                        hosting.tell(News::Told(Happening::Found { address, how })).await;
                        seeker.seek((address, port).into(), How::Scan(how));
                    }
                    crate::Finding::Note(text) => debug!(text, "scan"),
                }
            }
            hosting.sightings.note_scanned();
            None
        });
    }

    #[cfg(not(feature = "scan"))]
    #[expect(clippy::unused_self, reason = "with the scan it does something")]
    fn scan_if_few(&mut self, _: &Arc<Hosting>) {}

    /// The ask as it is sent at this moment: a group's mark holds for a few minutes only.
    fn ask(&self) -> Ask {
        let mut ask = self.ask;
        if let Some(group) = &self.group {
            group.mark(&mut ask, minute());
        }
        ask
    }
}

/// The interfaces that the user names, or else all that fit.
fn chosen(names: &[String]) -> Vec<Interface> {
    let all = interfaces().unwrap_or_else(|error| {
        debug!(%error, "the interfaces could not be listed");
        Vec::new()
    });
    all.into_iter().filter(|one| is_asked_on(names, one)).collect()
}

/// Whether this is one of the interfaces of these names, or fits where none are named.
pub(super) fn is_asked_on(names: &[String], interface: &Interface) -> bool {
    if names.is_empty() { interface.is_fitting() } else { names.contains(&interface.name) }
}
