//! Machines that are sought by others' words: the user's, former jobs', the roster's, a domain's, and
//! their own announcements.

use super::agenda::How;
use super::discover::Seeker;
use super::former::Former;
use super::peer::News;
use super::search::Search;
use crate::Happening;
use crate::place::Place;
use crate::roster::Roster;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Seeks every machine that the user names; and unless no others are wanted, those that helped in
/// former jobs, those of the roster, and those that announce themselves.
///
/// Whoever has an address is sought at once; how many that are. The others follow from `tasks` when
/// their names have been looked up, or when they are heard. What cannot be found is told.
pub(super) fn follow(
    search: &Search,
    seeker: &Seeker,
    news: &mpsc::Sender<News>,
    tasks: &mut JoinSet<()>,
) -> usize {
    let mut leads: Vec<(Place, How)> =
        search.places.iter().map(|place| (place.clone(), How::Named)).collect();
    if search.helpers.finds_others() {
        let former = Former::of(&search.home).list().into_iter();
        leads.extend(former.map(|machine| (Place::At(machine), How::Former)));
        let Roster { places, faults } = Roster::of(&search.home);
        leads.extend(places.into_iter().map(|place| (place, How::Roster)));
        tasks.spawn(tell_all(faults, news.clone()));
        #[cfg(feature = "dns-sd")]
        tasks.spawn(hear(search.interfaces.clone(), seeker.clone()));
    }
    let mut at_once = 0;
    for (place, how) in leads {
        if let Place::At(machine) = place {
            seeker.seek(machine, how);
            at_once += 1;
        } else {
            tasks.spawn(look_up(place, how, seeker.clone(), news.clone()));
        }
    }
    at_once
}

async fn look_up(place: Place, how: How, seeker: Seeker, news: mpsc::Sender<News>) {
    let how = if matches!(place, Place::Srv(_)) { How::Srv } else { how };
    match place.addresses().await {
        Ok(found) => found.into_iter().for_each(|machine| seeker.seek(machine, how)),
        Err(error) => tell_all(vec![error.to_string()], news).await,
    }
}

async fn tell_all(notes: Vec<String>, news: mpsc::Sender<News>) {
    for text in notes {
        // Once the job has ended nobody wants to know.
        let _ = news.send(News::Told(Happening::Note { text })).await;
    }
}

/// Seeks the machines that announce themselves on the interfaces of these names, or on all that fit.
#[cfg(feature = "dns-sd")]
async fn hear(names: Vec<String>, seeker: Seeker) {
    use super::discover::is_asked_on;
    use haul_link::dns_sd::Browser;
    let opened = Browser::open(std::sync::Arc::new(move |one| is_asked_on(&names, one)));
    let mut browser = match opened {
        Ok(browser) => browser,
        Err(error) => return tracing::debug!(%error, "no announcement can be heard"),
    };
    while let Some(machine) = browser.next().await {
        seeker.seek(machine, How::Announced);
    }
}
