use crate::Error;
use crate::lan::Process;
use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
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

/// A port on which nobody listens at present.
pub(super) fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(Error::io("find a free port"))?.port())
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Where a program is; servers may be where only root looks.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}
