//! Answering leaders: those who ask are dialled, those who dial are taken in.

use super::accounts::Accounts;
use super::builder::Settings;
use super::control::{Asked, Server};
use super::ears::{Came, Ears};
use super::event::HelperEvent;
use super::gate::{Gate, Posts, locked};
use super::limits::pools::Pools;
use super::limits::refused::{Refusals, no_refusals};
use super::limits::waiting::WaitingList;
use super::meeting::{Call, take};
use super::policy::{Policies, PolicyError};
use crate::trust::{Group, Role, Trust, group_of, minute};
use crate::{Error, ErrorKind, Home};
use haul_link::{Admission, Heard, Identity, Interface, PeerId, random};
use haul_wire::Ask;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, interval, sleep, timeout};

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
    /// Which asks are followed, and who is taken in.
    admission: Mutex<Admission>,
    /// Decides whom to help, and how much.
    pub(crate) gate: Arc<Gate>,
    /// Who named files that this helper does not get.
    pub(crate) refused: Mutex<Refusals>,
    /// The places of those who are dialled, greet, or are decided upon.
    pub(crate) pools: Arc<Pools>,
    /// Who waits to be helped.
    pub(crate) waiting: Mutex<WaitingList>,
}

impl Helping {
    /// Whether the ask is one to dial on: the group's from anywhere, and unless only that is
    /// helped a known leader's, or anybody's in the own networks.
    fn follows(&self, now: Duration, heard: &Heard, networks: &[Interface]) -> bool {
        if self.is_of_the_group(&heard.ask) {
            return self.admission().admit_tagged(now, &heard.ask);
        }
        let known = |ask: &Ask| self.trust.knows(Role::Leader, PeerId(ask.leader));
        !self.group_only && self.admission().admit(now, heard, networks, known)
    }

    fn is_of_the_group(&self, ask: &Ask) -> bool {
        self.group.as_ref().is_some_and(|group| group.vouches(ask, minute()))
    }

    /// Whether anybody who comes from afar can turn out to be of the group or known.
    fn may_vouch(&self) -> bool {
        let knows_any = || {
            let known = self.trust.list().unwrap_or_default();
            known.iter().any(|known| known.role == Role::Leader)
        };
        self.group.is_some() || knows_any()
    }

    pub(crate) fn admission(&self) -> MutexGuard<'_, Admission> {
        locked(&self.admission)
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
    let listen = settings.listen;
    #[cfg(feature = "dns-sd")]
    let announced = super::announce::Announced::of(&settings);
    let helping = Arc::new(helping(settings, events).await?);
    let server = Server::open(&helping.gate.home)?;
    let (mut ears, trouble) = Ears::open(listen)?;
    helping.tell(HelperEvent::Listening { address: ears.address() });
    if let Some(text) = trouble {
        helping.tell(HelperEvent::Note { text });
    }
    helping.tell_of_policy(Ok(()));
    let mut sessions = Sessions(JoinSet::new());
    #[cfg(feature = "dns-sd")]
    let port = ears.address().port();
    let tending = async {
        let policy = helping.gate.tend(|changed| helping.tell_of_policy(changed));
        #[cfg(feature = "dns-sd")]
        if let Some(announced) = announced {
            tokio::join!(policy, announced.tend(&helping.gate, port));
            return;
        }
        policy.await;
    };
    tokio::pin!(tending);
    let mut calls_back = interval(CALLS_BACK);
    loop {
        tokio::select! {
            came = ears.next() => sessions.take(came, ears.networks(), &helping),
            () = sessions.next_end() => {}
            _ = calls_back.tick() => sessions.call_back(ears.networks(), &helping),
            asked = server.serve_one(&helping.gate) => match asked {
                Asked::Nothing => helping.welcome_lifted(),
                Asked::Stop => {
                    // So that the leaders can be told; nothing is fetched any more.
                    let _ = timeout(FAREWELL, sessions.ended()).await;
                    return Ok(());
                }
            },
            () = &mut tending => {}
        }
    }
}

/// The sessions that are open or being opened.
struct Sessions(JoinSet<()>);

