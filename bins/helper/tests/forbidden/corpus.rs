//! Every way to name a forbidden address that we could think of.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long every file is said to be.
pub(crate) const LENGTH: u64 = 1 << 20;

/// The leader's machine at a public address that the helper may connect to.
pub(crate) const PUBLIC: &str = "93.184.215.14";

/// The leader's machine in a network of public addresses that the helper is in.
pub(crate) const ON_LINK: &str = "11.22.33.1";

/// The leader's machine as the helper's gateway and as its name server.
pub(crate) const GATEWAY: &str = "12.34.56.78";
pub(crate) const NAME_SERVER: &str = "9.9.9.9";

/// The leader's machine at a global address of the helper's IPv6 network.
pub(crate) const ON_LINK_V6: &str = "[2606:4700:aaaa::1]";

/// Where the origin redirects from.
const ORIGIN: &str = "203.0.113.10";

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// What a leader names, and what that comes to.
#[derive(Debug)]
pub(crate) struct Bait {
    /// How the forbidden address is spelled.
    pub(crate) target: String,
    pub(crate) url: String,
    /// What the name server says to the name in it, in turn.
    pub(crate) named: Option<(String, Vec<Vec<IpAddr>>)>,
}

impl Bait {
    pub(crate) fn direct(host: &str) -> Self {
        Self { target: host.into(), url: format!("http://{host}/zeros"), named: None }
    }

    fn named(name: &str, turns: &[&[IpAddr]]) -> Self {
        let turns = turns.iter().map(|turn| turn.to_vec()).collect();
        Self { named: Some((name.into(), turns)), ..Self::direct(name) }
    }

    /// Whether the leader names the target itself, and no redirect does.
    pub(crate) fn is_direct(&self) -> bool {
        !self.url.contains(ORIGIN)
    }

    /// The origin sends whoever asks on to the target.
    fn redirected(&self, code: u16) -> Self {
        let to = hexadecimal(&self.url);
        let url = format!("http://{ORIGIN}/go/{code}/{to}");
        Self { target: format!("{code} to {}", self.target), url, named: self.named.clone() }
    }

    /// The origin gives the first part and sends on whoever asks for more.
    fn switched(&self) -> Self {
        let url = format!("http://{ORIGIN}/later/{}", hexadecimal(&self.url));
        Self { target: format!("later {}", self.target), url, named: self.named.clone() }
    }
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

/// Addresses that must not be dialled and at which somebody would answer.
pub(crate) fn targets() -> Vec<String> {
    let all = ["10.77.0.1", "127.0.0.1", ON_LINK, GATEWAY, NAME_SERVER, ON_LINK_V6, "[::1]"];
    all.map(str::to_owned).into()
}

/// Everything, each redirected to as well.
pub(crate) fn all() -> Vec<Bait> {
    let mut baits: Vec<Bait> = spellings().iter().map(|host| Bait::direct(host)).collect();
    baits.extend(with_ports());
    baits.extend(names());
    let mut redirected = Vec::new();
    for (at, bait) in baits.iter().enumerate() {
        redirected.push(bait.redirected(REDIRECTS[at % REDIRECTS.len()]));
    }
    for target in targets() {
        let bait = Bait::direct(&target);
        redirected.extend(REDIRECTS.map(|code| bait.redirected(code)));
        redirected.extend([300, 304, 305, 306].map(|code| bait.redirected(code)));
        redirected.push(bait.switched());
    }
    baits.extend(redirected);
    baits
}

fn spellings() -> Vec<String> {
    let private = [
        [127, 0, 0, 1],
        [10, 77, 0, 1],
        [10, 77, 0, 11],
        [169, 254, 169, 254],
        [192, 168, 1, 1],
        [172, 16, 0, 1],
        [100, 64, 0, 1],
        [198, 51, 100, 5],
    ];
    let public = [ON_LINK, GATEWAY, NAME_SERVER].map(|text| text.parse::<Ipv4Addr>().unwrap());
    let v4: Vec<Ipv4Addr> = private.map(Ipv4Addr::from).into_iter().chain(public).collect();
    let spelled = v4.iter().flat_map(|&ip| of_v4(ip).into_iter().chain(in_v6(ip)));
    let others = OTHERS.iter().map(|&host| host.to_owned());
    spelled.chain(others).collect()
}

/// An IPv4 address as libraries of all ages read it (`inet_aton(3)`, the URL standard).
fn of_v4(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let whole = ip.to_bits();
    let (two, three) = (u16::from_be_bytes([c, d]), u32::from_be_bytes([0, b, c, d]));
    let wide = |text: &str| -> String {
        let wide = |c: char| char::from_u32(c as u32 + 0xfee0).unwrap();
        text.chars().map(|c| if c.is_ascii_digit() { wide(c) } else { c }).collect()
    };
    vec![
        ip.to_string(),
        whole.to_string(),
        format!("0x{whole:x}"),
        format!("0X{whole:08X}"),
        format!("0{whole:o}"),
        format!("{a}.{b}.{two}"),
        format!("{a}.{three}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.{b}.0{two:o}"),
        format!("0{a:o}.0x{three:x}"),
        format!("{ip}."),
        format!("{a}%2e{b}%2e{c}%2e{d}"),
        wide(&ip.to_string()),
        format!("{a}。{b}。{c}。{d}"),
        format!("000000{a:o}.0x00{b:x}.{c}.{d}"),
    ]
}

/// An IPv4 address inside an IPv6 address: mapped, compatible, translated, tunnelled.
fn in_v6(ip: Ipv4Addr) -> Vec<String> {
    let bits = ip.to_bits();
    let (high, low) = (bits >> 16, bits & 0xffff);
    let teredo = !bits;
    vec![
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:FFFF:{high:04X}:{low:04X}]"),
        format!("[::{ip}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[::ffff:0:{ip}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{ip}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:4136:e378:8000:63bf:{:x}:{:x}]", teredo >> 16, teredo & 0xffff),
        format!("[2001::{high:x}:{low:x}]"),
    ]
}

