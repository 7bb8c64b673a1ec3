//! How a job gets helpers: a door that they come in by, and asks that tell them of it.

use super::builder::Settings;
use super::discover::Asking;
use super::door::Door;
use super::errand::{Errand, Work};
use super::hosting::Hosting;
use super::leads;
use super::nobody::tell_if_nobody;
use super::peer::News;
use super::presence::Presence;
use super::proof_quota::ProofQuota;
use super::search::Search;
use super::sightings::Sightings;
use super::single::OWN;
use super::transfer::Telling;
use crate::event::Happening;
use crate::trust::{Trust, group_of};
use crate::{Error, Helpers};
use haul_fetch::Source;
use haul_link::random;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What a job and its sessions share: who may take part, and what proofs may cost.
#[derive(Clone, Default)]
pub(crate) struct Limits {
    pub(crate) presence: Arc<Presence>,
    pub(crate) proofs: Arc<ProofQuota>,
}

/// Opens the door and asks around, unless the job is to run alone. What keeps helpers away is said
/// and is no reason to stop: the own link works without them.
pub(crate) fn look_for_helpers(
    settings: &Settings,
    telling: &Telling,
    source: &Source,
    length: u64,
    limits: &Limits,
    news: mpsc::Sender<News>,
    tasks: &mut JoinSet<()>,
) {
    let small = length < settings.helpers_from && settings.min_helpers == 0;
    if settings.search.helpers == Helpers::None || small {
        return;
    }
    if let Some(why) = settings.alone {
        return telling.note(format!("this download runs alone: {why}"));
    }
    if let Err(error) = invite(settings, telling, source, length, limits, news, tasks) {
        telling.note(format!("nobody can be asked for help: {}", error.because()));
    }
}

fn invite(
    settings: &Settings,
    telling: &Telling,
    source: &Source,
    length: u64,
    limits: &Limits,
    news: mpsc::Sender<News>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let Limits { presence, proofs } = limits.clone();
    let errand = Errand::Work(Arc::new(Work::of(source, length, proofs)));
    let invitation = Invitation::prepare(&settings.search, errand, presence, news, tasks)?;
    let Invitation { asking, addresses, hosting, .. } = &invitation;
    telling.tell(Happening::Asked { interfaces: asking.reach(), addresses: *addresses });
    let search = settings.search.clone();
    tasks.spawn(tell_if_nobody(Arc::clone(hosting), search, telling.now()));
    invitation.send(tasks);
    Ok(())
}

/// A door that machines come in by, and asks that tell them of it.
pub(super) struct Invitation {
    door: Door,
    asking: Asking,
    /// How many machines are asked by address.
    addresses: usize,
    pub(super) hosting: Arc<Hosting>,
}

impl Invitation {
    /// Opens the door and what asks are sent through, and follows what leads to machines.
    pub(super) fn prepare(
        search: &Search,
        errand: Errand,
        presence: Arc<Presence>,
        news: mpsc::Sender<News>,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, Error> {
        let door = Door::open(search.ports.clone())?;
        let identity = search.home.identity()?;
        let group = group_of(&search.home, search.group_only)?;
        let ask = random();
        let asking = Asking::open(search, group.clone(), ask, identity.id(), door.port, &errand)?;
        let addresses = leads::follow(search, &asking.seeker(), &news, tasks);
        let hosting = Hosting {
            identity,
            trust: Trust::of(&search.home),
            group,
            group_only: search.group_only,
            machine: search.machine.clone(),
            ask,
            ask_port: search.ask_port,
            presence,
            sightings: Sightings::default(),
            errand,
            seeker: asking.seeker(),
            news,
            workers: AtomicU32::new(OWN + 1),
        };
        Ok(Self { door, asking, addresses, hosting: Arc::new(hosting) })
    }

    /// Lets machines in and asks them, until the tasks are dropped.
    pub(super) fn send(self, tasks: &mut JoinSet<()>) {
        tasks.spawn(self.door.serve(Arc::clone(&self.hosting)));
        tasks.spawn(self.asking.run(self.hosting));
    }
}
