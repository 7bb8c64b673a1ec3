//! From an ask or a connection to the first words of a leader.

use super::gate::locked;
use super::limits::pools::Stage;
use super::serve::Helping;
use super::session::{Ended, agree_and_help};
use crate::limits::party::Party;
use crate::limits::pool::Place;
use crate::trust::Role;
use haul_link::{
    Greeting, Heard, LinkError, Me, PeerId, Secured, accept, answer, answer_group, secure,
};
use haul_wire::{Ask, Frame};
use std::future::Future;
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
    /// It asked, and is to be dialled after a while.
    Ask { heard: Heard, is_near: bool, after: Duration },
    /// It has dialled.
    Caller { tcp: TcpStream, from: IpAddr, is_near: bool },
}

/// A leader that has said who it is, and what it wants.
pub(super) struct Met {
    pub(super) who: Party,
    pub(super) leader: PeerId,
    pub(super) greeting: Greeting,
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
    let asked = match &call {
        Call::Ask { heard, .. } => Some(heard.ask),
        Call::Caller { .. } => None,
    };
    let met = Box::pin(meet_in_time(call, place, helping)).await;
    if let (Some(ask), Err(error)) = (asked, &met)
        && !matches!(error, LinkError::Stranger)
    {
        helping.forget(PeerId(ask.leader), ask.id);
    }
    let met = met?;
    let (leader, ask) = (met.leader, met.greeting.ask);
    let ended = agree_and_help(met, helping).await;
    if ended.as_ref().is_err_and(|ended| ended.again) {
        helping.forget(leader, ask);
    }
    ended
}

/// Connects and greets, and gives the place up when that takes longer than others can wait.
async fn meet_in_time(call: Call, place: Place, helping: &Helping) -> Result<Met, LinkError> {
    let (tcp, place, ask, is_near) = match call {
        Call::Ask { heard, is_near, after } => {
            let dialled = place.hold(dialled(&heard, is_near, after, helping)).await;
            let tcp = dialled.unwrap_or(Err(LinkError::Closed))?;
            drop(place);
            let place = helping.pools.enter(Stage::Greeting, Party::at(heard.from));
            (tcp, place.ok_or(LinkError::Closed)?, Some(heard.ask), true)
        }
        Call::Caller { tcp, is_near, .. } => (tcp, place, None, is_near),
    };
    let greeted = Box::pin(greeted(tcp, ask, is_near, helping));
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
    ask: Option<Ask>,
    is_near: bool,
    helping: &Helping,
) -> Result<Met, LinkError> {
    let Helping { identity, trust, group_only, .. } = helping;
    let secured = match ask {
        Some(ask) => secure(identity, tcp, Some(PeerId(ask.leader))).await?,
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
    Ok(Met { who, leader, greeting, wants })
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

    /// Remembers a leader that is to come again when somebody else has left.
    pub(super) fn note_turned_away(&self, leader: PeerId, ask: [u8; 16]) {
        let mut turned_away = locked(&self.turned_away);
        turned_away.truncate(TURNED_AWAY - 1);
        turned_away.push_front((leader, ask));
    }

    /// Whoever was turned away for want of a place may be followed again.
    pub(super) fn welcome_turned_away(&self) {
        let turned_away = std::mem::take(&mut *locked(&self.turned_away));
        for (leader, ask) in turned_away {
            self.forget(leader, ask);
        }
    }
}

/// How many that were turned away are remembered.
const TURNED_AWAY: usize = 64;
