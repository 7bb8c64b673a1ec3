mod reading;

use crate::connect::host_of;
use crate::follow::{Answer, is_web};
use crate::head;
use crate::name::file_name;
use crate::request::{Location, Trust};
use crate::validator::Version;
use crate::ways::{Links, Mirror, Mirrors};
use crate::{AddressSpace, Client, Digest, Error, Probe, Stage, Validator};
use hyper::HeaderMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A file on an origin and what is known of it. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Facts>, Arc<Mirrors>);

struct Facts {
    client: Client,
    asked: Location,
    /// Where the file was found last; redirects are not followed anew for every span.
    found: Mutex<Location>,
    /// Held by whoever follows the redirects anew, so that the others can use the result: when
    /// that last brought nothing.
    finding: tokio::sync::Mutex<Option<Instant>>,
    length: Option<u64>,
    ranges: bool,
    /// How often in a row the origin has given no part when it was asked for one.
    refusals: AtomicU32,
    /// What the first response showed, for a mirror.
    version: OnceLock<Version>,
    name: String,
    digests: Vec<Digest>,
    content_type: Option<String>,
    encoding: Option<String>,
    announced: Vec<Mirror>,
    described_by: Option<Url>,
    /// The narrowest space that what the origin names may be in.
    leads_to: AddressSpace,
}

impl Source {
    /// The URL that was asked for.
    pub fn url(&self) -> &Url {
        &self.0.asked.url
    }

    /// The URL that brought the file last, after redirects.
    pub fn final_url(&self) -> Url {
        self.found().url
    }

    /// The length of the file in bytes; unknown where the origin streams it.
    pub fn length(&self) -> Option<u64> {
        self.0.length
    }

    /// Whether parts of the file can be fetched: the origin has shown it, not only said so, and
    /// has not given something else since, three times in a row or once beyond doubt.
    pub fn ranges(&self) -> bool {
        self.0.ranges && self.0.refusals.load(Ordering::Relaxed) < MOST_REFUSALS
    }

    /// How many connections to use of so many wanted: fewer if the origin has refused as many.
    pub fn connections(&self, wanted: u8) -> u8 {
        self.learned().connections(wanted)
    }

    /// What names the version of the file; every response is held to it.
    pub fn validator(&self) -> Option<Validator> {
        self.0.version.get()?.validator(self.0.length?)
    }

    /// The name to save the file under: a single path component of at most 240 bytes that is
    /// harmless on every platform, from `Content-Disposition` (RFC 6266) or the URL.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The digests of the whole file that the origin states (`Repr-Digest`, RFC 9530).
    pub fn digests(&self) -> &[Digest] {
        &self.0.digests
    }

    /// The media type, as the origin states it.
    pub fn content_type(&self) -> Option<&str> {
        self.0.content_type.as_deref()
    }

    /// The coding of the bytes if they are not the plain file, such as `gzip`. They are handed out
    /// as they come.
    pub fn encoding(&self) -> Option<&str> {
        self.0.encoding.as_deref()
    }

    /// The mirrors that the origin announces (`Link` with `rel=duplicate`, RFC 6249), best first.
    pub fn announced(&self) -> &[Mirror] {
        &self.0.announced
    }

    /// Where a Metalink of the file is, if the origin says so (RFC 6249 §6).
    pub fn described_by(&self) -> Option<&Url> {
        self.0.described_by.as_ref()
    }

    /// Asks for the Metalink that the origin says describes the file.
    pub async fn description(&self) -> Result<Option<Probe>, Error> {
        let Some(url) = self.described_by() else { return Ok(None) };
        let asked = self.found().onward(url.clone(), self.0.leads_to);
        Probe::ask(self.client(), judged(self.client(), asked)?).await.map(Some)
    }

    /// The narrowest space that addresses which stand in the file may lead to, as the origin has
    /// sent them.
    pub fn leads_to(&self) -> AddressSpace {
        self.0.leads_to
    }

    /// Waits for the next mirror that the guard refuses, and says why. Such a mirror is left out.
    pub async fn refused_mirror(&self) -> Error {
        self.1.refused().await
    }

    /// The same file, read from `mirrors` too; every lane that starts anew reads where the fewest
    /// do.
    ///
    /// A mirror's bytes count only once a part of it was compared. One that fails is left for
    /// another, and none of them fails the file while another works. A file that is not served in
    /// parts is read from here alone.
    #[must_use]
    pub fn with_mirrors(self, mirrors: &[Mirror]) -> Self {
        let mirrors = Arc::new(Mirrors::of(&self, mirrors));
        Self(self.0, mirrors)
    }

