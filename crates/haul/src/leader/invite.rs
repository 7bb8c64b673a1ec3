//! How a job gets helpers: a door that they come in by, and asks that tell them of it.

use super::builder::Settings;
use super::discover::Asking;
use super::door::Door;
use super::leads;
use super::peer::{Hosting, News, PROOFS};
use super::presence::Presence;
use super::single::OWN;
use super::transfer::Telling;
use crate::event::Happening;
use crate::trust::{Trust, group_of};
use crate::{Error, Helpers};
use haul_fetch::Source;
use haul_link::random;
use haul_wire::{JobFacts, Offer, Scheme};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Opens the door and asks around, unless the job is to run alone. What keeps helpers away is said
/// and is no reason to stop: the own link works without them.
pub(crate) fn look_for_helpers(
    settings: &Settings,
    telling: &Telling,
    source: &Source,
    length: u64,
    news: mpsc::Sender<News>,
    tasks: &mut JoinSet<()>,
) {
    let small = length < settings.helpers_from && settings.min_helpers == 0;
    if settings.helpers == Helpers::None || small {
        return;
    }
    if let Some(why) = settings.alone {
        return telling.note(format!("this download runs alone: {why}"));
    }
    if let Err(error) = invite(settings, telling, source, length, news, tasks) {
        telling.note(format!("nobody can be asked for help: {}", error.because()));
    }
}

fn invite(
    settings: &Settings,
    telling: &Telling,
    source: &Source,
    length: u64,
    news: mpsc::Sender<News>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    let door = Door::open(settings.ports.clone())?;
    let identity = settings.home.identity()?;
    let group = group_of(&settings.home, settings.group_only)?;
    let ask = random();
    let asking = Asking::open(settings, group.clone(), ask, identity.id(), door.port, length)?;
    let addresses = leads::follow(settings, &asking.seeker(), &news, tasks);
    telling.tell(Happening::Asked { interfaces: asking.reach(), addresses });
    let hosting = Hosting {
        identity,
        trust: Trust::of(&settings.home),
        group,
        group_only: settings.group_only,
        machine: settings.machine.clone(),
        ask,
        ask_port: settings.ask_port,
        presence: Presence::default(),
        proving: Semaphore::new(PROOFS),
        offer: offer(source, length),
        job: JobFacts {
            url: without_fragment(source),
            length,
            validator: source.validator().map(|validator| validator.to_string()),
        },
        source: source.clone(),
        news,
        workers: AtomicU32::new(OWN + 1),
    };
    let hosting = Arc::new(hosting);
    tasks.spawn(door.serve(Arc::clone(&hosting)));
    tasks.spawn(asking.run(hosting));
    Ok(())
}

fn offer(source: &Source, length: u64) -> Offer {
    let url = source.url();
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    Offer { scheme, host, port, size: length, share: length }
}

fn without_fragment(source: &Source) -> String {
    let mut url = source.url().clone();
    url.set_fragment(None);
    url.into()
}
