//! Downloads one file with whoever helps: `cargo run --example one_file -- URL`.

#![allow(clippy::print_stdout, reason = "a program talks")]

use haul::{Happening, Leader};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("say which URL"))?;
    let mut transfer = Leader::builder(url.parse()?).build()?.start();
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Joined { name, .. } => println!("{name} helps"),
            Happening::Progress { stored, rate, .. } => {
                println!("{} MiB, {} KiB/s", stored >> 20, rate >> 10);
            }
            _ => {}
        }
    }
    let report = transfer.finish().await?;
    println!("{}, {} times as fast as alone", report.path.display(), report.speedup);
    Ok(())
}
