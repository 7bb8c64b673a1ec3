use crate::Error;
use crate::lan::Process;
use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// How a program is started, and where it then listens.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) ports: Vec<u16>,
}

impl Recipe {
    pub(super) fn start(&self, state: &Path) -> Result<Process, Error> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(state);
        // What a program keeps beside its configuration is to be kept there as well.
        command.env("TMPDIR", state).env("HOME", state);
        let mut process = Process::spawn(&mut command)?;
        self.await_start(&mut process)?;
        Ok(process)
    }

    fn await_start(&self, process: &mut Process) -> Result<(), Error> {
        let began = Instant::now();
        while !self.ports.iter().all(|&port| TcpStream::connect(loopback(port)).is_ok()) {
            let ended = process.wait_within(Duration::from_millis(10))?.is_some();
            if ended || began.elapsed() > START {
                let said = process.stdout() + &process.stderr();
                return Err(Error::NotReady { program: self.program.display().to_string(), said });
            }
        }
        Ok(())
    }
}

/// A folder into which a server that gives up root can write too.
pub(super) fn folder() -> Result<TempDir, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("make a folder for a server"))?;
    open_to_all(folder.path()).map_err(Error::io("open a server's folder to it"))?;
    Ok(folder)
}

fn open_to_all(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o777))
}

/// Writes a file of a server's configuration.
pub(super) fn write(state: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = state.join(name);
    let written = fs::write(&path, text).and_then(|()| {
        // A key that only this machine's tests know need not be kept from its own server.
        fs::set_permissions(&path, Permissions::from_mode(0o644))
    });
    written.map_err(Error::io(format!("write {}", path.display())))
}

/// A port on which nobody listens at present, and which no connection takes by chance: one below
/// those that the kernel gives to connections, and another each time.
pub(super) fn free_port() -> Result<u16, Error> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(process::id() % 199).unwrap_or_default() * 100;
    for _ in 0..PORTS {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Error::io("find a free port")(io::ErrorKind::AddrInUse.into()))
}

/// How many ports are looked at, from 10,000 on.
const PORTS: u16 = 20_000;

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Where a program is; servers may be where only root looks.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}
