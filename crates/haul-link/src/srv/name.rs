use std::{fmt, str};

/// The most octets of a name, dots included (RFC 1035 §2.3.4).
const LONGEST: usize = 253;

/// The most octets between two dots.
const LONGEST_LABEL: usize = 63;

/// A whole domain name, in lower case and without a dot at its end. It has letters, digits, `-` and
/// `_` only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

/// The text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadName;

impl Name {
    /// The name with all its dots, as people write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of haul's service in this domain; `None` if that is too long to be one.
    pub(super) fn of_service(&self) -> Option<Self> {
        format!("_haul._udp.{self}").parse().ok()
    }

    /// The name of these labels; `None` for the root, and for what is no name of a machine.
    pub(super) fn of_labels(labels: &[&[u8]]) -> Option<Self> {
        let labels: Result<Vec<&str>, _> =
            labels.iter().map(|label| str::from_utf8(label)).collect();
        let labels = labels.ok()?;
        let dotted = labels.iter().any(|label| label.contains('.'));
        if dotted { None } else { labels.join(".").parse().ok() }
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

impl str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(known)
        };
        if name.len() > LONGEST || !name.split('.').all(is_label) {
            return Err(BadName);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a domain name has letters, digits, - and _ between its dots, 253 in all")
    }
}

impl std::error::Error for BadName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_whole_in_lower_case_and_has_no_strange_letters() {
        let name: Name = "Ward-3.Example.ORG.".parse().unwrap();
        assert_eq!(name.as_str(), "ward-3.example.org");
        assert_eq!(name.of_service().unwrap().as_str(), "_haul._udp.ward-3.example.org");
        let long = "a".repeat(64);
        for bad in ["", ".", "a..b", ".a", "a b", "a\u{202e}b", "ä.example", "a:1", &long] {
            assert_eq!(bad.parse::<Name>(), Err(BadName), "{bad}");
        }
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        assert_eq!(longest.parse::<Name>().unwrap().of_service(), None, "too long as a service");
        assert_eq!((longest + "d").parse::<Name>(), Err(BadName));
    }

    #[test]
    fn labels_from_the_wire_make_a_name_only_if_a_person_could_have_written_it() {
        let name = |labels: &[&[u8]]| Name::of_labels(labels).map(|name| name.to_string());
        assert_eq!(name(&[b"Asha", b"local"]).as_deref(), Some("asha.local"));
        assert_eq!(name(&[]), None, "the root");
        for strange in [&b"a.b"[..], b"a\0", b"\xff", b"a\n", b" "] {
            assert_eq!(name(&[strange, b"org"]), None);
        }
    }
}
