use super::Resource;
use super::resource::Framing;
use haul_span::Span;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::http::response::Builder;
use hyper::{Method, Response, StatusCode, Version};
use std::time::SystemTime;

/// What a request is answered with: the head, and the part of the resource that is its body.
pub(super) struct Answer {
    pub(super) head: Builder,
    pub(super) status: StatusCode,
    pub(super) body: Option<Span>,
}

impl Answer {
    /// Answers a request for `resource`, or for nothing that is there.
    pub(super) fn to(resource: Option<&Resource>, method: &Method, asked: &HeaderMap) -> Self {
        let Some(resource) = resource else { return Self::empty(StatusCode::NOT_FOUND) };
        if !matches!(*method, Method::GET | Method::HEAD) {
            let answer = Self::empty(StatusCode::METHOD_NOT_ALLOWED);
            return answer.with(header::ALLOW, "GET, HEAD".to_owned());
        }
        let answer = match decide(resource, asked) {
            Verdict::Changed => Self::empty(StatusCode::PRECONDITION_FAILED),
            Verdict::Same => Self::new(StatusCode::NOT_MODIFIED, None),
            Verdict::Whole => Self::whole(resource),
            Verdict::Part(span) => Self::part(span, resource.len()),
            Verdict::Outside => Self::empty(StatusCode::RANGE_NOT_SATISFIABLE)
                .with(header::CONTENT_RANGE, format!("bytes */{}", resource.len())),
        };
        answer.describing(resource).without_body_if(*method == Method::HEAD)
    }

    fn new(status: StatusCode, body: Option<Span>) -> Self {
        Self { head: Response::builder().status(status), status, body }
    }

    fn empty(status: StatusCode) -> Self {
        Self::new(status, None).with(header::CONTENT_LENGTH, "0".to_owned())
    }

    fn whole(resource: &Resource) -> Self {
        let answer = Self::new(StatusCode::OK, Span::new(0, resource.len()));
        match resource.framing {
            Framing::Length => answer.with(header::CONTENT_LENGTH, resource.len().to_string()),
            Framing::Chunked => answer,
            // hyper sends a body of unknown length to its end and closes only in HTTP/1.0.
            Framing::Close => Self { head: answer.head.version(Version::HTTP_10), ..answer },
        }
    }

    fn part(span: Span, total: u64) -> Self {
        let range = format!("bytes {}-{}/{total}", span.start(), span.last());
        Self::new(StatusCode::PARTIAL_CONTENT, Some(span))
            .with(header::CONTENT_RANGE, range)
            .with(header::CONTENT_LENGTH, span.len().to_string())
    }

    fn describing(self, resource: &Resource) -> Self {
        let answer = self.with(header::CONTENT_TYPE, "application/octet-stream".to_owned());
        let answer = match &resource.etag {
            Some(etag) => answer.with(header::ETAG, etag.clone()),
            None => answer,
        };
        let answer = match resource.modified {
            Some(at) => answer.with(header::LAST_MODIFIED, httpdate::fmt_http_date(at)),
            None => answer,
        };
        if resource.ranges {
            answer.with(header::ACCEPT_RANGES, "bytes".to_owned())
        } else {
            answer
        }
    }

    fn without_body_if(self, head_only: bool) -> Self {
        Self { body: self.body.filter(|_| !head_only), ..self }
    }

