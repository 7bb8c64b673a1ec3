use super::{Command, Helping, LONGEST, Line, PATIENCE, Reply, State, Status, path};
use crate::helper::gate::{Gate, locked, now};
use crate::helper::pause::Pause;
use crate::home::files;
use crate::{Error, Home};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The socket of a running helper; it is removed when this is dropped.
pub(crate) struct Server {
    listener: UnixListener,
    path: PathBuf,
    /// A request that was begun.
    talk: Mutex<Option<Talk>>,
}

type Talk = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// What the owner wants of the program itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing more.
    Nothing,
    /// To end.
    Stop,
}

impl Server {
    /// Opens the socket. Must be called by who holds the home's lock, as a socket that is there is
    /// taken for one that a helper left behind when it was killed.
    pub(crate) fn open(home: &Home) -> Result<Self, Error> {
        let path = path(home);
        match home.make_run().and_then(|_| bind(&path)) {
            Ok(listener) => Ok(Self { listener, path, talk: Mutex::default() }),
            Err(error) => {
                let failed = files::failed("the helper's socket could not be made", &path, &error);
                Err(failed.with_remedy("set HAUL_HOME to a folder of your own with a short path"))
            }
        }
    }

    /// Hears one request of the owner and does it. Cancel safe: one that was begun goes on with the
    /// next call, so that the owner is heard however much else there is to do.
    pub(crate) async fn serve_one(&self, gate: &Arc<Gate>) -> Asked {
        let mut talk = self.talk.lock().await;
        loop {
            if let Some(begun) = talk.as_mut() {
                let asked = begun.await;
                *talk = None;
                return asked;
            }
            let Ok((stream, _)) = self.listener.accept().await else { return Asked::Nothing };
            if !is_own(&stream) {
                tracing::warn!("another user of this machine tried to control the helper");
                return Asked::Nothing;
            }
            *talk = Some(Box::pin(hear(stream, Arc::clone(gate))));
        }
    }
}

/// Whoever does not say what they want at once keeps nobody waiting.
async fn hear(stream: UnixStream, gate: Arc<Gate>) -> Asked {
    timeout(PATIENCE / 10, converse(stream, &gate)).await.unwrap_or(Asked::Nothing)
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that stays is taken away by the next helper.
        let _ = fs::remove_file(&self.path);
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        // A helper that locks something else, of another version, has the same socket.
        Ok(left) if left.file_type().is_socket() && is_served(path) => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(left) if left.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn is_served(path: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(path).is_ok()
}

/// Whether the other side is this process's own user, by the kernel's word.
fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == own)
}

async fn converse(mut stream: UnixStream, gate: &Gate) -> Asked {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(read.take(LONGEST));
    if reader.read_line(&mut line).await.is_err() {
        return Asked::Nothing;
    }
    let (reply, asked) = match serde_json::from_str(&line) {
        Ok(Line { v: 1, command }) => obey(command, gate),
        Ok(Line { v, .. }) => {
            (Reply::Error(format!("version {v} of requests is not known")), Asked::Nothing)
        }
        Err(error) => {
            (Reply::Error(format!("the request cannot be read: {error}")), Asked::Nothing)
        }
    };
    // Whoever left without hearing the answer has been obeyed all the same.
    let text = serde_json::to_string(&reply).unwrap_or_default() + "\n";
    let _ = write.write_all(text.as_bytes()).await;
    asked
}

fn obey(command: Command, gate: &Gate) -> (Reply, Asked) {
    let done = match command {
        Command::Status => Ok(Asked::Nothing),
        Command::Pause { seconds } => gate.set_pause(pause_of(seconds)).map(|()| Asked::Nothing),
        Command::Resume => gate.set_pause(Pause::Off).map(|()| Asked::Nothing),
        Command::End { help } => {
            gate.end_one(help);
            Ok(Asked::Nothing)
        }
        Command::Limit { rate } => {
            gate.set_limit(rate);
            Ok(Asked::Nothing)
        }
        Command::Review => {
            gate.review();
            Ok(Asked::Nothing)
        }
        Command::Lift { leader } => {
            gate.lift(&leader);
            Ok(Asked::Nothing)
        }
        Command::Stop => {
            gate.end_all(STOPPED);
            Ok(Asked::Stop)
        }
    };
    match done {
        Ok(asked) => (Reply::Status(Box::new(status(gate))), asked),
        Err(error) => {
            let because = format!("it holds until the helper ends, but cannot be kept: {error}");
            (Reply::Error(because), Asked::Nothing)
        }
    }
}

fn pause_of(seconds: Option<u64>) -> Pause {
    let end = |seconds| now().unix.checked_add(i64::try_from(seconds).ok()?);
    seconds.and_then(end).map_or(Pause::UntilResumed, Pause::Until)
}

fn status(gate: &Gate) -> Status {
    let (in_force, senses) = (gate.in_force(), gate.senses());
    let pause = *locked(&gate.pause);
    let helping: Vec<Helping> = locked(&gate.jobs)
        .running
        .iter()
        .map(|(&help, job)| Helping {
            help,
            leader: job.request.leader.clone(),
            host: job.request.host.clone(),
            bytes: job.purse.received(),
            rate: job.speed.last_second(),
            seconds: job.began.elapsed().as_secs(),
        })
        .collect();
    let state = match (pause.is_on(now().unix), helping.is_empty()) {
        (true, _) => State::Paused,
        (false, true) => State::Waiting,
        (false, false) => State::Helping,
    };
    let paused_until = match pause {
        Pause::Until(end) if state == State::Paused => Some(end),
        _ => None,
    };
    let policies = locked(&gate.policies);
    let (policy, policy_error) =
        (policies.path().map(Into::into), policies.error().map(ToString::to_string));
    drop(policies);
    Status {
        v: 1,
        state,
        paused_until,
        mode: in_force.policy.mode,
        policy,
        policy_error,
        managed: in_force.managed.clone(),
        refuses: gate.interrupts().map(|rule| rule.name().to_owned()),
        metered: senses.metered,
        vpn: senses.vpn,
        battery: senses.battery,
        spent: gate.spent(),
        per_day: in_force.policy.per_day,
        per_30_days: in_force.policy.per_30_days,
        per_job: in_force.policy.per_job,
        largest_share: in_force.policy.largest_share.get(),
        rate: gate.whole_rate(),
        limit: gate.limit(),
        fastest: gate.fastest(),
        helping,
        granted: gate.grants.read().holding(now().unix).cloned().collect(),
        refused: gate.refused(),
    }
}

/// Why a help ended whose helper its owner stopped.
const STOPPED: &str = "stopped by the owner";
