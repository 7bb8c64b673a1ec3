//! From an ask or a connection to the first words of a leader.

use super::gate::locked;
use super::limits::pools::Stage;
use super::limits::waiting::{Waiting, Why};
use super::serve::Helping;
use super::session::{Ended, Return, agree_and_help};
use crate::limits::party::Party;
use crate::limits::pool::Place;
use crate::trust::Role;
use haul_link::{
    Greeting, Heard, Interface, LinkError, Me, PeerId, Secured, accept, answer, answer_group,
    secure,
};
use haul_wire::Frame;
use std::future::Future;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How long a connection on the own network may take to be made: three hundred times what it takes
/// where somebody is.
const CONNECT_NEAR: Duration = Duration::from_secs(1);

/// And one from afar.
const CONNECT_FAR: Duration = Duration::from_secs(5);

/// How long a leader may take from its greeting to what it wants.
pub(super) const STEP: Duration = Duration::from_secs(20);

/// How a leader comes to talk to this helper, from one of the helper's own networks or from afar.
pub(crate) enum Call {
    /// It asked, and is to be dialled after a while; `again` where it has waited.
    Ask { heard: Heard, is_near: bool, after: Duration, again: Option<Box<Waiting>> },
    /// It has dialled.
    Caller { tcp: TcpStream, from: IpAddr, is_near: bool },
}

/// A leader that has said who it is, and what it wants.
pub(super) struct Met {
    pub(super) who: Party,
    pub(super) leader: PeerId,
    pub(super) greeting: Greeting,
    /// What it asked, where it did and was dialled for it.
    pub(super) heard: Option<Heard>,
    /// How often it was called back for this.
    pub(super) calls: u32,
    /// Its first frame after the greeting.
    pub(super) wants: Frame,
}

/// Takes a call if there is a place for it; what is to be done for it then.
pub(crate) fn take(
    call: Call,
    helping: Arc<Helping>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let (stage, from) = match &call {
        Call::Ask { heard, .. } => (Stage::Dialling, heard.from),
        Call::Caller { from, .. } => (Stage::Greeting, *from),
    };
    let place = helping.pools.enter(stage, Party::at(from))?;
    Some(async move {
        if let Err(ended) = Box::pin(meet(call, place, &helping)).await {
            debug!(because = ended.because, "a session ended");
        }
    })
}

async fn meet(call: Call, place: Place, helping: &Helping) -> Result<(), Ended> {
    let (asked, again) = match &call {
        Call::Ask { heard, again, .. } => (Some(heard.ask), again.as_deref().cloned()),
        Call::Caller { .. } => (None, None),
    };
    let met = Box::pin(meet_in_time(call, place, helping)).await;
    if let (Some(ask), Err(error)) = (asked, &met)
        && !matches!(error, LinkError::Stranger)
    {
        helping.forget(PeerId(ask.leader), ask.id);
        let is_broken = |waiting: &Waiting| matches!(waiting.why, Why::Broken { .. });
        if let Some(waiting) = again.clone().filter(|it| is_broken(it) && !is_gone(error)) {
            helping.note_waiting(waiting);
        }
    }
    let calls = calls_of(again.as_ref());
    let met = Met { calls, ..met? };
    let waiting = waiting(&met, helping);
    let ended = agree_and_help(met, helping).await;
    if let Some(how) = ended.as_ref().err().and_then(|ended| ended.again) {
        helping.forget(waiting.leader, waiting.ask);
        let since = helping.gate.steady();
        match how {
            Return::Asked => {}
            Return::Welcome => helping.note_waiting(waiting),
            Return::Reached => {
                helping.note_waiting(Waiting { why: Why::Broken { since }, ..waiting });
            }
        }
    }
    ended
}

/// A leader that wants help still if its session ends.
fn waiting(met: &Met, helping: &Helping) -> Waiting {
    let Met { who, leader, greeting, heard, .. } = met;
    let standing = helping.trust.standing(Role::Leader, *leader, &greeting.name, greeting.group);
    let (why, ask) = (Why::TurnedAway, greeting.ask);
    Waiting { who: *who, leader: *leader, standing, ask, heard: *heard, why, calls: 0 }
}

/// How often a leader was called back that had been turned away.
fn calls_of(again: Option<&Waiting>) -> u32 {
    again.filter(|waiting| waiting.why == Why::TurnedAway).map_or(0, |waiting| waiting.calls)
}

/// Whether a leader's program has ended: its machine is there, and nobody listens.
fn is_gone(error: &LinkError) -> bool {
    matches!(error, LinkError::Broken { source, .. } if source.kind() == ErrorKind::ConnectionRefused)
}

/// Connects and greets, and gives the place up when that takes longer than others can wait.
async fn meet_in_time(call: Call, place: Place, helping: &Helping) -> Result<Met, LinkError> {
    let (tcp, place, heard, is_near) = match call {
        Call::Ask { heard, is_near, after, .. } => {
            let dialled = place.hold(dialled(&heard, is_near, after, helping)).await;
            let tcp = dialled.unwrap_or(Err(LinkError::Closed))?;
            drop(place);
            let place = helping.pools.enter(Stage::Greeting, Party::at(heard.from));
            (tcp, place.ok_or(LinkError::Closed)?, Some(heard), is_near)
        }
        Call::Caller { tcp, is_near, .. } => (tcp, place, None, is_near),
    };
    let greeted = Box::pin(greeted(tcp, heard, is_near, helping));
    let greeted = place.hold(greeted).await;
    greeted.unwrap_or(Err(LinkError::Closed))
}

