mod space;

pub use space::AddressSpace;

use crate::{Cidr, Refusal};
use space::carried;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
    /// Wherever the caller points, and wherever whoever answers could connect to by itself: for
    /// whoever asks on their own behalf, and is sent on by strangers.
    ///
    /// What is said in one [`AddressSpace`] leads to that or a wider one: a server on the internet
    /// leads to no address of a local network or of this machine, and one on a local network to
    /// none of this machine. A name that once had an address in one space has none in a narrower
    /// one later; of a name with addresses on the internet and others only the former count.
    Spaces {
        /// Public addresses that count as local: networks on the machine's own interfaces, its
        /// gateways and its name servers. While nobody can say, none do.
        local: Denied,
    },
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
    /// What it says of a URL that the caller names and whose name has these addresses: all that is
    /// asked of it before a connection is made to one of them.
    pub fn allows(&self, url: &Url, addresses: &[SocketAddr]) -> Result<(), Refusal> {
        self.admit_url(url, AddressSpace::Loopback)?;
        self.admit(url, AddressSpace::Loopback, addresses.to_vec()).map(drop)
    }

    /// Refuses what can be refused before a name is resolved. `floor` is the narrowest space that
    /// the URL may lead to.
    pub(crate) fn admit_url(&self, url: &Url, floor: AddressSpace) -> Result<(), Refusal> {
        match self {
            Self::Spaces { .. } if floor > AddressSpace::Local && is_local_name(url) => {
                Err(Refusal::Inward)
            }
            Self::Public { .. } if !url.username().is_empty() || url.password().is_some() => {
                Err(Refusal::Secret)
            }
            Self::Public { allowed, .. } if is_local_name(url) && allowed.is_empty() => {
                Err(Refusal::Name)
            }
            Self::Open | Self::Spaces { .. } | Self::Public { .. } => Ok(()),
        }
    }

    /// Those of the addresses that may be connected to; never none of some.
    pub(crate) fn admit(
        &self,
        url: &Url,
        floor: AddressSpace,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        match self {
            Self::Open => Ok(addresses),
            Self::Spaces { local } => {
                not_inward(&local.now().unwrap_or_default(), floor, addresses)
            }
            Self::Public { allowed, denied } => {
                let (local, denied) = (is_local_name(url), denied.now()?);
                addresses.iter().try_for_each(|&to| judge(to, local, allowed, &denied))?;
                Ok(addresses)
            }
        }
    }

    /// The space that an address counts for where others are led to from there. Where spaces are
    /// not what is judged by, nothing is narrower than anything else.
    pub(crate) fn space(&self, ip: IpAddr) -> AddressSpace {
        match self {
            Self::Spaces { local } => space_beside(&local.now().unwrap_or_default(), ip),
            Self::Open | Self::Public { .. } => AddressSpace::Public,
        }
    }

    /// The space of what `url` names, where a proxy looks up the name: that of a literal, and for
    /// names what they are said to be.
    pub(crate) fn named_space(&self, url: &Url) -> AddressSpace {
        match (self, url.host()) {
            (Self::Open | Self::Public { .. }, _) | (_, None) => AddressSpace::Public,
            (_, Some(Host::Ipv4(ip))) => self.space(ip.into()),
            (_, Some(Host::Ipv6(ip))) => self.space(ip.into()),
            (_, Some(Host::Domain(name))) if is_localhost(name) => AddressSpace::Loopback,
            (_, Some(Host::Domain(_))) if is_local_name(url) => AddressSpace::Local,
            (_, Some(Host::Domain(_))) => AddressSpace::Public,
        }
    }

    /// What it says of a URL that a proxy is to connect to.
    pub(crate) fn admit_named(&self, url: &Url, floor: AddressSpace) -> Result<(), Refusal> {
        if self.named_space(url) >= floor { Ok(()) } else { Err(Refusal::Inward) }
    }

    /// Whether a proxy may connect in the caller's stead: it looks up names itself, where nobody
    /// judges what they lead to.
    pub(crate) fn allows_proxies(&self) -> bool {
        !matches!(self, Self::Public { .. })
    }
}

