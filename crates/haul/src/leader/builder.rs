use super::search::Search;
use super::sidecar::Sidecar;
use super::transfer::Transfer;
use super::ways::{Private, secret};
use crate::home::machine_name;
use crate::{ByteRate, Error, ErrorKind, Helpers, Home, Report, checksum};
use haul_fetch::ways::{Cookies, Mirror, Netrc, Pieces, Proxies};
use haul_fetch::{AddressSpace, Client, Digest, Options, Probe, RateLimit};
use haul_link::{PORT, PORTS};
use haul_store::{Clobber, Left};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use url::Url;

/// One download, checked and ready to run.
pub struct Leader {
    pub(crate) job: Settings,
}

/// What a download is to be; made by [`Leader::builder`].
#[derive(Clone)]
#[must_use]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of the caller's")]
pub struct LeaderBuilder {
    pub(super) url: Url,
    /// The narrowest space that the URL may lead to: that of whoever named it.
    pub(super) floor: AddressSpace,
    pub(super) private: Private,
    /// What is to be told when the job starts.
    pub(super) notes: Vec<String>,
    pub(super) mirrors: Vec<Mirror>,
    /// What is known of the file beforehand.
    pub(super) length: Option<u64>,
    pub(super) digests: Vec<Digest>,
    pub(super) pieces: Option<Pieces>,
    pub(super) route: Route,
    pub(super) netrc: String,
    pub(super) cookies: String,
    pub(super) helpers_from: u64,
    pub(super) http2: bool,
    /// That of another download.
    pub(super) client: Option<Client>,
    file: Option<PathBuf>,
    folder: Option<PathBuf>,
    helpers: Helpers,
    min_helpers: usize,
    pub(super) headers: Vec<(String, String)>,
    checksum: Option<String>,
    limit: Option<ByteRate>,
    left: Left,
    clobber: Clobber,
    home: Option<Home>,
    scan: bool,
    interfaces: Vec<String>,
    roots: Vec<u8>,
    source_address: Option<IpAddr>,
    ports: RangeInclusive<u16>,
    ask_port: u16,
    name: Option<String>,
    spool: bool,
    group_only: bool,
    pub(super) sidecar: Sidecar,
}

/// Through whom a download goes.
#[derive(Clone)]
pub(super) enum Route {
    Direct,
    FromEnv,
    Through(String),
}

/// A builder's choices, checked.
pub(crate) struct Settings {
    pub(crate) url: Url,
    /// The narrowest space that the URL may lead to.
    pub(crate) floor: AddressSpace,
    /// What is to be told first.
    pub(crate) notes: Vec<String>,
    pub(crate) mirrors: Vec<Mirror>,
    pub(crate) length: Option<u64>,
    pub(crate) digests: Vec<Digest>,
    pub(crate) pieces: Option<Pieces>,
    pub(crate) folder: PathBuf,
    pub(crate) name: Option<String>,
    pub(crate) client: Client,
    pub(crate) search: Search,
    pub(crate) min_helpers: usize,
    /// Nobody is asked to help with a smaller file.
    pub(crate) helpers_from: u64,
    /// Why nobody may help, where the job holds secrets.
    pub(crate) alone: Option<&'static str>,
    pub(crate) left: Left,
    pub(crate) clobber: Clobber,
    /// The file is for a reader only, and gone at the end.
    pub(crate) is_spooled: bool,
    pub(crate) sidecar: Sidecar,
}

impl Leader {
    /// A download of `url`, to be saved in the current folder under the name that the origin
    /// gives, with the help of every machine that can be found.
    pub fn builder(url: Url) -> LeaderBuilder {
        LeaderBuilder {
            url,
            floor: AddressSpace::default(),
            private: Private::Refused,
            notes: Vec::new(),
            mirrors: Vec::new(),
            length: None,
            digests: Vec::new(),
            pieces: None,
            route: Route::Direct,
            netrc: String::new(),
            cookies: String::new(),
            helpers_from: 0,
            http2: false,
            client: None,
            file: None,
            folder: None,
            helpers: Helpers::Auto,
            min_helpers: 0,
            headers: Vec::new(),
            checksum: None,
            limit: None,
            left: Left::Refuse,
            clobber: Clobber::Refuse,
            home: None,
            scan: true,
            interfaces: Vec::new(),
            roots: Vec::new(),
            source_address: None,
            ports: PORTS,
            ask_port: PORT,
            name: None,
            spool: false,
            group_only: false,
            sidecar: Sidecar::Read,
        }
    }

    /// Runs to the end. Dropping the future stops the job and leaves it resumable.
    pub async fn run(self) -> Result<Report, Error> {
        self.start().finish().await
    }

    /// Starts the job on the current tokio runtime and returns the handle on it.
    pub fn start(self) -> Transfer {
        Transfer::start(self.job)
    }
}

