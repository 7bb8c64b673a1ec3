use crate::args::Get;
use crate::bars::Bars;
use crate::batch::{self, Item, Manner};
use crate::list::{self, Entry};
use crate::pipe;
use crate::report::{self, Story};
use crate::tell;
use crate::ui;
use crate::ways::{Secrets, address};
use haul::{
    Checks, Error, Event, Failed, Happening, Leader, LeaderBuilder, Report, Stops, Transfer,
    Verified,
};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, ExitCode};
use std::time::Duration;

/// Downloads a file and tells about it.
pub(crate) fn run(get: Box<Get>, verbose: u8) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the program could not start\n  because {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = get.json;
    let ended = if get.ui {
        runtime.block_on(ui::get(&get))
    } else if pipe::is_wanted(&get) {
        runtime.block_on(pipe::download(*get, verbose))
    } else {
        runtime.block_on(fetch(*get, verbose))
    };
    match ended {
        Ok(code) => code,
        Err(error) if json => ExitCode::from(error.kind().code()),
        Err(error) => {
            tell::error(&error);
            ExitCode::from(error.kind().code())
        }
    }
}

/// Downloads the one file that was asked for, or all of them.
async fn fetch(get: Get, verbose: u8) -> Result<ExitCode, Error> {
    let told = |error: &Error| {
        if get.json {
            print_failed(error);
        }
    };
    get.report.as_deref().map_or(Ok(()), report::may_save).inspect_err(told)?;
    let mut items = wanted(&get).await.inspect_err(told)?;
    if let (None, 1) = (&get.input, items.len()) {
        let leader = items.remove(0).leader.build().inspect_err(told)?;
        return download(&get, leader, verbose).await.map(|()| ExitCode::SUCCESS);
    }
    let manner = Manner { jobs: get.jobs, json: get.json, quiet: get.quiet, resume: get.resume };
    batch::run(items, manner).await
}

async fn download(get: &Get, leader: Leader, verbose: u8) -> Result<(), Error> {
    let mut face = Face::of(get, verbose);
    let mut story = get.report.clone().map(|file| (file, Story::default()));
    let mut transfer = leader.start();
    follow(&mut transfer, &mut |event| {
        if let Some((_, story)) = &mut story {
            story.note(event);
        }
        face.show(event);
        #[cfg(feature = "notify")]
        crate::notify::tell(event);
    })
    .await;
    let report = transfer.finish().await?;
    story.map_or(Ok(()), |(file, story)| write_report(&file, &story, &report))
}

fn write_report(file: &Path, story: &Story, report: &Report) -> Result<(), Error> {
    report::save(file, &report::page(story, report, &verdict(report)))
}

/// The downloads that were asked for.
async fn wanted(get: &Get) -> Result<Vec<Item>, Error> {
    if get.ways.read_input() && get.input.as_deref() == Some(Path::new("-")) {
        let because = "standard input cannot be both the list (-i -) and the headers (-H @-)";
        return Err(Error::usage(because));
    }
    let secrets = get.ways.secrets()?;
    let configured = |leader| configured(get, &secrets, leader);
    if let Some(path) = &get.input {
        return listed(get, list::read(path)?, configured).await;
    }
    let text = get.url.as_deref().unwrap_or_default();
    let leaders = if list::is_metalink(text) {
        let files = list::metalink(Path::new(text))?.into_iter();
        files.map(configured).collect::<Result<_, _>>()?
    } else {
        let leader = configured(Leader::builder(address(text)?))?;
        if get.ways.metalink { leader.follow_metalink().await? } else { vec![leader] }
    };
    if leaders.len() > 1 && (get.output.is_some() || get.checksum.is_some()) {
        let because =
            format!("the Metalink has {} files, --output and --checksum one", leaders.len());
        return Err(Error::usage(because));
    }
    let item = |(number, leader)| Item { label: format!("file {number}"), leader };
    Ok((1..).zip(leaders).map(item).collect())
}

/// The one download that was asked for.
pub(crate) async fn only(get: &Get) -> Result<LeaderBuilder, Error> {
    let mut items = wanted(get).await?;
    let item = items.pop().filter(|_| items.is_empty());
    item.map(|item| item.leader).ok_or_else(|| Error::usage("the Metalink has not just one file"))
}

/// The downloads of a list.
async fn listed(
    get: &Get,
    entries: Vec<Entry>,
    configured: impl Fn(LeaderBuilder) -> Result<LeaderBuilder, Error>,
) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for entry in entries {
        let line = entry.line;
        let mut leaders = entry.leaders(get.dir.as_deref(), &configured)?;
        if get.ways.metalink {
            leaders = followed(leaders).await?;
        }
        let of_many = leaders.len() > 1;
        let label = |number| {
            let file = if of_many { format!(", file {number}") } else { String::new() };
            format!("line {line}{file}")
        };
        let named =
            (1..).zip(leaders).map(|(number, leader)| Item { label: label(number), leader });
        items.extend(named);
    }
    Ok(items)
}

