//! The ways to the file that a user can ask for: mirrors, Metalinks, proxies, and what proves who
//! asks.

use super::builder::{Leader, LeaderBuilder, Route};
use crate::helper::surroundings::surroundings;
use crate::{Error, ErrorKind};
use haul_fetch::ways::{Metalink, MetalinkFile, Mirror};
use haul_fetch::{Client, Denied, Guard, Probe};
use url::Url;

/// Whether servers on the internet may lead to addresses of this machine and its networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Private {
    Refused,
    Allowed,
}

impl Leader {
    /// A download for every file that a Metalink 4 document names (RFC 5854), to be saved under
    /// the name that stands there, from all of its mirrors, and checked against its digests.
    ///
    /// Fails on what is no Metalink 4, and on a file without an address that haul can fetch from.
    pub fn of_metalink(document: &[u8]) -> Result<Vec<LeaderBuilder>, Error> {
        let files = Metalink::parse(document)?.files;
        let named = |to: &Mirror| Leader::builder(to.url().clone());
        files.into_iter().map(|file| of_file(file, named)).collect()
    }
}

impl LeaderBuilder {
    /// Reads from this URL too: it is another place of the same file. No header that was given for
    /// the origin is sent there.
    pub fn mirror(mut self, url: Url) -> Self {
        self.mirrors.push(Mirror::named(url));
        self
    }

    /// Lets servers on the internet lead to addresses of this machine and its networks.
    ///
    /// Otherwise whatever follows from what a server says, by a redirect, a mirror, a Metalink or a
    /// checksum beside the file, leads to no address that the server could not connect to by
    /// itself. What the user names may be anywhere.
    pub fn allow_private(mut self) -> Self {
        self.private = Private::Allowed;
        self
    }

    pub(super) fn guard(&self) -> Guard {
        match self.private {
            Private::Refused => Guard::Spaces { local: Denied::asking(surroundings) },
            Private::Allowed => Guard::Open,
        }
    }

    /// Goes through this proxy, `[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]` of `http`, `https`,
    /// `socks5` or `socks5h`, to all but what `no_proxy` of the environment excepts.
    pub fn proxy(mut self, proxy: impl Into<String>) -> Self {
        self.route = Route::Through(proxy.into());
        self
    }

    /// Goes through the proxies that the environment names: `http_proxy`, `https_proxy`,
    /// `all_proxy`, but for `no_proxy`.
    pub fn proxies_from_env(mut self) -> Self {
        self.route = Route::FromEnv;
        self
    }

    /// Signs in with what this text of a netrc file has for the host of a URL. A job that does so
    /// runs alone.
    pub fn netrc(mut self, text: impl Into<String>) -> Self {
        self.netrc = text.into();
        self
    }

    /// Sends the cookies in this text, in Netscape's format, to whom they belong. A job that does so
    /// runs alone.
    pub fn cookies(mut self, text: impl Into<String>) -> Self {
        self.cookies = text.into();
        self
    }

    /// Speaks HTTP/2 with origins that offer it over TLS: the own link's lanes share a connection
    /// then. Helpers speak HTTP/1.1 all the same.
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// Asks for help only with a file of at least so many bytes.
    pub fn helpers_from(mut self, bytes: u64) -> Self {
        self.helpers_from = bytes;
        self
    }

    /// Uses the connections of another download, with its proxies, headers, limits and certificates
    /// in place of this one's own.
    pub fn sharing(mut self, other: &Leader) -> Self {
        self.client = Some(other.job.client.clone());
        self
    }

    /// Asks at the URL for a Metalink: the downloads that it names, or just this one if the origin
    /// has none to offer.
    ///
    /// What the origin sends is a Metalink by its media type; and what it sends may be described by
    /// one (RFC 6249 §6), the mirrors and digests of which are then this download's.
    pub async fn follow_metalink(mut self) -> Result<Vec<Self>, Error> {
        let client = self.client()?;
        let probe = client.probe_led(self.floor, &self.url, &[], None).await?;
        if probe.source.content_type().is_some_and(is_metalink) {
            let files = metalink(probe).await?;
            return files.into_iter().map(|file| of_file(file, |to| self.led_to(to))).collect();
        }
        self.floor = self.floor.max(client.space_of(&self.url));
        match probe.source.description().await {
            Ok(Some(described)) => Ok(vec![self.described_by_one_of(metalink(described).await?)]),
            Ok(None) => Ok(vec![self]),
            Err(error @ haul_fetch::Error::Refused { .. }) => {
                Ok(vec![self.noting(format!("the Metalink of the file is left out: {error}"))])
            }
            Err(error) => Err(error.into()),
        }
    }

    fn described_by_one_of(self, mut files: Vec<MetalinkFile>) -> Self {
        match (files.pop(), files.is_empty()) {
            (Some(file), true) => self.described_by(file),
            _ => self,
        }
    }

    fn noting(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    /// The same for a URL that the origin names: who asks is told to no other origin.
    fn led_to(&self, to: &Mirror) -> Self {
        let (mut other, url) = (self.clone(), to.url().clone());
        other.floor = to.floor();
        if url.origin() != self.url.origin() {
            other.headers.clear();
            other.netrc.clear();
            other.cookies.clear();
            other.client = None;
        }
        other.url = url;
        other
    }

    /// With the mirrors and digests that describe its file.
    fn described_by(mut self, file: MetalinkFile) -> Self {
        self.mirrors.extend(file.mirrors);
        self.length = file.length;
        self.digests = file.digests;
        self.pieces = file.pieces;
        self
    }
}

/// The files of a Metalink that an origin sends.
async fn metalink(probe: Probe) -> Result<Vec<MetalinkFile>, Error> {
    let leads_to = probe.source.leads_to();
    Ok(Metalink::parse(&whole(probe).await?)?.said_in(leads_to).files)
}

/// The download of a file of a Metalink.
fn of_file(
    mut file: MetalinkFile,
    builder: impl Fn(&Mirror) -> LeaderBuilder,
) -> Result<LeaderBuilder, Error> {
    if file.mirrors.is_empty() {
        let because =
            format!("{:?} has no address that begins with http:// or https://", file.name);
        return Err(Error::new(ErrorKind::Usage, "the Metalink cannot be followed", because)
            .with_remedy("look in the Metalink for another way to get the file"));
    }
    let first = file.mirrors.remove(0);
    let named = builder(&first);
    let named = if file.name.is_empty() { named } else { named.save_as(file.name.as_str()) };
    Ok(named.described_by(file))
}

fn is_metalink(media_type: &str) -> bool {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    plain.eq_ignore_ascii_case(Metalink::MEDIA_TYPE)
}

/// All bytes of a document, if they are not too many.
pub(super) async fn whole(mut probe: Probe) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = probe.body.next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > Metalink::MOST {
            break;
        }
    }
    Ok(bytes)
}

/// Why nobody may help with what is fetched from `url`, if that is so.
pub(super) fn secret(client: &Client, url: &Url, headers: bool) -> Option<&'static str> {
    if headers {
        Some("its request has headers of your own, which are never shown to other machines")
    } else if !url.username().is_empty() || url.password().is_some() {
        Some("its address holds a password, which is never shown to other machines")
    } else if client.tells_secrets(url) {
        Some(
            "its request tells who you are, by a password, cookie or header of your own, which is never shown to other machines",
        )
    } else {
        None
    }
}
