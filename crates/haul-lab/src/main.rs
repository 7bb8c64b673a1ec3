//! Things of the lab to try by hand: `cargo run -p haul-lab -- origin --size 64M --rate 20Mbit`.
#![expect(clippy::print_stdout, reason = "the program tells what it serves")]

use clap::{Args, Parser, Subcommand};
use haul_lab::origin::{Origin, Resource, Shape};
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

fn main() -> Result<(), Box<dyn Error>> {
    let Command::Origin(arguments) = Arguments::parse().command;
    let payload = Payload::new(arguments.seed, arguments.size);
    let origin = arguments.start(payload)?;
    for path in ["/file", "/no-ranges", "/chunked", "/close"] {
        println!("{}", origin.url(path));
    }
    println!("{} bytes, sha-256 {}", payload.len(), payload.sha256());
    loop {
        thread::park();
    }
}

impl OriginArguments {
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

/// A size is written as a rate is.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<Rate>().map(Rate::as_bytes_per_second).map_err(|_| format!("`{text}` is no size"))
}
