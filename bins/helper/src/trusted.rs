//! `helper trust`: whom the owner has said yes or no to.

use crate::ask::in_words;
use crate::owner::{left, span};
use crate::trust::{TrustCommand, obey, show};
use clap::{Args, Subcommand};
use haul::control::{self, Command, Refused};
use haul::trust::{Blocked, Covers, Forgotten, Grant, Role, Trust};
use haul::{Error, Home};
use serde::Serialize;
use serde_json::json;

#[derive(Args)]
pub(crate) struct HelperTrustArgs {
    /// `list` if none is given
    #[command(subcommand)]
    command: Option<HelperTrust>,

    /// Print one JSON object a line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum HelperTrust {
    #[command(flatten)]
    Common(TrustCommand),
    /// Do not block a leader any more
    Unblock {
        /// The name it gave itself, its id, or how its id begins
        who: String,
    },
    /// Take back a no, said or by silence: you are asked about the leader when it comes again
    Lift {
        /// The name it gave itself, its id, or how its id begins
        who: String,
    },
}

/// Shows or changes whom the owner said yes or no to.
pub(crate) fn run(args: &HelperTrustArgs) -> Result<(), Error> {
    let home = Home::of_user()?;
    let trust = Trust::of(&home);
    match &args.command {
        None | Some(HelperTrust::Common(TrustCommand::List)) => list(&home, &trust, args.json),
        Some(HelperTrust::Common(TrustCommand::Forget { who, as_what }))
            if as_what.or(Role::Leader) == Role::Leader =>
        {
            let forgotten = forget(&trust, who, args.json);
            reviewed(&home);
            forgotten
        }
        Some(HelperTrust::Common(command)) => obey(command, Role::Leader, args.json),
        Some(HelperTrust::Unblock { who }) => {
            tell("blocked no more", &trust.unblock(who)?, args.json, blocked);
            reviewed(&home);
            Ok(())
        }
        Some(HelperTrust::Lift { who }) => lift(&home, who, args.json),
    }
}

fn list(home: &Home, trust: &Trust, json: bool) -> Result<(), Error> {
    show(&trust.list()?, json);
    for grant in &trust.granted()? {
        tell("granted", grant, json, granted);
    }
    for one in &trust.blocked()? {
        tell("blocked", one, json, blocked);
    }
    // Only the helper that runs knows whom its owner has refused of late.
    let running = control::tell(home, Command::Status);
    for one in &running.map(|status| status.refused).unwrap_or_default() {
        tell("refused", one, json, refused);
    }
    Ok(())
}

/// Forgets a known leader, and every yes to it.
fn forget(trust: &Trust, who: &str, json: bool) -> Result<(), Error> {
    let Forgotten { known, granted: taken } = trust.forget_leader(who)?;
    if let Some(known) = known {
        show(&[known], json);
    }
    for grant in &taken {
        tell("granted no more", grant, json, granted);
    }
    Ok(())
}

fn lift(home: &Home, who: &str, json: bool) -> Result<(), Error> {
    let status = control::tell(home, Command::Status)?;
    let is_meant = |one: &&Refused| {
        one.leader == who
            || one.leader_id == who
            || (who.len() >= 8 && one.leader_id.starts_with(who))
    };
    let mut meant = status.refused.iter().filter(is_meant);
    let (Some(one), None) = (meant.next(), meant.next()) else {
        let because = format!("nobody, or not one alone, was refused as `{who}`");
        return Err(Error::usage(because));
    };
    control::tell(home, Command::Lift { leader: one.leader_id.clone() })?;
    tell("refused no more", one, json, refused);
    Ok(())
}

/// A helper that runs ends what is not wanted any more at once; without one there is nothing to end.
fn reviewed(home: &Home) {
    let _ = control::tell(home, Command::Review);
}

/// Says what somebody is: one of four kinds, in words or as JSON.
fn tell<T: Serialize>(is: &str, one: &T, json: bool, words: fn(&T) -> String) {
    if !json {
        return println!("{is}  {}", words(one));
    }
    let mut line = json!(one);
    line.as_object_mut().map(|line| line.insert("is".into(), is.into()));
    println!("{line}");
}

fn granted(grant: &Grant) -> String {
    let Grant { leader, leader_id, covers, until, files, bytes, .. } = grant;
    let (ends, bytes) = (span(left(*until)), in_words(*bytes));
    let what = match covers {
        Covers::All => String::new(),
        Covers::File { host, size, .. } => format!(" with {} from {host}", in_words(*size)),
    };
    let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    format!("{leader_id}  {leader}{what}, for {ends}; {bytes} in {files} so far")
}

fn blocked(Blocked { leader, leader_id }: &Blocked) -> String {
    format!("{leader_id}  {leader}")
}

fn refused(Refused { leader, leader_id, until }: &Refused) -> String {
    format!("{leader_id}  {leader}, not asked about for {}", span(left(*until)))
}
