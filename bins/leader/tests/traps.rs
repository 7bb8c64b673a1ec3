//! Whatever an origin does, the leader saves the right file or says loudly why it does not; nothing
//! wrong ever stands under the final name, nothing panics, and memory is bounded.
//!
//! Each test lets the program into one trap of the lab's hostile origin over real sockets, without
//! helpers, and has the name of the trap: `cargo run -p haul-lab -- origin --trap NAME` starts the
//! same by hand. Arguments choose the tests whose names contain one of them. The tests mostly wait,
//! so this program runs more of them at once than the test harness would.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "the program tells how the tests went")]

use haul_lab::origin::{Promise, Trap};
use haul_lab::trial::{Tool, Trial};
use std::env;
use std::process::ExitCode;

/// More than a leader ever needs for its buffers, and far less than what it could be sent.
const MOST_MEMORY: u64 = 96 << 20;

fn main() -> ExitCode {
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |trap: &&Trap| {
        wanted.is_empty() || wanted.iter().any(|word| trap.name.contains(word.as_str()))
    };
    // Those that take long are tried only by name.
    let is_tried = |trap: &&Trap| trap.is_quick() || wanted.iter().any(|word| word == trap.name);
    let traps: Vec<&Trap> = Trap::all().filter(is_wanted).filter(is_tried).collect();
    if env::args().any(|word| word == "--list") {
        for trap in traps {
            println!("{}: test", trap.name);
        }
        return ExitCode::SUCCESS;
    }
    let leader = Tool::Haul(env!("CARGO_BIN_EXE_leader").into());
    let trials = Trial::run_all(&leader, &traps, tell).unwrap();
    let held =
        traps.iter().zip(&trials).filter(|(trap, trial)| fault(trap, trial).is_none()).count();
    let memory = trials.iter().map(|trial| trial.peak_memory >> 20).max().unwrap_or(0);
    println!("{held} of {} traps held, with at most {memory} MiB of memory", traps.len());
    ExitCode::from(u8::from(held != traps.len()))
}

fn tell(trap: &Trap, trial: &Trial) {
    let (number, name, seconds) = (trap.number, trap.name, trial.took.as_secs_f64());
    let verdict = fault(trap, trial).unwrap_or_else(|| "ok".to_owned());
    println!("test {name} ({number}), {} in {seconds:.1} s ... {verdict}", trial.outcome);
}

/// What is wrong with what the leader made of a trap, if anything is.
fn fault(trap: &Trap, trial: &Trial) -> Option<String> {
    let said = &trial.said;
    let is_explained = ["error:", "because", "try"].iter().all(|field| said.contains(field));
    let ended = trial.status.and_then(|status| status.code());
    match trap.promise {
        _ if said.contains("panicked") => Some(format!("it panicked: {said}")),
        _ if trial.peak_memory > MOST_MEMORY => {
            Some(format!("it took {} bytes of memory", trial.peak_memory))
        }
        _ if !trial.kept() => Some(format!("FAILED {:?}: {said}", trial.breach)),
        Promise::Right if trial.saved_as.as_deref() != Some(trap.saved_as) => {
            Some(format!("FAILED: it is saved as {:?}", trial.saved_as))
        }
        Promise::Refused(code) if ended != Some(code.into()) => {
            Some(format!("FAILED: it ended with {ended:?} instead of {code}: {said}"))
        }
        Promise::Refused(_) if !is_explained => {
            Some(format!("FAILED: it does not say why: {said}"))
        }
        Promise::Refused(_) | Promise::Right => None,
    }
}