    /// The same file as it was found at `url`, read from `address` and no other that the host may
    /// have, over connections of its own and from no mirror. Whatever is there is held to the facts
    /// of this source, and the guard judges the address all the same.
    #[must_use]
    pub fn at(&self, url: &Url, address: IpAddr) -> Self {
        let client = self.client().pinned(url.host_str().unwrap_or_default(), address);
        let version = self.0.version.clone();
        let length = self.0.length;
        let found = Location::named(url.clone(), Trust::Stranger);
        let facts = Facts { length, ..Facts::bare(&client, self.0.asked.clone(), version) };
        Self(Arc::new(Facts { found: Mutex::new(found), ..facts }), Arc::default())
    }

    /// Whether it is read from mirrors too.
    pub fn has_mirrors(&self) -> bool {
        !self.1.is_empty()
    }

    /// How many places it is read from: itself and its mirrors.
    pub fn sites(&self) -> usize {
        1 + self.1.count()
    }

    /// Reads from no mirror any more, if the source itself still answers.
    pub fn leave_mirrors(&self) {
        self.1.leave();
    }

    pub(crate) fn mirrors(&self) -> &Arc<Mirrors> {
        &self.1
    }

    /// The error of a site that was given up after so long.
    pub(crate) fn too_slow(&self, after: Duration) -> Error {
        Error::Timeout { host: self.host(), stage: Stage::Head, after }
    }

    pub(crate) fn host(&self) -> String {
        host_of(&self.0.asked.url)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn known(
        client: &Client,
        url: &Url,
        length: u64,
        validator: Option<&Validator>,
    ) -> Result<Self, Error> {
        let version = validator.map(Version::named).unwrap_or_default();
        let asked = judged(client, Location::named(url.clone(), Trust::Origin))?;
        Ok(Self::bare(client, asked, length, version.into()))
    }

    /// A mirror of a file of `length` bytes; it is held to the version that it shows first.
    pub(crate) fn unproven(client: &Client, at: Location, length: u64) -> Result<Self, Error> {
        Ok(Self::bare(client, judged(client, at)?, length, OnceLock::new()))
    }

    fn bare(client: &Client, asked: Location, length: u64, version: OnceLock<Version>) -> Self {
        let facts = Facts { length: Some(length), ..Facts::bare(client, asked, version) };
        Self(Arc::new(facts), Arc::default())
    }

    /// The source that a probe's answer shows.
    pub(crate) fn probed(
        client: &Client,
        asked: Location,
        answer: &Answer,
        length: Option<u64>,
        ranges: bool,
    ) -> Self {
        let headers = answer.response.headers();
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let is_of_all = answer.is_of_all(length);
        if is_of_all && text(CONTENT_DIGEST).is_some() {
            client.0.learned.of(&answer.location.url).digests_parts();
        }
        let mut digests = Digest::stated(text("repr-digest"), text("digest"));
        digests.extend(text(CONTENT_DIGEST).filter(|_| is_of_all).and_then(Digest::strongest));
        let links = Links::of(headers, &answer.location.url);
        let leads_to = answer.location.floor.max(answer.conn.space());
        let facts = Facts {
            client: client.clone(),
            found: Mutex::new(answer.location.clone()),
            finding: tokio::sync::Mutex::default(),
            length,
            ranges,
            refusals: AtomicU32::default(),
            version: Version::of(headers).into(),
            name: file_name(headers, &[&answer.location.url, &asked.url]),
            digests,
            content_type: text("content-type").map(str::to_owned),
            encoding: head::encoding(headers),
            announced: links.mirrors.into_iter().map(|mirror| mirror.said_in(leads_to)).collect(),
            leads_to,
            described_by: links.metalink,
            asked,
        };
        Self(Arc::new(facts), Arc::default())
    }

    pub(crate) fn found(&self) -> Location {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Facts {
    /// What is known of a file that is served in parts and was not asked for yet.
    fn bare(client: &Client, asked: Location, version: OnceLock<Version>) -> Self {
        Self {
            client: client.clone(),
            found: Mutex::new(asked.clone()),
            finding: tokio::sync::Mutex::default(),
            length: None,
            ranges: true,
            refusals: AtomicU32::default(),
            version,
            name: file_name(&HeaderMap::new(), &[&asked.url]),
            digests: Vec::new(),
            content_type: None,
            encoding: None,
            announced: Vec::new(),
            described_by: None,
            leads_to: asked.floor,
            asked,
        }
    }
}

/// A location to start from, unless that is refused before its name is resolved.
pub(crate) fn judged(client: &Client, to: Location) -> Result<Location, Error> {
    if !is_web(&to.url) {
        return Err(Error::Url { why: "must be http or https and name a host" });
    }
    let host = || host_of(&to.url);
    let judged = client.0.guard.admit_url(&to.url, to.floor);
    judged.map_err(|why| Error::Refused { host: host(), why })?;
    Ok(to)
}

const CONTENT_DIGEST: &str = "content-digest";

/// So many answers in a row that are no part show that the origin serves none.
const MOST_REFUSALS: u32 = 3;
