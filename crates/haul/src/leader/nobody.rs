//! The word that nobody was found, and why that may be.

use super::hosting::Hosting;
use super::peer::News;
use super::search::Search;
use crate::doctor::{Facts, Met, Side, suspects};
use crate::event::{Cause, Happening};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// When it is time to say so, since the job began: the reasons are found out by the fifth second.
const TIME: Duration = Duration::from_millis(4300);

/// How long somebody may take at least to be found, where the origin kept the job waiting: asks
/// are repeated, the network is scanned, and machines are dialled by then.
const LEAST: Duration = Duration::from_millis(2800);

/// Tells once why nobody may have been found, if nobody was; `now` is since the job began. The
/// download goes on meanwhile.
pub(crate) async fn tell_if_nobody(hosting: Arc<Hosting>, search: Search, now: Duration) {
    sleep(TIME.saturating_sub(now).max(LEAST)).await;
    if hosting.met() > 0 {
        return;
    }
    let met = Met { only_named: !search.helpers.finds_others(), ..hosting.sightings.met() };
    let look = move || {
        let facts = Facts::gather(Side::Leader, &search.home, None).on(&search.interfaces);
        suspects(&facts, &met).into_iter().map(Cause::from).collect()
    };
    // The thread only fails if the program is ending.
    let Ok(causes) = spawn_blocking(look).await else { return };
    if hosting.met() == 0 {
        hosting.tell(News::Told(Happening::Nobody { causes })).await;
    }
}