/// A connection to a leader that asked. An address of the own network where nobody is, is left
/// alone for a while.
async fn dialled(
    heard: &Heard,
    is_near: bool,
    after: Duration,
    helping: &Helping,
) -> Result<TcpStream, LinkError> {
    sleep(after).await;
    let patience = if is_near { CONNECT_NEAR } else { CONNECT_FAR };
    let dialled = timeout(patience, TcpStream::connect((heard.from, heard.ask.port))).await;
    if dialled.is_err() && is_near {
        helping.admission().note_silent(helping.gate.steady(), heard.from);
    }
    let silent = LinkError::Silent { awaiting: "connection", after: patience };
    Ok(dialled.map_err(|_| silent)??)
}

/// Who it is and what it wants. Strangers from afar, and all of them where only the group is
/// helped, must prove to be of the group.
async fn greeted(
    tcp: TcpStream,
    heard: Option<Heard>,
    is_near: bool,
    helping: &Helping,
) -> Result<Met, LinkError> {
    let Helping { identity, trust, group_only, .. } = helping;
    let secured = match &heard {
        Some(heard) => secure(identity, tcp, Some(PeerId(heard.ask.leader))).await?,
        None => accept(identity, tcp).await?,
    };
    let (leader, address) = (secured.peer, secured.address.ip());
    let is_fit = is_near || trust.knows(Role::Leader, leader);
    let mut greeting = answered(secured, is_fit && !group_only, helping).await?;
    let silent = LinkError::Silent { awaiting: "offer", after: STEP };
    let wants = match timeout(STEP, greeting.session.next()).await.unwrap_or(Err(silent)) {
        Ok(wants) => wants,
        Err(error) => {
            if let Some(reason) = error.farewell() {
                // Whoever broke the protocol may have gone.
                let _ = greeting.session.send(&Frame::Bye { reason }).await;
            }
            return Err(error);
        }
    };
    let standing = trust.standing(Role::Leader, leader, &greeting.name, greeting.group);
    let is_trusted = helping.gate.trusts(&leader.to_string(), &standing);
    let who = Party { key: Some(leader), address, is_trusted };
    Ok(Met { who, leader, greeting, heard, calls: 0, wants })
}

async fn answered(
    secured: Secured,
    anybody: bool,
    helping: &Helping,
) -> Result<Greeting, LinkError> {
    let Helping { identity, machine, group, .. } = helping;
    let me = Me { id: identity.id(), name: machine, group: group.as_ref() };
    if anybody { answer(secured, me).await } else { answer_group(secured, me).await }
}

impl Helping {
    /// Lets a leader's ask be followed again.
    fn forget(&self, leader: PeerId, ask: [u8; 16]) {
        self.admission().forget(leader, ask);
    }

    /// Those whose refusal was taken back may be followed again.
    pub(super) fn welcome_lifted(&self) {
        for (leader, ask) in self.gate.take_lifted() {
            self.forget(leader, ask);
        }
    }

    /// Remembers a leader that waits to be helped.
    pub(super) fn note_waiting(&self, waiting: Waiting) {
        let forgotten = locked(&self.waiting).note(self.gate.steady(), waiting);
        for waiting in forgotten {
            self.forget(waiting.leader, waiting.ask);
        }
    }

    /// The leaders that wait and can be helped now, as far as they can be dialled; the asks of the
    /// others are followed again. Whoever is of none of these networks and not vouched for is not
    /// dialled.
    pub(super) fn take_due(&self, networks: &[Interface]) -> Vec<(Heard, Waiting)> {
        let Some(room) = self.gate.room() else { return Vec::new() };
        let due = locked(&self.waiting).due(self.gate.steady(), JUDGED);
        let welcome = due.into_iter().filter(|waiting| self.is_welcome(waiting, networks));
        let welcome: Vec<Waiting> = welcome.take(room).collect();
        let taken = locked(&self.waiting).take(&welcome);
        for waiting in &taken {
            self.forget(waiting.leader, waiting.ask);
        }
        taken.into_iter().filter_map(|waiting| Some((waiting.heard?, waiting))).collect()
    }

    /// Whether a leader that waits may be dialled, and would be helped.
    fn is_welcome(&self, waiting: &Waiting, networks: &[Interface]) -> bool {
        let Waiting { who, leader, standing, why, .. } = waiting;
        let knows = |leader| self.trust.knows(Role::Leader, leader);
        let is_broken = matches!(why, Why::Broken { .. });
        let is_welcome = || self.gate.welcomes(&leader.to_string(), standing, who);
        waiting.may_be_dialled(networks, knows)
            && self.gate.may_admit(who)
            && (is_broken || is_welcome())
    }
}

/// How many leaders that wait are judged at a time: each costs a look into some files.
const JUDGED: usize = 32;
