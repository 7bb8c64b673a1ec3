use crate::doctor::DoctorArgs;
use crate::trust::{GroupArgs, TrustCommand};
use crate::ways::Ways;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use haul::{ByteRate, Helpers};
use std::path::PathBuf;
use std::time::Duration;

/// Download a file over the links of many machines.
///
/// The machines around this one are asked whether they can help; those whose owner says yes fetch
/// parts of the file over their own links.
#[derive(Parser)]
#[command(name = "leader", version, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more about what happens; twice for even more.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Download a file
    Get(Box<Get>),
    /// Open the page on which files are downloaded in a browser
    Ui(Ui),
    /// List the live machines on this network
    Scan(Scan),
    /// List the downloads that can be gone on with
    List(List),
    /// Go on with a download that a former run left
    Resume(Box<Resume>),
    /// Give up a download that a former run left, and remove what it stored
    Cancel(Cancel),
    /// The machines that this one knows
    Trust(TrustArgs),
    /// The key of the group that this machine belongs to
    Group(GroupArgs),
    /// Every machine that is heard of, whether it would help, and why not if not; nobody's owner is
    /// asked
    Helpers(Machines),
    /// What on this machine or its network would keep haul from working, and the remedy; 1 is
    /// returned if something does
    Doctor(Doctor),
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
pub(crate) struct Get {
    /// Where the file is: an address that begins with http:// or https://, or a Metalink file whose
    /// name ends with .meta4
    #[arg(value_name = "URL", required_unless_present = "input")]
    pub(crate) url: Option<String>,

    /// Download the files in this list, or in the one on standard input if it is `-`: a line for
    /// each with its addresses, tabs between them, or with a Metalink file, and below it ` out=NAME`, ` dir=DIR` or
    /// ` checksum=sha-256=HEX`
    #[arg(
        short,
        long = "input-file",
        id = "input",
        value_name = "FILE",
        conflicts_with_all = ["url", "mirror", "output", "checksum", "report"],
    )]
    pub(crate) input: Option<PathBuf>,

    /// Download up to so many files of less than 8 MiB side by side; larger ones come one after
    /// another
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = jobs)]
    pub(crate) jobs: usize,

    #[command(flatten)]
    pub(crate) ways: Ways,

    /// Save the file under this name; with `-` write it to standard output, and keep nothing
    #[arg(short, long, value_name = "FILE", alias = "out")]
    pub(crate) output: Option<PathBuf>,

    /// Save the file in this folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Go on with what a former run left
    #[arg(short = 'c', long = "continue")]
    pub(crate) resume: bool,

    /// Replace the file if it exists
    #[arg(long, conflicts_with_all = ["resume", "auto_rename"])]
    pub(crate) overwrite: bool,

    /// Take a free name such as `file (1).iso` if the file exists
    #[arg(long)]
    pub(crate) auto_rename: bool,

    /// Check the file against this digest
    #[arg(long, value_name = "sha-256=HEX")]
    pub(crate) checksum: Option<String>,

    /// Do not look beside the file for FILE.sha256 or SHA256SUMS
    #[arg(long)]
    pub(crate) no_sidecar: bool,

    /// Fetch no faster than this over the own link: 500k, 2M, 16Mbit
    #[arg(long, value_name = "RATE", alias = "max-download-limit")]
    pub(crate) limit_rate: Option<ByteRate>,

    /// Whom to ask: auto for every machine that is found or in haul's roster, none for nobody, or
    /// those named, with commas between them: addresses or names, with :PORT if need be, and
    /// srv:DOMAIN; `auto,NAME` asks both
    #[arg(long, value_name = "auto|none|ADDR[:PORT],srv:DOMAIN,...", default_value = "auto")]
    pub(crate) helpers: Helpers,

    /// Take help only from machines that hold the group's key
    #[arg(long)]
    pub(crate) group_only: bool,

    /// Fail unless this many machines help
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_helpers: usize,

    /// Only ask, never scan the network
    #[arg(long)]
    pub(crate) no_scan: bool,

    /// Look for helpers on this interface only; may be given several times
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Vec<String>,

    /// Trust the root certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Print one JSON event a line on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Write a report of the download to this file: one page with its pictures inside. It replaces a
    /// former report of haul's, and nothing else
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,

    /// Print nothing but errors and the path of the file
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Show the download on the page of `leader ui`, on which it can be paused and gone on with;
    /// the page stays until Ctrl-C
    #[arg(long, conflicts_with_all = ["input", "json", "overwrite", "auto_rename", "report"])]
    pub(crate) ui: bool,
}

