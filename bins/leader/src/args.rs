use clap::{ArgAction, Parser, Subcommand};
use clap_complete::Shell;
use haul::{ByteRate, Helpers};
use std::path::PathBuf;

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
    /// Where the file is: an address that begins with http:// or https://
    #[arg(value_name = "URL")]
    pub(crate) url: String,

    /// Save the file under this name
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

    /// Send this header to the origin; the download then runs without helpers
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// Check the file against this digest
    #[arg(long, value_name = "sha-256=HEX")]
    pub(crate) checksum: Option<String>,

    /// Fetch no faster than this over the own link: 500k, 2M, 16Mbit
    #[arg(long, value_name = "RATE", alias = "max-download-limit")]
    pub(crate) limit_rate: Option<ByteRate>,

    /// Whom to ask: auto, none, or addresses separated by commas
    #[arg(long, value_name = "auto|none|ADDR[:PORT],...", default_value = "auto")]
    pub(crate) helpers: Helpers,

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

    /// Write a report of the download to this file: one page with its pictures inside
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,

    /// Print nothing but errors and the path of the file
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(clap::Args)]
pub(crate) struct Ui {
    /// Save files in this folder, and nowhere else
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,

    /// Serve the page on this port of 127.0.0.1; 4301 if it is free, or else any, unless told
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Whom to ask: auto, none, or addresses separated by commas
    #[arg(long, value_name = "auto|none|ADDR[:PORT],...", default_value = "auto")]
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

    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
