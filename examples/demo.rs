//! Many hands haul one load, on this machine alone: an origin, a leader and three helpers, each
//! behind a link of its own, over real sockets on loopback.
//!
//! `cargo run --release --example demo`, and with `-- --cut` a helper dies halfway.

#![allow(clippy::print_stdout, reason = "a program talks")]

use anyhow::{Context, Result, bail};
use clap::Parser;
use haul::{
    Answer, Decision, Happening, Helper, HelperEvent, Helpers, Home, Leader, Report, Serving,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::Path;
use tempfile::TempDir;

/// Three helpers on links of unequal rate, and a leader on its own.
#[derive(Parser)]
struct Args {
    /// Size of the file in MiB
    #[arg(long, default_value_t = 28)]
    size: u64,

    /// Kill a helper halfway
    #[arg(long)]
    cut: bool,
}

/// A machine of the demo: on Linux all of 127.0.0.0/8 is this machine, so each has an address, and
/// the origin gives each address a link of its own rate.
struct Machine {
    name: &'static str,
    address: IpAddr,
    mbit: u64,
}

const LEADER: Machine = machine("own link", 1, 32);
const HELPERS: [Machine; 3] =
    [machine("asha", 11, 32), machine("ben", 12, 24), machine("chi", 13, 16)];

const fn machine(name: &'static str, last: u8, mbit: u64) -> Machine {
    Machine { name, address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), mbit }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let folder = TempDir::new()?;
    let payload = Payload::new(1, args.size << 20);
    let origin = origin(payload)?;
    println!("a file of {} MiB; links of 32 (yours), 32, 24 and 16 Mbit/s", args.size);

    println!("\nalone:");
    let alone = get(&origin, payload, &folder.path().join("alone"), Helpers::none(), None).await?;

    println!("\ntogether with three helpers{}:", if args.cut { ", one of which dies" } else { "" });
    let mut serving = Vec::new();
    for helper in &HELPERS {
        serving.push(start(helper, folder.path()).await?);
    }
    let asked = Helpers::only(serving.iter().map(|(_, address)| address.clone()));
    let victim = args.cut.then(|| serving.swap_remove(0).0);
    let together = get(&origin, payload, &folder.path().join("together"), asked, victim).await?;

    let all: u64 = HELPERS.iter().map(|helper| helper.mbit).sum::<u64>() + LEADER.mbit;
    #[expect(clippy::cast_precision_loss, reason = "rates are small numbers")]
    let ideal = all as f64 / LEADER.mbit as f64;
    println!(
        "\nalone {:.1} s, together {:.1} s, ×{:.2} (ideal ×{ideal:.2}{}); both files have SHA-256 {}…",
        alone.seconds,
        together.seconds,
        alone.seconds / together.seconds,
        if args.cut { " if nobody died" } else { "" },
        &payload.sha256()[..16]
    );
    Ok(())
}

fn origin(payload: Payload) -> Result<Origin> {
    let links = HELPERS.iter().fold(Shape::by_peer(Rate::mbit(LEADER.mbit)), |links, helper| {
        links.peer(helper.address, Rate::mbit(helper.mbit))
    });
    Ok(Origin::builder().serve("/load.bin", Resource::of(payload)).shape(links).start()?)
}

/// Starts a helper that always says yes; returns where it hears asks.
async fn start(machine: &Machine, folder: &Path) -> Result<(Serving, String)> {
    let helper = Helper::builder()
        .name(machine.name)
        .consent(Decision::Yes)
        .allow_net("127.0.0.0/8".parse()?)
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .source_address(machine.address)
        .home(Home::at(folder.join(machine.name)));
    let mut serving = helper.build()?.start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => Ok((serving, address.to_string())),
        _ => bail!("{} does not listen: {:?}", machine.name, serving.stop().await.err()),
    }
}

/// Downloads the file and shows who brings what; halfway the victim dies.
async fn get(
    origin: &Origin,
    payload: Payload,
    file: &Path,
    helpers: Helpers,
    mut victim: Option<Serving>,
) -> Result<Report> {
    let leader = Leader::builder(origin.url("/load.bin").parse()?)
        .save_as(file)
        .helpers(helpers)
        .checksum(format!("sha-256={}", payload.sha256()))
        .home(Home::at(file.with_extension("home")))
        .source_address(LEADER.address)
        .name("demo");
    let mut transfer = leader.build()?.start();
    let mut bars = Bars::default();
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Progress { workers, stored, .. } => {
                for worker in &workers {
                    bars.show(&worker.name, worker.bytes, payload.len());
                }
                if stored > payload.len() / 2 {
                    drop(victim.take());
                }
            }
            Happening::Lost { name, because, .. } => {
                bars.say(&format!("  {name} is gone: {because}"));
            }
            Happening::Answered { name, answer, because, .. } if answer != Answer::Yes => {
                bars.say(&format!("  {name} cannot help: {}", because.unwrap_or_default()));
            }
            Happening::Note { text } => bars.say(&text),
            _ => {}
        }
    }
    let report = transfer.finish().await?;
    for worker in &report.workers {
        bars.show(&worker.name, worker.bytes, payload.len());
    }
    bars.end();
    payload
        .first_difference(file)?
        .map_or(Ok(()), |at| bail!("byte {at} is wrong"))
        .context("the file")?;
    Ok(report)
}

/// A bar for each worker: its share of the file.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    workers: BTreeMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, name: &str, bytes: u64, size: u64) {
        let all = &self.all;
        let bar = self.workers.entry(name.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(size));
            let style =
                ProgressStyle::with_template("  {prefix:10} {bar:40} {bytes:>11}  {percent} %");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(name.to_owned());
            bar
        });
        bar.set_position(bytes);
    }

    fn say(&self, text: &str) {
        // A terminal that cannot show a line shows nothing else either.
        let _ = self.all.println(text);
    }

    fn end(&self) {
        for bar in self.workers.values() {
            bar.abandon();
        }
    }
}
