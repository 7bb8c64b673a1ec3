//! A helper inside an application of its own, with a policy of its own:
//! `cargo run --example embed_helper`.

#![allow(clippy::print_stdout, reason = "a program talks")]

use haul::{ConsentPolicy, Decision, Helper, Request};
use std::future::{Future, ready};
use std::pin::Pin;

/// Helps with files of well-known distributions up to 8 GiB, and with nothing else.
struct Distributions;

impl ConsentPolicy for Distributions {
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        let known = [".debian.org", ".ubuntu.com", ".fedoraproject.org"];
        let fits = known.iter().any(|host| request.host.ends_with(host)) && request.size <= 8 << 30;
        println!("{} asks for a file from {}", request.leader, request.host);
        Box::pin(ready(if fits { Decision::Yes } else { Decision::No }))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let helper = Helper::builder().consent(Distributions).build()?;
    println!("helping with files of well-known distributions; Ctrl-C to stop");
    helper.serve(async { drop(tokio::signal::ctrl_c().await) }).await?;
    Ok(())
}
