//! What the sessions of a job have in common, and who may take part in it.

use super::agenda::Again;
use super::discover::Seeker;
use super::errand::Errand;
use super::peer::{News, Turned};
use super::presence::{Presence, Present};
use super::roll_call;
use super::sightings::{Dial, Sightings, Unreached};
use crate::event::{Answer, Happening};
use crate::trust::{Group, Role, Trust};
use haul_link::{Greeting, Identity, LinkError, PeerId, interfaces};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::mpsc;

/// What every session of a job needs.
pub(crate) struct Hosting {
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) group: Option<Group>,
    /// Whether others than the group's machines are turned away.
    pub(crate) group_only: bool,
    pub(crate) machine: String,
    pub(crate) ask: [u8; 16],
    /// Where helpers hear asks unless they are known to do it elsewhere.
    pub(crate) ask_port: u16,
    pub(crate) presence: Arc<Presence>,
    pub(crate) sightings: Sightings,
    pub(crate) errand: Errand,
    pub(crate) seeker: Seeker,
    pub(crate) news: mpsc::Sender<News>,
    pub(crate) workers: AtomicU32,
}

impl Hosting {
    /// Lets a machine that has greeted take part, or says why not. The same machine may dial and be
    /// dialled at the same time: it takes part once.
    pub(super) fn let_in(
        &self,
        peer: PeerId,
        from: IpAddr,
        group: bool,
    ) -> Result<Present<'_>, &'static str> {
        self.presence.note_answer(from);
        if self.group_only && !group {
            return Err("it is not of the group");
        }
        let is_welcome = || {
            group
                || self.presence.invited(from).is_some()
                || is_on_link(from)
                || self.trust.knows(Role::Helper, peer)
        };
        if !is_welcome() {
            return Err("it comes from afar, and is neither known nor of the group");
        }
        self.presence.enter(peer, from, self.is_trusted(peer, group))
    }

    /// Whether a machine is of the group, or its key is known.
    pub(super) fn is_trusted(&self, peer: PeerId, group: bool) -> bool {
        group || self.trust.knows(Role::Helper, peer)
    }

    /// A machine that has greeted, for a roll call.
    pub(super) fn present(
        &self,
        greeting: &Greeting,
        peer: PeerId,
        address: IpAddr,
        how: &'static str,
    ) -> roll_call::Present {
        let name = greeting.name.clone();
        let standing = self.trust.standing(Role::Helper, peer, &name, greeting.group);
        roll_call::Present { address, name, id: peer.to_string(), standing, how }
    }

    pub(super) fn note_unreached(&self, address: IpAddr, how: &'static str, error: &LinkError) {
        self.sightings.note_dial(address, how, Dial::Failed(Unreached::from(error)));
    }

    /// Has a helper asked again that takes part no more, or not yet.
    pub(super) fn ask_again(&self, from: IpAddr, hears_at: SocketAddr, why: Again) {
        self.presence.forget_answer(from);
        self.seeker.ask_again(hears_at, why);
    }

    /// How many machines have come to the door so far.
    pub(crate) fn met(&self) -> u32 {
        self.workers.load(Ordering::Relaxed) - 1
    }

    /// A job that has ended hears nothing more.
    pub(crate) async fn tell(&self, news: News) {
        let _ = self.news.send(news).await;
    }

    /// Tells that a machine's owner is being asked, and shows the code for them to type.
    pub(super) async fn tell_offered(
        &self,
        worker: u32,
        name: &str,
        address: SocketAddr,
        code: &str,
        peer: PeerId,
        group: bool,
    ) {
        let standing = self.trust.standing(Role::Helper, peer, name, group);
        let (name, code) = (name.to_owned(), code.to_owned());
        self.tell(News::Told(Happening::Offered { worker, name, address, code, standing })).await;
        self.tell(News::Offered).await;
    }

    pub(super) async fn turned_down(
        &self,
        worker: u32,
        name: String,
        address: SocketAddr,
        turned: Turned,
    ) {
        let (answer, because) = match turned {
            Turned::Broken(error) => (Answer::No, Some(error.to_string())),
            Turned::Down(answer, because) => (answer, because),
            Turned::Offered => (Answer::Later, Some("it was asked already".into())),
        };
        let declined = Happening::Answered { worker, name, address, answer, because };
        self.tell(News::Declined(declined)).await;
    }
}

fn is_on_link(address: IpAddr) -> bool {
    interfaces().unwrap_or_default().iter().any(|network| network.has(address))
}
