//! haul beside `aria2c -x16 -s16` over the same four links, in turn, on a LAN of namespaces.
//!
//! What aria2 gets is what one can have without haul: every machine, the leader too, runs a
//! `tinyproxy`, and on the leader a `haproxy` gives each new connection to the proxy that has the
//! fewest. haul has to be as fast on even links, and twice as fast on uneven ones.
//!
//! Needs root, and nginx, curl, aria2, haproxy and tinyproxy:
//! `cargo bench -p haul-benches --bench vs_aria2 -- [MIB [ROUNDS]]`.

#![allow(clippy::print_stdout, reason = "the figures are what this is for")]
#![allow(clippy::cast_precision_loss, reason = "rates and ratios are told with few digits")]

use anyhow::{Context, ensure};
use haul_benches::is_smoke;
use haul_lab::Payload;
use haul_lab::lan::{self, Host, Lan, Link, Nginx, Process};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(1200);

/// For as long as this before haul's turn nothing else uses the links: what aria2 receives by a
/// helper's machine is, to that helper, its owner at work, who goes before others' downloads.
const REST: Duration = Duration::from_secs(6);

/// The port of every tinyproxy, and that of haproxy.
const PROXY: u16 = 8888;
const BALANCER: u16 = 3128;

/// The links in Mbit/s, the leader's first, and how many times as fast as aria2 haul has to be.
const CASES: [([u64; 4], f64); 2] = [([20, 20, 20, 20], 1.0), ([40, 20, 10, 5], 2.0)];

fn main() -> anyhow::Result<()> {
    let programs = ["nginx", "curl", "aria2c", "haproxy", "tinyproxy"];
    if let Some(why) = lan::missing(&programs) {
        println!("not compared with aria2: {why}");
        return Ok(());
    }
    build()?;
    if is_smoke() {
        return compare(MIB, 1, [40; 4]).map(drop);
    }
    let numbers = env::args().filter_map(|argument| argument.parse::<u64>().ok());
    let given: Vec<u64> = numbers.collect();
    let size = given.first().copied().unwrap_or(128) * MIB;
    let rounds = given.get(1).copied().unwrap_or(3);
    for (links, promise) in CASES {
        let ratio = compare(size, rounds, links)?;
        ensure!(ratio >= promise, "{ratio:.2} times as fast as aria2, not {promise:.1}");
    }
    Ok(())
}

/// Downloads with both in turn; returns how many times as fast as aria2 haul is.
fn compare(size: u64, rounds: u64, links: [u64; 4]) -> anyhow::Result<f64> {
    let stage = Stage::set(size, links)?;
    let (mut hauls, mut arias) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        sleep(REST);
        hauls.push(stage.time(stage.haul())?);
        arias.push(stage.time(stage.aria2())?);
    }
    let possible = links.iter().sum::<u64>() as f64 * 1e6 / 8.0 * Link::GOODPUT;
    println!("{} MiB over {links:?} Mbit/s, seconds:", size / MIB);
    println!("  the links could {:8.2}", size as f64 / possible);
    println!("  haul            {:8.2}  {hauls:.2?}", median(&hauls));
    println!("  aria2           {:8.2}  {arias:.2?}", median(&arias));
    let ratio = median(&arias) / median(&hauls);
    println!("  haul is {ratio:.2} times as fast");
    Ok(ratio)
}

/// The LAN with everything that runs on it.
struct Stage {
    lan: Lan,
    payload: Payload,
    url: String,
    folder: TempDir,
    _running: (Nginx, Vec<Process>),
}

impl Stage {
    fn set(size: u64, links: [u64; 4]) -> anyhow::Result<Self> {
        let [leader, asha, ben, chi] = links.map(Link::mbit);
        let lan = Lan::builder().leader(leader).helper("asha", asha).helper("ben", ben);
        let lan = lan.helper("chi", chi).build()?;
        let (folder, payload) = (TempDir::new()?, Payload::new(1, size));
        let served = folder.path().join("served");
        fs::create_dir(&served)?;
        payload.write_to(served.join("file.bin"))?;
        let nginx = Nginx::serving(served).start(lan.origin())?;
        let url = nginx.url("/file.bin");
        let mut running = helpers(&lan, folder.path())?;
        running.extend(proxies(&lan, folder.path())?);
        await_proxies(&lan, &url)?;
        Ok(Self { lan, payload, url, folder, _running: (nginx, running) })
    }

    fn haul(&self) -> Command {
        let mut command = self.lan.leader().command(program("leader"));
        command.env("HAUL_HOME", self.folder.path().join("leader"));
        command.args(["get", "--quiet", &self.url, "--dir"]).arg(self.folder.path());
        command
    }

