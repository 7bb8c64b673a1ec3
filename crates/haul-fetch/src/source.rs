use crate::conn::Conn;
use crate::connect::host_of;
use crate::follow::{Answer, fetch, is_web};
use crate::head::{self, ContentRange};
use crate::name::file_name;
use crate::open::Open;
use crate::request::{Location, Trust, Wanted};
use crate::validator::Version;
use crate::ways::{Links, Mirror, Mirrors};
use crate::{Client, Digest, Error, Fault, Stage, Validator};
use haul_span::Span;
use hyper::HeaderMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tracing::debug;
use url::Url;

/// A file on an origin and what is known of it. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Facts>, Arc<Mirrors>);

struct Facts {
    client: Client,
    asked: Location,
    /// Where the file was found last; redirects are not followed anew for every span.
    found: Mutex<Location>,
    /// Held by whoever follows the redirects anew, so that the others can use the result.
    finding: tokio::sync::Mutex<()>,
    length: Option<u64>,
    ranges: bool,
    /// What the first response showed, for a mirror.
    version: OnceLock<Version>,
    name: String,
    digests: Vec<Digest>,
    content_type: Option<String>,
    encoding: Option<String>,
    announced: Vec<Mirror>,
    described_by: Option<Url>,
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

    /// Whether parts of the file can be fetched: the origin has shown it, not only said so.
    pub fn ranges(&self) -> bool {
        self.0.ranges
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

    /// Whether it is read from mirrors too.
    pub fn has_mirrors(&self) -> bool {
        !self.1.is_empty()
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
        Ok(Self::bare(client, asked(client, url, Trust::Origin)?, length, version.into()))
    }

    /// A mirror of a file of `length` bytes; it is held to the version that it shows first.
    pub(crate) fn unproven(client: &Client, at: &Location, length: u64) -> Result<Self, Error> {
        Ok(Self::bare(client, asked(client, &at.url, at.trust)?, length, OnceLock::new()))
    }

    fn bare(client: &Client, asked: Location, length: u64, version: OnceLock<Version>) -> Self {
        let facts = Facts {
            client: client.clone(),
            found: Mutex::new(asked.clone()),
            finding: tokio::sync::Mutex::default(),
            length: Some(length),
            ranges: true,
            version,
            name: file_name(&HeaderMap::new(), &[&asked.url]),
            digests: Vec::new(),
            content_type: None,
            encoding: None,
            announced: Vec::new(),
            described_by: None,
            asked,
        };
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
        let links = Links::of(headers, &answer.location.url);
        let facts = Facts {
            client: client.clone(),
            found: Mutex::new(answer.location.clone()),
            finding: tokio::sync::Mutex::default(),
            length,
            ranges,
            version: Version::of(headers).into(),
            name: file_name(headers, &[&answer.location.url, &asked.url]),
            digests: Digest::stated(text("repr-digest"), text("digest")),
            content_type: text("content-type").map(str::to_owned),
            encoding: head::encoding(headers),
            announced: links.mirrors,
            described_by: links.metalink,
            asked,
        };
        Self(Arc::new(facts), Arc::default())
    }

    /// Asks for `span`, over `conn` if it leads there, and checks that the response is a part of
    /// this file that starts where the span does.
    pub(crate) async fn read_here(self, span: Span, conn: Option<Conn>) -> Result<Open, Error> {
        let wanted = Wanted::Part(span);
        let from = self.found();
        let mut answer = fetch(self.client(), from.clone(), wanted, conn).await?;
        if is_stale(&answer) && from != self.0.asked {
            answer = self.find_anew(&from, wanted).await?;
        }
        let covered = self.covered(&answer, span)?;
        let Answer { conn, response, location } = answer;
        self.set_found(location);
        Ok(Open::new(self.client(), conn, response, covered.start(), Some(covered.end())))
    }

    /// Follows the redirects from the URL that was asked for, unless somebody else just did.
    async fn find_anew(&self, stale: &Location, wanted: Wanted) -> Result<Answer, Error> {
        let turn = self.0.finding.lock().await;
        let found = self.found();
        if found != *stale {
            drop(turn);
            return fetch(self.client(), found, wanted, None).await;
        }
        debug!(host = stale.url.host_str(), "the location went stale");
        let answer = fetch(self.client(), self.0.asked.clone(), wanted, None).await?;
        if !is_stale(&answer) {
            self.set_found(answer.location.clone());
        }
        Ok(answer)
    }

    fn set_found(&self, location: Location) {
        *self.0.found.lock().unwrap_or_else(PoisonError::into_inner) = location;
    }

    fn found(&self) -> Location {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bytes that an answer to a request for `span` brings, from the span's first byte on.
    fn covered(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        match answer.response.status().as_u16() {
            200 => self.covered_by_file(answer, span),
            206 => self.covered_by_part(answer, span),
            416 => Err(self.out_of_range(answer)),
            _ => Err(answer.status_error()),
        }
    }

    fn covered_by_part(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        let headers = answer.response.headers();
        let broken = |fault| Error::Broken { host: answer.conn.host().to_owned(), fault };
        head::plain_part(headers).map_err(broken)?;
        let Some(ContentRange::Part { span: part, total }) = head::content_range(headers) else {
            return Err(broken(Fault::ContentRange));
        };
        let length = self.0.length;
        if total.is_some() && length.is_some() && total != length {
            return Err(changed(answer, "length"));
        }
        self.same_version(answer)?;
        let outside = length.is_some_and(|length| part.end() > length);
        if part.start() != span.start() || outside {
            return Err(broken(Fault::OtherPart));
        }
        Ok(part)
    }

    /// A whole file serves a span at its start, if its length is the known one.
    fn covered_by_file(&self, answer: &Answer, span: Span) -> Result<Span, Error> {
        let headers = answer.response.headers();
        let Some(length) = self.0.length else { return Err(no_range(answer)) };
        if head::encoding(headers) != self.0.encoding || span.start() != 0 {
            return Err(no_range(answer));
        }
        if head::content_length(headers).is_some_and(|stated| stated != length) {
            return Err(changed(answer, "length"));
        }
        self.same_version(answer)?;
        Span::new(0, length).ok_or_else(|| no_range(answer))
    }

    fn out_of_range(&self, answer: &Answer) -> Error {
        match (head::content_range(answer.response.headers()), self.0.length) {
            (Some(ContentRange::Outside { total }), Some(length)) if total != length => {
                changed(answer, "length")
            }
            _ => no_range(answer),
        }
    }

    fn same_version(&self, answer: &Answer) -> Result<(), Error> {
        let seen = Version::of(answer.response.headers());
        let version = self.0.version.get_or_init(|| seen.clone());
        version.conflict(&seen).map_or(Ok(()), |what| Err(changed(answer, what)))
    }
}

/// Where to start for a URL that the caller gave.
pub(crate) fn asked(client: &Client, url: &Url, trust: Trust) -> Result<Location, Error> {
    if !is_web(url) {
        return Err(Error::Url { why: "must be http or https and name a host" });
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    client.0.guard.admit_url(url).map_err(|why| Error::Refused { host, why })?;
    Ok(Location { url: url.clone(), trust })
}

/// Whether the status is that of a link that has expired.
fn is_stale(answer: &Answer) -> bool {
    matches!(answer.response.status().as_u16(), 400 | 401 | 403 | 404 | 410)
}

fn no_range(answer: &Answer) -> Error {
    Error::NoRange { host: answer.conn.host().to_owned() }
}

fn changed(answer: &Answer, what: &'static str) -> Error {
    Error::Changed { host: answer.conn.host().to_owned(), what }
}