    fn with(self, name: HeaderName, value: String) -> Self {
        Self { head: self.head.header(name, value), ..self }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Changed,
    Same,
    Whole,
    Part(Span),
    Outside,
}

/// Weighs the preconditions in the order of RFC 9110 §13.2.2.
fn decide(resource: &Resource, asked: &HeaderMap) -> Verdict {
    let field = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    let names_this = |list: &str| list == "*" || list.split(',').any(|tag| is_tag(resource, tag));
    if field(header::IF_MATCH).is_some_and(|list| !names_this(list)) {
        return Verdict::Changed;
    }
    if field(header::IF_NONE_MATCH).is_some_and(names_this) {
        return Verdict::Same;
    }
    let range = field(header::RANGE).filter(|_| resource.ranges);
    let fresh = field(header::IF_RANGE).is_none_or(|validator| is_current(resource, validator));
    range.filter(|_| fresh).map_or(Verdict::Whole, |range| cut(range, resource.len()))
}

/// Whether `tag` is the resource's own, compared strongly (RFC 9110 §8.8.3.2).
fn is_tag(resource: &Resource, tag: &str) -> bool {
    resource.etag.as_deref().is_some_and(|etag| etag == tag.trim() && !etag.starts_with("W/"))
}

/// Whether `If-Range` names the version at hand (RFC 9110 §13.1.5).
fn is_current(resource: &Resource, validator: &str) -> bool {
    let seconds = |at: SystemTime| httpdate::fmt_http_date(at);
    is_tag(resource, validator) || resource.modified.map(seconds).as_deref() == Some(validator)
}

/// The part that a `Range` names; several ranges, or none that can be read, mean the whole, as
/// RFC 9110 §14.2 leaves a server free to decide.
fn cut(range: &str, total: u64) -> Verdict {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|set| set.split_once('-'))
    else {
        return Verdict::Whole;
    };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(total)),
        (Ok(first), Err(_)) if last.is_empty() => (first, total),
        (Err(_), Ok(suffix)) if first.is_empty() => (total.saturating_sub(suffix), total),
        _ => return Verdict::Whole,
    };
    Span::new(start, end).map_or(Verdict::Outside, Verdict::Part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Payload;
    use std::time::UNIX_EPOCH;

    fn part(start: u64, end: u64) -> Verdict {
        Verdict::Part(Span::new(start, end).unwrap())
    }

    #[test]
    fn a_range_is_cut_as_rfc_9110_section_14_1_2_has_it() {
        assert_eq!(cut("bytes=0-0", 100), part(0, 1));
        assert_eq!(cut("bytes=10-19", 100), part(10, 20));
        assert_eq!(cut("bytes=10-", 100), part(10, 100));
        assert_eq!(cut("bytes=-5", 100), part(95, 100));
        assert_eq!(cut("bytes=-500", 100), part(0, 100));
        assert_eq!(cut("bytes=90-18446744073709551615", 100), part(90, 100));
        for outside in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(cut(outside, 100), Verdict::Outside, "{outside}");
        }
        assert_eq!(cut("bytes=0-0", 0), Verdict::Outside);
        for unread in ["", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,5-6"]
        {
            assert_eq!(cut(unread, 100), Verdict::Whole, "{unread}");
        }
    }

    #[test]
    fn preconditions_are_weighed_before_the_range() {
        let resource = Resource::of(Payload::new(1, 100)).etag(Some("\"v1\""));
        let ask = |fields: &[(HeaderName, &str)]| {
            let fields = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
            decide(&resource, &fields.collect())
        };
        let range = (header::RANGE, "bytes=0-9");
        assert_eq!(ask(&[range.clone(), (header::IF_RANGE, "\"v1\"")]), part(0, 10));
        assert_eq!(ask(&[range.clone(), (header::IF_RANGE, "\"v2\"")]), Verdict::Whole);
        assert_eq!(ask(&[range.clone(), (header::IF_RANGE, "W/\"v1\"")]), Verdict::Whole);
        assert_eq!(ask(&[range.clone(), (header::IF_MATCH, "\"v2\"")]), Verdict::Changed);
        assert_eq!(ask(&[range.clone(), (header::IF_MATCH, "\"v2\", \"v1\"")]), part(0, 10));
        assert_eq!(ask(&[range, (header::IF_NONE_MATCH, "\"v1\"")]), Verdict::Same);
    }

    #[test]
    fn a_date_in_if_range_must_be_the_very_same() {
        let resource = Resource::of(Payload::new(1, 100)).modified(Some(UNIX_EPOCH));
        assert!(is_current(&resource, "Thu, 01 Jan 1970 00:00:00 GMT"));
        assert!(!is_current(&resource, "Thu, 01 Jan 1970 00:00:01 GMT"));
    }
}
