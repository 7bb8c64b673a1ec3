use super::recipe::{Recipe, find, folder, free_port, loopback, write};
use crate::lan::Process;
use crate::{Certificate, Error};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A web server that serves files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// Apache httpd.
    Apache,
    /// The httpd of busybox, which speaks no TLS.
    Busybox,
    /// lighttpd.
    Lighttpd,
    /// nginx.
    Nginx,
    /// `python3 -m http.server`, which speaks no TLS and serves no parts.
    Python,
}

/// One of them at work on loopback.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    recipe: Recipe,
    state: TempDir,
    tls: Option<u16>,
}

impl OriginKind {
    /// What is missing to start it here, if anything is.
    pub fn missing(self) -> Option<String> {
        if find(self.program()).is_none() {
            return Some(format!("`{}` is not installed", self.program()));
        }
        let module = self.tls_module().filter(|module| !Path::new(module).exists());
        module.map(|module| format!("{module} is not installed"))
    }

    /// Whether it can speak TLS.
    pub const fn speaks_tls(self) -> bool {
        !matches!(self, Self::Busybox | Self::Python)
    }

    /// Starts it for the files in `folder`, which must be readable for all.
    pub fn serve(self, folder: &Path) -> Result<Server, Error> {
        let state = super::recipe::folder()?;
        let http = free_port()?;
        let tls = if self.speaks_tls() { Some(free_port()?) } else { None };
        let certificate = Certificate::for_names(["127.0.0.1", "localhost"])?;
        write(state.path(), "authority.pem", certificate.authority_pem())?;
        write(state.path(), "certificate.pem", certificate.certificate_pem())?;
        write(state.path(), "key.pem", certificate.key_pem())?;
        let both = format!("{}{}", certificate.key_pem(), certificate.certificate_pem());
        write(state.path(), "both.pem", &both)?;
        let place = Place { state: state.path(), folder, http, tls: tls.unwrap_or_default() };
        let arguments = self.configure(&place)?;
        let program = find(self.program()).unwrap_or_else(|| self.program().into());
        let ports = [http].into_iter().chain(tls).collect();
        let recipe = Recipe { program, arguments, ports };
        let process = Some(recipe.start(state.path())?);
        Ok(Server { process, recipe, state, tls })
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Apache => "apache2",
            Self::Busybox => "busybox",
            Self::Lighttpd => "lighttpd",
            Self::Nginx => "nginx",
            Self::Python => "python3",
        }
    }

    const fn tls_module(self) -> Option<&'static str> {
        match self {
            Self::Apache => Some("/usr/lib/apache2/modules/mod_ssl.so"),
            Self::Lighttpd => Some("/usr/lib/lighttpd/mod_openssl.so"),
            _ => None,
        }
    }

    /// Writes its configuration; returns its arguments.
    fn configure(self, place: &Place<'_>) -> Result<Vec<String>, Error> {
        let Place { state, folder, http, .. } = *place;
        let (state, served) = (state.display().to_string(), folder.display().to_string());
        let arguments = match self {
            Self::Apache => {
                write(place.state, "httpd.conf", &place.apache())?;
                vec!["-X".into(), "-d".into(), state.clone(), "-f".into(), "httpd.conf".into()]
            }
            Self::Lighttpd => {
                write(place.state, "lighttpd.conf", &place.lighttpd())?;
                vec!["-D".into(), "-f".into(), "lighttpd.conf".into()]
            }
            Self::Nginx => {
                write(place.state, "nginx.conf", &place.nginx())?;
                let files = ["-c", "nginx.conf", "-e", "error.log"].map(str::to_owned);
                [vec!["-p".to_owned(), state.clone()], files.to_vec()].concat()
            }
            Self::Busybox => {
                write(place.state, "httpd.conf", "")?;
                // It reads them from the folder that it serves if it is told a relative path.
                let rules = format!("{state}/httpd.conf");
                let listen = loopback(http).to_string();
                let arguments = ["httpd", "-f", "-p", &listen, "-h", &served, "-c", &rules];
                arguments.map(str::to_owned).to_vec()
            }
            Self::Python => {
                let port = http.to_string();
                let arguments = [
                    "-u",
                    "-m",
                    "http.server",
                    &port,
                    "--bind",
                    "127.0.0.1",
                    "--directory",
                    &served,
                ];
                arguments.map(str::to_owned).to_vec()
            }
        };
        Ok(arguments)
    }
}

/// Where a server has its state, its files and its ports.
struct Place<'a> {
    state: &'a Path,
    folder: &'a Path,
    http: u16,
    tls: u16,
}

impl Place<'_> {
    fn apache(&self) -> String {
        let Self { state, folder, http, tls } = self;
        let (state, folder) = (state.display(), folder.display());
        let modules = ["mpm_event", "authz_core", "ssl", "socache_shmcb", "mime"];
        let module = |name: &str| {
            format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")
        };
        let modules: String = modules.into_iter().map(module).collect();
        format!(
            r#"{modules}ServerRoot "{state}"
ServerName localhost
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{tls}
PidFile "{state}/apache.pid"
DefaultRuntimeDir "{state}"
Mutex file:{state}
ErrorLog "{state}/error.log"
User nobody
Group nogroup
TypesConfig /dev/null
DocumentRoot "{folder}"
<Directory "{folder}">
    Require all granted
</Directory>
<VirtualHost 127.0.0.1:{tls}>
    SSLEngine on
    SSLCertificateFile "{state}/certificate.pem"
    SSLCertificateKeyFile "{state}/key.pem"
</VirtualHost>
"#
        )
    }

    fn lighttpd(&self) -> String {
        let Self { state, folder, http, tls } = self;
        let (state, folder) = (state.display(), folder.display());
        format!(
            r#"server.modules = ("mod_openssl")
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {http}
server.errorlog = "{state}/error.log"
server.upload-dirs = ("{state}")
mimetype.assign = ("" => "application/octet-stream")
$SERVER["socket"] == "127.0.0.1:{tls}" {{
    ssl.engine = "enable"
    ssl.pemfile = "{state}/both.pem"
}}
"#
        )
    }

    fn nginx(&self) -> String {
        let Self { folder, http, tls, .. } = self;
        let folder = folder.display();
        format!(
            r#"daemon off;
master_process off;
pid nginx.pid;
events {{ worker_connections 1000; }}
http {{
    log_format requests '$connection\t$request_method $uri\t$http_range\t$status\t$body_bytes_sent\t$server_protocol';
    access_log access.log requests;
    client_body_temp_path body;
    proxy_temp_path proxied;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    sendfile on;
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate certificate.pem;
        ssl_certificate_key key.pem;
        root "{folder}";
    }}
}}
"#
        )
    }
}

impl Server {
    /// The URL of a path, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", loopback(self.recipe.ports[0]))
    }

    /// The same over TLS, with a certificate of [`Server::authority`], where it speaks TLS.
    pub fn tls_url(&self, path: &str) -> Option<String> {
        Some(format!("https://{}{path}", loopback(self.tls?)))
    }

    /// The file with the certificate of the authority that clients have to trust.
    pub fn authority(&self) -> PathBuf {
        self.state.path().join("authority.pem")
    }

    /// Kills it at once, with all its connections.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process = None;
        self.process = Some(self.recipe.start(self.state.path())?);
        Ok(())
    }

    /// Every request that nginx has answered: the number of its connection, `method path`, range,
    /// status, bytes sent and version of HTTP, with a tab between them. The others write nothing.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.state.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// A folder for files to serve, which all may read.
    pub fn folder() -> Result<TempDir, Error> {
        folder()
    }
}
