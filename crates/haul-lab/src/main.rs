//! Things of the lab to try by hand: `cargo run -p haul-lab -- origin --size 64M --rate 20Mbit`,
//! `cargo run -p haul-lab -- origin --trap over-long-body`,
//! `cargo run -p haul-lab -- traps --against curl,aria2c,haul`,
//! `cargo run -p haul-lab -- sim 1g-faults --seed 3`,
//! `cargo run -p haul-lab -- sim 20-200` (a hostel: many leaders that share helpers).
#![expect(clippy::print_stdout, reason = "the program tells what it does")]

mod compare;

use clap::{Args, Parser, Subcommand};
use compare::TrapsArguments;
use haul_lab::origin::{Origin, Resource, Shape, Trap};
use haul_lab::sim::{self, Figures, Hostel, Scenario};
use haul_lab::{Certificate, Payload, Rate};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs, thread};

/// Things of haul's lab, to try by hand.
#[derive(Parser)]
#[command(name = "haul-lab")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a payload until interrupted.
    Origin(OriginArguments),
    /// Try downloaders on every trap, and print the table of what they made of it
    Traps(TrapsArguments),
    /// Play a scenario in virtual time, or all of them
    Sim(SimArguments),
}

#[derive(Args)]
struct OriginArguments {
    /// How much to serve, as in 500k, 64M or 3G
    #[arg(long, default_value = "64M", value_parser = size)]
    size: u64,
    /// What the payload is made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Misbehave in this way instead; `list` prints all of them
    #[arg(long, value_name = "NAME")]
    trap: Option<String>,
    /// The link of each client's address, as in 500k, 2M or 20Mbit
    #[arg(long)]
    rate: Option<Rate>,
    /// The most that one connection gets
    #[arg(long)]
    connection_rate: Option<Rate>,
    /// How much later each head comes, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Speak TLS, with the authority's certificate written to this file
    #[arg(long, value_name = "CA.PEM")]
    tls: Option<PathBuf>,
}

#[derive(Args)]
struct SimArguments {
    /// The name of a scenario or a hostel that comes with the lab, or a scenario's file; without
    /// it, all scenarios are summed up
    scenario: Option<PathBuf>,
    /// What chance is made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Over how many seeds scenarios are summed up
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Show everything that the planner says
    #[arg(long)]
    outputs: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().command {
        Command::Origin(arguments) => arguments.serve(),
        Command::Traps(arguments) => arguments.compare(),
        Command::Sim(arguments) => arguments.play(),
    }
}

impl SimArguments {
    fn play(&self) -> Result<(), Box<dyn Error>> {
        let Some(scenario) = &self.scenario else { return self.sum_up() };
        let hostel = Hostel::folder().join(scenario).with_extension("toml");
        if hostel.exists() {
            self.host(&Hostel::read(&hostel)?);
            return Ok(());
        }
        let named = Scenario::folder().join(scenario).with_extension("toml");
        let scenario = Scenario::read(if named.exists() { &named } else { scenario })?;
        let report = sim::run(&scenario, self.seed);
        for (at, output) in report.outputs.iter().filter(|_| self.outputs) {
            println!("{:8.3} {output:?}", at.as_secs_f64());
        }
        println!("{} (seed {})\n{report}", scenario.about, self.seed);
        Ok(())
    }

    fn host(&self, hostel: &Hostel) {
        let outcome = sim::host(hostel, self.seed);
        let kept = if outcome.keeps(&hostel.promise) { "kept" } else { "broken" };
        println!("{} (seed {})\n{outcome}", hostel.about, self.seed);
        println!("its promise            {kept}: {}", hostel.promise);
    }

    fn sum_up(&self) -> Result<(), Box<dyn Error>> {
        let entries = fs::read_dir(Scenario::folder())?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        println!("{:20}{:14}  mean    p10  worst     waste", "scenario", "promise");
        for file in files {
            let scenario = Scenario::read(&file)?;
            let name = file.file_stem().unwrap_or_default().display();
            let figures = Figures::of(&scenario, self.seeds);
            let mark = if figures.kept() { "" } else { "  broken" };
            println!("{name:20}{:14}{figures}{mark}", scenario.promise.to_string());
        }
        Ok(())
    }
}

impl OriginArguments {
    fn serve(&self) -> Result<(), Box<dyn Error>> {
        match self.trap.as_deref() {
            None => self.serve_payload(),
            Some("list") => {
                list_traps();
                Ok(())
            }
            Some(name) => self.serve_trap(name),
        }
    }

    fn serve_trap(&self, name: &str) -> Result<(), Box<dyn Error>> {
        let trap = Trap::named(name).ok_or("no such trap; see --trap list")?;
        let hostile = trap.spring_at(self.port)?;
        println!("{}", hostile.url());
        println!("it {}; {}", trap.does, trap.promise);
        println!("{} bytes, sha-256 {}", trap.size, hostile.payload().sha256());
        if let (Some(file), Some(certificate)) = (&self.tls, hostile.certificate()) {
            fs::write(file, certificate.authority_pem())?;
        }
        loop {
            thread::park();
        }
    }

    fn serve_payload(&self) -> Result<(), Box<dyn Error>> {
        let payload = Payload::new(self.seed, self.size);
        let origin = self.start(payload)?;
        for path in ["/file", "/no-ranges", "/chunked", "/close"] {
            println!("{}", origin.url(path));
        }
        println!("{} bytes, sha-256 {}", payload.len(), payload.sha256());
        loop {
            thread::park();
        }
    }

    fn start(&self, payload: Payload) -> Result<Origin, Box<dyn Error>> {
        let mut builder = Origin::builder()
            .listen((self.address, self.port).into())
            .shape(self.shape())
            .serve("/file", Resource::of(payload))
            .serve("/no-ranges", Resource::of(payload).without_ranges())
            .serve("/chunked", Resource::of(payload).chunked())
            .serve("/close", Resource::of(payload).close_delimited());
        if let Some(file) = &self.tls {
            let address = self.address.to_string();
            let certificate = Certificate::for_names(["localhost", &address])?;
            fs::write(file, certificate.authority_pem())?;
            builder = builder.tls(certificate);
        }
        Ok(builder.start()?)
    }

    fn shape(&self) -> Shape {
        let shape = self.rate.map_or_else(Shape::default, Shape::by_peer);
        let shape = shape.latency(Duration::from_millis(self.latency));
        self.connection_rate.into_iter().fold(shape, Shape::per_connection)
    }
}

fn list_traps() {
    for Trap { number, name, does, promise, .. } in Trap::all() {
        println!("{number:3} {name:24} {does}; {promise}");
    }
}

/// A size is written as a rate is.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<Rate>().map(Rate::as_bytes_per_second).map_err(|_| format!("`{text}` is no size"))
}
