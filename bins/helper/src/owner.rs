//! What the owner asks of the helper that runs here.

use crate::ask::in_words;
use crate::run::{ended, ended_json, print_text};
use haul::control::{self, Command, Helped, State, Status};
use haul::policy::{Battery, Fact};
use haul::{Error, Home};
use serde::Serialize;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn status(json: bool) -> ExitCode {
    tell(Command::Status, json, |status| print_text(&told(status)))
}

pub(crate) fn pause(duration: Option<Duration>, json: bool) -> ExitCode {
    let seconds = duration.map(|duration| duration.as_secs());
    tell(Command::Pause { seconds }, json, |status| match status.paused_until {
        Some(end) => print_text(&format!("paused for {}", span(left(end)))),
        None => print_text("paused until `helper resume`"),
    })
}

pub(crate) fn resume(json: bool) -> ExitCode {
    tell(Command::Resume, json, |status| match &status.refuses {
        Some(rule) => print_text(&format!("resumed, but nobody is helped at present: {rule}")),
        None => print_text("waiting for asks"),
    })
}

pub(crate) fn stop(json: bool) -> ExitCode {
    tell(Command::Stop, json, |_| print_text("stopped"))
}

pub(crate) fn history(json: bool) -> ExitCode {
    let helps = Home::of_user().and_then(|home| control::history(&home));
    let shown = helps.map(|helps| {
        if json {
            helps.iter().for_each(print_json);
        } else if helps.is_empty() {
            print_text("nobody has been helped yet");
        } else {
            for helped in &helps {
                print_text(&line(helped));
            }
        }
    });
    finished(shown, json)
}

fn tell(command: Command, json: bool, show: impl FnOnce(&Status)) -> ExitCode {
    let status = Home::of_user().and_then(|home| control::tell(&home, command));
    let shown = status.map(|status| if json { print_json(&status) } else { show(&status) });
    finished(shown, json)
}

fn finished(done: Result<(), Error>, json: bool) -> ExitCode {
    match done {
        Err(error) if json => ended_json(&error),
        done => ended(done),
    }
}

fn print_json(shown: &impl Serialize) {
    // What is shown holds nothing that JSON cannot write.
    print_text(&serde_json::to_string(shown).unwrap_or_default());
}

/// A status in words.
fn told(status: &Status) -> String {
    let state = match (status.state, status.paused_until) {
        (State::Paused, Some(end)) => format!("paused for {}", span(left(end))),
        (State::Paused, None) => "paused until `helper resume`".into(),
        (State::Helping, _) => "helping".into(),
        (State::Waiting, _) => match &status.refuses {
            Some(rule) => format!("waiting, but nobody is helped at present: {rule}"),
            None => "waiting for asks".into(),
        },
    };
    let mut lines = vec![state];
    lines.extend(status.helping.iter().map(|help| {
        let (bytes, seconds) = (in_words(help.bytes), span(help.seconds));
        format!("  {}: {bytes} from {} in {seconds}", help.leader, help.host)
    }));
    lines.extend(status.granted.iter().map(|grant| {
        let (ends, bytes) = (span(left(grant.until)), in_words(grant.bytes));
        format!("granted to {} for {ends}: {bytes} in {} files so far", grant.leader, grant.files)
    }));
    lines.extend(status.refused.iter().map(|one| {
        let ends = span(left(one.until));
        format!("refused: {}, not asked about for {ends} unless `helper trust lift`", one.leader)
    }));
    let spent = |bytes, most| format!("{} of {}", in_words(bytes), in_words(most));
    lines.push(format!("received today       {}", spent(status.spent.today, status.per_day)));
    lines.push(format!(
        "received in 30 days  {}",
        spent(status.spent.last_30_days, status.per_30_days)
    ));
    lines.push(format!("unknown leaders      {}", mode(status)));
    lines.push(format!("metered              {}", fact(status.metered)));
    lines.push(format!("VPN                  {}", fact(status.vpn)));
    lines.push(format!("power                {}", power(status.battery)));
    if let Some(path) = &status.policy {
        lines.push(format!("policy               {}", path.display()));
    }
    if let Some(error) = &status.policy_error {
        lines.push(format!("  its newest version is not in force: {error}"));
    }
    if !status.managed.is_empty() {
        let fields = status.managed.join(", ");
        lines.push(format!("managed by your organisation: {fields}"));
    }
    lines.join("\n")
}

fn mode(status: &Status) -> String {
    // It is written as in the policy.
    serde_json::to_value(status.mode)
        .ok()
        .and_then(|mode| mode.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn fact(fact: Fact) -> &'static str {
    match fact {
        Fact::Yes => "yes",
        Fact::No => "no",
        Fact::Unknown => "unknown",
    }
}

fn power(battery: Battery) -> String {
    match battery {
        Battery::Mains => "mains".into(),
        Battery::Discharging(left) => format!("battery, {left} %"),
        Battery::Unknown => "unknown".into(),
    }
}

fn line(helped: &Helped) -> String {
    let Helped { at, seconds, leader, host, bytes, because, .. } = helped;
    let (ago, bytes, took) = (span(since(*at)), in_words(*bytes), span(*seconds));
    format!("{ago} ago  {leader}  {bytes} from {host} in {took}  ({because})")
}

/// Seconds since then.
fn since(unix: i64) -> u64 {
    now().saturating_sub(u64::try_from(unix).unwrap_or(0))
}

/// Seconds until then.
pub(crate) fn left(unix: i64) -> u64 {
    u64::try_from(unix).unwrap_or(0).saturating_sub(now())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A time as people read it, in its two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0 s".into();
    };
    let (unit, name) = units[first];
    let whole = format!("{} {name}", seconds / unit);
    match units.get(first + 1) {
        Some((next, name)) if seconds % unit >= *next => {
            format!("{whole} {} {name}", seconds % unit / next)
        }
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_two_largest_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (90, "1 min 30 s"),
            (3600, "1 h"),
            (3661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
