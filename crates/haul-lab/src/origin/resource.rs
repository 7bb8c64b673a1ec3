use crate::{Error, Payload};
use haul_span::Span;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2024-01-01, the day on which every payload was last modified.
const PAYLOADS_MODIFIED: Duration = Duration::from_secs(1_704_067_200);

/// One thing that an origin serves, and the manner in which it does.
#[derive(Clone, Debug)]
#[must_use]
pub struct Resource {
    content: Content,
    pub(super) etag: Option<String>,
    pub(super) modified: Option<SystemTime>,
    pub(super) ranges: bool,
    pub(super) framing: Framing,
}

#[derive(Clone, Debug)]
enum Content {
    Payload(Payload),
    File { file: Arc<File>, len: u64 },
}

/// How the end of a body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
    Close,
}

impl Resource {
    /// A payload, with a strong `ETag` of its seed and length.
    pub fn of(payload: Payload) -> Self {
        let etag = format!("\"{:x}-{:x}\"", payload.seed(), payload.len());
        Self::new(Content::Payload(payload), etag, UNIX_EPOCH + PAYLOADS_MODIFIED)
    }

    /// The file at `path`, sparse or not, as long as it is now.
    pub fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let open = || {
            let file = File::open(path)?;
            let about = file.metadata()?;
            let modified = about.modified()?;
            let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            let etag = format!("\"{:x}-{:x}\"", age.as_nanos(), about.len());
            let content = Content::File { file: Arc::new(file), len: about.len() };
            Ok(Self::new(content, etag, modified))
        };
        open().map_err(Error::io(format!("serve {}", path.display())))
    }

    const fn new(content: Content, etag: String, modified: SystemTime) -> Self {
        Self {
            content,
            etag: Some(etag),
            modified: Some(modified),
            ranges: true,
            framing: Framing::Length,
        }
    }

    /// Answers every request with the whole, and does not mention ranges.
    pub const fn without_ranges(mut self) -> Self {
        self.ranges = false;
        self
    }

    /// Sends the whole in chunks and without a length (RFC 9112 §7.1); this rules ranges out.
    pub const fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self.without_ranges()
    }

    /// Sends the whole without a length and closes the connection at its end; this rules ranges
    /// out.
    pub const fn close_delimited(mut self) -> Self {
        self.framing = Framing::Close;
        self.without_ranges()
    }

    /// Sends this `ETag`, quotes and all, or none.
    pub fn etag(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_owned);
        self
    }

    /// Sends this `Last-Modified`, or none.
    pub const fn modified(mut self, modified: Option<SystemTime>) -> Self {
        self.modified = modified;
        self
    }

    pub(super) const fn len(&self) -> u64 {
        match &self.content {
            Content::Payload(payload) => payload.len(),
            Content::File { len, .. } => *len,
        }
    }

    pub(super) fn read(&self, span: Span) -> io::Result<Vec<u8>> {
        match &self.content {
            Content::Payload(payload) => Ok(payload.bytes(span)),
            Content::File { file, .. } => {
                let len = usize::try_from(span.len()).map_err(io::Error::other)?;
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, span.start())?;
                Ok(bytes)
            }
        }
    }
}
