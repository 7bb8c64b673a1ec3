//! The owner's pause, which outlives the helper: whoever paused a machine does not want it to help
//! because it was started anew.

use crate::Home;
use crate::home::files::{self, replace};
use std::fs;
use std::io;
use std::path::PathBuf;

/// For how long help is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Not at all.
    Off,
    /// Until this second since 1970-01-01 00:00 UTC.
    Until(i64),
    /// Until it is resumed.
    UntilResumed,
}

impl Pause {
    pub(crate) fn is_on(self, unix: i64) -> bool {
        match self {
            Self::Off => false,
            Self::Until(end) => unix < end,
            Self::UntilResumed => true,
        }
    }

    /// In how many seconds it ends by itself.
    pub(crate) fn ends_in(self, unix: i64) -> Option<i64> {
        match self {
            Self::Until(end) => Some((end - unix).max(0)),
            Self::Off | Self::UntilResumed => None,
        }
    }

    /// What was kept; a file that cannot be understood pauses until resumed.
    pub(crate) fn load(home: &Home) -> Self {
        match files::read_text(&path(home)) {
            Ok(Some(text)) => text.trim().parse().map_or(Self::UntilResumed, Self::Until),
            Ok(None) => Self::Off,
            Err(_) => Self::UntilResumed,
        }
    }

    pub(crate) fn keep(self, home: &Home) -> io::Result<()> {
        let text = match self {
            Self::Off => {
                return match fs::remove_file(path(home)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                    _ => Ok(()),
                };
            }
            Self::Until(end) => format!("{end}\n"),
            Self::UntilResumed => "until resumed\n".to_owned(),
        };
        home.make()?;
        replace(&path(home), text.as_bytes()).map(drop)
    }
}

fn path(home: &Home) -> PathBuf {
    home.folder().join("paused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn a_pause_is_kept_until_its_end_or_its_resuming() {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        assert_eq!(Pause::load(&home), Pause::Off);
        for pause in [Pause::Until(100), Pause::UntilResumed, Pause::Off, Pause::Off] {
            pause.keep(&home).unwrap();
            assert_eq!(Pause::load(&home), pause);
        }
        assert!(Pause::Until(100).is_on(99) && !Pause::Until(100).is_on(100));
        fs::write(folder.path().join("paused"), "soon").unwrap();
        assert!(Pause::load(&home).is_on(i64::MAX));
    }
}
