use crate::Error;
use hyper::HeaderMap;
use hyper::header::{ETAG, HeaderName, LAST_MODIFIED};
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// What names one version of a file: bytes that were fetched under equal validators may be joined.
///
/// Its text form (`Display`, `FromStr`) is stable, so that it can be stored and sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Validator {
    /// A strong entity tag with its quotes (RFC 9110 §8.8.3).
    ETag(String),
    /// A modification time with the file's length, where there is no strong tag.
    Modified {
        /// Seconds since 1970 (RFC 9110 §8.8.2).
        seconds: u64,
        /// The length of the file in bytes.
        length: u64,
    },
}

impl fmt::Display for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ETag(tag) => write!(f, "etag {tag}"),
            Self::Modified { seconds, length } => write!(f, "modified {seconds} {length}"),
        }
    }
}

impl FromStr for Validator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Unreadable { what: "validator", text: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<Validator> {
    if let Some(tag) = text.strip_prefix("etag ") {
        return Tag::parse(tag).filter(|tag| tag.strong).map(|tag| Validator::ETag(tag.opaque));
    }
    let (seconds, length) = text.strip_prefix("modified ")?.split_once(' ')?;
    Some(Validator::Modified { seconds: seconds.parse().ok()?, length: length.parse().ok()? })
}

/// All that an origin says about the version it serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version {
    tag: Option<Tag>,
    /// Seconds since 1970.
    modified: Option<u64>,
}

impl Version {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name)?.to_str().ok();
        Self {
            tag: text(ETAG).and_then(Tag::parse),
            modified: text(LAST_MODIFIED)
                .and_then(|date| httpdate::parse_http_date(date).ok())
                .and_then(seconds),
        }
    }

    /// The version that `validator` names.
    pub(crate) fn named(validator: &Validator) -> Self {
        match validator {
            Validator::ETag(tag) => {
                Self { tag: Some(Tag { strong: true, opaque: tag.clone() }), modified: None }
            }
            Validator::Modified { seconds, .. } => Self { tag: None, modified: Some(*seconds) },
        }
    }

    /// The validator of this version of a file of `length` bytes.
    pub(crate) fn validator(&self, length: u64) -> Option<Validator> {
        match (&self.tag, self.modified) {
            (Some(Tag { strong: true, opaque }), _) => Some(Validator::ETag(opaque.clone())),
            (_, Some(seconds)) => Some(Validator::Modified { seconds, length }),
            _ => None,
        }
    }

    /// The strong tag, which alone may stand in a condition (RFC 9110 §13.1.5).
    pub(crate) fn strong_tag(&self) -> Option<&str> {
        self.tag.as_ref().filter(|tag| tag.strong).map(|tag| tag.opaque.as_str())
    }

    /// What shows that `other` is another version, if anything does.
    ///
    /// A weak tag never proves that two versions are the same, but unequal weak tags prove that
    /// they are not. A version that says nothing comparable is taken for another one.
    pub(crate) fn conflict(&self, other: &Self) -> Option<&'static str> {
        let tags = self.tag.as_ref().zip(other.tag.as_ref());
        let times = self.modified.zip(other.modified);
        if tags.is_some_and(|(ours, theirs)| ours.opaque != theirs.opaque) {
            Some("ETag")
        } else if times.is_some_and(|(ours, theirs)| ours != theirs) {
            Some("Last-Modified")
        } else if *self != Self::default() && tags.is_none() && times.is_none() {
            Some("validator")
        } else {
            None
        }
    }
}

fn seconds(time: SystemTime) -> Option<u64> {
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    strong: bool,
    /// With the quotes, without `W/`.
    opaque: String,
}

impl Tag {
    /// Reads a tag leniently: what is not a well-formed strong tag can still tell versions apart.
    fn parse(text: &str) -> Option<Self> {
        let (weak, opaque) = match text.trim().strip_prefix("W/") {
            Some(opaque) => (true, opaque),
            None => (false, text.trim()),
        };
        let strong = !weak && is_opaque_tag(opaque) && opaque.len() <= MAX_TAG;
        (!opaque.is_empty()).then(|| Self { strong, opaque: opaque.to_owned() })
    }
}

/// Whether `text` is an `opaque-tag` of RFC 9110 §8.8.3, ASCII only.
fn is_opaque_tag(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.is_some_and(|inner| inner.bytes().all(|b| b == b'!' || (b'#'..=b'~').contains(&b)))
}

/// A longer tag is not worth carrying around; it still tells versions apart.
const MAX_TAG: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn version(tag: Option<&str>, modified: Option<&str>) -> Version {
        let mut headers = HeaderMap::new();
        for (name, value) in [(ETAG, tag), (LAST_MODIFIED, modified)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        Version::of(&headers)
    }

    const MONDAY: Option<&str> = Some("Mon, 05 Jan 2026 00:00:00 GMT");
    const TUESDAY: Option<&str> = Some("Tue, 06 Jan 2026 00:00:00 GMT");

    #[test]
    fn a_strong_tag_is_the_validator_else_the_time_with_the_length() {
        let tag = Some(Validator::ETag("\"a\"".to_owned()));
        assert_eq!(version(Some("\"a\""), MONDAY).validator(7), tag);
        let time = Some(Validator::Modified { seconds: 1_767_571_200, length: 7 });
        for weak in [Some("W/\"a\""), Some("a"), Some("\"a"), Some("\"a\"b\""), None] {
            assert_eq!(version(weak, MONDAY).validator(7), time, "{weak:?}");
        }
        assert_eq!(version(Some("W/\"a\""), Some("yesterday")).validator(7), None);
    }

    #[test]
    fn any_sign_of_another_version_is_a_conflict() {
        let probed = version(Some("\"a\""), MONDAY);
        assert_eq!(probed.conflict(&probed), None);
        assert_eq!(probed.conflict(&version(Some("\"b\""), MONDAY)), Some("ETag"));
        assert_eq!(probed.conflict(&version(Some("W/\"b\""), MONDAY)), Some("ETag"));
        assert_eq!(probed.conflict(&version(Some("\"a\""), TUESDAY)), Some("Last-Modified"));
        assert_eq!(probed.conflict(&version(Some("W/\"a\""), None)), None);
        assert_eq!(probed.conflict(&version(None, None)), Some("validator"));
        assert_eq!(Version::default().conflict(&probed), None);
    }

    #[test]
    fn a_validator_survives_its_text_form() {
        for validator in [
            Validator::ETag("\"a b\"".replace(' ', "-")),
            Validator::ETag("\"\"".to_owned()),
            Validator::Modified { seconds: 0, length: u64::MAX },
        ] {
            assert_eq!(validator.to_string().parse::<Validator>().unwrap(), validator);
        }
        for text in
            ["", "etag", "etag a", "etag W/\"a\"", "modified 1", "modified a b", "other 1 2"]
        {
            assert!(text.parse::<Validator>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<Validator>();
            Tag::parse(&text);
        }
    }
}