/// Those of the addresses that are at `floor` or wider, without local ones that stand beside ones
/// of the internet: whoever answers for a name could lead inward by them.
fn not_inward(
    local: &[Cidr],
    floor: AddressSpace,
    mut addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Refusal> {
    let space = |to: &SocketAddr| space_beside(local, to.ip());
    let is_outward = addresses.iter().any(|to| space(to) > AddressSpace::Local);
    let floor = if is_outward { floor.max(AddressSpace::Documentation) } else { floor };
    let had_some = !addresses.is_empty();
    addresses.retain(|to| space(to) >= floor);
    if had_some && addresses.is_empty() { Err(Refusal::Inward) } else { Ok(addresses) }
}

/// The space of an address on a machine with these networks around it.
fn space_beside(local: &[Cidr], ip: IpAddr) -> AddressSpace {
    let (ip, space) = (ip.to_canonical(), AddressSpace::of(ip));
    let is_local = |ip: IpAddr| local.iter().any(|network| network.contains(ip));
    let is_near = is_local(ip) || carried(ip).is_some_and(is_local);
    if is_near { space.min(AddressSpace::Local) } else { space }
}

/// The one place that decides about an address for whoever fetches what a stranger names.
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
    if AddressSpace::of(ip) != AddressSpace::Public || denied(ip) || carried(ip).is_some_and(denied)
    {
        return Err(Refusal::Address);
    }
    if !matches!(address.port(), 80 | 443) {
        return Err(Refusal::Port);
    }
    Ok(())
}

