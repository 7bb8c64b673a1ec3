//! Who is out there, and why they do not help if they do not.

use crate::args::Machines;
use crate::get::print_text;
use crate::tell;
use haul::Error;
use haul::roll_call::{Attendance, Called, Calling, Helps, RollCall};
use haul::trust::Standing;
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::io::{IsTerminal, stderr};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How many of the others are named; the rest is counted.
const NAMED: usize = 8;

/// Lists the machines as they are heard of.
pub(crate) fn run(args: Machines) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start\n  because {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = args.json;
    match runtime.block_on(call(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if json => {
            crate::get::print_failed(&error);
            ExitCode::from(error.kind().code())
        }
        Err(error) => tell::ended(Err(error)),
    }
}

async fn call(args: Machines) -> Result<(), Error> {
    let json = args.json;
    let mut calling = roll_call(args).start()?;
    if json {
        while let Some(called) = calling.next().await {
            match called {
                // A machine holds nothing that JSON cannot write.
                Called::Machine(machine) => {
                    print_text(&serde_json::to_string(&machine).unwrap_or_default());
                }
                Called::Note(text) => eprintln!("{text}"),
            }
        }
    } else {
        show(&mut calling).await;
    }
    Ok(())
}

fn roll_call(args: Machines) -> RollCall {
    let mut roll = RollCall::new().helpers(args.helpers);
    if args.group_only {
        roll = roll.group_only();
    }
    if args.no_scan {
        roll = roll.no_scan();
    }
    args.interface.into_iter().fold(roll, RollCall::interface)
}

/// A line for each machine that runs a helper or should, and two for all the others.
async fn show(calling: &mut Calling) {
    let bar = spinner();
    let (mut helpers, mut without, mut shut) = (0, Vec::new(), Vec::new());
    while let Some(called) = calling.next().await {
        let machine = match called {
            Called::Machine(machine) => machine,
            Called::Note(text) => {
                bar.suspend(|| eprintln!("{text}"));
                continue;
            }
        };
        helpers += usize::from(machine.name.is_some());
        match machine.helps {
            Helps::Absent | Helps::Silent if is_chance(&machine) => without.push(machine.address),
            Helps::Unreachable if is_chance(&machine) => shut.push(machine.address),
            _ => bar.suspend(|| print_text(&row(&machine))),
        }
        bar.set_message(looking(helpers));
    }
    bar.finish_and_clear();
    tell_others("without a helper", &without);
    tell_others("with a firewall that answers nothing, so that a helper would not be heard", &shut);
    if helpers == 0 {
        eprintln!("nobody was found who runs a helper; `leader doctor` looks for the reason");
    }
}

/// Something that moves on a terminal, and a line elsewhere.
fn spinner() -> ProgressBar {
    if !stderr().is_terminal() {
        eprintln!("{}", looking(0));
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message(looking(0));
    bar
}

fn looking(found: usize) -> String {
    match found {
        0 => "looking for helpers, for three seconds".to_owned(),
        1 => "1 helper so far".to_owned(),
        many => format!("{many} helpers so far"),
    }
}

/// Whether a scan came by the machine, and nothing hints at a helper there.
fn is_chance(machine: &Attendance) -> bool {
    machine.name.is_none() && matches!(machine.how, "arp" | "icmp" | "neighbour")
}

/// Machines of which there may be many.
fn tell_others(what: &str, machines: &[IpAddr]) {
    if machines.is_empty() {
        return;
    }
    let named: Vec<String> = machines.iter().take(NAMED).map(IpAddr::to_string).collect();
    let more = machines.len().saturating_sub(NAMED);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    eprintln!("there, but {what}: {}{rest}", named.join(", "));
}

fn row(machine: &Attendance) -> String {
    let helps = match machine.helps {
        Helps::Yes => "ready",
        Helps::No => "declines",
        Helps::Busy => "busy",
        Helps::Later => "not now",
        Helps::Silent => "silent",
        Helps::Version => "other version",
        Helps::Absent => "no helper",
        Helps::Unreachable => "unreachable",
    };
    let name = machine.name.as_deref().unwrap_or("-");
    let standing = match &machine.standing {
        Some(Standing::Group) => "of the group",
        Some(Standing::Known { .. }) => "known",
        Some(Standing::Namesake) => "NOT the one you know",
        Some(_) => "stranger",
        None => "-",
    };
    let address = machine.address.to_string();
    let reason = [("because", &machine.because), ("try    ", &machine.r#try)];
    let reason = reason
        .into_iter()
        .filter_map(|(lead, text)| Some(format!("\n    {lead} {}", text.as_deref()?)));
    let reason: String = reason.collect();
    format!("{address:<15}  {name:<16}  {helps:<13}  {standing}{reason}")
}
