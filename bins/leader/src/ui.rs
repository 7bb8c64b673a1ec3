use crate::args::{Get, Ui};
use crate::get::{only, print_text, verdict};
use haul::{ErrorKind, Happening, Home, Leader, LeaderBuilder, Stops, Url};
use haul_web::{Begun, Error, LeaderPage, LeaderPageBuilder, Links};
use std::ffi::OsStr;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;

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
    let stops = Stops::listen();
    show_link(&page);
    page.serve(interrupted(stops)).await;
    Ok(())
}

/// Downloads a file on the page, and serves that until it is interrupted. How the download ended
/// is how the program ends.
pub(crate) async fn get(get: &Get) -> Result<ExitCode, haul::Error> {
    let leader = only(get).await?;
    let (dir, name) = place(get, &leader).await?;
    let Get { helpers, no_scan, interface, .. } = get;
    let (helpers, no_scan, interface) = (helpers.clone(), *no_scan, interface.clone());
    let page = open(&Ui { dir, port: None, helpers, no_scan, interface }).await.map_err(told)?;
    let begun = page.begin(leader, &name).map_err(told)?;
    let stops = Stops::listen();
    show_link(&page);
    tokio::select! {
        () = page.serve(interrupted(stops)) => {}
        () = tell_ends(begun.clone()) => {}
    }
    Ok(match begun.last().map(|event| event.what) {
        Some(Happening::Done(_)) => ExitCode::SUCCESS,
        Some(Happening::Failed(failed)) => ExitCode::from(failed.code),
        _ => ExitCode::from(ErrorKind::Interrupted.code()),
    })
}

/// The folder and the name that the file is to have; the origin is asked for a name that was not
/// said.
async fn place(get: &Get, leader: &LeaderBuilder) -> Result<(PathBuf, String), haul::Error> {
    let dir = get.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let Some(output) = &get.output else {
        let probed = leader.clone().build()?.probe().await?;
        return Ok((dir, probed.name));
    };
    let path = dir.join(output);
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")).to_owned(), name))
}

/// Says how the download ended, each time it does.
async fn tell_ends(mut begun: Begun) {
    while let Some(end) = begun.ended().await {
        match end.what {
            Happening::Done(report) => {
                eprintln!("{}; Ctrl-C ends the page", verdict(&report));
                print_text(&report.path.display().to_string());
            }
            Happening::Failed(failed) => {
                eprintln!("{}: {}; the page can go on with it", failed.error, failed.because);
            }
            _ => {}
        }
    }
}

fn told(error: Error) -> haul::Error {
    match error {
        Error::Job(error) => error,
        other => haul::Error::usage(format!("{other}; {}", other.remedy())),
    }
}

fn show_link(page: &LeaderPage) {
    eprintln!("Open {} in a browser on this machine; Ctrl-C ends it.", page.link());
    if stdin().is_terminal() {
        eprintln!("The link opens one browser; press Enter for another link.");
        make_links(page.links());
    }
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
    let page = LeaderPage::builder(ui.dir.clone()).template(template);
    #[cfg(feature = "notify")]
    let page = page.on_end(crate::notify::tell);
    // Without a home nothing was left that could be known.
    Home::of_user().into_iter().fold(page, LeaderPageBuilder::home)
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
async fn interrupted(mut stops: Stops) {
    stops.next().await;
    tokio::spawn(async move {
        stops.next().await;
        process::exit(7);
    });
}
