//! What keeps haul from working here: the same command in both programs.

use haul::doctor::{Check, Side, State, examine};
use haul::{Error, Home};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// What to examine, and how to say it.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object a line for each check: check, state (ok, warn, fail, unknown), found,
    /// because, try
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints every check; all is well if none fails.
pub(crate) fn run_doctor(side: Side, folder: &Path, args: &DoctorArgs) -> Result<ExitCode, Error> {
    let checks = examine(side, &Home::of_user()?, folder);
    for check in &checks {
        // A check holds nothing that JSON cannot write.
        print(&if args.json {
            serde_json::to_string(check).unwrap_or_default()
        } else {
            told(check)
        });
    }
    let fails = checks.iter().any(|check| check.state == State::Fail);
    Ok(if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A check in words, its reason and remedy on lines of their own.
fn told(check: &Check) -> String {
    let state = match check.state {
        State::Ok => "ok",
        State::Warn => "warn",
        State::Fail => "FAIL",
        State::Unknown => "?",
    };
    let more = [("because", &check.because), ("try    ", &check.r#try)];
    let more = more.into_iter().filter_map(|(name, text)| {
        Some(format!("\n                   {name} {}", text.as_deref()?))
    });
    format!("{state:<5} {:<12} {}{}", check.check, check.found, more.collect::<String>())
}

/// Whoever closed our output does not want to hear more.
fn print(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
