//! The helper's word to its networks that it is there, for as long as it would help somebody.

use super::builder::Settings;
use super::gate::Gate;
use haul_link::Interface;
use haul_link::dns_sd::{Announcement, Fits};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::interval;

/// How often it is looked whether the owner's rules let anybody be helped.
const LOOK: Duration = Duration::from_secs(1);

/// What is announced.
pub(super) struct Announced {
    machine: String,
    listen: Ipv4Addr,
}

impl Announced {
    /// Nothing if the owner does not want it, if only the group is to know of the helper, or if
    /// nobody else can reach it.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let listen = *settings.listen.ip();
        let wanted = settings.announce && !settings.group_only && !listen.is_loopback();
        wanted.then(|| Self { machine: settings.machine.clone(), listen })
    }

    /// Announces that asks are heard on `port` while the owner's rules let anybody be helped, and
    /// takes the word back when dropped.
    pub(super) async fn tend(self, gate: &Gate, port: u16) {
        let mut looks = interval(LOOK);
        let mut announcement = None;
        loop {
            looks.tick().await;
            match (gate.interrupts(), announcement.take()) {
                (None, None) => announcement = Some(self.open(port)),
                (None, open) => announcement = open,
                // To take it back takes a moment.
                (Some(_), open) => drop(spawn_blocking(move || drop(open)).await),
            }
        }
    }

    /// `None` if it cannot be announced, which is no reason to try again every second.
    fn open(&self, port: u16) -> Option<Announcement> {
        let listen = self.listen;
        let fits = move |one: &Interface| match listen {
            Ipv4Addr::UNSPECIFIED => one.is_fitting(),
            address => one.address == address,
        };
        let fits: Fits = Arc::new(fits);
        let opened = Announcement::open(&self.machine, port, &fits);
        opened.inspect_err(|error| tracing::warn!(%error, "asks are heard all the same")).ok()
    }
}
