use crate::trust::{GroupArgs, TrustArgs};
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use haul::{ByteRate, Cidr};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;

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
    /// The machines that this one knows
    Trust(TrustArgs),
    /// The key of the group that this machine belongs to
    Group(GroupArgs),
    /// Print a script that completes commands in your shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(clap::Args)]
pub(crate) struct Run {
    /// Whom to help: ask you every time, those you know, always, or never
    #[arg(long, value_enum, default_value_t = Accept::Ask)]
    pub(crate) accept: Accept,

    /// Open this network although it is private, on every port; may be given several times
    #[arg(long, value_name = "CIDR")]
    pub(crate) allow_net: Vec<Cidr>,

    /// Fetch no faster than this for others: 500k, 2M, 16Mbit
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<ByteRate>,

    /// Hear asks on this address
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = listen, default_value = "0.0.0.0:4285")]
    pub(crate) listen: SocketAddrV4,

    /// Trust the root certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Hear and help only leaders that hold the group's key
    #[arg(long)]
    pub(crate) group_only: bool,

    /// Never ask on this terminal: with --accept ask, everybody is refused
    #[arg(long)]
    pub(crate) headless: bool,

    /// Print one JSON event a line on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
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
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
