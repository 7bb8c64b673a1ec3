//! What the head of a response says about the bytes that follow it.

use crate::Fault;
use crate::codec::latin1_or_utf8;
use haul_span::Span;
use hyper::HeaderMap;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION,
    RETRY_AFTER, TRANSFER_ENCODING,
};
use std::time::{Duration, SystemTime};

/// A `Content-Range` of bytes (RFC 9110 §14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// `bytes a-b/total`; no total where the origin does not know it.
    Part { span: Span, total: Option<u64> },
    /// `bytes */total`: the part lies outside the file.
    Outside { total: u64 },
}

/// The only `Content-Range`, if it can be read to the letter.
pub(crate) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    ContentRange::parse(only(headers, CONTENT_RANGE)?)
}

impl ContentRange {
    fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.split_once(' ')?;
        let (part, total) = range.split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if part == "*" {
            return Some(Self::Outside { total: digits(total)? });
        }
        let (first, last) = part.split_once('-')?;
        let span = Span::new(digits(first)?, digits(last)?.checked_add(1)?)?;
        let total = if total == "*" { None } else { Some(digits(total)?) };
        total.is_none_or(|total| span.end() <= total).then_some(Self::Part { span, total })
    }
}

/// A number of digits only: no sign, no blank, no overflow.
fn digits(text: &str) -> Option<u64> {
    let all = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

/// Refuses a body that is coded for the way in any manner but chunks, once: nobody asked for more
/// (RFC 9112 §7).
pub(crate) fn plain_transfer(headers: &HeaderMap) -> Result<(), Fault> {
    let codings = tokens(headers, &TRANSFER_ENCODING);
    match codings.as_slice() {
        [] => Ok(()),
        [only] if only == "chunked" || only == "identity" => Ok(()),
        _ => Err(Fault::TransferCoding),
    }
}

/// Refuses parts of anything but the plain file.
pub(crate) fn plain_part(headers: &HeaderMap) -> Result<(), Fault> {
    if encoding(headers).is_some() {
        return Err(Fault::Encoded);
    }
    let is_of = |prefix: &[u8]| {
        headers.get(CONTENT_TYPE).is_some_and(|value| {
            let head = value.as_bytes().get(..prefix.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        })
    };
    // A file may itself be a saved multipart message; only answers without a range of their own
    // are framed as several parts (RFC 9110 §15.3.7.2).
    let multipart = is_of(b"multipart/byteranges")
        || is_of(b"multipart/") && !headers.contains_key(CONTENT_RANGE);
    if multipart { Err(Fault::Multipart) } else { Ok(()) }
}

/// The coding of the content, unless it is the plain file.
pub(crate) fn encoding(headers: &HeaderMap) -> Option<String> {
    let mut codings = tokens(headers, &CONTENT_ENCODING);
    codings.retain(|coding| coding != "identity");
    (!codings.is_empty()).then(|| codings.join(", "))
}

/// The members of a list in a field, in lower case.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let texts = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_lowercase());
    let all = texts.collect::<Vec<_>>().join(",");
    let members = all.split(',').map(str::trim).filter(|member| !member.is_empty());
    members.map(str::to_owned).collect()
}

/// The length of the body, if it is that which decides where the body ends (RFC 9112 §6.3).
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    let decides = !headers.contains_key(TRANSFER_ENCODING);
    digits(only(headers, CONTENT_LENGTH)?).filter(|_| decides)
}

/// Whether the head says twice where its body ends, so that nobody can be sure of what follows
/// (RFC 9112 §6.3).
pub(crate) fn is_ambiguous(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
}

/// Where a redirect leads, as it is written there; letters beyond ASCII stand for themselves.
pub(crate) fn location(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(LOCATION).iter();
    let value = values.next()?;
    values.next().is_none().then(|| latin1_or_utf8(value.as_bytes()))
}