    fn aria2(&self) -> Command {
        let mut command = self.lan.leader().command("aria2c");
        command.args(["-x16", "-s16", "--quiet", "--file-allocation=none", "--dir"]);
        command.arg(self.folder.path());
        command.arg(format!("--all-proxy=http://127.0.0.1:{BALANCER}")).arg(&self.url);
        command
    }

    /// How many seconds a download takes, which has to be byte-exact.
    fn time(&self, mut command: Command) -> anyhow::Result<f64> {
        let began = Instant::now();
        let mut process = Process::spawn(&mut command)?;
        let ended = process.wait_within(PATIENCE)?.context("it goes on and on")?;
        let seconds = began.elapsed().as_secs_f64();
        ensure!(ended.success(), "{}{}", process.stdout(), process.stderr());
        let saved = self.folder.path().join("file.bin");
        ensure!(self.payload.first_difference(&saved)?.is_none(), "{} is wrong", saved.display());
        fs::remove_file(saved)?;
        Ok(seconds)
    }
}

fn helpers(lan: &Lan, folder: &Path) -> anyhow::Result<Vec<Process>> {
    let start = |host: &Host| {
        let mut command = host.command(program("helper"));
        command.env("HAUL_HOME", folder.join(host.name()));
        command.args(["run", "--json", "--accept", "always", "--allow-net", "203.0.113.0/24"]);
        let mut helper = Process::spawn(&mut command)?;
        helper.wait_for(Duration::from_secs(20), |out, _| out.contains("listening"))?;
        Ok(helper)
    };
    lan.helpers().iter().map(start).collect()
}

/// A tinyproxy on every machine, and haproxy in front of them on the leader.
fn proxies(lan: &Lan, folder: &Path) -> anyhow::Result<Vec<Process>> {
    let mut running = Vec::new();
    let mut servers = Vec::new();
    for host in machines(lan) {
        let (name, address) = (host.name(), host.address());
        let settings = folder.join(format!("{name}.tinyproxy"));
        fs::write(
            &settings,
            format!(
                "Port {PROXY}\nListen {address}\nTimeout 600\nMaxClients 100\nLogLevel Error\n"
            ),
        )?;
        let mut command = host.command("tinyproxy");
        running.push(Process::spawn(command.arg("-d").arg("-c").arg(&settings))?);
        servers.push(format!("    server {name} {address}:{PROXY}\n"));
    }
    let settings = folder.join("haproxy");
    fs::write(
        &settings,
        format!(
            "defaults\n    mode tcp\n    timeout connect 5s\n    timeout client 600s\n    timeout server 600s\n\
             frontend all\n    bind 127.0.0.1:{BALANCER}\n    default_backend machines\n\
             backend machines\n    balance leastconn\n{}",
            servers.concat()
        ),
    )?;
    let mut command = lan.leader().command("haproxy");
    running.push(Process::spawn(command.arg("-db").arg("-f").arg(&settings))?);
    Ok(running)
}

/// Waits until the origin is reached through every proxy.
fn await_proxies(lan: &Lan, url: &str) -> anyhow::Result<()> {
    let proxies = machines(lan).map(|host| format!("http://{}:{PROXY}", host.address()));
    for proxy in proxies.chain([format!("http://127.0.0.1:{BALANCER}")]) {
        let mut command = lan.leader().command("curl");
        command.args(["--silent", "--fail", "--head", "--output", "/dev/null", "--proxy", &proxy]);
        command.args(["--retry", "20", "--retry-connrefused", "--retry-delay", "1", url]);
        let mut curl = Process::spawn(&mut command)?;
        let ended = curl.wait_within(Duration::from_secs(30))?;
        ensure!(ended.is_some_and(|status| status.success()), "{proxy} does not answer");
    }
    Ok(())
}

fn machines(lan: &Lan) -> impl Iterator<Item = &Host> {
    std::iter::once(lan.leader()).chain(lan.helpers())
}

/// One of haul's programs; cargo builds them for no bench of another package.
fn program(name: &str) -> PathBuf {
    folder().join(name)
}

/// Builds both programs as this bench was built.
fn build() -> anyhow::Result<()> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "leader", "--package", "helper"]);
    if folder().ends_with("release") {
        cargo.arg("--release");
    }
    ensure!(cargo.status()?.success(), "the programs were not built");
    Ok(())
}

/// Where cargo puts the programs of this bench's profile.
fn folder() -> PathBuf {
    let bench = env::current_exe().unwrap_or_default();
    bench.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

fn median(seconds: &[f64]) -> f64 {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
