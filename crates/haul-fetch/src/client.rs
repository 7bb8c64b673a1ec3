use crate::host::Hosts;
use crate::open::Open;
use crate::pool::Pool;
use crate::request::{Headers, Location, Trust, tells_secrets};
use crate::source::judged;
use crate::ways::{Cookies, Mirror, Netrc, Proxies};
use crate::{AddressSpace, Allowance, Error, Guard, Probe, RateLimit, Source, Validator, tls};
use rustls::ClientConfig;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// How sources are fetched: TLS, address guard, headers, limits. Cheap to clone.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) headers: Headers,
    pub(crate) guard: Guard,
    pub(crate) hosts: BTreeMap<String, Vec<IpAddr>>,
    pub(crate) tls: Arc<ClientConfig>,
    /// The same, offering HTTP/2 to origins; none where it is not wanted.
    pub(crate) http2: Option<Arc<ClientConfig>>,
    pub(crate) timeouts: Timeouts,
    pub(crate) limit: Option<RateLimit>,
    pub(crate) source_address: Option<IpAddr>,
    pub(crate) allowance: Option<Arc<dyn Allowance>>,
    /// What was learned of hosts, for all sources.
    pub(crate) learned: Hosts,
    pub(crate) proxies: Proxies,
    pub(crate) netrc: Netrc,
    pub(crate) cookies: Cookies,
    pub(crate) pool: Pool,
}

/// What a [`Client`] is made of; the default is for whoever downloads on their own behalf.
#[derive(Clone, Default)]
pub struct Options {
    /// Headers to send to the origin of the URL that was asked for, and to nobody that it
    /// redirects to. They are taken for secrets.
    pub headers: Vec<(String, String)>,
    /// Which addresses may be connected to.
    pub guard: Guard,
    /// The addresses of names that are not to be looked up. The guard judges them all the same.
    pub hosts: BTreeMap<String, Vec<IpAddr>>,
    /// Root certificates to trust beside the platform's, in PEM.
    pub extra_roots: Vec<u8>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The most bytes a second that all sources of this client may bring together.
    pub limit: Option<RateLimit>,
    /// The local address to connect from, on a machine with several links.
    pub source_address: Option<IpAddr>,
    /// Through whom to connect; not heeded with [`Guard::Public`].
    pub proxies: Proxies,
    /// Users and passwords of hosts that the caller names.
    pub netrc: Netrc,
    /// Cookies for hosts that the caller names.
    pub cookies: Cookies,
    /// Speaks HTTP/2 with origins that offer it over TLS (ALPN, RFC 9113 §3.2): lanes share a
    /// connection then. Separate HTTP/1.1 connections fill most links better.
    pub http2: bool,
}

/// How long a source may keep its client waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For each of: the addresses of a name, a connection to any of them, the TLS handshake.
    pub connect: Duration,
    /// From a request to the end of the response's head.
    pub head: Duration,
    /// Between two pieces of a body, counting only the time that somebody waits for one.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            head: Duration::from_secs(30),
            idle: Duration::from_secs(15),
        }
    }
}

impl Client {
    /// Reads the root certificates and checks the headers; touches no network.
    ///
    /// Fails with a usage error on a header that is malformed or that haul must own, such as
    /// `Range` or `Host`, and on root certificates that cannot be read.
    pub fn new(options: Options) -> Result<Self, Error> {
        let proxies =
            if options.guard.allows_proxies() { options.proxies } else { Proxies::default() };
        let tls = tls::config(&options.extra_roots)?;
        Ok(Self(Arc::new(Settings {
            headers: Headers::new(&options.headers)?,
            guard: options.guard,
            hosts: options.hosts,
            http2: options.http2.then(|| tls::offering_http2(&tls)),
            tls,
            timeouts: options.timeouts,
            limit: options.limit,
            source_address: options.source_address,
            allowance: None,
            learned: Hosts::default(),
            proxies,
            netrc: options.netrc,
            cookies: options.cookies,
            pool: Pool::default(),
        })))
    }

    /// The same client behind another guard, with no more than `allowance` lets it have. They share
    /// no connections, and nothing that was learned of hosts.
    ///
    /// It speaks HTTP/1.1 only: what HTTP/2 reads ahead of its streams would be beyond what the
    /// allowance was asked for.
    #[must_use]
    pub fn under(&self, guard: Guard, allowance: Arc<dyn Allowance>) -> Self {
        Self(Arc::new(Settings { guard, allowance: Some(allowance), ..self.apart() }))
    }

