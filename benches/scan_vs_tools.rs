//! `leader scan` beside arp-scan and nmap in LANs of network namespaces, the figures of
//! docs/SCAN.md: `cargo bench -p haul-benches --bench scan_vs_tools`, as root.
//!
//! A row tells how many machines were found in all runs together, the least and the most frames that
//! left the scanning machine in a run, and the median of the runs' times, from the start of the program to
//! its end. Criterion can't take turns; here the programs do, so that all are disturbed alike.

#![allow(clippy::print_stdout, reason = "the figures are what this is for")]
#![allow(clippy::cast_precision_loss, reason = "ratios are told with few digits")]

use anyhow::{Context, ensure};
use haul_benches::is_smoke;
use haul_lab::crowd::{Crowd, Habits, Responder};
use haul_lab::lan::{self, Host, Lan, Link, Neighbourhood, Timed};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs};

/// A program that scans, and under which name its row stands.
struct Scanner<'a> {
    name: &'a str,
    command: &'a dyn Fn() -> Command,
    runs: usize,
    /// The pause after a run.
    rest: Duration,
}

/// For so long the kernel goes on asking for those that a scan without privileges sought.
const KERNEL: Duration = Duration::from_millis(3200);

fn main() -> anyhow::Result<()> {
    if let Some(reason) = lan::missing(&["arp-scan", "nmap", "setpriv"]) {
        lan::skip_or_fail(&reason);
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let leader = leader(folder.path())?;
    let sizes = [(24, 60, 20), (22, 300, 100), (20, 1000, 300)];
    let sizes = if is_smoke() { &sizes[..1] } else { &sizes[..] };
    println!(
        "{:<34} {:<12} {:>12} {:>13} {:>10} {:>7}",
        "network", "program", "found", "frames", "wall", "ratio"
    );
    for &(prefix, live, deaf) in sizes {
        on_cables(&leader, prefix, live, deaf)?;
    }
    if !is_smoke() {
        on_models(&leader)?;
    }
    Ok(())
}

/// Addresses of kernels on a bridge, some of them deaf to ping.
fn on_cables(leader: &Path, prefix: u8, live: usize, deaf: usize) -> anyhow::Result<()> {
    let lan = Neighbourhood::build(prefix, live, deaf)?;
    let network = lan.network();
    let runs = if is_smoke() { 1 } else { 5 };
    let scanners = [
        Scanner {
            name: "leader",
            command: &|| scan(Command::new(leader)),
            runs: 4 * runs,
            rest: Duration::ZERO,
        },
        Scanner { name: "as nobody", command: &|| scan(as_nobody(leader)), runs, rest: KERNEL },
        Scanner { name: "arp-scan", command: &arp_scan, runs, rest: Duration::ZERO },
        Scanner { name: "nmap", command: &|| nmap(&network), runs, rest: Duration::ZERO },
    ];
    compare(&format!("/{prefix}, {live} live, {deaf} deaf to ping"), lan.leader(), live, &scanners)
}

/// Machines that lose frames and sleep, and a narrow way to machines that do not.
fn on_models(leader: &Path) -> anyhow::Result<()> {
    let narrow = Some("tc qdisc add dev lan0 root tbf rate 1mbit burst 1600 limit 4000");
    let models = [
        ("/24, 60 on Wi-Fi, 10 %/2 % lost", Habits::WIFI, None),
        ("/24, 60 mixed, 5 %/1 % lost", Habits::MIXED, None),
        ("/24, 60 behind 1 Mbit/s", Habits::WIRED, narrow),
    ];
    for (name, habits, narrow) in models {
        let lan = Lan::builder().helper("crowd", Link::UNSHAPED).build()?;
        run(lan.helper("crowd"), "ip address flush dev lan0")?;
        narrow.map_or(Ok(()), |narrow| run(lan.leader(), narrow))?;
        let live = (0..60).map(|n| Ipv4Addr::new(10, 77, 0, 12 + 4 * n));
        let _responder = Responder::start(lan.helper("crowd"), Crowd::new(live, habits, 1))?;
        let scanners = [
            Scanner {
                name: "leader",
                command: &|| scan(Command::new(leader)),
                runs: 50,
                rest: Duration::ZERO,
            },
            Scanner { name: "arp-scan", command: &arp_scan, runs: 5, rest: Duration::ZERO },
        ];
        compare(name, lan.leader(), 60, &scanners)?;
    }
    Ok(())
}

/// Runs every scanner, in turn as long as each has runs left, and prints its row.
fn compare(name: &str, host: &Host, live: usize, scanners: &[Scanner<'_>]) -> anyhow::Result<()> {
    let mut all: Vec<Vec<Timed>> = scanners.iter().map(|_| Vec::new()).collect();
    let most = scanners.iter().map(|scanner| scanner.runs).max().unwrap_or(0);
    for turn in 0..most {
        for (scanner, scans) in scanners.iter().zip(&mut all).filter(|(s, _)| turn < s.runs) {
            scans.push(host.time((scanner.command)())?);
            sleep(scanner.rest);
        }
    }
    let ours = median(&all[0]);
    for (scanner, scans) in scanners.iter().zip(&all) {
        let found: usize = scans.iter().map(found).sum();
        let sent = || scans.iter().map(|scan| scan.sent);
        let frames =
            format!("{}-{}", sent().min().context("no run")?, sent().max().context("no run")?);
        let (wall, of) = (median(scans), live * scanner.runs);
        let ratio = wall.as_secs_f64() / ours.as_secs_f64();
        let wall = wall.as_secs_f64() * 1e3;
        println!(
            "{name:<34} {:<12} {found:>5}/{of:<6} {frames:>13} {wall:>7.0} ms {ratio:>7.1}",
            scanner.name
        );
    }
    Ok(())
}

/// How many addresses of the LAN a program told of, the scanning machine's own left out.
fn found(scan: &Timed) -> usize {
    let words = scan.stdout.lines().flat_map(str::split_whitespace);
    let addresses = words.filter_map(|word| word.parse::<Ipv4Addr>().ok());
    let mut others: Vec<_> =
        addresses.filter(|address| address.octets() != [10, 77, 0, 1]).collect();
    others.sort_unstable();
    others.dedup();
    others.len()
}

fn median(scans: &[Timed]) -> Duration {
    let mut walls: Vec<_> = scans.iter().map(|scan| scan.wall).collect();
    walls.sort_unstable();
    walls[walls.len() / 2]
}

fn scan(mut command: Command) -> Command {
    command.args(["scan", "--interface", "lan0"]);
    command
}

fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command
}

fn arp_scan() -> Command {
    let mut command = Command::new("arp-scan");
    command.args(["--localnet", "--interface", "lan0", "--plain"]);
    command
}

fn nmap(network: &str) -> Command {
    let mut command = Command::new("nmap");
    // One address a line, as the others write it.
    command.args(["-sn", "-n", network]);
    command
}

/// The leader's program, built like this bench, in a folder where everybody may run it.
fn leader(folder: &Path) -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "leader"]).current_dir(&workspace);
    // What cargo tells this bench of its package would make build scripts run again.
    let of_bench = |name: &String| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start))
    };
    for name in env::vars().map(|(name, _)| name).filter(of_bench) {
        cargo.env_remove(name);
    }
    ensure!(cargo.status()?.success(), "the leader was not built");
    let own = env::current_exe()?;
    let built = own.ancestors().nth(2).context("this bench is in no folder of cargo's")?;
    let program = folder.join("leader");
    fs::copy(built.join("leader"), &program).context("the leader is not where cargo puts it")?;
    run_by_all(folder)?;
    Ok(program)
}

fn run_by_all(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755))?;
    Ok(())
}

fn run(host: &Host, command: &str) -> anyhow::Result<()> {
    let mut words = command.split_whitespace();
    let mut command = host.command(words.next().context("no command")?);
    ensure!(command.args(words).status()?.success(), "could not set up the network");
    Ok(())
}
