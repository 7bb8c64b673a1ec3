use super::written::{Written, written};

/// A pattern of hosts: `example.org` for that host alone, `*.example.org` for it and every name
/// below it, `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    All,
    Below(String),
    Only(String),
}

impl HostPattern {
    /// All hosts.
    pub const ALL: Self = Self(Kind::All);

    /// Whether `host` is meant; letters count the same in either case, and so does a final dot.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match &self.0 {
            Kind::All => true,
            Kind::Only(name) => host == *name,
            Kind::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        }
    }
}

impl Written for HostPattern {
    const EXPECTED: &'static str =
        "a host such as \"example.org\", \"*.example.org\" or \"*\" for all";

    fn read(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::ALL);
        }
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let kind = match name.strip_prefix("*.") {
            Some(below) => Kind::Below(below.to_owned()),
            None => Kind::Only(name),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let (Kind::Below(name) | Kind::Only(name)) = &kind else { return None };
        (!name.is_empty() && name.len() <= 253 && name.chars().all(plain)).then_some(Self(kind))
    }
}

written!(HostPattern);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_a_host_or_all_below_it_and_nothing_that_only_looks_so() {
        let matches = |pattern: &str, host: &str| HostPattern::read(pattern).unwrap().matches(host);
        assert!(matches("example.org", "EXAMPLE.org.") && !matches("example.org", "a.example.org"));
        assert!(
            matches("*.example.org", "example.org") && matches("*.Example.org", "a.b.example.org")
        );
        assert!(!matches("*.example.org", "badexample.org") && !matches("*.example.org", "org"));
        assert!(
            matches("*", "anything")
                && matches("[::1]", "[::1]")
                && matches("10.0.0.1", "10.0.0.1")
        );
    }

    #[test]
    fn what_no_host_can_hold_is_refused() {
        for text in ["", "*.", "https://example.org", "exa mple", "a*b", "*.*.org", "ex\u{e4}mple"]
        {
            assert!(HostPattern::read(text).is_none(), "{text}");
        }
    }
}
