//! What goes over the wire after a request was read.

use super::conduct::{Asked, Scene};
use crate::Payload;
use h2::Reason;
use haul_span::Span;

pub(super) const ETAG: &str = "\"v1\"";
pub(super) const OTHER_ETAG: &str = "\"v2\"";
pub(super) const MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
pub(super) const OTHER_MODIFIED: &str = "Tue, 02 Jan 2024 00:00:00 GMT";

/// A response, right or wrong.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) version: &'static str,
    pub(super) status: String,
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<Step>,
    pub(super) then: Then,
}

/// One thing that happens while a body is sent.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    /// At the pace of the connection.
    File(Payload, Span),
    /// At this pace, in bytes per second.
    Crawl(Payload, Span, u64),
}

/// What follows the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request over the same connection.
    Next,
    Close,
    Reset,
    /// Nothing, and the connection stays.
    Hang,
    /// Not even the end of the head.
    HangInHead,
    /// A reset, and no head before it.
    Gone,
    /// HTTP/2 only: the stream is reset for this reason.
    Break(Reason),
    /// HTTP/2 only: the same, and no head before it.
    Refuse(Reason),
    /// HTTP/2 only: the whole connection is ended for this reason, and no head before it.
    Dismiss(Reason),
}

impl Reply {
    /// What the RFCs ask for.
    pub(super) fn fair(asked: &Asked, scene: &Scene) -> Self {
        let size = scene.size();
        match (asked.range(), asked.part(size)) {
            (Some(_), None) => Self::status("416 Range Not Satisfiable")
                .with("Content-Range", format!("bytes */{size}")),
            (Some(_), Some(span)) => Self::part(scene, span),
            (None, _) => Self::whole(scene),
        }
    }

    /// All of the file, with status 200.
    pub(super) fn whole(scene: &Scene) -> Self {
        let mut reply = Self::status("200 OK").describing().with("Content-Length", scene.size());
        reply.body.extend(scene.whole().map(|span| Step::File(scene.payload, span)));
        reply
    }

    /// A part of the file, with status 206.
    pub(super) fn part(scene: &Scene, span: Span) -> Self {
        let range = format!("bytes {}-{}/{}", span.start(), span.last(), scene.size());
        Self::status("206 Partial Content")
            .describing()
            .with("Content-Range", range)
            .with("Content-Length", span.len())
            .sending([Step::File(scene.payload, span)])
    }

    /// No data.
    pub(super) fn status(status: &str) -> Self {
        Self {
            version: "HTTP/1.1",
            status: status.to_owned(),
            fields: vec![("Content-Length".to_owned(), "0".to_owned())],
            body: Vec::new(),
            then: Then::Next,
        }
    }

    pub(super) fn redirect(to: impl Into<String>) -> Self {
        Self::status("302 Found").with("Location", to.into())
    }

    fn describing(self) -> Self {
        self.with("Accept-Ranges", "bytes").with("ETag", ETAG).with("Last-Modified", MODIFIED)
    }

    /// With this field, and no other of its name.
    pub(super) fn with(self, name: &str, value: impl ToString) -> Self {
        self.without(name).and(name, value)
    }

    /// With this field besides those of its name.
    #[expect(clippy::needless_pass_by_value, reason = "texts and numbers are given alike")]
    pub(super) fn and(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(held, _)| held != name);
        self
    }

    pub(super) fn sending(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.body = steps.into_iter().collect();
        self
    }

    pub(super) fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// With the body cut off after so many bytes.
    pub(super) fn cut_after(mut self, bytes: u64, then: Then) -> Self {
        let cut = |step: Step| match step {
            Step::File(payload, span) => Some(Step::File(payload, span.first(bytes)?)),
            other => Some(other),
        };
        self.body = self.body.into_iter().filter_map(cut).collect();
        self.then(then)
    }

    /// With the bytes of another version of the file.
    pub(super) fn of(mut self, other: Payload) -> Self {
        for step in &mut self.body {
            if let Step::File(payload, _) = step {
                *payload = other;
            }
        }
        self
    }

    /// With the body at this pace, in bytes per second.
    pub(super) fn crawling(mut self, rate: u64) -> Self {
        for step in &mut self.body {
            if let Step::File(payload, span) = *step {
                *step = Step::Crawl(payload, span, rate);
            }
        }
        self
    }

    pub(super) fn head(&self) -> Vec<u8> {
        let end = if self.then == Then::HangInHead { "" } else { "\r\n" };
        let fields = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let Self { version, status, .. } = self;
        format!("{version} {status}\r\n{}{end}", fields.collect::<String>()).into_bytes()
    }
}
