use crate::asset::Asset;
use crate::board::{Board, Topic};
use crate::body::read;
use crate::face::Face;
use crate::reply::{self, Body, Refusal};
use haul::control::{self, Command, Cost, Helped, Refused, Status};
use haul::doors::{Door, Doors, Prompt, Replied, Reply};
use haul::policy::{PolicySource, Unsaved};
use haul::trust::{Blocked, Grant, Known, Role, Standing, Trust};
use haul::{Error, Home, Lasts};
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How often the page is told how the helper is, while anybody looks.
const LOOK: Duration = Duration::from_secs(1);

/// How soon it is asked again while it is just starting.
const SOON: Duration = Duration::from_millis(100);

/// How many helps the page shows of the history.
const SHOWN: usize = 50;

/// The helper's page: a door at which its owner is asked, and a client of the helper's own socket,
/// so that it can do nothing that the commands of the program cannot.
pub(crate) struct Lending {
    doors: Doors,
    home: Home,
    policy: PolicySource,
    board: watch::Sender<Board>,
    /// Somebody began to look.
    looked: Notify,
}

/// An answer to a prompt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    ask: u64,
    say: Word,
    /// How long a yes lasts; two hours if not said.
    #[serde(default)]
    lasts: Span,
    /// What was typed as the leader's code.
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Yes,
    No,
    Always,
    Never,
}

/// How long a yes lasts.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Span {
    File,
    #[default]
    Hours,
    Today,
}

/// What is done about a leader that the owner has decided upon before.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undo {
    what: Undone,
    /// Its id.
    leader: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Undone {
    /// It is known no more.
    Known,
    /// What was granted to it is taken back.
    Granted,
    /// It is blocked no more.
    Blocked,
    /// It may be asked about again, although it was refused.
    Refused,
}

/// Whom the owner trusts, and whom not, as the page is told of it.
#[derive(Default, Serialize)]
struct Trusted {
    known: Vec<Known>,
    granted: Vec<Grant>,
    blocked: Vec<Blocked>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    seconds: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    help: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    rate: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    fields: BTreeMap<String, String>,
}

/// A prompt, as the page is told of it. The leader's code is not part of it: whoever types it must
/// have read it on the leader's screen.
#[derive(Serialize)]
struct Ask<'a> {
    id: u64,
    leader: &'a str,
    leader_id: &'a str,
    #[serde(flatten)]
    standing: &'a Standing,
    scheme: &'a str,
    host: &'a str,
    size: u64,
    cost: Option<Cost>,
    per_day: Option<u64>,
    left_today: Option<u64>,
    /// When no answer becomes a no, in milliseconds since 1970.
    until: u128,
}

impl Lending {
    pub(crate) fn new(doors: Doors, home: Home, policy: PolicySource) -> Self {
        let mut board = Board::default();
        board.tell(Topic::Ask, &None::<u64>);
        Self { doors, home, policy, board: watch::Sender::new(board), looked: Notify::new() }
    }

    /// Shows every prompt on the page.
    pub(crate) async fn attend(&self, mut door: Door) -> Infallible {
        loop {
            let prompt = door.changed().await;
            // What it costs is no part of the question; without it the question stands.
            let status = self.command(Command::Status).await.ok();
            let ask = prompt.as_ref().map(|prompt| ask(prompt, status.as_ref()));
            self.tell(Topic::Ask, &ask);
        }
    }

    /// Tells how the helper is for as long as somebody looks.
    pub(crate) async fn look(&self) -> Infallible {
        loop {
            if self.board.receiver_count() == 0 {
                self.looked.notified().await;
            }
            let is_there = self.show_status().await;
            self.show_trust().await;
            self.show_history().await;
            self.show_policy().await;
            let pause = if is_there { LOOK } else { SOON };
            // It is over at once for whoever begins to look.
            let _ = timeout(pause, self.looked.notified()).await;
        }
    }

    /// Returns whether the helper answers.
    async fn show_status(&self) -> bool {
        let status = self.command(Command::Status).await;
        if let Err(error) = &status {
            self.tell_trouble(error);
        }
        status.is_ok()
    }

    async fn show_trust(&self) {
        let home = self.home.clone();
        let trusted = spawn_blocking(move || trusted(&home)).await;
        // A file that cannot be read is told of where it counts.
        self.tell(Topic::Trust, &trusted.ok().and_then(Result::ok).unwrap_or_default());
    }

    /// Undoes what the owner said of a leader, and ends what was under way because of it.
    async fn undo(&self, Undo { what, leader }: Undo) -> Result<(), Refusal> {
        let trust = Trust::of(&self.home);
        match what {
            Undone::Refused => self.obey(Command::Lift { leader }).await?,
            Undone::Known => self.retrust(move || trust.forget_leader(&leader).map(drop)).await?,
            Undone::Granted => self.retrust(move || trust.take_back(&leader).map(drop)).await?,
            Undone::Blocked => self.retrust(move || trust.unblock(&leader).map(drop)).await?,
        }
        self.show_trust().await;
        Ok(())
    }

