use super::{Host, Process};
use crate::{Certificate, Error, Rate};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long nginx may take until it listens.
const START: Duration = Duration::from_secs(10);

/// nginx on a machine of the LAN, serving a folder on port 80 and, over TLS, 443.
#[derive(Debug)]
pub struct Nginx {
    _process: Process,
    state: TempDir,
    address: String,
}

impl Nginx {
    /// nginx for the files in `folder`.
    pub fn serving(folder: impl Into<PathBuf>) -> NginxBuilder {
        NginxBuilder { folder: folder.into(), per_connection: None }
    }

    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same over TLS, with a certificate of [`Nginx::authority`].
    pub fn tls_url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// The file with the certificate of the authority that clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.state.path().join("authority.pem")
    }

    /// Every request that has been answered: client, `method path`, range, status and bytes sent,
    /// with a tab between them.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.state.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// What an [`Nginx`] is to serve, and how.
#[derive(Clone, Debug)]
#[must_use]
pub struct NginxBuilder {
    folder: PathBuf,
    per_connection: Option<Rate>,
}

impl NginxBuilder {
    /// No connection gets more than this.
    pub const fn per_connection(mut self, rate: Rate) -> Self {
        self.per_connection = Some(rate);
        self
    }

    /// Starts it on a machine; it listens when this returns.
    pub fn start(self, host: &Host) -> Result<Nginx, Error> {
        let address = host.internet_address().to_string();
        let certificate = Certificate::for_names([address.as_str()])?;
        let state = tempfile::tempdir().map_err(Error::io("make a folder for nginx"))?;
        self.write(state.path(), &certificate).map_err(Error::io(format!(
            "write nginx's configuration to {}",
            state.path().display()
        )))?;
        let mut nginx = host.command("nginx");
        nginx.arg("-p").arg(state.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let mut process = Process::spawn(&mut nginx)?;
        await_start(&mut process, state.path())?;
        Ok(Nginx { _process: process, state, address })
    }

    fn write(&self, state: &Path, certificate: &Certificate) -> std::io::Result<()> {
        fs::write(state.join("authority.pem"), certificate.authority_pem())?;
        fs::write(state.join("certificate.pem"), certificate.certificate_pem())?;
        fs::write(state.join("key.pem"), certificate.key_pem())?;
        fs::write(state.join("nginx.conf"), self.configuration())
    }

    fn configuration(&self) -> String {
        let folder = self.folder.display();
        // nginx takes zero for no limit.
        let limit = self.per_connection.map_or(0, Rate::as_bytes_per_second);
        format!(
            r#"daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 1000; }}
http {{
    log_format requests '$remote_addr\t$request_method $uri\t$http_range\t$status\t$body_bytes_sent';
    access_log access.log requests;
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen 80;
        listen 443 ssl;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        root "{folder}";
        limit_rate {limit};
    }}
}}
"#
        )
    }
}

/// nginx writes its process id once it listens.
fn await_start(nginx: &mut Process, state: &Path) -> Result<(), Error> {
    let began = Instant::now();
    while !state.join("nginx.pid").exists() {
        let ended = nginx.wait_within(Duration::from_millis(5))?.is_some();
        if ended || began.elapsed() > START {
            let log = fs::read_to_string(state.join("error.log")).unwrap_or_default();
            return Err(Error::NotReady {
                program: "nginx".to_owned(),
                said: nginx.stderr() + &log,
            });
        }
        thread::yield_now();
    }
    Ok(())
}
