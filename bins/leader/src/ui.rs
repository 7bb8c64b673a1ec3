use crate::args::Ui;
use haul::{Leader, LeaderBuilder, Url};
use haul_web::{Error, LeaderPage, LeaderPageBuilder, Links};
use std::io::{IsTerminal, stdin};
use std::process::{self, ExitCode};
use std::thread;
use tokio::signal;

/// The port that is tried first: a page that is still open finds the program again on the same.
const PORT: u16 = 4301;

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
    let page = open(&ui).await?;
    eprintln!("Open {} in a browser on this machine; Ctrl-C ends it.", page.link());
    if stdin().is_terminal() {
        eprintln!("The link opens one browser; press Enter for another link.");
        make_links(page.links());
    }
    page.serve(interrupted()).await;
    Ok(())
}

async fn open(ui: &Ui) -> Result<LeaderPage, Error> {
    match ui.port {
        Some(port) => page(ui).port(port).open().await,
        None => match page(ui).port(PORT).open().await {
            Err(Error::Port { .. }) => page(ui).open().await,
            opened => opened,
        },
    }
}

fn page(ui: &Ui) -> LeaderPageBuilder {
    let Ui { helpers, no_scan, interface, .. } = ui;
    let (helpers, no_scan, interface) = (helpers.clone(), *no_scan, interface.clone());
    let template = move |url: Url| {
        let leader = Leader::builder(url).proxies_from_env().helpers(helpers.clone());
        let leader = if no_scan { leader.no_scan() } else { leader };
        interface.iter().fold(leader, LeaderBuilder::interface)
    };
    LeaderPage::builder(ui.dir.clone()).template(template)
}

/// Shows another link for every line that is typed. The thread ends with the program.
fn make_links(links: Links) {
    thread::spawn(move || {
        for _ in stdin().lines().map_while(Result::ok) {
            match links.fresh() {
                Ok(link) => eprintln!("Open {link}"),
                Err(error) => eprintln!("error: {error}"),
            }
        }
    });
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
