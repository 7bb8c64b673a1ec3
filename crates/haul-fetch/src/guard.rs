use crate::{Cidr, Refusal};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use url::{Host, Url};

/// Which addresses a [`Client`](crate::Client) may connect to.
///
/// Every connection is decided upon after its name was resolved and goes to an address that was
/// judged, so a second answer of the name server cannot lead anywhere else. Each hop of a redirect
/// is judged anew.
#[derive(Clone, Debug, Default)]
pub enum Guard {
    /// Anywhere: for whoever asks on their own behalf.
    #[default]
    Open,
    /// Public addresses on ports 80 and 443: for whoever fetches what a stranger names.
    ///
    /// A name of which any address is refused is refused whole. So are URLs with a user or a
    /// password, and the names of local networks (one label, `.local`, `.lan`, ...) unless they
    /// lead into an allowed network.
    Public {
        /// Networks that are open on every port, although they are not public or are denied.
        allowed: Vec<Cidr>,
        /// Public addresses that are closed too: networks on the machine's own interfaces, its
        /// gateways and its name servers.
        denied: Denied,
    },
}

/// Networks that are closed at this moment.
///
/// They are asked for before every connection, as a machine that roams has other networks around
/// it than when it started.
#[derive(Clone)]
pub struct Denied(Arc<dyn Fn() -> Option<Vec<Cidr>> + Send + Sync>);

impl Denied {
    /// What `networks` says at each moment. While it can say nothing, every address is denied.
    pub fn asking(networks: impl Fn() -> Option<Vec<Cidr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(networks))
    }

    fn now(&self) -> Result<Vec<Cidr>, Refusal> {
        (self.0)().ok_or(Refusal::Address)
    }
}

/// Always these networks.
impl From<Vec<Cidr>> for Denied {
    fn from(networks: Vec<Cidr>) -> Self {
        Self::asking(move || Some(networks.clone()))
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((self.0)().into_iter().flatten()).finish()
    }
}

impl Guard {
    /// What it says of a URL whose name has these addresses: all that is asked of it before a
    /// connection is made to one of them.
    pub fn allows(&self, url: &Url, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        self.admit_url(url)?;
        self.admit(url, addresses)
    }

    /// Refuses what can be refused before a name is resolved.
    pub(crate) fn admit_url(&self, url: &Url) -> Result<(), Refusal> {
        let Self::Public { allowed, .. } = self else { return Ok(()) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Secret);
        }
        if is_local_name(url) && allowed.is_empty() {
            return Err(Refusal::Name);
        }
        Ok(())
    }

    /// Refuses the whole name if any of its addresses is refused.
    pub(crate) fn admit(&self, url: &Url, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        let Self::Public { allowed, denied } = self else { return Ok(()) };
        let (local, denied) = (is_local_name(url), denied.now()?);
        addresses.iter().try_for_each(|&address| judge(address, local, allowed, &denied))
    }
}

/// The one place that decides about an address.
fn judge(
    address: SocketAddr,
    local_name: bool,
    allowed: &[Cidr],
    denied: &[Cidr],
) -> Result<(), Refusal> {
    let ip = address.ip().to_canonical();
    if allowed.iter().any(|network| network.contains(ip)) {
        return Ok(());
    }
    if local_name {
        return Err(Refusal::Name);
    }
    let denied = |ip: IpAddr| denied.iter().any(|network| network.contains(ip));
    if !is_public(ip) || denied(ip) || carried(ip).is_some_and(denied) {
        return Err(Refusal::Address);
    }
    if !matches!(address.port(), 80 | 443) {
        return Err(Refusal::Port);
    }
    Ok(())
}