impl LeaderBuilder {
    /// Where the file is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Saves the file here. A relative path is taken from the folder, if one is given.
    pub fn save_as(mut self, file: impl Into<PathBuf>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Saves no file: its bytes are for [`Transfer::reader`] alone.
    ///
    /// Until they are read they are in the folder of [`home`](Self::home), which needs room for the
    /// whole file; at the end nothing is left there, so that such a job cannot be resumed.
    pub fn spool(mut self) -> Self {
        self.spool = true;
        self
    }

    /// Saves the file in this folder, which must exist.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Whom to ask for help; [`Helpers::Auto`] unless told.
    pub fn helpers(mut self, helpers: Helpers) -> Self {
        self.helpers = helpers;
        self
    }

    /// Fails unless this many machines help.
    pub fn min_helpers(mut self, machines: usize) -> Self {
        self.min_helpers = machines;
        self
    }

    /// Sends this header to the origin. It counts as a secret, so the job runs alone.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The digest that the file must have: `sha-256=HEX` or `sha-512=HEX`.
    pub fn checksum(mut self, digest: impl Into<String>) -> Self {
        self.checksum = Some(digest.into());
        self
    }

    /// The most that the own link may bring.
    pub fn limit_rate(mut self, rate: ByteRate) -> Self {
        self.limit = Some(rate);
        self
    }

    /// Goes on with what a former run left for this file; starts anew where there is nothing.
    pub fn resume(mut self) -> Self {
        self.left = Left::Continue;
        self
    }

    /// Replaces the file if it exists.
    pub fn overwrite(mut self) -> Self {
        self.clobber = Clobber::Overwrite;
        self
    }

    /// Takes the first free name of the kind `name (1).ext` if the file exists.
    pub fn auto_rename(mut self) -> Self {
        self.clobber = Clobber::AutoRename;
        self
    }

    /// Where the installation's key is; [`Home::of_user`] unless told.
    pub fn home(mut self, home: Home) -> Self {
        self.home = Some(home);
        self
    }

    /// Never scans the network, only asks.
    pub fn no_scan(mut self) -> Self {
        self.scan = false;
        self
    }

    /// Asks on this interface only; may be said several times.
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interfaces.push(name.into());
        self
    }

    /// Trusts these root certificates too, in PEM.
    pub fn extra_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = pem.into();
        self
    }

    /// Fetches from this local address, on a machine with several links.
    pub fn source_address(mut self, address: IpAddr) -> Self {
        self.source_address = Some(address);
        self
    }

    /// Listens for helpers on the first free one of these ports.
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = ports;
        self
    }

    /// Sends asks to this UDP port.
    pub fn ask_port(mut self, port: u16) -> Self {
        self.ask_port = port;
        self
    }

    /// The name that helpers see; the machine's own unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Takes help only from machines of the own group, and shows the others nothing of the job.
    /// Takes a key of the group in [`GroupFile`](crate::trust::GroupFile).
    pub fn group_only(mut self) -> Self {
        self.group_only = true;
        self
    }

    /// Checks everything that can be checked without touching the network or the disk.
    pub fn build(self) -> Result<Leader, Error> {
        let home = self.home.clone().map_or_else(Home::of_user, Ok)?;
        let (folder, name) = if self.spool { home.spool_place() } else { self.place()? };
        let checksum = self.checksum.as_deref().map(checksum::parse).transpose()?;
        let digests = checksum.into_iter().chain(self.digests.iter().copied()).collect();
        let client = self.client()?;
        let url = web(self.url)?;
        let alone = secret(&client, &url, !self.headers.is_empty());
        for mirror in &self.mirrors {
            web(mirror.url().clone())?;
        }
        let places = self.helpers.places()?;
        let job = Settings {
            url,
            floor: self.floor,
            notes: self.notes,
            mirrors: self.mirrors,
            length: self.length,
            digests,
            pieces: self.pieces,
            folder,
            name,
            client,
            search: Search {
                home,
                helpers: self.helpers,
                places,
                scan: self.scan,
                interfaces: self.interfaces,
                ports: self.ports,
                ask_port: self.ask_port,
                machine: self.name.unwrap_or_else(machine_name),
                group_only: self.group_only,
            },
            min_helpers: self.min_helpers,
            helpers_from: self.helpers_from,
            alone,
            left: self.left,
            clobber: self.clobber,
            is_spooled: self.spool,
            sidecar: self.sidecar,
        };
        Ok(Leader { job })
    }

    /// What the file is fetched with: its own, or another download's.
    pub(super) fn client(&self) -> Result<Client, Error> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let proxies = match &self.route {
            Route::Direct => Proxies::default(),
            Route::FromEnv => Proxies::from_env()?,
            Route::Through(proxy) => Proxies::through(&proxy.parse()?),
        };
        Ok(Client::new(Options {
            headers: self.headers.clone(),
            guard: self.guard(),
            extra_roots: self.roots.clone(),
            limit: self.limit.map(|rate| RateLimit::new(rate.bytes_per_second())),
            source_address: self.source_address,
            proxies,
            netrc: Netrc::parse(&self.netrc)?,
            cookies: Cookies::parse(&self.cookies)?,
            http2: self.http2,
            ..Options::default()
        })?)
    }

    /// The folder, and the name in it if the user chose one.
    fn place(&self) -> Result<(PathBuf, Option<String>), Error> {
        let folder = self.folder.clone().unwrap_or_else(|| PathBuf::from("."));
        let Some(file) = &self.file else { return Ok((folder, None)) };
        let path = folder.join(file);
        let named =
            path.file_name().and_then(|name| name.to_str()).filter(|_| !ends_with_slash(file));
        let name = named.ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                "the file cannot be saved",
                format!("{} names no file", path.display()),
            )
            .with_remedy("give -o a file name, and -d the folder")
        })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Ok((parent.unwrap_or(Path::new(".")).to_owned(), Some(name.to_owned())))
    }
}

impl Settings {
    /// Asks for the file where it first is.
    pub(crate) async fn probe(&self) -> Result<Probe, haul_fetch::Error> {
        self.probe_for(self.length).await
    }

    /// The same, of a file that is known to have this length.
    pub(crate) async fn probe_for(&self, length: Option<u64>) -> Result<Probe, haul_fetch::Error> {
        self.client.probe_led(self.floor, &self.url, &self.mirrors, length).await
    }
}

fn ends_with_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().last() == Some(&b'/')
}

fn web(url: Url) -> Result<Url, Error> {
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(url);
    }
    let because = format!("haul does not speak {}", url.scheme());
    Err(Error::new(ErrorKind::Usage, "the file cannot be fetched", because)
        .with_remedy("give an address that begins with http:// or https://"))
}