impl Sessions {
    /// Answers an ask or a connection, if it is to be answered and there is room.
    fn take(&mut self, came: Came, networks: &[Interface], helping: &Arc<Helping>) {
        if let Some(call) = answering(came, networks, helping) {
            self.begin(call, helping);
        }
    }

    /// Dials leaders that wait, once they can be helped.
    fn call_back(&mut self, networks: &[Interface], helping: &Arc<Helping>) {
        for (heard, waiting) in helping.take_due(networks) {
            let is_near = networks.iter().any(|network| network.has(heard.from));
            let again = Some(Box::new(waiting));
            self.begin(Call::Ask { heard, is_near, after: Duration::ZERO, again }, helping);
        }
    }

    fn begin(&mut self, call: Call, helping: &Arc<Helping>) {
        if let Some(taken) = take(call, Arc::clone(helping)) {
            self.0.spawn(taken);
        }
    }

    /// Waits until one ends; for ever while there is none. Cancel safe.
    async fn next_end(&mut self) {
        match self.0.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "a session ended early"),
            None => std::future::pending().await,
        }
    }

    /// Waits until all have ended.
    async fn ended(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

/// What every session needs, from what the owner chose.
async fn helping(
    settings: Settings,
    events: mpsc::UnboundedSender<HelperEvent>,
) -> Result<Helping, Error> {
    let group_only = settings.group_only;
    Ok(Helping {
        machine: settings.machine.clone(),
        identity: settings.home.identity()?,
        trust: Trust::of(&settings.home),
        group: group_of(&settings.home, group_only)?,
        group_only,
        events,
        admission: Mutex::new(Admission::new(settings.ports.clone())),
        refused: Mutex::new(no_refusals()),
        pools: Arc::default(),
        waiting: Mutex::default(),
        gate: Arc::new(gate(settings).await?),
    })
}

/// What to do about an ask or a connection; nothing about most that strangers can send.
fn answering(came: Came, networks: &[Interface], helping: &Arc<Helping>) -> Option<Call> {
    let now = helping.gate.steady();
    let from = came.from();
    let is_near = networks.iter().any(|network| network.has(from));
    match came {
        Came::Ask(heard) => {
            if helping.admission().fits(&heard.ask) {
                locked(&helping.waiting).hear(heard);
            }
            let follows = helping.follows(now, &heard, networks);
            let share = f64::from(u16::from_le_bytes(random())) / f64::from(u16::MAX);
            let after = heard.spread(networks).mul_f64(share);
            follows.then_some(Call::Ask { heard, is_near, after, again: None })
        }
        Came::Caller { tcp, from } => {
            let may_vouch = || helping.may_vouch();
            let admitted = helping.admission().admit_caller(now, from, networks, may_vouch);
            admitted.then_some(Call::Caller { tcp, from, is_near })
        }
    }
}

/// The gate, with the accounts and all that is asked of the machine.
async fn gate(settings: Settings) -> Result<Gate, Error> {
    let accounts = accounts(&settings.home).await?;
    beside(move || {
        let Settings { consent, client, home, policy, machine_facts, .. } = settings;
        let policies = Policies::open(policy)?;
        let trust = Trust::of(&home);
        let machine = machine_facts;
        Ok(Gate::new(Posts { home, client, policies, accounts, consent, machine, trust }))
    })
    .await
}

/// The accounts of this home, once a helper that is being stopped has let go of them.
async fn accounts(home: &Home) -> Result<Accounts, Error> {
    let until = Instant::now() + LETTING_GO;
    loop {
        let home = home.clone();
        match beside(move || Accounts::open(&home)).await {
            Err(error) if error.kind() == ErrorKind::Locked && Instant::now() < until => {
                sleep(LETTING_GO / 20).await;
            }
            opened => return opened,
        }
    }
}

/// Does what takes the disk's time where nobody waits for it.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Other, "the helper could not start", error.to_string()))
    })
}

/// How often it is looked whether leaders that wait can be helped.
const CALLS_BACK: Duration = Duration::from_millis(200);

/// How long leaders may take to hear that the helper stops.
const FAREWELL: Duration = Duration::from_millis(300);

/// How long a helper that was told to stop may take until its accounts are another's: it says
/// farewell, and what was being booked is written.
const LETTING_GO: Duration = Duration::from_secs(1);
