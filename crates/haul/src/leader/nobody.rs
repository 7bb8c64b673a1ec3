//! The word that nobody was found, and why that may be.

use super::peer::{Hosting, News};
use crate::Home;
use crate::doctor::{Facts, Side, suspects};
use crate::event::{Cause, Happening};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long somebody may take to be found: asks are repeated, the network is scanned and machines
/// are dialled by then, and what it comes from is found out before 5 s have passed.
const PATIENCE: Duration = Duration::from_millis(3800);

/// Tells once why nobody may have been found, if nobody was. The download goes on meanwhile.
pub(crate) async fn tell_if_nobody(hosting: Arc<Hosting>, home: Home, folder: PathBuf) {
    sleep(PATIENCE).await;
    if hosting.met() > 0 {
        return;
    }
    let met = hosting.sightings.met();
    let look = move || {
        let facts = Facts::gather(Side::Leader, &home, &folder);
        suspects(&facts, &met).into_iter().map(Cause::from).collect()
    };
    // The thread only fails if the program is ending.
    let Ok(causes) = tokio::task::spawn_blocking(look).await else { return };
    if hosting.met() == 0 {
        hosting.tell(News::Told(Happening::Nobody { causes })).await;
    }
}