/// What the addresses lead to, each taken for that of a Metalink if it says that it is one.
async fn followed(leaders: Vec<LeaderBuilder>) -> Result<Vec<LeaderBuilder>, Error> {
    let mut all = Vec::new();
    for leader in leaders {
        all.extend(leader.follow_metalink().await?);
    }
    Ok(all)
}

/// A download as the arguments want it.
fn configured(get: &Get, secrets: &Secrets, leader: LeaderBuilder) -> Result<LeaderBuilder, Error> {
    let mut leader = get.ways.apply(secrets, leader)?.helpers(get.helpers.clone());
    leader = leader.min_helpers(get.min_helpers);
    if get.group_only {
        leader = leader.group_only();
    }
    if let Some(file) = &get.output {
        leader = leader.save_as(file);
    }
    if let Some(folder) = &get.dir {
        leader = leader.folder(folder);
    }
    if get.resume {
        leader = leader.resume();
    }
    if get.overwrite {
        leader = leader.overwrite();
    }
    if get.auto_rename {
        leader = leader.auto_rename();
    }
    if let Some(digest) = &get.checksum {
        leader = leader.checksum(digest);
    }
    if let Some(rate) = get.limit_rate {
        leader = leader.limit_rate(rate);
    }
    if get.no_sidecar {
        leader = leader.no_sidecar();
    }
    if get.no_scan {
        leader = leader.no_scan();
    }
    if let Some(path) = &get.ca_cert {
        let pem =
            fs::read(path).map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
        leader = leader.extra_roots(pem);
    }
    Ok(get.interface.iter().fold(leader, LeaderBuilder::interface))
}

/// Passes every event on; the first interrupt stops the job cleanly, the second at once.
pub(crate) async fn follow(transfer: &mut Transfer, show: &mut dyn FnMut(&Event)) {
    let mut interrupts = 0;
    let mut stops = Stops::listen();
    loop {
        tokio::select! {
            event = transfer.next_event() => match event {
                Some(event) => show(&event),
                None => return,
            },
            () = stops.next() => {
                interrupts += 1;
                if interrupts > 1 {
                    process::exit(7);
                }
                transfer.cancel();
            }
        }
    }
}

/// How a download is shown.
enum Face {
    Json,
    Quiet,
    Bars(Bars),
}

impl Face {
    fn of(get: &Get, verbose: u8) -> Self {
        match (get.json, get.quiet) {
            (true, _) => Self::Json,
            (_, true) => Self::Quiet,
            _ => Self::Bars(Bars::new(verbose > 0)),
        }
    }

    fn show(&mut self, event: &Event) {
        match self {
            Self::Json => return print_line(event),
            Self::Quiet => {}
            Self::Bars(bars) => bars.show(event),
        }
        if let Happening::Done(report) = &event.what {
            if let Self::Bars(bars) = self {
                bars.end();
                eprintln!("{}", verdict(report));
            }
            print_text(&report.path.display().to_string());
        }
    }
}

pub(crate) fn verdict(report: &Report) -> String {
    let checked = match (report.verified, report.checks) {
        (Verified::Sha256, _) => "verified by SHA-256".into(),
        (Verified::Sha512, _) => "verified by SHA-512".into(),
        (Verified::LengthUnverified, _) => {
            "unverified, not even its length: the origin marks no end".into()
        }
        (Verified::Sampled, Some(checks)) => sampled(checks),
        (Verified::Sampled, None) => {
            "sampled: parts of what helpers brought match the origin".into()
        }
        (Verified::Unverified, _) => "unverified: nobody states a checksum".to_owned(),
    };
    let time = tell::time(Duration::from_secs_f64(report.seconds));
    let helpers =
        report.workers.iter().filter(|worker| worker.worker != 0 && worker.bytes > 0).count();
    let gain = match helpers {
        0 => String::new(),
        1 => format!(", {} times as fast as alone with one helper", report.speedup),
        many => format!(", {} times as fast as alone with {many} helpers", report.speedup),
    };
    format!("{} in {time}{gain}; {checked}", tell::size(report.bytes))
}

fn sampled(Checks { samples, bytes, of }: Checks) -> String {
    let [bytes, of] = [bytes, of].map(tell::size);
    format!(
        "sampled: {samples} samples ({bytes}) of the {of} that helpers brought match the origin"
    )
}

/// The last event of a download that could not begin.
pub(crate) fn print_failed(error: &Error) {
    print_line(&Event { at: Duration::ZERO, what: Happening::Failed(Failed::from(error)) });
}

fn print_line(event: &Event) {
    // Events hold nothing that JSON cannot write.
    print_text(&serde_json::to_string(event).unwrap_or_default());
}

/// Whoever closed our output does not want to hear more; the download goes on.
pub(crate) fn print_text(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
