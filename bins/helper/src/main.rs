//! Lend this machine's link to somebody's download.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks")]

mod args;
mod ask;
#[cfg(feature = "notify")]
mod notify;
mod owner;
mod run;
// These commands are the same in both programs.
#[path = "../../leader/src/doctor.rs"]
mod doctor;
#[path = "../../leader/src/trust.rs"]
mod trust;
mod trusted;
mod ui;

use args::{Args, Command};
use clap::{CommandFactory, Parser};
use haul::doctor::Side;
use std::io;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    log(args.verbose);
    match args.command {
        Command::Run(run) => run::run(*run),
        Command::Status(told) => owner::status(told.json),
        Command::Pause(pause) => owner::pause(pause.duration, pause.told.json),
        Command::Resume(told) => owner::resume(told.json),
        Command::Stop(told) => owner::stop(told.json),
        Command::History(told) => owner::history(told.json),
        Command::Trust(trust) => run::ended(trusted::run(&trust)),
        Command::Group(group) => run::ended(trust::run_group(&group)),
        Command::Doctor(told) => doctor::run_doctor(Side::Helper, Path::new("."), &told)
            .unwrap_or_else(|error| run::ended(Err(error))),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "helper", &mut io::stdout());
            ExitCode::SUCCESS
        }
        Command::Man => man(),
    }
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
