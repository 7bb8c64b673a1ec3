use crate::doctor::DoctorArgs;
use crate::trust::GroupArgs;
use crate::trusted::HelperTrustArgs;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use haul::{ByteRate, Cidr};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

/// The port on which asks are heard.
const PORT: u16 = 4285;

/// Lend this machine's link to somebody's download.
///
/// Waits for machines on this network that ask for help, lets you decide, and fetches parts of
/// their file over this machine's own link. Nothing of the file is kept here.
#[derive(Parser)]
#[command(name = "helper", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more about what happens; twice for even more.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Wait for asks and help
    Run(Box<Run>),
    /// How the helper that runs here is, what it has spent and whom it helps
    Status(Told),
    /// Help nobody for a while, and end at once what is under way
    Pause(Pause),
    /// Help again
    Resume(Told),
    /// End the helper that runs here, at once
    Stop(Told),
    /// Whom this machine has helped: when, with what, how much, and why it ended
    History(Told),
    /// Whom you said yes or no to: who is known, granted help for a time, blocked, and refused of
    /// late
    Trust(HelperTrustArgs),
    /// The key of the group that this machine belongs to
    Group(GroupArgs),
    /// What on this machine or its network would keep leaders from being helped, and the remedy; 1
    /// is returned if something does
    Doctor(DoctorArgs),
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Run {
    /// Whom to help besides those you know: ask you, whose yes lasts as long as you say; nobody;
    /// everybody; or nobody at all. Overrides the policy's mode
    #[arg(long, value_enum)]
    pub(crate) accept: Option<Accept>,

    /// Follow this policy, and not the file `policy.toml` of haul's home
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Open this network although it is private, on every port; may be given several times
    #[arg(long, value_name = "CIDR")]
    pub(crate) allow_net: Vec<Cidr>,

    /// Fetch no faster than this for others, nor than the policy says: 500k, 2M, 16Mbit
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<ByteRate>,

    /// Hear asks on this address, and take in leaders that dial it
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = listen, default_value = "0.0.0.0:4285")]
    pub(crate) listen: SocketAddrV4,

    /// Trust the root certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Do not announce this machine by DNS-SD, that is by mDNS as _haul._udp.local: its name, its
    /// addresses and the port of asks, while anybody would be helped; asks are heard all the same
    #[arg(long)]
    pub(crate) no_announce: bool,

    /// Hear and help only leaders that hold the group's key; nothing is announced then
    #[arg(long)]
    pub(crate) group_only: bool,

    /// Open a page on which you are asked in a browser, see what is lent, pause and stop it, and
    /// set your rules
    #[arg(long)]
    pub(crate) ui: bool,

    /// Serve that page on this port of 127.0.0.1; 4302 if it is free, or else any, unless told
    #[arg(long, value_name = "PORT", requires = "ui")]
    pub(crate) port: Option<u16>,

    /// Ask neither on this terminal nor on a page: whoever would be asked about is refused
    #[arg(long, conflicts_with = "ui")]
    pub(crate) headless: bool,

    /// Print one JSON event a line on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Told {
    /// Print JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Pause {
    /// For how long: 15m, 2h, 1d; until `helper resume` if not given
    #[arg(value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    #[command(flatten)]
    pub(crate) told: Told,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accept {
    /// You are asked on this terminal
    Ask,
    /// Leaders that are known, or of the group, are helped, and nobody else
    Known,
    /// Everybody on this network is helped
    Always,
    /// Nobody is
    Never,
}

/// A number of seconds, minutes, hours or days, or several such: `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let unclear = || "write it as 90s, 15m, 2h, 1d or 1h30m".to_owned();
    let (mut rest, mut seconds) = (text, 0_u64);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(unclear)?;
        let number: u64 = rest[..at].parse().map_err(|_| unclear())?;
        let unit = match &rest.as_bytes()[at] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            _ => return Err(unclear()),
        };
        let more = number.checked_mul(unit).ok_or_else(unclear)?;
        seconds = seconds.checked_add(more).ok_or_else(unclear)?;
        rest = &rest[at + 1..];
    }
    if seconds == 0 { Err(unclear()) } else { Ok(Duration::from_secs(seconds)) }
}

fn listen(text: &str) -> Result<SocketAddrV4, String> {
    let address = || text.parse::<Ipv4Addr>().map(|ip| SocketAddrV4::new(ip, PORT));
    text.parse()
        .or_else(|_| address())
        .map_err(|_| "write it as 192.168.1.5 or 192.168.1.5:4285".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn an_address_may_come_without_its_port() {
        assert_eq!(listen("10.0.0.1"), Ok(SocketAddrV4::new([10, 0, 0, 1].into(), 4285)));
        assert_eq!(listen("10.0.0.1:99"), Ok(SocketAddrV4::new([10, 0, 0, 1].into(), 99)));
        assert!(listen("here").is_err());
    }

    #[test]
    fn a_duration_has_units_and_an_end() {
        let seconds = |text| duration(text).map(|duration| duration.as_secs());
        assert_eq!((seconds("90s"), seconds("1h30m")), (Ok(90), Ok(5400)));
        for text in ["", "15", "m", "0m", "-1m", "1w", "1 h", "99999999999999999999s", "5\u{e9}"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
