//! What on this machine or its network would keep haul from working, and the remedy.
//!
//! [`examine`] first gathers facts, at no cost to the network: nothing is sent that leaves this
//! machine. What the facts mean is then judged without touching anything.

mod facts;
mod firewall;
mod judge;
mod network;
mod nft;
mod system;

pub(crate) use facts::Facts;
pub(crate) use network::{Met, Suspect, suspects};

use crate::Home;
use serde::Serialize;
use std::path::Path;

/// What one look at this machine found. As JSON it is one line of `doctor --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: `interface`, `privileges`, `firewall`, `multicast`, `isolation`, `vpn`,
    /// `internet`, `ports`, `mtu`, `clock`, `disk`, `state` or `helper`. There may be several of
    /// one kind.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// Why it is so, or why it matters.
    pub because: Option<String>,
    /// What to try.
    pub r#try: Option<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is in haul's way.
    Ok,
    /// It cannot be told.
    Unknown,
    /// Haul works, but not as well as it could.
    Warn,
    /// Haul does not work.
    Fail,
}

/// Which of the two programs is to work here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that wants a file, and saves it in this folder.
    Leader,
    /// The one that lends its link.
    Helper,
}

/// Examines this machine for one of the two programs; `folder` is where a leader saves files.
///
/// Takes up to a second, and belongs into a thread that may wait.
pub fn examine(side: Side, home: &Home, folder: &Path) -> Vec<Check> {
    let folder = (side == Side::Leader).then_some(folder);
    judge::all(&Facts::gather(side, home, folder))
}

impl Check {
    const fn new(check: &'static str, state: State, found: String) -> Self {
        Self { check, state, found, because: None, r#try: None }
    }

    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found.into())
    }

    fn unknown(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Unknown, found.into())
    }

    fn warn(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Warn, found.into())
    }

    fn fail(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Fail, found.into())
    }

    fn because(mut self, because: impl Into<String>) -> Self {
        self.because = Some(because.into());
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.r#try = Some(remedy.into());
        self
    }
}
