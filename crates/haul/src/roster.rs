//! The machines that this installation is to ask besides those that it finds.

use crate::Home;
use crate::place::Place;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The most octets of a roster. A longer one is some other file.
const LONGEST: u64 = 1 << 20;

/// What the file `roster` of a home says: one place a line, as `--helpers` takes it; `#` begins a
/// comment, and empty lines say nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    pub(crate) places: Vec<Place>,
    /// What could not be read, with its line; the other lines hold all the same.
    pub(crate) faults: Vec<String>,
}

impl Roster {
    /// The roster of this home as it is now; empty if there is none.
    pub(crate) fn of(home: &Home) -> Self {
        let path = home.folder().join("roster");
        match read(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                let fault = format!("{} could not be read: {error}", path.display());
                Self { places: Vec::new(), faults: vec![fault] }
            }
        }
    }

    fn parse(text: &str, path: &Path) -> Self {
        let mut roster = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let place = line.split('#').next().unwrap_or_default().trim();
            match place.parse() {
                _ if place.is_empty() => {}
                Ok(place) => roster.places.push(place),
                Err(bad) => roster.faults.push(format!("{}, line {number}: {bad}", path.display())),
            }
        }
        roster
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(path)?;
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn roster(text: &str) -> Roster {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("roster"), text).unwrap();
        Roster::of(&Home::at(folder.path()))
    }

    #[test]
    fn every_line_is_a_place_but_for_comments() {
        let said =
            roster("# the ward\n10.0.0.2\n\n  ward-3:4290  # by the window\r\nsrv:example.org");
        let wanted = ["10.0.0.2:4285", "ward-3:4290", "srv:example.org"];
        assert_eq!(said.places, wanted.map(|place| place.parse().unwrap()));
        assert_eq!(said.faults, <[String; 0]>::default());
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_hold() {
        let said = roster("10.0.0.2\nasha and ben\n10.0.0.3\nsrv:\n");
        assert_eq!(said.places.len(), 2);
        let [first, second] = &said.faults[..] else { panic!("{:?}", said.faults) };
        assert!(first.contains("roster, line 2: `asha and ben`"), "{first}");
        assert!(second.contains("line 4: `srv:`"), "{second}");
    }

    #[test]
    fn without_a_file_nobody_is_on_the_roster_and_a_file_that_is_none_is_told() {
        let folder = TempDir::new().unwrap();
        assert_eq!(Roster::of(&Home::at(folder.path())), Roster::default());
        assert_eq!(roster(&"#".repeat(2 << 20)).faults.len(), 1, "too long");
        fs::write(folder.path().join("roster"), b"\xff\xfe").unwrap();
        assert_eq!(Roster::of(&Home::at(folder.path())).faults.len(), 1, "no text");
    }
}
