use super::recipe::{Recipe, find, folder, free_port, loopback, write};
use crate::Error;
use crate::lan::Process;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tempfile::TempDir;

/// A program that passes connections or requests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// dante: SOCKS 5.
    Dante,
    /// microsocks: SOCKS 5.
    Microsocks,
    /// squid: HTTP and tunnels.
    Squid,
    /// tinyproxy: HTTP and tunnels.
    Tinyproxy,
}

/// One of them at work on loopback.
#[derive(Debug)]
pub struct Relay {
    process: Option<Process>,
    recipe: Recipe,
    state: TempDir,
}

impl ProxyKind {
    /// What is missing to start it here, if anything is.
    pub fn missing(self) -> Option<String> {
        let absent = find(self.program()).is_none();
        absent.then(|| format!("`{}` is not installed", self.program()))
    }

    /// Starts it for whoever asks.
    pub fn start(self) -> Result<Relay, Error> {
        self.start_for(None)
    }

    /// Starts it for this user and password only. squid and dante have no users of their own.
    pub fn start_for(self, who: Option<(&str, &str)>) -> Result<Relay, Error> {
        let (state, port) = (folder()?, free_port()?);
        let arguments = self.configure(state.path(), port, who)?;
        let program = find(self.program()).unwrap_or_else(|| self.program().into());
        let recipe = Recipe { program, arguments, ports: vec![port] };
        let process = recipe.start(state.path())?;
        Ok(Relay { process: Some(process), recipe, state })
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Dante => "danted",
            Self::Microsocks => "microsocks",
            Self::Squid => "squid",
            Self::Tinyproxy => "tinyproxy",
        }
    }

    /// Writes its configuration; returns its arguments.
    fn configure(
        self,
        state: &Path,
        port: u16,
        who: Option<(&str, &str)>,
    ) -> Result<Vec<String>, Error> {
        let port_text = port.to_string();
        let service;
        let arguments: &[&str] = match self {
            Self::Dante => {
                write(state, "danted.conf", &dante(state, port))?;
                &["-f", "danted.conf", "-p", "danted.pid"]
            }
            Self::Squid => {
                write(state, "squid.conf", &squid(state, port))?;
                service = service_name(port);
                &["-N", "-n", &service, "-f", "squid.conf"]
            }
            Self::Tinyproxy => {
                write(state, "tinyproxy.conf", &tinyproxy(state, port, who))?;
                &["-d", "-c", "tinyproxy.conf"]
            }
            Self::Microsocks => match who {
                Some((user, password)) => {
                    &["-i", "127.0.0.1", "-p", &port_text, "-u", user, "-P", password]
                }
                None => &["-i", "127.0.0.1", "-p", &port_text],
            },
        };
        Ok(arguments.iter().map(|&argument| argument.to_owned()).collect())
    }
}

/// What squid calls its shared memory after.
fn service_name(port: u16) -> String {
    format!("haullab{port}")
}

fn dante(state: &Path, port: u16) -> String {
    let log = state.join("log");
    let log = log.display();
    format!(
        r"logoutput: {log}
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 log: connect }}
"
    )
}

fn squid(state: &Path, port: u16) -> String {
    let state = state.display();
    format!(
        r"http_port 127.0.0.1:{port}
http_access allow localhost
http_access deny all
cache deny all
cache_mem 8 MB
access_log stdio:{state}/log
cache_log {state}/cache.log
cache_store_log none
pid_filename none
netdb_filename none
coredump_dir {state}
pinger_enable off
visible_hostname lab.invalid
cache_effective_user nobody
cache_effective_group nogroup
max_filedescriptors 1024
shutdown_lifetime 0 seconds
buffered_logs off
"
    )
}

fn tinyproxy(state: &Path, port: u16, who: Option<(&str, &str)>) -> String {
    let log = state.join("log");
    let log = log.display();
    let who =
        who.map_or_else(String::new, |(user, password)| format!("BasicAuth {user} {password}\n"));
    format!(
        r#"Listen 127.0.0.1
Port {port}
User nobody
Group nogroup
Timeout 60
MaxClients 100
Allow 127.0.0.1
LogFile "{log}"
LogLevel Connect
{who}"#
    )
}

impl Relay {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        loopback(self.recipe.ports[0])
    }

    /// What it wrote down; microsocks writes nothing.
    pub fn log(&self) -> String {
        fs::read_to_string(self.state.path().join("log")).unwrap_or_default()
    }
}

/// squid cannot do without shared memory, which outlives it when it is killed.
impl Drop for Relay {
    fn drop(&mut self) {
        self.process = None;
        let begin = format!("{}-", service_name(self.address().port()));
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&begin) {
                // Whoever finds it gone has what they want.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}
