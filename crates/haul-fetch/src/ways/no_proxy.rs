use crate::Cidr;
use std::net::IpAddr;
use url::{Host, Url};

/// The origins that are reached without a proxy: the list in `no_proxy`.
///
/// Entries are parted by commas or blanks: `*` for all; a name, which stands for itself and every
/// name below it, with or without a leading dot or `*.`; an address; a network as `10.0.0.0/8`.
/// All but a network may be followed by `:PORT`. An address stands for URLs that hold it, not for
/// names that lead to it. What is none of these stands for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    what: What,
    /// Nothing for all ports.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    All,
    /// Without a dot at either end.
    Name(String),
    Network(Cidr),
}

impl NoProxy {
    /// Reads a list; see the type.
    pub fn parse(list: &str) -> Self {
        let parted = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(parted.filter_map(Entry::parse).collect())
    }

    /// Whether `url` is reached without a proxy.
    pub fn covers(&self, url: &Url) -> bool {
        let port = url.port_or_known_default();
        let fits = |entry: &&Entry| entry.port.is_none() || entry.port == port;
        self.0.iter().filter(fits).any(|entry| entry.what.covers(url))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        if let Some(what) = What::parse(text) {
            return Some(Self { what, port: None });
        }
        let (what, port) = text.rsplit_once(':')?;
        Some(Self { what: What::parse(what)?, port: Some(port.parse().ok()?) })
    }
}

impl What {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(network) = bare.parse() {
            return Some(Self::Network(network));
        }
        let name = text.strip_prefix('*').unwrap_or(text).trim_matches('.');
        match Host::parse(name) {
            Ok(Host::Domain(name)) if !name.is_empty() => Some(Self::Name(name)),
            _ => None,
        }
    }

    fn covers(&self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::All, _) => true,
            (Self::Name(name), Some(Host::Domain(host))) => is_below(host, name),
            (Self::Network(network), Some(Host::Ipv4(ip))) => network.contains(ip.into()),
            (Self::Network(network), Some(Host::Ipv6(ip))) => {
                network.contains(ip.into()) || network.contains(IpAddr::V6(ip).to_canonical())
            }
            _ => false,
        }
    }
}

/// Whether `host` is `name` or a name below it.
fn is_below(host: &str, name: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.strip_suffix(name).is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(list: &str, url: &str) -> bool {
        NoProxy::parse(list).covers(&url.parse().unwrap())
    }

    #[test]
    fn a_name_stands_for_itself_and_all_below_it() {
        for entry in ["example.org", ".example.org", "*.example.org", "EXAMPLE.org."] {
            for host in ["example.org", "a.example.org", "A.B.example.ORG."] {
                assert!(covers(&format!("x.y, {entry}"), &format!("http://{host}/")), "{entry}");
            }
            for host in ["badexample.org", "example.org.evil.com", "org", "10.0.0.1"] {
                assert!(!covers(entry, &format!("http://{host}/")), "{entry} {host}");
            }
        }
        assert!(covers("bücher.example", "https://b\u{fc}cher.example/"));
    }

    #[test]
    fn addresses_and_networks_stand_for_urls_that_hold_them() {
        for (list, url, covered) in [
            ("10.1.2.3", "http://10.1.2.3/", true),
            ("10.1.2.3", "http://10.1.2.4/", false),
            ("10.0.0.0/8", "http://10.1.2.4:8080/", true),
            ("10.0.0.0/8", "http://[::ffff:10.1.2.4]/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("fd00::/8 ::1", "http://[fd00::7]/", true),
            ("fd00::/8 [::1]", "http://[::1]/", true),
            ("10.0.0.0/33", "http://10.0.0.1/", false),
            ("0x7f.1", "http://127.0.0.1/", false),
        ] {
            assert_eq!(covers(list, url), covered, "{list} {url}");
        }
    }

    #[test]
    fn a_port_narrows_an_entry_and_a_star_is_everything() {
        assert!(covers("example.org:8080", "http://a.example.org:8080/"));
        assert!(!covers("example.org:8080", "http://example.org/"));
        assert!(covers("example.org:443", "https://example.org/"));
        assert!(covers("[::1]:81", "http://[::1]:81/") && !covers("[::1]:81", "http://[::1]/"));
        assert!(covers("127.0.0.1:81", "http://127.0.0.1:81/"));
        assert!(covers("a,*", "http://anything/") && covers("*:80", "http://anything/"));
        assert!(!covers("", "http://h/") && !covers(" , ,:80", "http://h/"));
    }

    proptest! {
        #[test]
        fn no_list_makes_the_parser_panic(list: String) {
            NoProxy::parse(&list).covers(&"http://a.b:1/".parse().unwrap());
        }
    }
}