/// What has no IPv4 address in it.
const OTHERS: &[&str] = &[
    ON_LINK_V6,
    "[2606:4700:aaaa:0::11]",
    "[2606:4700:aaaa:0:ffff:ffff:ffff:ffff]",
    "[::1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[fe80::1]",
    "[fe80::1%25lan0]",
    "[fe80::1%lan0]",
    "[fe80::1%251]",
    "[::1%25lo]",
    "[ff02::1]",
    "[ff02::1%25lan0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[2001:db8::1]",
    "[100::1]",
    "[3fff::1]",
    "[5f00::1]",
    "0",
    "0.0.0.0",
    "0.0.0.1",
    "00000000000",
    "0x0",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.42.85",
    "240.0.0.1",
    "255.255.255.255",
    "10.77.0.255",
    "256.256.256.256",
    "4294967296",
    "127.0.0.1.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "localhost.localdomain",
    "leader",
    "router.lan",
    "nas.local",
    "printer.home.arpa",
    "metadata.google.internal",
    "user@127.0.0.1",
    "user:secret@10.77.0.1",
    "example.org@127.0.0.1",
    "127.0.0.1\\@example.org",
    "127.0.0.1#@example.org",
    "127.0.0.1?@example.org",
    "[::ffff:127.0.0.1",
    "127.0.0.1%00.example.org",
    "127.1%0a",
];

/// Ports that are not the web's, at the target and at a public address.
fn with_ports() -> Vec<Bait> {
    let ports = [22, 25, 53, 445, 3306, 4285, 5432, 6379, 8080, 11211];
    let hosts = ports.into_iter().flat_map(|port| {
        [format!("10.77.0.1:{port}"), format!("127.0.0.1:{port}"), format!("{PUBLIC}:{port}")]
    });
    let schemes = ["https", "HTTP", "ftp", "file", "gopher", "ws"];
    let schemes = schemes.map(|scheme| Bait {
        target: format!("{scheme} at 127.0.0.1"),
        url: format!("{scheme}://127.0.0.1/zeros"),
        named: None,
    });
    hosts.map(|host| Bait::direct(&host)).chain(schemes).collect()
}

/// Names that lead where no name of a stranger may lead, at once or only later.
fn names() -> Vec<Bait> {
    let private: [IpAddr; 12] = [
        Ipv4Addr::new(10, 77, 0, 1).into(),
        Ipv4Addr::LOCALHOST.into(),
        Ipv4Addr::new(169, 254, 169, 254).into(),
        Ipv4Addr::new(192, 168, 1, 1).into(),
        ON_LINK.parse().unwrap(),
        GATEWAY.parse().unwrap(),
        NAME_SERVER.parse().unwrap(),
        Ipv6Addr::LOCALHOST.into(),
        ON_LINK_V6.trim_matches(['[', ']']).parse().unwrap(),
        Ipv4Addr::new(10, 77, 0, 1).to_ipv6_mapped().into(),
        "64:ff9b::10.77.0.1".parse().unwrap(),
        "fe80::1".parse().unwrap(),
    ];
    let (public, origin): (IpAddr, IpAddr) = (PUBLIC.parse().unwrap(), ORIGIN.parse().unwrap());
    let mut baits = Vec::new();
    for (at, address) in private.into_iter().enumerate() {
        let name = |kind: &str| format!("{kind}-{at}.example.org");
        baits.push(Bait::named(&name("private"), &[&[address]]));
        baits.push(Bait::named(&name("last"), &[&[public, origin, address]]));
        baits.push(Bait::named(&name("first"), &[&[address, public]]));
        baits.push(Bait::named(&name("rebinding"), &[&[origin], &[address]]));
        baits.push(Bait::named(&name("flipping"), &[&[origin], &[origin], &[address]]));
    }
    baits
}