/// Whether the registries of special-purpose addresses leave `ip` to the public internet.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.contains(ip)),
        IpAddr::V6(_) => {
            let special = SPECIAL_V6.iter().any(|network| network.contains(ip));
            let unicast = UNICAST_V6.contains(ip) && !special;
            (unicast || TRANSLATED_V6.contains(ip)) && carried(ip).is_none_or(is_public)
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: behind the well-known prefix of translators
/// (RFC 6052 §2.1), or at the end of an ISATAP tunnel under any prefix (RFC 5214 §6.1).
fn carried(ip: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = ip else { return None };
    let [.., scope, isatap, _, _] = v6.segments();
    let tunnelled = matches!((scope, isatap), (0 | 0x200, 0x5efe));
    let [.., a, b, c, d] = v6.octets();
    (tunnelled || TRANSLATED_V6.contains(ip)).then(|| Ipv4Addr::new(a, b, c, d).into())
}

fn is_local_name(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let name = name.trim_end_matches('.');
    !name.contains('.') || LOCAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Names that never belong to the public internet (RFC 6761, 6762, 8375) or are used as if so.
const LOCAL_SUFFIXES: &[&str] = &[
    ".local",
    ".localhost",
    ".localdomain",
    ".internal",
    ".intranet",
    ".lan",
    ".home",
    ".corp",
    ".private",
    ".home.arpa",
];

/// The IANA IPv4 special-purpose registry (RFC 6890) without what it calls globally reachable,
/// and multicast. Blocks are denied whole where only single addresses of them are reachable.
const SPECIAL_V4: &[Cidr] = &[
    Cidr::v4([0, 0, 0, 0], 8),       // this network, RFC 791
    Cidr::v4([10, 0, 0, 0], 8),      // private use, RFC 1918
    Cidr::v4([100, 64, 0, 0], 10),   // shared by carriers, RFC 6598
    Cidr::v4([127, 0, 0, 0], 8),     // loopback, RFC 1122
    Cidr::v4([169, 254, 0, 0], 16),  // link local, RFC 3927
    Cidr::v4([172, 16, 0, 0], 12),   // private use, RFC 1918
    Cidr::v4([192, 0, 0, 0], 24),    // protocol assignments, RFC 6890
    Cidr::v4([192, 0, 2, 0], 24),    // documentation, RFC 5737
    Cidr::v4([192, 88, 99, 0], 24),  // 6to4 relays, RFC 7526
    Cidr::v4([192, 168, 0, 0], 16),  // private use, RFC 1918
    Cidr::v4([198, 18, 0, 0], 15),   // benchmarks, RFC 2544
    Cidr::v4([198, 51, 100, 0], 24), // documentation, RFC 5737
    Cidr::v4([203, 0, 113, 0], 24),  // documentation, RFC 5737
    Cidr::v4([224, 0, 0, 0], 4),     // multicast, RFC 5771
    Cidr::v4([240, 0, 0, 0], 4),     // reserved and broadcast, RFC 1112, 8190
];

/// Global unicast (RFC 4291 §2.4); everything outside it is refused without a list.
const UNICAST_V6: Cidr = Cidr::v6([0x2000, 0, 0], 3);

/// The well-known prefix of translators (RFC 6052); what it carries is judged.
const TRANSLATED_V6: Cidr = Cidr::v6([0x64, 0xff9b, 0], 96);

/// What the IANA IPv6 special-purpose registry reserves inside global unicast.
const SPECIAL_V6: &[Cidr] = &[
    Cidr::v6([0x2001, 0, 0], 23), // protocol assignments with Teredo, RFC 2928, 4380
    Cidr::v6([0x2001, 0xdb8, 0], 32), // documentation, RFC 3849
    Cidr::v6([0x2002, 0, 0], 16), // 6to4, RFC 3056
    Cidr::v6([0x3fff, 0, 0], 20), // documentation, RFC 9637
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn public(allowed: &[&str], denied: &[&str]) -> Guard {
        let parse =
            |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect::<Vec<Cidr>>();
        Guard::Public { allowed: parse(allowed), denied: parse(denied).into() }
    }

    /// What is said of an address that a name of the public internet has.
    fn verdict(guard: &Guard, address: &str) -> Result<(), Refusal> {
        let url = Url::parse("http://example.org/").unwrap();
        guard.admit(&url, &[SocketAddr::new(address.parse().unwrap(), 443)])
    }

    /// First and last address of every block that is refused, and of every way to spell one.
    const REFUSED: &[&str] = &[
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.170",
        "192.0.0.255",
        "192.0.2.0",
        "192.0.2.255",
        "192.88.99.0",
        "192.88.99.255",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.0",
        "198.51.100.255",
        "203.0.113.0",
        "203.0.113.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:ffff::",
        "100::",
        "100::1",
        "100:0:0:1::1",
        "1fff:ffff::1",
        "2001::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:1::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:30::1",
        "2001:1ff:ffff::1",
        "2001:db8::",
        "2001:db8:ffff::1",
        "2002::",
        "2002:0a00:0001::1",
        "2002:0808:0808::1",
        "2606:2800::5efe:10.0.0.1",
        "2606:2800::200:5efe:169.254.169.254",
        "fe80::5efe:8.8.8.8",
        "3fff::",
        "3fff:0fff:ffff::1",
        "4000::",
        "5f00::1",
        "fc00::1",
        "fdff:ffff::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ffff::1",
    ];

    #[test]
    fn every_special_block_and_every_form_of_it_is_refused() {
        for address in REFUSED {
            assert_eq!(verdict(&public(&[], &[]), address), Err(Refusal::Address), "{address}");
            assert_eq!(verdict(&Guard::Open, address), Ok(()));
        }
    }

    #[test]
    fn addresses_next_to_special_blocks_are_public() {
        for address in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2000::1",
            "2001:200::1",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2003::1",
            "2606:2800:220:1::1",
            "2606:2800::200:5efe:8.8.8.8",
            "2606:2800::1:5efe:10.0.0.1",
            "3ffe:ffff::1",
            "3fff:1000::1",
        ] {
            assert_eq!(verdict(&public(&[], &[]), address), Ok(()), "{address}");
        }
    }

    #[test]
    fn a_denied_network_is_closed_in_every_form_and_an_allowed_one_opens_it() {
        let closed = public(&[], &["8.8.8.0/24", "2606:2800::/32"]);
        for address in [
            "8.8.8.8",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:470::5efe:8.8.8.8",
            "2606:2800::1",
        ] {
            assert_eq!(verdict(&closed, address), Err(Refusal::Address), "{address}");
        }
        let opened = public(&["8.8.8.0/24", "127.0.0.0/8"], &["8.8.8.0/24"]);
        for address in ["8.8.8.8", "127.0.0.1", "::ffff:127.0.0.1"] {
            assert_eq!(verdict(&opened, address), Ok(()), "{address}");
        }
        assert_eq!(verdict(&opened, "10.0.0.1"), Err(Refusal::Address));
    }

    #[test]
    fn what_is_denied_is_asked_anew_for_every_connection() {
        let here = Arc::new(Mutex::new(Some(Vec::new())));
        let asked = Arc::clone(&here);
        let denied = Denied::asking(move || asked.lock().unwrap().clone());
        let guard = Guard::Public { allowed: Vec::new(), denied };
        assert_eq!(verdict(&guard, "8.8.8.8"), Ok(()));
        *here.lock().unwrap() = Some(vec!["8.8.8.0/24".parse().unwrap()]);
        assert_eq!(verdict(&guard, "8.8.8.8"), Err(Refusal::Address));
        assert_eq!(verdict(&guard, "9.9.9.9"), Ok(()));
        *here.lock().unwrap() = None;
        assert_eq!(verdict(&guard, "9.9.9.9"), Err(Refusal::Address), "nobody can say");
    }

    #[test]
    fn other_ports_than_the_webs_open_in_allowed_networks_only() {
        let guard = public(&["10.0.0.0/8"], &[]);
        let url = Url::parse("http://example.org/").unwrap();
        let judge = |address: &str| guard.admit(&url, &[address.parse().unwrap()]);
        assert_eq!(judge("8.8.8.8:80"), Ok(()));
        assert_eq!(judge("8.8.8.8:22"), Err(Refusal::Port));
        assert_eq!(judge("[2606:2800::1]:8080"), Err(Refusal::Port));
        assert_eq!(judge("10.0.0.1:22"), Ok(()));
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let url = Url::parse("http://example.org/").unwrap();
        let (public_one, private) = ("8.8.8.8:80".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
        let guard = public(&[], &[]);
        assert_eq!(guard.admit(&url, &[public_one]), Ok(()));
        assert_eq!(guard.admit(&url, &[public_one, private]), Err(Refusal::Address));
    }

    #[test]
    fn local_names_and_secrets_are_refused_before_anything_is_resolved() {
        let before = |guard: &Guard, url: &str| guard.admit_url(&Url::parse(url).unwrap());
        let guard = public(&[], &[]);
        for host in [
            "router",
            "router.",
            "a.local",
            "a.LOCAL.",
            "x.localhost",
            "nas.lan",
            "a.home.arpa",
            "a.internal",
        ] {
            assert_eq!(before(&guard, &format!("http://{host}/")), Err(Refusal::Name), "{host}");
        }
        assert_eq!(before(&guard, "http://user@example.org/"), Err(Refusal::Secret));
        assert_eq!(before(&guard, "http://:p@example.org/"), Err(Refusal::Secret));
        assert_eq!(before(&guard, "http://local.example.org/"), Ok(()));
        assert_eq!(before(&Guard::Open, "http://user@router/"), Ok(()));
    }

    #[test]
    fn a_local_name_may_lead_into_an_allowed_network_only() {
        let guard = public(&["10.0.0.0/8"], &[]);
        let url = Url::parse("http://nas.lan/").unwrap();
        assert_eq!(guard.admit_url(&url), Ok(()));
        assert_eq!(guard.admit(&url, &["10.0.0.1:80".parse().unwrap()]), Ok(()));
        assert_eq!(guard.admit(&url, &["8.8.8.8:80".parse().unwrap()]), Err(Refusal::Name));
    }
}
