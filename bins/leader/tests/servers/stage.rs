//! What every test here needs: a server with a file, and a leader that is cut short.

use crate::common::{LEADER, PATIENCE, Ran, stored};
use haul_lab::Payload;
use haul_lab::lan::{Process, skip_or_fail};
use haul_lab::servers::{OriginKind, ProxyKind, Relay, Server};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// A server with `file.bin`, and a folder for what a leader saves.
pub(crate) struct Stage {
    pub(crate) server: Server,
    served: TempDir,
    kept: TempDir,
}

pub(crate) fn payload() -> Payload {
    Payload::new(41, 64 << 20)
}

/// By which way the file is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    Plain,
    Tls,
}

impl Stage {
    /// The server at work; `None` where it is not installed.
    pub(crate) fn of(kind: OriginKind) -> Option<Self> {
        if let Some(reason) = kind.missing() {
            skip_or_fail(&reason);
            return None;
        }
        let folder = Server::folder().unwrap();
        payload().write_to(folder.path().join("file.bin")).unwrap();
        let server = kind.serve(folder.path()).unwrap();
        Some(Self { server, served: folder, kept: TempDir::new().unwrap() })
    }

    /// A folder for the server's files.
    pub(crate) fn served(&self, name: &str) -> PathBuf {
        self.served.path().join(name)
    }

    pub(crate) fn saved(&self, name: &str) -> PathBuf {
        self.kept.path().join("saved").join(name)
    }

    pub(crate) fn url(&self, scheme: Scheme) -> String {
        match scheme {
            Scheme::Plain => self.server.url("/file.bin"),
            Scheme::Tls => self.server.tls_url("/file.bin").unwrap(),
        }
    }

    /// `leader get` with these arguments, that knows nothing of the machine's own settings.
    pub(crate) fn leader(&self, arguments: &[&str]) -> Command {
        std::fs::create_dir_all(self.saved("")).unwrap();
        let mut command = Command::new(LEADER);
        command.args(["get", "--json", "--helpers", "none", "--dir"]).arg(self.saved(""));
        command.arg("--ca-cert").arg(self.server.authority()).args(arguments);
        for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(variable).env_remove(variable.to_uppercase());
        }
        command.env("HAUL_HOME", self.kept.path().join("home"));
        command
    }

    /// Starts a leader and returns when a fourth of the file is stored and much of it is not.
    fn half_way(&self, arguments: &[&str]) -> Process {
        let slow = [arguments, &["--limit-rate", "24M"]].concat();
        let mut leader = Process::spawn(&mut self.leader(&slow)).unwrap();
        leader.wait_for(PATIENCE, |out, _| stored(out) >= payload().len() / 4).unwrap();
        leader
    }

    /// Kills a leader half way and goes on with what it left.
    pub(crate) fn survives_the_leaders_death(&self, scheme: Scheme, arguments: &[&str]) {
        let url = self.url(scheme);
        let arguments = [&[url.as_str()], arguments].concat();
        self.half_way(&arguments).kill().unwrap();
        assert!(!self.saved("file.bin").exists());
        let again = Ran::of(&mut self.leader(&[&arguments[..], &["--continue"]].concat()));
        self.is_exact(&again);
    }

    /// Kills the server half way, starts it again, and goes on until the file is there.
    pub(crate) fn survives_the_servers_death(&mut self, scheme: Scheme, arguments: &[&str]) {
        let url = self.url(scheme);
        let arguments = [&[url.as_str()], arguments].concat();
        let began = Instant::now();
        let mut leader = self.half_way(&arguments);
        self.server.kill();
        self.server.restart().unwrap();
        let ran = Ran::when_ended(&mut leader, began);
        if ran.status.success() {
            return self.is_exact(&ran);
        }
        assert_eq!(ran.status.code(), Some(6), "{}{}", ran.stdout, ran.stderr);
        self.is_exact(&Ran::of(&mut self.leader(&[&arguments[..], &["--continue"]].concat())));
    }

    pub(crate) fn is_exact(&self, ran: &Ran) {
        ran.done();
        let saved = self.saved("file.bin");
        assert_eq!(payload().first_difference(&saved).unwrap(), None);
        let left: Vec<_> = self.saved("").read_dir().unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        std::fs::remove_file(saved).unwrap();
    }

    /// A run that must fail with this code; the text of its last event.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let ran = Ran::of(&mut self.leader(arguments));
        assert_eq!(ran.status.code(), Some(code), "{}{}", ran.stdout, ran.stderr);
        assert!(!self.saved("file.bin").exists());
        ran.events().pop().unwrap().to_string()
    }
}

/// A proxy at work, for this user if one is given; `None` where it is not installed.
pub(crate) fn relay(kind: ProxyKind, who: Option<(&str, &str)>) -> Option<Relay> {
    if let Some(reason) = kind.missing() {
        skip_or_fail(&reason);
        return None;
    }
    Some(kind.start_for(who).unwrap())
}
