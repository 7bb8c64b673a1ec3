//! Download a file over the links of many machines.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks")]

mod args;
mod bars;
mod batch;
mod doctor;
mod get;
mod helpers;
mod left;
mod list;
#[cfg(feature = "notify")]
mod notify;
mod pipe;
mod report;
mod scan;
mod tally;
mod tell;
mod trust;
mod ui;
mod veil;
mod ways;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use haul::doctor::Side;
use haul::trust::Role;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let given = veil::arguments();
    let wants_json = given.iter().any(|argument| argument == "--json");
    let args = match Args::try_parse_from(given) {
        Ok(args) => args,
        Err(error) => return unreadable(&error, wants_json),
    };
    log(args.verbose);
    match args.command {
        Command::Get(get) => get::run(get, args.verbose),
        Command::Ui(ui) => ui::run(ui),
        Command::Scan(scan) => scan::run(&scan),
        Command::List(list) => left::list(&list),
        Command::Resume(resume) => left::resume(*resume, args.verbose),
        Command::Cancel(cancel) => left::cancel(&cancel),
        Command::Trust(trust) => tell::ended(trust::obey(&trust.command, Role::Helper, trust.json)),
        Command::Group(group) => tell::ended(trust::run_group(&group)),
        Command::Helpers(machines) => helpers::run(machines),
        Command::Doctor(doctor) => {
            let done = doctor::run_doctor(Side::Leader, &doctor.dir, &doctor.told);
            done.unwrap_or_else(|error| tell::ended(Err(error)))
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "leader", &mut io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man => man(),
    }
}

/// A command line that cannot be read; whoever asked for events gets their last one.
fn unreadable(error: &clap::Error, wants_json: bool) -> ExitCode {
    if error.use_stderr() && wants_json {
        let text = error.to_string();
        let because = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        get::print_failed(&haul::Error::usage(because));
        return ExitCode::from(haul::ErrorKind::Usage.code());
    }
    error.exit()
}

fn man() -> ExitCode {
    match clap_mangen::Man::new(Args::command()).render(&mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Warnings always, more with `-v`, and what `RUST_LOG` asks for.
fn log(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let level = ["warn", "info,haul=debug", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}
