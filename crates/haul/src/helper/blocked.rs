//! The leaders that are never helped: the file `blocked` of haul's home, one a line, its id and
//! behind it whatever helps to remember who that is.

use crate::home::files;
use crate::trust::{Trust, lock, one_of};
use crate::{Error, Home};
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::path::PathBuf;

/// A leader that is never helped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// The name that it gave itself when it was blocked, or whatever stands there.
    pub leader: String,
    /// Its id.
    pub leader_id: String,
}

impl Trust {
    /// The leaders that were blocked at a prompt, in that order; those of the policy are not among
    /// them.
    pub fn blocked(&self) -> Result<Vec<Blocked>, Error> {
        let path = path(self.home());
        let text = files::read_text(&path).map_err(|error| failed(self.home(), &error))?;
        Ok(text.unwrap_or_default().lines().filter_map(listed).collect())
    }

    /// Does not block the leader of this name or id, or whose id begins so, any more.
    pub fn unblock(&self, who: &str) -> Result<Blocked, Error> {
        let _alone = lock(self.home())?;
        let blocked = self.blocked()?;
        let named = blocked.iter().map(|one| (&*one.leader, &*one.leader_id));
        let id = one_of(named, who, "nobody is blocked as")?;
        let is_left = |line: &&str| listed(line).is_none_or(|one| one.leader_id != id);
        let kept = || {
            let text = files::read_text(&path(self.home()))?.unwrap_or_default();
            let left: String = text.lines().filter(is_left).flat_map(|line| [line, "\n"]).collect();
            files::replace(&path(self.home()), left.as_bytes()).map(drop)
        };
        kept().map_err(|error: io::Error| failed(self.home(), &error))?;
        let unblocked = blocked.iter().find(|one| one.leader_id == id).cloned();
        Ok(unblocked.unwrap_or_else(|| Blocked { leader: who.into(), leader_id: id.into() }))
    }
}

fn failed(home: &Home, error: &io::Error) -> Error {
    files::failed("who is blocked could not be read or kept", &path(home), error)
}

/// Whether this leader is blocked. A file that cannot be read blocks everybody.
pub(crate) fn is_blocked(home: &Home, id: &str) -> bool {
    files::read_text(&path(home)).map_or(true, |text| is_listed(&text.unwrap_or_default(), id))
}

/// Blocks a leader.
pub(crate) fn block(home: &Home, id: &str, name: &str) -> io::Result<()> {
    if is_blocked(home, id) {
        return Ok(());
    }
    let _alone = lock(home).map_err(io::Error::other)?;
    let mut file = files::append(&path(home))?;
    file.write_all(format!("{id} {name}\n").as_bytes())?;
    file.sync_all()
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("blocked")
}

fn is_listed(file: &str, id: &str) -> bool {
    file.lines().filter_map(listed).any(|listed| listed.leader_id.eq_ignore_ascii_case(id))
}

fn listed(line: &str) -> Option<Blocked> {
    let line = line.trim();
    let (id, name) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let plain = name.chars().filter(|c| !c.is_control()).collect::<String>();
    (!id.is_empty()).then(|| Blocked { leader: plain.trim().into(), leader_id: id.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn a_blocked_leader_stays_so_whatever_it_calls_itself() {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        let (asha, ben) = ("ab".repeat(32), "cd".repeat(32));
        assert!(!is_blocked(&home, &asha));
        block(&home, &asha, "asha").unwrap();
        block(&home, &asha.to_uppercase(), "another name").unwrap();
        assert!(is_blocked(&home, &asha) && !is_blocked(&home, &ben));
        assert_eq!(fs::read_to_string(path(&home)).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_leader_that_is_not_blocked_any_more_is_gone_and_the_others_stay() {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        let (asha, ben) = ("ab".repeat(32), "cd".repeat(32));
        block(&home, &asha, "asha").unwrap();
        block(&home, &ben, "ben").unwrap();
        let trust = Trust::of(&home);
        assert!(trust.unblock("chi").unwrap_err().because().contains("nobody is blocked as `chi`"));
        assert_eq!(trust.unblock(&asha[..8]).unwrap().leader, "asha");
        let left = Blocked { leader: "ben".into(), leader_id: ben };
        assert_eq!(trust.blocked().unwrap(), [left]);
        assert!(!is_blocked(&home, &asha));
    }
}
