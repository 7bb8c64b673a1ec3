use haul::doors::Doors;
use haul::policy::PolicySource;
use haul::{Error, Home};
use haul_web::{HelperPage, HelperPageBuilder, Links};
use std::io::{IsTerminal, stdin};

/// The port that is tried first: a page that is still open finds the program again on the same.
const PORT: u16 = 4302;

/// Opens the owner's page and says where.
pub(crate) async fn open(
    port: Option<u16>,
    doors: &Doors,
    home: &Home,
    source: PolicySource,
) -> Result<HelperPage, Error> {
    let page = opened(port, || HelperPage::builder(doors, home).policy(source.clone())).await;
    let page = page.map_err(|error| {
        Error::usage(format!("the page cannot be opened: {error}; {}", error.remedy()))
    })?;
    eprintln!("Open {} in a browser on this machine; Ctrl-C ends it.", page.link());
    if stdin().is_terminal() {
        eprintln!("The link opens one browser; press Enter for another link.");
    }
    Ok(page)
}

async fn opened(
    port: Option<u16>,
    page: impl Fn() -> HelperPageBuilder,
) -> Result<HelperPage, haul_web::Error> {
    match port {
        Some(port) => page().port(port).open().await,
        None => match page().port(PORT).open().await {
            Err(haul_web::Error::Port { .. }) => page().open().await,
            opened => opened,
        },
    }
}

/// Shows another link, if there is a page.
pub(crate) fn show_link(links: Option<&Links>) {
    match links.map(Links::fresh) {
        Some(Ok(link)) => eprintln!("Open {link}"),
        Some(Err(error)) => eprintln!("error: {error}"),
        None => {}
    }
}