    /// Changes whom the owner trusts, and ends what was under way because of it.
    async fn retrust(
        &self,
        how: impl FnOnce() -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Refusal> {
        let ending = |_| Err(Error::usage("the program is ending"));
        let changed = spawn_blocking(how).await.unwrap_or_else(ending);
        // Half of a change counts, too.
        let reviewed = self.obey(Command::Review).await;
        changed.map_err(|error| Refusal::from(&error)).and(reviewed)
    }

    async fn show_history(&self) {
        let home = self.home.clone();
        let read = move || control::history(&home).unwrap_or_default();
        let mut helps: Vec<Helped> = spawn_blocking(read).await.unwrap_or_default();
        helps.reverse();
        helps.truncate(SHOWN);
        self.tell(Topic::History, &helps);
    }

    async fn show_policy(&self) {
        let source = self.policy.clone();
        let path = source.path().map(ToOwned::to_owned);
        let form = spawn_blocking(move || source.form()).await.unwrap_or_else(|_| Ok(Vec::new()));
        let error = form.as_ref().err().map(|error| (error.to_string(), error.remedy()));
        let (because, remedy) = error.unzip();
        let fields = form.unwrap_or_default();
        let told = serde_json::json!({
            "path": path, "fields": fields, "because": because, "try": remedy,
        });
        self.tell(Topic::Policy, &told);
    }

    /// Tells the helper something, and the page how it is then.
    async fn command(&self, command: Command) -> Result<Status, Error> {
        let home = self.home.clone();
        let told = spawn_blocking(move || control::tell(&home, command)).await;
        let status = told.unwrap_or_else(|_| Err(Error::usage("the program is ending")))?;
        self.tell(Topic::Status, &status);
        Ok(status)
    }

    fn tell_trouble(&self, error: &Error) {
        let because = haul::Failed::from(error).because;
        self.tell(Topic::Status, &serde_json::json!({ "trouble": because }));
    }

    fn tell(&self, topic: Topic, value: &impl Serialize) {
        self.board.send_if_modified(|board| board.tell(topic, value));
    }

    async fn obey(&self, command: Command) -> Result<(), Refusal> {
        self.command(command).await.map(drop).map_err(|error| Refusal::from(&error))
    }

    fn answer(&self, Answer { ask, say, lasts, code }: Answer) -> Result<(), Refusal> {
        let reply = match say {
            Word::Yes => Reply::Yes { lasts: lasts.into() },
            Word::No => Reply::No,
            Word::Always => Reply::Always { code },
            Word::Never => Reply::Block,
        };
        match self.doors.answer(ask, &reply) {
            Replied::Taken => Ok(()),
            Replied::Unpaired(unpaired) => {
                let remedy = "type the six digits again, or answer yes or no";
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Err(Refusal::new(status, &unpaired.to_string(), remedy))
            }
            Replied::Closed => {
                let because = "this question is not open any more";
                Err(Refusal::new(StatusCode::CONFLICT, because, "wait for the next one"))
            }
        }
    }

    async fn save(&self, Typed { fields }: Typed) -> Result<(), Refusal> {
        let source = self.policy.clone();
        let saved = spawn_blocking(move || source.save(&fields)).await;
        let ending = |_| Err(Unsaved::File(Error::usage("the program is ending")));
        match saved.unwrap_or_else(ending) {
            Ok(()) => {
                self.show_policy().await;
                Ok(())
            }
            Err(Unsaved::Fields(faults)) => Err(Refusal::of_fields(faults)),
            Err(Unsaved::File(error)) => Err(Refusal::from(&error)),
        }
    }
}

impl From<Span> for Lasts {
    fn from(span: Span) -> Self {
        match span {
            Span::File => Self::File,
            Span::Hours => Self::TwoHours,
            Span::Today => Self::Today,
        }
    }
}

fn trusted(home: &Home) -> Result<Trusted, Error> {
    let trust = Trust::of(home);
    let mut known = trust.list()?;
    known.retain(|known| known.role == Role::Leader);
    let refused = control::tell(home, Command::Status).map(|status| status.refused);
    Ok(Trusted {
        known,
        granted: trust.granted()?,
        blocked: trust.blocked()?,
        refused: refused.unwrap_or_default(),
    })
}

fn ask<'a>(prompt: &'a Prompt, status: Option<&Status>) -> Ask<'a> {
    let request = &prompt.request;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ask {
        id: prompt.id,
        leader: &request.leader,
        leader_id: &request.leader_id,
        standing: &request.standing,
        scheme: request.scheme,
        host: &request.host,
        size: request.size,
        cost: status.map(|status| status.cost(request.size)),
        per_day: status.map(|status| status.per_day),
        left_today: status.map(|status| status.per_day.saturating_sub(status.spent.today)),
        until: (now + prompt.left()).as_millis(),
    }
}

impl Face for Lending {
    const CHANGES: &'static [&'static str] = &[
        "/api/answer",
        "/api/pause",
        "/api/resume",
        "/api/end",
        "/api/limit",
        "/api/trust",
        "/api/policy",
    ];

    type Record = Board;

    fn asset(path: &str) -> Option<Asset> {
        Asset::of_helper(path)
    }

    /// All of it is told by events.
    fn show(&self, _path: &str) -> Option<Response<Body>> {
        None
    }

    async fn change(&self, path: &str, body: Incoming) -> Result<Response<Body>, Refusal> {
        match path {
            "/api/answer" => self.answer(read(body).await?)?,
            "/api/pause" => {
                let Pause { seconds } = read(body).await?;
                self.obey(Command::Pause { seconds }).await?;
            }
            "/api/resume" => {
                let Nothing {} = read(body).await?;
                self.obey(Command::Resume).await?;
            }
            "/api/end" => {
                let End { help } = read(body).await?;
                self.obey(Command::End { help }).await?;
            }
            "/api/limit" => {
                let Limit { rate } = read(body).await?;
                self.obey(Command::Limit { rate }).await?;
            }
            "/api/trust" => self.undo(read(body).await?).await?,
            _ => self.save(read(body).await?).await?,
        }
        Ok(reply::done())
    }

    fn record(&self) -> watch::Receiver<Board> {
        let board = self.board.subscribe();
        self.looked.notify_one();
        board
    }
}
