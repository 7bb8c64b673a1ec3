//! Downloads that a former run left: listing them, going on with them, giving them up.

use crate::args::{Args, Cancel, Command, Get, List, Resume};
use crate::{get, tell};
use clap::Parser;
use haul::{Error, Home, LeftJob};
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn list(list: &List) -> ExitCode {
    tell::ended(Home::of_user().and_then(|home| home.left_jobs()).map(|jobs| {
        for job in &jobs {
            // A job holds nothing that JSON cannot write.
            let json = || serde_json::to_string(job).unwrap_or_default();
            println!("{}", if list.json { json() } else { row(job) });
        }
        if jobs.is_empty() && !list.json {
            eprintln!("no download was left");
        }
    }))
}

pub(crate) fn resume(resume: Resume, verbose: u8) -> ExitCode {
    match request(resume) {
        Ok(get) => get::run(get, verbose),
        Err((error, json)) => {
            if json {
                get::print_failed(&error);
            } else {
                tell::error(&error);
            }
            ExitCode::from(error.kind().code())
        }
    }
}

pub(crate) fn cancel(cancel: &Cancel) -> ExitCode {
    tell::ended(give_up(cancel))
}

fn give_up(cancel: &Cancel) -> Result<(), Error> {
    let home = Home::of_user()?;
    let job = chosen(&home, cancel.id.as_deref())?;
    if !cancel.yes && !is_meant(&job)? {
        return Ok(());
    }
    let path = job.path.clone();
    job.cancel(&home)?;
    eprintln!("removed what was stored of {}", path.display());
    Ok(())
}

fn is_meant(job: &LeftJob) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::usage("nobody can be asked whether that is meant: say --yes"));
    }
    eprint!("Remove {} of {}? [y/N] ", tell::size(job.stored), job.path.display());
    let mut answer = String::new();
    // Whoever closes the terminal has not said yes.
    let _ = io::stderr().flush().and_then(|()| io::stdin().lock().read_line(&mut answer));
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What `leader get` would have to be told, and whether errors are to be told as JSON.
fn request(resume: Resume) -> Result<Box<Get>, (Error, bool)> {
    let json = resume.json;
    let job = Home::of_user().and_then(|home| chosen(&home, resume.id.as_deref()));
    job.and_then(|job| as_get(&job, resume)).map_err(|error| (error, json))
}

fn as_get(job: &LeftJob, resume: Resume) -> Result<Box<Get>, Error> {
    let url = resume.url.map_or_else(|| job.address().map(String::from), Ok)?;
    let words: [OsString; 6] = [
        "leader".into(),
        "get".into(),
        "--continue".into(),
        "--output".into(),
        job.path.clone().into(),
        url.clone().into(),
    ];
    match Args::try_parse_from(words).map(|args| args.command) {
        Ok(Command::Get(get)) => Ok(Box::new(Get {
            ways: resume.ways,
            checksum: resume.checksum.or_else(|| job.checksum.clone()),
            limit_rate: resume.limit_rate,
            helpers: resume.helpers,
            ca_cert: resume.ca_cert,
            json: resume.json,
            quiet: resume.quiet,
            ..*get
        })),
        _ => Err(Error::usage(format!("`{url}` is no address"))),
    }
}

/// The job with this id, or the only one there is.
fn chosen(home: &Home, id: Option<&str>) -> Result<LeftJob, Error> {
    let mut jobs = home.left_jobs()?;
    let count = jobs.len();
    match id {
        Some(id) => {
            let found = jobs.into_iter().find(|job| job.id == id);
            found.ok_or_else(|| {
                Error::usage(format!("no download `{id}` was left: see leader list"))
            })
        }
        None if count == 1 => Ok(jobs.remove(0)),
        None if count == 0 => Err(Error::usage("no download was left")),
        None => Err(Error::usage(format!("{count} downloads were left: name one of leader list"))),
    }
}

fn row(job: &LeftJob) -> String {
    let length = job.length.map_or_else(|| "unknown".to_owned(), tell::size);
    let since = SystemTime::now().duration_since(UNIX_EPOCH + Duration::from_secs(job.when));
    let in_use = if job.in_use { ", at work" } else { "" };
    format!(
        "{}  {} of {length}  {} ago{in_use}  {}  {}",
        job.id,
        tell::size(job.stored),
        tell::time(since.unwrap_or_default()),
        job.path.display(),
        job.url
    )
}
