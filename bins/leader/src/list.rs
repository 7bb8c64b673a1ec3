//! Lists of files to download, in the format of aria2c as far as haul knows what it says.

use crate::ways::address;
use haul::{Error, Leader, LeaderBuilder, Url};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One file of a list, or one Metalink.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands in the list, counted from 1.
    pub(crate) line: usize,
    place: Place,
    out: Option<PathBuf>,
    dir: Option<PathBuf>,
    checksum: Option<String>,
}

/// Where to look for what is to be downloaded.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The first address of a file, and others of the same one.
    Addresses(Url, Vec<Url>),
    /// A Metalink on this machine.
    Metalink(PathBuf),
}

impl Entry {
    /// The downloads of it; `folder` is where relative folders begin.
    pub(crate) fn leaders(
        self,
        folder: Option<&Path>,
        configured: impl Fn(LeaderBuilder) -> Result<LeaderBuilder, Error>,
    ) -> Result<Vec<LeaderBuilder>, Error> {
        let leaders = match &self.place {
            Place::Addresses(first, others) => {
                let leader = configured(Leader::builder(first.clone()))?;
                vec![others.iter().cloned().fold(leader, LeaderBuilder::mirror)]
            }
            Place::Metalink(path) => {
                let files = metalink(path).map_err(|error| at(self.line, error.because()))?;
                files.into_iter().map(configured).collect::<Result<_, _>>()?
            }
        };
        if leaders.len() > 1 && (self.out.is_some() || self.checksum.is_some()) {
            let why = format!("has {} files, `out` and `checksum` one", leaders.len());
            return Err(at(self.line, &why));
        }
        Ok(leaders.into_iter().map(|leader| self.fitted(leader, folder)).collect())
    }

    /// A download with what stands below its line.
    fn fitted(&self, mut leader: LeaderBuilder, folder: Option<&Path>) -> LeaderBuilder {
        if let Some(dir) = &self.dir {
            leader = leader.folder(folder.map_or_else(|| dir.clone(), |folder| folder.join(dir)));
        }
        if let Some(out) = &self.out {
            leader = leader.save_as(out);
        }
        if let Some(checksum) = &self.checksum {
            leader = leader.checksum(checksum);
        }
        leader
    }
}

/// The downloads that a Metalink on this machine names.
pub(crate) fn metalink(path: &Path) -> Result<Vec<LeaderBuilder>, Error> {
    let document =
        fs::read(path).map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
    Leader::of_metalink(&document)
}

/// Whether somebody who writes this means a Metalink on this machine, and no address.
pub(crate) fn is_metalink(text: &str) -> bool {
    let extension = Path::new(text).extension();
    text.parse::<Url>().is_err() && extension.is_some_and(|end| end.eq_ignore_ascii_case("meta4"))
}

/// Reads the list at `path`, or on standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        io::stdin().read_to_string(&mut text).map(drop)
    } else {
        fs::read_to_string(path).map(|all| text = all)
    };
    read.map_err(|error| Error::usage(format!("the list {}: {error}", path.display())))?;
    parse(&text)
}

/// A line with the addresses of a file, tabs between them, or with the path of a Metalink; below it
/// lines that begin with white space, each with an option. Lines that begin with `#` are comments.
fn parse(text: &str) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let said = line.trim();
        if said.is_empty() || said.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            let entry = entries.last_mut().ok_or_else(|| at(number, "belongs to no address"))?;
            entry.note(said).map_err(|why| at(number, &why))?;
        } else {
            let place = place(said).map_err(|error| at(number, error.because()))?;
            entries.push(Entry { line: number, place, out: None, dir: None, checksum: None });
        }
    }
    Ok(entries)
}

fn place(said: &str) -> Result<Place, Error> {
    if is_metalink(said) {
        return Ok(Place::Metalink(said.into()));
    }
    let mut texts = said.split('\t').map(str::trim).filter(|text| !text.is_empty());
    let first = address(texts.next().unwrap_or_default())?;
    Ok(Place::Addresses(first, texts.map(address).collect::<Result<_, _>>()?))
}

impl Entry {
    fn note(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match (name.trim(), value.trim()) {
            (_, "") => return Err(format!("gives `{name}` no value; write it as NAME=VALUE")),
            ("out", value) => self.out = Some(value.into()),
            ("dir", value) => self.dir = Some(value.into()),
            ("checksum", value) => self.checksum = Some(value.to_owned()),
            (other, _) => {
                return Err(format!("asks for `{other}`; a list knows out, dir and checksum"));
            }
        }
        Ok(())
    }
}

fn at(line: usize, why: &str) -> Error {
    Error::usage(format!("line {line} of the list: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_line_of_mirrors_or_a_metalink_for_each_file_and_its_options_below() {
        let text = "# all of it\r\nhttp://a/1\thttp://b/1 \r\n  out=one.iso\n\tdir=sub dir\n\
            \n  # what it must be\n checksum=sha-256=00=\nhttp://c/2\n\
            my files/all.META4\n";
        let entries = parse(text).unwrap();
        let url = |text: &str| text.parse().unwrap();
        let first = Entry {
            line: 2,
            place: Place::Addresses(url("http://a/1"), vec![url("http://b/1")]),
            out: Some("one.iso".into()),
            dir: Some("sub dir".into()),
            checksum: Some("sha-256=00=".into()),
        };
        let plain = |line, place| Entry { line, place, out: None, dir: None, checksum: None };
        let second = plain(8, Place::Addresses(url("http://c/2"), Vec::new()));
        let third = plain(9, Place::Metalink("my files/all.META4".into()));
        assert_eq!(entries, [first, second, third]);
    }

    #[test]
    fn what_a_list_cannot_say_is_told_by_its_line() {
        for (text, told) in [
            (" out=x\nhttp://a/", "line 1 of the list: belongs to no address"),
            ("http://a/\n\nno address", "line 3"),
            ("http://a/\tb", "line 1"),
            ("http://a/\n out", "line 2 of the list: gives `out` no value"),
            ("http://a/\n header=X: y", "a list knows out, dir and checksum"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.because().contains(told), "{text}: {error}");
        }
        assert_eq!(parse("\n# nothing\n").unwrap(), []);
    }
}
