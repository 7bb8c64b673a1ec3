//! Where a report is saved: it replaces a former report, and no other file.

use super::BEGINNING;
use haul::Error;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

/// An error if what has the name is no report.
pub(crate) fn may_save(file: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(about) if about.is_file() && is_report(file) => Ok(()),
        Ok(_) => Err(in_the_way(file)),
        Err(error) => Err(unwritable(file, &error)),
    }
}

/// Saves the page in one step.
pub(crate) fn save(file: &Path, page: &str) -> Result<(), Error> {
    may_save(file)?;
    let fresh = beside(file);
    let written = write(&fresh, page).and_then(|()| {
        if file.symlink_metadata().is_ok() { fs::rename(&fresh, file) } else { give(&fresh, file) }
    });
    written.map_err(|error| {
        // What is left of it is of no use.
        let _ = fs::remove_file(&fresh);
        match error.kind() {
            io::ErrorKind::AlreadyExists => in_the_way(file),
            _ => unwritable(file, &error),
        }
    })
}

fn write(fresh: &Path, page: &str) -> io::Result<()> {
    File::create_new(fresh)?.write_all(page.as_bytes())
}

/// A link never replaces what has come there meanwhile; where there are no links, the file is made
/// anew.
fn give(fresh: &Path, file: &Path) -> io::Result<()> {
    match fs::hard_link(fresh, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) => {
            io::copy(&mut File::open(fresh)?, &mut File::create_new(file)?)?;
        }
        Ok(()) => {}
    }
    fs::remove_file(fresh)
}

fn beside(file: &Path) -> PathBuf {
    file.with_file_name(format!(".haul-report-{}", process::id()))
}

fn is_report(file: &Path) -> bool {
    let mut beginning = vec![0; BEGINNING.len()];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == BEGINNING.as_bytes()
}

fn in_the_way(file: &Path) -> Error {
    let because = format!("{} exists and is no report of haul's", file.display());
    Error::in_the_way("the report cannot be saved", because)
        .with_remedy("choose another name with --report")
}

fn unwritable(file: &Path, error: &io::Error) -> Error {
    Error::usage(format!("the report cannot be written to {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_replaces_a_report_and_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.html");
        let page = |text: &str| format!("{BEGINNING}{text}");
        for text in ["first", "second"] {
            save(&file, &page(text)).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), page(text));
        }
        for mine in ["", "<!doctype html>\nmine"] {
            fs::write(&file, mine).unwrap();
            assert_eq!(save(&file, &page("third")).unwrap_err().kind().code(), 13);
            assert_eq!(fs::read_to_string(&file).unwrap(), mine);
        }
        let link = folder.path().join("link.html");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        save(&link, &page("third")).unwrap_err();
        save(folder.path(), &page("third")).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "something is left beside it");
    }
}