/// RFC 6761 §6.3.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Location, Trust};
    use proptest::prelude::*;
    use std::sync::Mutex;

    fn public(allowed: &[&str], denied: &[&str]) -> Guard {
        let parse =
            |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect::<Vec<Cidr>>();
        Guard::Public { allowed: parse(allowed), denied: parse(denied).into() }
    }

    /// What is said of an address that a name of the public internet has.
    fn verdict(guard: &Guard, address: &str) -> Result<(), Refusal> {
        let url = Url::parse("http://example.org/").unwrap();
        guard.allows(&url, &[SocketAddr::new(address.parse().unwrap(), 443)])
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
        let judge = |address: &str| guard.allows(&url, &[address.parse().unwrap()]);
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
        assert_eq!(guard.allows(&url, &[public_one]), Ok(()));
        assert_eq!(guard.allows(&url, &[public_one, private]), Err(Refusal::Address));
    }

    #[test]
    fn local_names_and_secrets_are_refused_before_anything_is_resolved() {
        let before = |guard: &Guard, url: &str| {
            guard.admit_url(&Url::parse(url).unwrap(), AddressSpace::Loopback)
        };
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
        assert_eq!(guard.admit_url(&url, AddressSpace::Loopback), Ok(()));
        assert_eq!(guard.allows(&url, &["10.0.0.1:80".parse().unwrap()]), Ok(()));
        assert_eq!(guard.allows(&url, &["8.8.8.8:80".parse().unwrap()]), Err(Refusal::Name));
    }

    /// Networks around the machine: a private one, and one of public addresses.
    fn around() -> Vec<Cidr> {
        ["192.168.1.0/24", "11.22.33.0/24", "2606:4700:aaaa::/64"]
            .map(|net| net.parse().unwrap())
            .into()
    }

    fn outward(floor: AddressSpace, addresses: &[&str]) -> Result<Vec<String>, Refusal> {
        let guard = Guard::Spaces { local: around().into() };
        let url = Url::parse("http://example.org/").unwrap();
        let to = |ip: &&str| SocketAddr::new(ip.parse().unwrap(), 80);
        let admitted = guard.admit(&url, floor, addresses.iter().map(to).collect())?;
        Ok(admitted.iter().map(|to| to.ip().to_string()).collect())
    }

    #[test]
    fn spaces_lead_outward_only() {
        use AddressSpace::{Documentation, Local, Loopback, Public};
        let spaces = [Loopback, Local, Documentation, Public];
        let addresses = ["127.0.0.1", "10.0.0.1", "203.0.113.1", "8.8.8.8"];
        for (from, floor) in spaces.into_iter().enumerate() {
            for (to, address) in addresses.into_iter().enumerate() {
                let judged = outward(floor, &[address]);
                let expected =
                    if to >= from { Ok(vec![address.to_owned()]) } else { Err(Refusal::Inward) };
                assert_eq!(judged, expected, "from {floor:?} to {address}");
            }
        }
        for address in REFUSED {
            assert_eq!(outward(Public, &[address]), Err(Refusal::Inward), "{address}");
        }
        for near in ["11.22.33.1", "::ffff:11.22.33.1", "64:ff9b::11.22.33.1", "2606:4700:aaaa::1"]
        {
            assert_eq!(outward(Public, &[near]), Err(Refusal::Inward), "{near}");
            assert!(outward(Local, &[near]).is_ok(), "{near}");
        }
    }

    #[test]
    fn of_a_name_on_the_internet_local_addresses_do_not_count() {
        let outward = |addresses: &[&str]| outward(AddressSpace::Loopback, addresses).unwrap();
        assert_eq!(outward(&["10.0.0.1", "8.8.8.8", "::1", "fe80::1"]), ["8.8.8.8"]);
        assert_eq!(outward(&["203.0.113.1", "127.0.0.1"]), ["203.0.113.1"]);
        assert_eq!(outward(&["11.22.33.1", "9.9.9.9"]), ["9.9.9.9"]);
        // The name of this machine itself.
        assert_eq!(outward(&["127.0.1.1", "192.168.1.7"]), ["127.0.1.1", "192.168.1.7"]);
        assert_eq!(outward(&[]), [""; 0]);
    }

    #[test]
    fn a_name_that_a_proxy_looks_up_is_judged_by_what_it_says() {
        use AddressSpace::{Local, Loopback, Public};
        let guard = Guard::Spaces { local: around().into() };
        let named =
            |host: &str| guard.named_space(&Url::parse(&format!("http://{host}/")).unwrap());
        for (host, space) in [
            ("localhost", Loopback),
            ("LOCALHOST.", Loopback),
            ("a.localhost", Loopback),
            ("[::ffff:127.0.0.1]", Loopback),
            ("0x7f.1", Loopback),
            ("router", Local),
            ("nas.local", Local),
            ("a.home.arpa.", Local),
            ("10.1", Local),
            ("11.22.33.1", Local),
            ("example.org", Public),
            ("8.8.8.8", Public),
        ] {
            assert_eq!(named(host), space, "{host}");
            let url = Url::parse(&format!("http://{host}/")).unwrap();
            assert_eq!(guard.admit_named(&url, Public).is_ok(), space == Public, "{host}");
            assert_eq!(Guard::Open.admit_named(&url, Public), Ok(()));
        }
    }

    fn any_space() -> impl Strategy<Value = AddressSpace> {
        use AddressSpace::{Documentation, Local, Loopback, Public};
        prop_oneof![Just(Loopback), Just(Local), Just(Documentation), Just(Public)]
    }

    /// Addresses of all spaces, each about as often.
    fn any_address() -> impl Strategy<Value = IpAddr> {
        let v4 = |a, b| (any::<[u8; 2]>()).prop_map(move |[c, d]| IpAddr::from([a, b, c, d]));
        let mapped = v4(10, 0).prop_map(|ip| match ip {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
            v6 @ IpAddr::V6(_) => v6,
        });
        let v6 = any::<u128>().prop_map(|bits| IpAddr::V6(std::net::Ipv6Addr::from_bits(bits)));
        prop_oneof![v4(127, 0), v4(192, 168), v4(8, 8), v4(11, 22), mapped, v6]
    }

    proptest! {
        #[test]
        fn nothing_that_is_admitted_is_further_in_than_any_who_led_there(
            chain in prop::collection::vec(any_space(), 0..5),
            addresses in prop::collection::vec(any_address(), 1..6),
        ) {
            let guard = Guard::Spaces { local: around().into() };
            let url = Url::parse("http://example.org/").unwrap();
            let typed = Location::named(url.clone(), Trust::Origin);
            let led = chain.iter().fold(typed, |at, &by| at.onward(url.clone(), by));
            let addresses: Vec<SocketAddr> = addresses.into_iter().map(|ip| (ip, 80).into()).collect();
            let admitted = guard.admit(&url, led.floor, addresses.clone()).unwrap_or_default();
            for to in &admitted {
                prop_assert!(chain.iter().all(|&by| guard.space(to.ip()) >= by));
                prop_assert!(addresses.contains(to));
            }
            if chain.is_empty() {
                prop_assert!(!admitted.is_empty(), "what the user names is asked");
            }
        }
    }
}
