use crate::args::{Accept, Run};
use crate::ask::{Terminal, in_words};
use crate::known::Known;
use haul::trust::Trust;
use haul::{Decision, Error, Failed, Helper, HelperBuilder, HelperEvent, Home, Serving};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use tokio::signal;

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
    if !json {
        return self::ended(Err(error));
    }
    let failed = Failed::from(&error);
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
    let json = run.json;
    if run.accept == Accept::Ask && !io::stdin().is_terminal() {
        eprintln!(
            "there is no terminal to ask on: what is not answered on standard input is refused"
        );
    }
    let mut serving = helper(run)?.build()?.start();
    follow(&mut serving, json).await;
    serving.stop().await
}

fn helper(run: Run) -> Result<HelperBuilder, Error> {
    let mut helper = Helper::builder().listen(run.listen);
    helper = match run.accept {
        Accept::Ask if !run.headless => helper.consent(Terminal::new(Trust::of(&Home::of_user()?))),
        Accept::Known => helper.consent(Known),
        Accept::Always => helper.consent(Decision::Yes),
        Accept::Ask | Accept::Never => helper.consent(Decision::No),
    };
    if run.group_only {
        helper = helper.group_only();
    }
    if let Some(rate) = run.limit_rate {
        helper = helper.limit_rate(rate);
    }
    if let Some(path) = run.ca_cert {
        let pem = fs::read(&path)
            .map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
        helper = helper.extra_roots(pem);
    }
    Ok(run.allow_net.into_iter().fold(helper, HelperBuilder::allow_net))
}

/// Tells what happens until interrupted.
async fn follow(serving: &mut Serving, json: bool) {
    let mut terminate = Termination::new();
    loop {
        tokio::select! {
            event = serving.next_event() => match event {
                // An event holds nothing that JSON cannot write.
                Some(event) if json => print_text(&serde_json::to_string(&event).unwrap_or_default()),
                Some(event) => say(&event),
                None => return,
            },
            _ = signal::ctrl_c() => return,
            () = terminate.requested() => return,
        }
    }
}

/// The signal by which a service is stopped.
struct Termination {
    #[cfg(unix)]
    signal: Option<signal::unix::Signal>,
}

impl Termination {
    #[cfg(unix)]
    fn new() -> Self {
        Self { signal: signal::unix::signal(signal::unix::SignalKind::terminate()).ok() }
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self {}
    }

    async fn requested(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}

fn say(event: &HelperEvent) {
    match event {
        HelperEvent::Listening { address } => {
            eprintln!("waiting for asks on {address}; Ctrl-C to stop");
        }
        HelperEvent::Answered { leader, answer, because } => {
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
fn print_text(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
