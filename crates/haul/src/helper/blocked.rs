//! The leaders that are never helped: the file `blocked` of haul's home, one a line, its id and
//! behind it whatever helps to remember who that is.

use crate::Home;
use crate::home::files;
use std::io::{self, Write};
use std::path::PathBuf;

/// Whether this leader is blocked. A file that cannot be read blocks everybody.
pub(crate) fn is_blocked(home: &Home, id: &str) -> bool {
    files::read_text(&path(home)).map_or(true, |text| is_listed(&text.unwrap_or_default(), id))
}

/// Blocks a leader.
pub(crate) fn block(home: &Home, id: &str, name: &str) -> io::Result<()> {
    if is_blocked(home, id) {
        return Ok(());
    }
    home.make()?;
    let mut file = files::append(&path(home))?;
    file.write_all(format!("{id} {name}\n").as_bytes())?;
    file.sync_all()
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("blocked")
}

fn is_listed(file: &str, id: &str) -> bool {
    let mut ids = file.lines().filter_map(|line| line.split_whitespace().next());
    ids.any(|listed| listed.eq_ignore_ascii_case(id))
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
}