#[derive(clap::Args)]
pub(crate) struct Ui {
    /// Save files in this folder, and nowhere else
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,

    /// Serve the page on this port of 127.0.0.1; 4301 if it is free, or else any, unless told
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Whom to ask: auto for every machine that is found or in haul's roster, none for nobody, or
    /// those named, with commas between them: addresses or names, with :PORT if need be, and
    /// srv:DOMAIN; `auto,NAME` asks both
    #[arg(long, value_name = "auto|none|ADDR[:PORT],srv:DOMAIN,...", default_value = "auto")]
    pub(crate) helpers: Helpers,

    /// Only ask, never scan the network
    #[arg(long)]
    pub(crate) no_scan: bool,

    /// Look for helpers on this interface only; may be given several times
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct Scan {
    /// Scan this interface only; may be given several times
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Vec<String>,

    /// How fast: gentle sends at most 14 ARP requests in any second, for switches and devices that
    /// take no more
    #[arg(long, value_name = "PACE", default_value = "normal")]
    pub(crate) pace: Pace,

    /// Look at no more addresses than this on each interface: those nearest to this machine's own
    #[arg(long, value_name = "N", default_value_t = 4094)]
    pub(crate) max_hosts: usize,

    /// Listen this many seconds for machines that sleep; by default 0.6, and less on a cable where
    /// all answer at once
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Machines {
    /// Whom to call: auto for every machine that is found or in haul's roster, or those named, with
    /// commas between them: addresses or names, with :PORT if need be, and srv:DOMAIN; `auto,NAME`
    /// calls both
    #[arg(long, value_name = "auto|ADDR[:PORT],srv:DOMAIN,...", default_value = "auto")]
    pub(crate) helpers: Helpers,

    /// Hear only machines that hold the group's key
    #[arg(long)]
    pub(crate) group_only: bool,

    /// Only ask, never scan the network
    #[arg(long)]
    pub(crate) no_scan: bool,

    /// Look on this interface only; may be given several times
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Vec<String>,

    /// Print one JSON object a line for each machine
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// The folder that files are to be saved in
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,

    #[command(flatten)]
    pub(crate) told: DoctorArgs,
}

fn jobs(text: &str) -> Result<usize, String> {
    let jobs = text.parse().ok().filter(|jobs| (1..=64).contains(jobs));
    jobs.ok_or_else(|| "give a number from 1 to 64".to_owned())
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct Resume {
    /// Which one, as `leader list` names it; need not be said if there is only one
    pub(crate) id: Option<String>,

    /// Fetch the rest from this address of the same file
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    pub(crate) ways: Ways,

    /// Check the file against this digest and not the one that was given before
    #[arg(long, value_name = "sha-256=HEX")]
    pub(crate) checksum: Option<String>,

    /// Fetch no faster than this over the own link: 500k, 2M, 16Mbit
    #[arg(long, value_name = "RATE")]
    pub(crate) limit_rate: Option<ByteRate>,

    /// Whom to ask: auto for every machine that is found or in haul's roster, none for nobody, or
    /// those named, with commas between them: addresses or names, with :PORT if need be, and
    /// srv:DOMAIN; `auto,NAME` asks both
    #[arg(long, value_name = "auto|none|ADDR[:PORT],srv:DOMAIN,...", default_value = "auto")]
    pub(crate) helpers: Helpers,

    /// Trust the root certificates in this PEM file too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_cert: Option<PathBuf>,

    /// Print one JSON event a line on standard output, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Print nothing but errors and the path of the file
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(clap::Args)]
pub(crate) struct Cancel {
    /// Which one, as `leader list` names it; need not be said if there is only one
    pub(crate) id: Option<String>,

    /// Do not ask whether that is meant
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// How fast a network is scanned.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Pace {
    Gentle,
    Normal,
    Fast,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "write it as 2 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[derive(clap::Args)]
pub(crate) struct TrustArgs {
    #[command(subcommand)]
    pub(crate) command: TrustCommand,

    /// Print one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}