/// How long the origin asks to be left alone, in either form (RFC 9110 §10.2.3); a date that is
/// past asks for no pause.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = only(headers, RETRY_AFTER)?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The value of a field that stands there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(first: u64, end: u64, total: Option<u64>) -> ContentRange {
        ContentRange::Part { span: Span::new(first, end).unwrap(), total }
    }

    #[test]
    fn a_content_range_is_read_to_the_letter() {
        assert_eq!(ContentRange::parse("bytes 0-99/100"), Some(part(0, 100, Some(100))));
        assert_eq!(ContentRange::parse("Bytes 5-5/*"), Some(part(5, 6, None)));
        assert_eq!(ContentRange::parse("bytes */0"), Some(ContentRange::Outside { total: 0 }));
        let most = u64::MAX - 1;
        let text = format!("bytes 0-{most}/{}", u64::MAX);
        assert_eq!(ContentRange::parse(&text), Some(part(0, u64::MAX, Some(u64::MAX))));
    }

    #[test]
    fn a_content_range_that_is_not_to_the_letter_is_not_read() {
        for text in [
            "",
            "bytes",
            "bytes ",
            "bytes=0-99/100",
            "bytes 0-99",
            "bytes 0-99/",
            "bytes -99/100",
            "bytes 0-/100",
            "bytes 99-0/100",
            "bytes -1-99/100",
            "bytes +0-99/100",
            "bytes 0-99/99",
            "bytes 0-99/-1",
            "bytes 0 - 99/100",
            "bytes 0-99 /100",
            "bytes  0-99/100",
            "bytes 0-99/100 ",
            "bytes */*",
            "bytes */",
            "items 0-99/100",
            "bytes 0-18446744073709551615/*",
            "bytes 0-18446744073709551616/*",
            "bytes 0-9/99999999999999999999",
            "bytes 0-9/10, bytes 10-19/20",
            "bytes 0x0-0x9/10",
            "bytes 0-99/100/100",
            "bytes 0-9-9/100",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_not_read() {
        let mut headers = HeaderMap::new();
        headers.append(CONTENT_RANGE, "bytes 0-9/10".parse().unwrap());
        assert_eq!(content_range(&headers), Some(part(0, 10, Some(10))));
        headers.append(CONTENT_RANGE, "bytes 0-9/10".parse().unwrap());
        assert_eq!(content_range(&headers), None);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Mon, 05 Jan 2026 00:00:00 GMT").unwrap();
        for (text, seconds) in [
            ("2", Some(2)),
            ("Mon, 05 Jan 2026 00:00:30 GMT", Some(30)),
            ("Sun, 04 Jan 2026 00:00:00 GMT", Some(0)),
            ("1000000000", Some(1_000_000_000)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{text}");
        }
    }

    fn with(fields: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn chunks_are_the_only_coding_that_a_body_may_have_on_its_way() {
        for (codings, is_plain) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked "], true),
            (&["identity"], true),
            (&["gzip, chunked"], false),
            (&["gzip", "chunked"], false),
            (&["chunked, chunked"], false),
            (&["chunked", "chunked"], false),
            (&["xchunked"], false),
            (&["gzip"], false),
        ] {
            let fields: Vec<_> = codings.iter().map(|text| (TRANSFER_ENCODING, *text)).collect();
            assert_eq!(plain_transfer(&with(&fields)).is_ok(), is_plain, "{codings:?}");
        }
    }

    #[test]
    fn a_length_beside_chunks_decides_nothing() {
        let length = (CONTENT_LENGTH, "17");
        let both = with(&[length.clone(), (TRANSFER_ENCODING, "chunked")]);
        assert_eq!((content_length(&both), is_ambiguous(&both)), (None, true));
        let one = with(&[length]);
        assert_eq!((content_length(&one), is_ambiguous(&one)), (Some(17), false));
    }

    #[test]
    fn several_parts_are_never_taken_for_one_and_a_saved_message_is() {
        let (range, kind) = ((CONTENT_RANGE, "bytes 0-9/10"), |text| (CONTENT_TYPE, text));
        let byteranges = kind("Multipart/ByteRanges; boundary=x");
        for (fields, is_one) in [
            (vec![range.clone(), kind("multipart/related")], true),
            (vec![kind("multipart/related")], false),
            (vec![range, byteranges.clone()], false),
            (vec![byteranges], false),
        ] {
            assert_eq!(plain_part(&with(&fields)).is_ok(), is_one, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn no_field_makes_a_parser_panic(bytes: Vec<u8>, text in "bytes [-0-9*/ ]{0,60}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let Ok(value) = hyper::header::HeaderValue::from_bytes(bytes) else { continue };
                let names = [CONTENT_RANGE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER];
                let headers = names.into_iter().map(|name| (name, value.clone())).collect();
                let _ = (content_range(&headers), content_length(&headers), plain_part(&headers));
                let _ = (plain_transfer(&headers), location(&headers));
                retry_after(&headers, SystemTime::UNIX_EPOCH);
            }
        }
    }
}