    /// The same client, for which `host` has this address and no other; they share no connections.
    pub(crate) fn pinned(&self, host: &str, address: IpAddr) -> Self {
        let mut settings = self.apart();
        settings.hosts.insert(host.to_owned(), vec![address]);
        Self(Arc::new(settings))
    }

    /// The same settings, without connections and without what was learned of hosts.
    fn apart(&self) -> Settings {
        let same = &*self.0;
        Settings {
            headers: same.headers.clone(),
            guard: same.guard.clone(),
            hosts: same.hosts.clone(),
            tls: Arc::clone(&same.tls),
            http2: None,
            timeouts: same.timeouts,
            limit: same.limit.clone(),
            source_address: same.source_address,
            allowance: same.allowance.clone(),
            learned: Hosts::default(),
            proxies: same.proxies.clone(),
            netrc: same.netrc.clone(),
            cookies: same.cookies.clone(),
            pool: Pool::default(),
        }
    }

    /// Asks for the whole of what is at `url` and tells what it is by the head of the response,
    /// which is kept open.
    ///
    /// An origin that refuses or garbles a ranged request is asked once more without a range.
    /// Dropping the future ends the request.
    pub async fn probe(&self, url: &Url) -> Result<Probe, Error> {
        Probe::ask(self, judged(self, Location::named(url.clone(), Trust::Origin))?).await
    }

    /// As [`probe`](Self::probe), where the file may be in several places: the first that has it, of
    /// `length` bytes if that is known, is the source, and the others are its mirrors.
    ///
    /// If none has it, the error is the one of `url`.
    pub async fn probe_any(
        &self,
        url: &Url,
        mirrors: &[Mirror],
        length: Option<u64>,
    ) -> Result<Probe, Error> {
        self.probe_led(AddressSpace::default(), url, mirrors, length).await
    }

    /// As [`probe_any`](Self::probe_any), where `url` may lead to no narrower space than `floor`,
    /// as somebody there has named it.
    pub async fn probe_led(
        &self,
        floor: AddressSpace,
        url: &Url,
        mirrors: &[Mirror],
        length: Option<u64>,
    ) -> Result<Probe, Error> {
        let first = Location { floor, ..Location::named(url.clone(), Trust::Origin) };
        let mut failure = None;
        for site in 0..=mirrors.len() {
            let site = match site.checked_sub(1) {
                Some(at) => mirrors[at].location(self.leads_to(url)),
                None => first.clone(),
            };
            let probed = match judged(self, site) {
                Ok(asked) => Probe::ask(self, asked).await,
                Err(error) => Err(error),
            };
            match probed.and_then(|probe| probe.of_length(length)) {
                Ok(probe) => {
                    let mut others = mirrors.to_vec();
                    others.push(Mirror::named(url.clone()).said_in(floor));
                    return Ok(probe.with_mirrors(&others));
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(Error::Url { why: "is missing" }))
    }

    /// The narrowest space that a URL may lead to which stands beside `url`, and was named by whoever
    /// named that.
    fn leads_to(&self, url: &Url) -> AddressSpace {
        match self.0.proxies.toward(url) {
            Some(_) => self.0.guard.named_space(url),
            None => self.0.learned.of(url).space().unwrap_or(AddressSpace::Public),
        }
    }

    /// The narrowest space that `url` may still lead to, after what was seen of its name.
    pub fn space_of(&self, url: &Url) -> AddressSpace {
        self.0.learned.of(url).space().unwrap_or_default()
    }

    /// Keeps the connection of a response that was read to its end, for the next request.
    pub(crate) fn keep(&self, open: Open) {
        if let Some(conn) = open.into_conn() {
            self.0.pool.keep(conn);
        }
    }

    /// Whether requests for `url` tell its origin what is not for everybody: headers of the
    /// caller, a user, a cookie.
    pub fn tells_secrets(&self, url: &Url) -> bool {
        tells_secrets(&self.0, url)
    }

    /// A source whose facts are known from elsewhere. Nothing is sent until it is read, and every
    /// response is held to these facts.
    pub fn source(
        &self,
        url: &Url,
        length: u64,
        validator: Option<&Validator>,
    ) -> Result<Source, Error> {
        Source::known(self, url, length, validator)
    }
}
