//! Lists of files to download, in the format of aria2c as far as haul knows what it says.

use crate::ways::address;
use haul::{Error, Leader, LeaderBuilder, Url};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// One file of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Where it stands in the list, counted from 1.
    pub(crate) line: usize,
    /// At least one; all of them lead to the same file.
    urls: Vec<Url>,
    out: Option<PathBuf>,
    dir: Option<PathBuf>,
    checksum: Option<String>,
}

impl Entry {
    /// The download of it; `folder` is where relative folders begin.
    pub(crate) fn leader(
        self,
        folder: Option<&Path>,
        configured: impl Fn(LeaderBuilder) -> Result<LeaderBuilder, Error>,
    ) -> Result<LeaderBuilder, Error> {
        let mut urls = self.urls.into_iter();
        let first = urls.next().ok_or_else(|| at(self.line, "names no address"))?;
        let mut leader = urls.fold(configured(Leader::builder(first))?, LeaderBuilder::mirror);
        if let Some(dir) = self.dir {
            leader = leader.folder(folder.map_or_else(|| dir.clone(), |folder| folder.join(&dir)));
        }
        if let Some(out) = self.out {
            leader = leader.save_as(out);
        }
        if let Some(checksum) = self.checksum {
            leader = leader.checksum(checksum);
        }
        Ok(leader)
    }
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

/// A line with the addresses of a file, tabs between them; below it lines that begin with white
/// space, each with an option. Lines that begin with `#` are comments.
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
            let texts = said.split('\t').map(str::trim).filter(|text| !text.is_empty());
            let urls: Result<Vec<Url>, Error> = texts.map(address).collect();
            let urls = urls.map_err(|error| at(number, error.because()))?;
            entries.push(Entry { line: number, urls, ..Entry::default() });
        }
    }
    Ok(entries)
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
    fn a_list_has_a_line_of_mirrors_for_each_file_and_its_options_below() {
        let text = "# all of it\r\nhttp://a/1\thttp://b/1 \r\n  out=one.iso\n\tdir=sub dir\n\
            \n  # what it must be\n checksum=sha-256=00=\nhttp://c/2\n";
        let entries = parse(text).unwrap();
        let url = |text: &str| text.parse().unwrap();
        let first = Entry {
            line: 2,
            urls: vec![url("http://a/1"), url("http://b/1")],
            out: Some("one.iso".into()),
            dir: Some("sub dir".into()),
            checksum: Some("sha-256=00=".into()),
        };
        let second = Entry { line: 8, urls: vec![url("http://c/2")], ..Entry::default() };
        assert_eq!(entries, [first, second]);
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
