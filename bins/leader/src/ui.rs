use crate::args::Ui;
use haul::{Leader, LeaderBuilder, Url};
use haul_web::{Error, LeaderPage};
use std::process::{self, ExitCode};
use tokio::signal;

/// Serves the page until it is interrupted.
pub(crate) fn run(ui: Ui) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start\n  because {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(ui)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the page could not be opened");
            eprintln!("  because {error}");
            eprintln!("  try     {}", error.remedy());
            ExitCode::FAILURE
        }
    }
}

async fn serve(ui: Ui) -> Result<(), Error> {
    let page = LeaderPage::builder(ui.dir).port(ui.port).template(through_proxies).open().await?;
    eprintln!("Open {} in a browser on this machine; Ctrl-C ends it.", page.link());
    page.serve(interrupted()).await;
    Ok(())
}

fn through_proxies(url: Url) -> LeaderBuilder {
    Leader::builder(url).proxies_from_env()
}

/// Ready at the first interrupt, which ends a download cleanly; the second ends it at once.
async fn interrupted() {
    if signal::ctrl_c().await.is_err() {
        // Without a way to hear interrupts, the system's own way of ending the program stays.
        std::future::pending::<()>().await;
    }
    tokio::spawn(async {
        if signal::ctrl_c().await.is_ok() {
            process::exit(7);
        }
    });
}
