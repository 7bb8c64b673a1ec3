//! Asking around: known machines by address, everybody else by broadcast and multicast.

use super::builder::Settings;
use super::peer::Hosting;
#[cfg(feature = "scan")]
use super::peer::News;
#[cfg(feature = "scan")]
use crate::Happening;
use crate::trust::{Group, minute};
use crate::{Error, Helpers, helpers::resolve};
use haul_link::{Asker, Interface, PeerId, REPEATS, interfaces};
use haul_wire::{Ask, SizeClass};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::debug;

/// When everybody is asked again, in seconds from the first time: for machines that were switched
/// on, woke up or missed it.
const AGAIN: [u64; 3] = [1, 3, 10];

/// How often after that.
const EVERY: Duration = Duration::from_secs(30);

/// With fewer machines than this at the door a second after the first ask, the network is scanned.
#[cfg(feature = "scan")]
const FEW: u32 = 3;

/// How long an ask holds, in seconds.
const EXPIRES: u16 = 60;

/// How many helpers a leader can use.
const WANTED: u8 = u8::MAX;

/// The asks of one job.
pub(crate) struct Asking {
    asker: Asker,
    ask: Ask,
    group: Option<Group>,
    /// Where helpers hear asks.
    #[cfg_attr(not(feature = "scan"), expect(dead_code, reason = "there is no scan"))]
    port: u16,
    /// Machines that are asked by address.
    pub(crate) named: Vec<SocketAddr>,
    everybody: bool,
    #[cfg_attr(not(feature = "scan"), expect(dead_code, reason = "there is no scan"))]
    scan: Option<Vec<String>>,
}

impl Asking {
    /// Opens what asks are sent through. `port` is where helpers come in.
    pub(crate) async fn open(
        settings: &Settings,
        group: Option<Group>,
        id: [u8; 16],
        leader: PeerId,
        port: u16,
        size: u64,
    ) -> Result<Self, Error> {
        let everybody = settings.helpers == Helpers::Auto;
        let outlets = if everybody { chosen(&settings.interfaces) } else { Vec::new() };
        let asker = Asker::open(&outlets, settings.ask_port)?;
        let mut named = Vec::new();
        if let Helpers::Only(machines) = &settings.helpers {
            for machine in machines {
                named.extend(resolve(machine).await?);
            }
        }
        let ask = Ask {
            id,
            leader: leader.0,
            port,
            size: SizeClass::of(size),
            wanted: WANTED,
            expires: EXPIRES,
            group: [0; 8],
            tag: [0; 16],
        };
        let scan = (everybody && settings.scan).then(|| settings.interfaces.clone());
        Ok(Self { asker, ask, group, port: settings.ask_port, named, everybody, scan })
    }

    /// On how many interfaces everybody is asked.
    pub(crate) fn reach(&self) -> usize {
        self.asker.reach()
    }

    /// Asks now and again, until dropped.
    pub(crate) async fn run(self, hosting: Arc<Hosting>) {
        let began = Instant::now();
        self.burst().await;
        for seconds in AGAIN {
            sleep_until(began + Duration::from_secs(seconds)).await;
            self.burst().await;
            self.scan_if_few(&hosting, seconds).await;
        }
        loop {
            sleep(EVERY).await;
            self.burst().await;
        }
    }

    /// Asks every live machine by address, once, if asks to everybody brought too few.
    #[cfg(feature = "scan")]
    async fn scan_if_few(&self, hosting: &Hosting, seconds: u64) {
        let Some(names) =
            self.scan.as_deref().filter(|_| seconds == AGAIN[0] && hosting.met() < FEW)
        else {
            return;
        };
        let mut scan = match crate::HostScan::start(names) {
            Ok(scan) => scan,
            Err(error) => return debug!(%error, "no scan"),
        };
        while let Some(finding) = scan.next().await {
            match finding {
                crate::Finding::Host(crate::Host { address, how, .. }) => {
                    hosting.tell(News::Told(Happening::Found { address, how })).await;
                    self.asker.ask_one(&self.ask(), (address, self.port).into());
                }
                crate::Finding::Note(text) => debug!(text, "scan"),
            }
        }
    }

    #[cfg(not(feature = "scan"))]
    #[expect(clippy::unused_async, reason = "with the scan it waits")]
    async fn scan_if_few(&self, _: &Hosting, _: u64) {}

    /// The ask as it is sent at this moment: a group's mark holds for a few minutes only.
    fn ask(&self) -> Ask {
        let mut ask = self.ask;
        if let Some(group) = &self.group {
            group.mark(&mut ask, minute());
        }
        ask
    }

    async fn burst(&self) {
        let (began, ask) = (Instant::now(), self.ask());
        for (repeat, after) in REPEATS.into_iter().enumerate() {
            sleep_until(began + after).await;
            if self.everybody {
                self.asker.ask_all(&ask, repeat);
            }
            for &machine in &self.named {
                self.asker.ask_one(&ask, machine);
            }
        }
    }
}

/// The interfaces that the user names, or else all that fit.
fn chosen(names: &[String]) -> Vec<Interface> {
    let all = interfaces().unwrap_or_else(|error| {
        debug!(%error, "the interfaces could not be listed");
        Vec::new()
    });
    let fits = |interface: &Interface| {
        if names.is_empty() { interface.is_fitting() } else { names.contains(&interface.name) }
    };
    all.into_iter().filter(fits).collect()
}
