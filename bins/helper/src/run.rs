use crate::args::{Accept, Run};
use crate::ask::{Terminal, in_words};
use crate::ui;
use haul::doors::Doors;
use haul::policy::{Mode, PolicySource};
use haul::trust::Trust;
use haul::{Answer, Error, Failed, Helper, HelperBuilder, HelperEvent, Home, Serving, Stops};
use haul_web::HelperPage;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

/// Serves until interrupted.
pub(crate) fn run(run: Run) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start\n  because {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = run.json;
    let ended = runtime.block_on(serve(run));
    // A read from the terminal cannot be called off, so nobody waits for it.
    runtime.shutdown_background();
    let Err(error) = ended else { return ExitCode::SUCCESS };
    if json { ended_json(&error) } else { self::ended(Err(error)) }
}

/// Says as JSON what went wrong.
pub(crate) fn ended_json(error: &Error) -> ExitCode {
    let failed = Failed::from(error);
    let line = serde_json::json!({ "event": "failed", "v": failed.v, "code": failed.code,
        "error": failed.error, "because": failed.because, "try": failed.r#try });
    print_text(&line.to_string());
    ExitCode::from(failed.code)
}

/// Says in its three fields what went wrong, if anything did.
pub(crate) fn ended(done: Result<(), Error>) -> ExitCode {
    let Err(error) = done else { return ExitCode::SUCCESS };
    let failed = Failed::from(&error);
    eprintln!("error: {}\n  because {}\n  try     {}", failed.error, failed.because, failed.r#try);
    ExitCode::from(failed.code)
}

async fn serve(run: Run) -> Result<(), Error> {
    let mut stops = Stops::listen();
    let json = run.json;
    let home = Home::of_user()?;
    if run.policy.is_none() {
        PolicySource::write_template(&home)?;
    }
    let source = policy(&run, &home);
    let doors = Doors::new(Trust::of(&home));
    let page =
        if run.ui { Some(ui::open(run.port, &doors, &home, source.clone()).await?) } else { None };
    let terminal = if run.headless { None } else { Terminal::open(&doors) };
    if terminal.is_none() && page.is_none() && matches!(run.accept, None | Some(Accept::Ask)) {
        eprintln!(
            "there is no terminal to ask on: whoever you would be asked about is refused; \
             `helper run --help` tells of --accept and --ui"
        );
    }
    #[cfg(feature = "notify")]
    let _word = tokio::spawn(crate::notify::tell(&doors, page.as_ref().map(HelperPage::address)));
    let mut serving = helper(run, home, source)?.consent(doors).build()?.start();
    tokio::select! {
        () = follow(&mut serving, json, &mut stops) => {}
        () = ask(terminal, page) => {}
    }
    serving.stop().await
}

/// Asks at the doors that there are, for as long as it is polled.
async fn ask(terminal: Option<Terminal>, page: Option<HelperPage>) {
    let links = page.as_ref().map(HelperPage::links);
    let at_terminal = async {
        match terminal {
            // What is typed while nothing is asked wants another link.
            Some(terminal) => terminal.serve(|| ui::show_link(links.as_ref())).await,
            None => std::future::pending().await,
        }
    };
    let on_page = async {
        match page {
            Some(page) => page.serve(std::future::pending()).await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(at_terminal, on_page);
}

/// The owner's rules, under what was said for this run.
fn policy(run: &Run, home: &Home) -> PolicySource {
    let source = match &run.policy {
        Some(path) => PolicySource::file(path),
        None => PolicySource::of_home(home),
    };
    let source = run.accept.map(mode).into_iter().fold(source, PolicySource::mode);
    let source = run.limit_rate.into_iter().fold(source, PolicySource::limit_rate);
    run.allow_net.iter().copied().fold(source, PolicySource::allow_net)
}

fn helper(run: Run, home: Home, source: PolicySource) -> Result<HelperBuilder, Error> {
    let mut helper = Helper::builder().listen(run.listen).policy(source).home(home);
    if run.no_announce {
        helper = helper.no_announce();
    }
    if run.group_only {
        helper = helper.group_only();
    }
    if let Some(path) = run.ca_cert {
        let pem = fs::read(&path)
            .map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
        helper = helper.extra_roots(pem);
    }
    Ok(helper)
}

fn mode(accept: Accept) -> Mode {
    match accept {
        Accept::Ask => Mode::Ask,
        Accept::Known => Mode::Known,
        Accept::Always => Mode::Always,
        Accept::Never => Mode::Never,
    }
}

/// Tells what happens until interrupted.
async fn follow(serving: &mut Serving, json: bool, stops: &mut Stops) {
    loop {
        tokio::select! {
            event = serving.next_event() => match event {
                // An event holds nothing that JSON cannot write.
                Some(event) if json => print_text(&serde_json::to_string(&event).unwrap_or_default()),
                Some(event) => say(&event),
                None => return,
            },
            () = stops.next() => return,
        }
    }
}

fn say(event: &HelperEvent) {
    match event {
        HelperEvent::Listening { address } => {
            eprintln!("waiting for asks on {address}; Ctrl-C to stop");
        }
        HelperEvent::Policy { managed, error: None, .. } if !managed.is_empty() => {
            eprintln!("managed by your organisation: {}", managed.join(", "));
        }
        HelperEvent::Policy { error: Some(error), r#try, .. } => {
            eprintln!("error: the policy was not changed\n  because {error}");
            eprintln!("  try     {}", r#try.as_deref().unwrap_or_default());
        }
        HelperEvent::Note { text } => eprintln!("note: {text}"),
        // What rules refuse is in the log; a flood of asks must not fill the screen.
        HelperEvent::Answered { leader, answer, because, asked }
            if *asked || *answer == Answer::Yes =>
        {
            eprintln!("answered {leader}: {answer:?} ({because})");
        }
        HelperEvent::Helping { leader, host } => {
            eprintln!("helping {leader}: fetching from {host}");
        }
        HelperEvent::Progress { leader, bytes, rate } => {
            eprintln!("for {leader}: {} so far, {}/s", in_words(*bytes), in_words(*rate));
        }
        HelperEvent::Ended { leader, bytes, because } => {
            eprintln!("done for {leader}: {} ({because})", in_words(*bytes));
        }
        _ => {}
    }
}

/// Whoever closed our output does not want to hear more; the helper goes on.
pub(crate) fn print_text(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
