//! Hearing asks, and dialling those who ask.

use super::accounts::Accounts;
use super::builder::Settings;
use super::control::{Asked, Server};
use super::event::HelperEvent;
use super::gate::{Gate, Posts};
use super::policy::{Policies, PolicyError};
use super::refused::Refusals;
use super::session::help;
use crate::trust::{Group, Role, Trust, group_of, minute};
use crate::{Error, ErrorKind};
use haul_link::{Admission, Heard, Identity, Interface, Listener, PeerId, interfaces};
use haul_wire::Ask;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

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
    pub(crate) machine: String,
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) group: Option<Group>,
    pub(crate) group_only: bool,
    pub(crate) events: mpsc::UnboundedSender<HelperEvent>,
    /// Decides whom to help, and how much.
    pub(crate) gate: Arc<Gate>,
    /// Who named files that this helper does not get.
    pub(crate) refused: Mutex<Refusals>,
}

impl Helping {
    /// Whether an ask from anywhere is the group's or a known leader's.
    fn vouches(&self, ask: &Ask) -> bool {
        let known = || self.trust.knows(Role::Leader, PeerId(ask.leader));
        self.is_of_the_group(ask) || (!self.group_only && known())
    }

    fn is_of_the_group(&self, ask: &Ask) -> bool {
        self.group.as_ref().is_some_and(|group| group.vouches(ask, minute()))
    }

    /// Whether the ask is silently passed over, as if nobody were here.
    fn ignores(&self, ask: &Ask) -> bool {
        self.group_only && !self.is_of_the_group(ask)
    }

    /// Tells whoever listens, if anybody does.
    pub(crate) fn tell(&self, event: HelperEvent) {
        let _ = self.events.send(event);
    }

    fn tell_of_policy(&self, changed: Result<(), PolicyError>) {
        let error = changed.err();
        if let Some(error) = &error {
            tracing::warn!(%error, "the policy that was in force stays");
        }
        self.tell(HelperEvent::Policy {
            managed: self.gate.in_force().managed.clone(),
            error: error.as_ref().map(ToString::to_string),
            r#try: error.as_ref().map(PolicyError::remedy),
        });
    }
}

pub(crate) async fn serve(
    settings: Settings,
    events: mpsc::UnboundedSender<HelperEvent>,
) -> Result<(), Error> {
    let identity = settings.home.identity()?;
    let (ports, listen, machine) =
        (settings.ports.clone(), settings.listen, settings.machine.clone());
    let trust = Trust::of(&settings.home);
    let group_only = settings.group_only;
    let group = group_of(&settings.home, group_only)?;
    let gate = Arc::new(gate(settings).await?);
    let server = Server::open(&gate.home)?;
    let networks = own_networks();
    let fitting: Vec<Interface> =
        networks.iter().filter(|network| network.is_fitting()).cloned().collect();
    let listener = Listener::open(listen, &fitting)?;
    let address = listener.address().unwrap_or(listen.into());
    let mut admission = Admission::new(ports);
    let helping = Arc::new(Helping {
        machine,
        identity,
        trust,
        group,
        group_only,
        events,
        gate,
        refused: Mutex::default(),
    });
    helping.tell(HelperEvent::Listening { address });
    helping.tell_of_policy(Ok(()));
    let began = Instant::now();
    let mut sessions: JoinSet<(Heard, bool)> = JoinSet::new();
    let tending = helping.gate.tend(|changed| helping.tell_of_policy(changed));
    tokio::pin!(tending);
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
            asked = server.serve_one(&helping.gate) => if asked == Asked::Stop {
                // So that the leaders can be told; nothing is fetched any more.
                let all = async { while sessions.join_next().await.is_some() {} };
                let _ = timeout(FAREWELL, all).await;
                return Ok(());
            },
            () = &mut tending => {}
        }
    }
}

/// The gate, with the accounts and all that is asked of the machine.
async fn gate(settings: Settings) -> Result<Gate, Error> {
    let work = tokio::task::spawn_blocking(move || {
        let Settings { consent, client, home, policy, machine_facts, .. } = settings;
        let policies = Policies::open(policy)?;
        let accounts = Accounts::open(&home)?;
        let trust = Trust::of(&home);
        let machine = machine_facts;
        Ok(Gate::new(Posts { home, client, policies, accounts, consent, machine, trust }))
    });
    work.await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Other, "the helper could not start", error.to_string()))
    })
}

/// The networks of this machine at this moment; they change while it roams.
fn own_networks() -> Vec<Interface> {
    interfaces().unwrap_or_default()
}

/// How long leaders may take to hear that the helper stops.
const FAREWELL: Duration = Duration::from_millis(300);
