//! Hearing asks, and dialling those who ask.

use super::builder::Settings;
use super::event::HelperEvent;
use super::refused::Refusals;
use super::session::help;
use crate::trust::{Group, Role, Trust, group_of, minute};
use crate::{Error, ErrorKind};
use haul_link::{Admission, Heard, Identity, Interface, Listener, PeerId, interfaces};
use haul_wire::Ask;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// How many leaders may be dialled or talked to at a time.
const PENDING: usize = 8;

/// A helper at work. Dropping it stops it.
pub struct Serving {
    events: mpsc::UnboundedReceiver<HelperEvent>,
    task: JoinHandle<Result<(), Error>>,
}

impl Serving {
    pub(crate) fn new(
        events: mpsc::UnboundedReceiver<HelperEvent>,
        task: JoinHandle<Result<(), Error>>,
    ) -> Self {
        Self { events, task }
    }

    /// The next event; `None` when the helper has ended. Cancel safe.
    pub async fn next_event(&mut self) -> Option<HelperEvent> {
        self.events.recv().await
    }

    /// Stops at once: nothing more is read from any origin.
    pub async fn stop(mut self) -> Result<(), Error> {
        self.task.abort();
        match (&mut self.task).await {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => {
                Err(Error::new(ErrorKind::Other, "the helper ended early", error.to_string()))
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every session of a helper needs.
pub(crate) struct Helping {
    pub(crate) settings: Settings,
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) group: Option<Group>,
    pub(crate) events: mpsc::UnboundedSender<HelperEvent>,
    /// Whether a leader is helped at this moment: one at a time.
    pub(crate) busy: AtomicBool,
    /// Who named files that this helper does not get.
    pub(crate) refused: Mutex<Refusals>,
}

impl Helping {
    /// Whether an ask from anywhere is the group's or a known leader's.
    fn vouches(&self, ask: &Ask) -> bool {
        let known = || self.trust.knows(Role::Leader, PeerId(ask.leader));
        self.is_of_the_group(ask) || (!self.settings.group_only && known())
    }

    fn is_of_the_group(&self, ask: &Ask) -> bool {
        self.group.as_ref().is_some_and(|group| group.vouches(ask, minute()))
    }

    /// Whether the ask is silently passed over, as if nobody were here.
    fn ignores(&self, ask: &Ask) -> bool {
        self.settings.group_only && !self.is_of_the_group(ask)
    }

    /// Tells whoever listens, if anybody does.
    pub(crate) fn tell(&self, event: HelperEvent) {
        let _ = self.events.send(event);
    }
}

pub(crate) async fn serve(
    settings: Settings,
    events: mpsc::UnboundedSender<HelperEvent>,
) -> Result<(), Error> {
    let identity = settings.home.identity()?;
    let trust = Trust::of(&settings.home);
    let group = group_of(&settings.home, settings.group_only)?;
    let networks = own_networks();
    let fitting: Vec<Interface> =
        networks.iter().filter(|network| network.is_fitting()).cloned().collect();
    let listener = Listener::open(settings.listen, &fitting)?;
    let address = listener.address().unwrap_or(settings.listen.into());
    let mut admission = Admission::new(settings.ports.clone());
    let helping = Arc::new(Helping {
        settings,
        identity,
        trust,
        group,
        events,
        busy: AtomicBool::new(false),
        refused: Mutex::default(),
    });
    helping.tell(HelperEvent::Listening { address });
    let began = Instant::now();
    let mut sessions: JoinSet<(Heard, bool)> = JoinSet::new();
    loop {
        tokio::select! {
            heard = listener.next() => {
                let Ok(heard) = heard else { continue };
                let room = sessions.len() < PENDING && !helping.ignores(&heard.ask);
                let vouched = |ask: &Ask| helping.vouches(ask);
                if room && admission.admit(began.elapsed(), &heard, &own_networks(), vouched) {
                    let helping = Arc::clone(&helping);
                    sessions.spawn(async move { (heard, help(heard, &helping).await) });
                }
            }
            Some(ended) = sessions.join_next() => if let Ok((heard, again)) = ended && again {
                admission.forget(&heard.ask);
            },
        }
    }
}

/// The networks of this machine at this moment; they change while it roams.
fn own_networks() -> Vec<Interface> {
    interfaces().unwrap_or_default()
}
