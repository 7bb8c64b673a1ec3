//! Whom this installation trusts: machines that it knows, and the group that it belongs to.
//!
//! A machine becomes *known* when its owner types in, on one, the code that the other's screen
//! shows, or adds its id by hand. A *group* is an organisation's own: whoever holds its key is in
//! it. Everybody else is a stranger, whatever name they give themselves. A person's yes to a
//! stranger is a [`Grant`] for a time, and whoever is never to be helped is [`Blocked`].

mod book;
mod file;
mod grants;
mod group;
mod pairing;

use crate::{Error, ErrorKind};
use std::collections::BTreeSet;

pub use crate::helper::Blocked;
pub use book::{Known, Role, Standing, Trust};
pub(crate) use file::lock;
pub use grants::{Covers, Forgotten, Grant};
pub(crate) use grants::{Grants, JobId, Key, Sought};
pub use group::{GroupFile, KeyUse};
pub(crate) use group::{group_of, minute};
pub use haul_link::{Group, GroupKey};
pub use pairing::Unpaired;

/// The id of the leader that is meant by its name, its id, or how its id begins; `named` are names
/// and ids. It must be one only.
pub(crate) fn one_of<'a>(
    named: impl Iterator<Item = (&'a str, &'a str)>,
    who: &str,
    nobody: &str,
) -> Result<&'a str, Error> {
    let begun = |id: &str| who.len() >= 8 && id.starts_with(who);
    let fitting = named.filter(|(name, id)| *name == who || *id == who || begun(id));
    let ids: BTreeSet<&str> = fitting.map(|(_, id)| id).collect();
    let because = match (ids.len(), ids.first()) {
        (1, Some(id)) => return Ok(id),
        (0, _) => format!("{nobody} `{who}`"),
        _ => format!("several machines are meant by `{who}`"),
    };
    let error = Error::new(ErrorKind::Usage, "whom to trust stays as it was", because);
    Err(error.with_remedy("see what `trust list` says, and name a machine as it is written there"))
}
