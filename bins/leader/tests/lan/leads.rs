//! Helpers that hear no ask to everybody are found by their own announcements, the roster, and a
//! domain's records; and announcements go where they should and say no more than they should.

use crate::asks::{build, filter};
use crate::common::{PATIENCE, Ran};
use crate::scene::{Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::dns::{Service, Zone};
use haul_lab::lan::{Host, Lan, LanBuilder, Link, Process};
use serde_json::Value;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

/// No ask to everybody arrives, in any of its ways.
const DEAF_TO_ALL: &str = "add rule inet lab input udp dport 4285 ip daddr \
     { 255.255.255.255, 239.255.42.85, 10.77.0.255 } drop";

/// Where a helper listens that no ask to everybody is for.
const ASIDE: &str = "0.0.0.0:4299";

/// The group of multicast DNS, and its port (RFC 6762 §3).
const MDNS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(224, 0, 0, 251), 5353);

#[test]
fn helpers_that_hear_no_ask_to_everybody_are_found_by_what_they_announce() {
    let Some(scene) = build(three()) else { return };
    let payload = Payload::new(31, 24 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    let [asha, ben, chi] = hosts(&scene);
    filter(asha, DEAF_TO_ALL);
    let _announced =
        [scene.helper(asha, "always", &[]), scene.helper(ben, "always", &["--listen", ASIDE])];
    let _unannounced = scene.helper(chi, "always", &["--listen", ASIDE, "--no-announce"]);
    let ran = scene.get(&url, &[&checksum(payload), "--no-scan"]).exact(payload);
    say(&format!("deaf to asks to everybody, announced: joined after {:.2?} s", joined_at(&ran)));
    assert_eq!(joined(&ran), [asha.address(), ben.address()], "{}", ran.stderr);
}

#[test]
fn the_roster_is_read_at_each_job_and_a_bad_line_of_it_is_named() {
    let Some(scene) = build(three()) else { return };
    let payload = Payload::new(32, 16 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    let [asha, ben, _] = hosts(&scene);
    let aside = ["--listen", ASIDE, "--no-announce"];
    let _helpers = [asha, ben].map(|host| scene.helper(host, "always", &aside));
    let home = scene.home(scene.lan.leader());
    fs::create_dir_all(&home).unwrap();
    for (host, other) in [(asha, "by the window"), (ben, "10.77.0.300")] {
        let roster = format!("# helpers of the ward\n{other}\n{}:4299 # here\n", host.address());
        fs::write(home.join("roster"), roster).unwrap();
        // Who helped before is asked before the roster is.
        let _ = fs::remove_file(home.join("helpers"));
        let ran = scene.get(&url, &[&checksum(payload), "--no-scan"]).exact(payload);
        assert_eq!(joined(&ran), [host.address()], "{}", ran.stderr);
        let is_named = |event: &Value| {
            let text = event["text"].as_str().unwrap_or_default();
            text.contains("roster, line 2") && text.contains(other)
        };
        assert!(ran.events().iter().any(is_named), "{}", ran.stdout);
    }
}

#[test]
fn a_domain_names_helpers_and_those_beyond_the_link_help_whom_they_have_a_key_of() {
    let Some(scene) = build(three()) else { return };
    let payload = Payload::new(33, 24 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    let [asha, ben, chi] = hosts(&scene);
    let of_group = [scene.lan.leader(), ben];
    for host in of_group {
        scene.give_key(host, &"5a".repeat(32));
    }
    let aside = ["--listen", ASIDE, "--no-announce"];
    let _helpers = [asha, ben, chi].map(|host| scene.helper(host, "always", &aside));
    let far = |host: &Host| host.internet_address();
    serve_names(
        scene.lan.leader(),
        &[("asha", asha.address()), ("ben", far(ben)), ("chi", far(chi))],
    );
    let named = ["--helpers", "srv:lab.test", &checksum(payload)];
    let ran = scene.get(&url, &named).exact(payload);
    assert_eq!(joined(&ran), [asha.address(), far(ben)], "{}", ran.stderr);
}

#[test]
fn a_domain_without_records_is_told_and_the_download_goes_on() {
    let Some(scene) = build(three()) else { return };
    let payload = Payload::new(34, 2 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    serve_names(scene.lan.leader(), &[]);
    let ran = scene.get(&url, &["--helpers", "srv:lab.test"]).exact(payload);
    let told = "the helper srv:lab.test was not found: there is no SRV record _haul._udp.lab.test";
    assert!(ran.events().iter().any(|event| event["text"] == told), "{}", ran.stdout);
}

#[test]
fn anybody_can_see_a_helper_and_what_it_announces_holds_nothing_private() {
    let Some(scene) = build(three()) else { return };
    let [asha, ben, chi] = hosts(&scene);
    let _asha = scene.helper(asha, "always", &[]);
    let _silent = [
        scene.helper(ben, "never", &["--listen", "0.0.0.0:4298"]),
        scene.helper(chi, "always", &["--listen", "0.0.0.0:4297", "--no-announce"]),
    ];
    let told = until(scene.lan.leader(), |told| !told.is_empty());
    let [answer] = &told[..] else { panic!("{} answers", told.len()) };
    let has = |bytes: &[u8]| answer.windows(bytes.len()).any(|part| part == bytes);
    assert!(has(b"\x05_haul\x04_udp\x05local\0") && has(b"\x03v=1"), "{answer:x?}");
    assert!(has(&asha.address().octets()) && has(&4285_u16.to_be_bytes()), "{answer:x?}");
    let key = fs::read(scene.home(asha).join("key")).unwrap();
    assert!(!has(&key[key.len() - 8..]) && !has(b"root") && answer.len() < 400, "{answer:x?}");
}

#[test]
fn a_helper_takes_its_word_back_when_it_pauses_and_when_it_ends() {
    let Some(scene) = build(three()) else { return };
    let (asha, leader) = (scene.lan.helper("asha"), scene.lan.leader());
    let mut helper = scene.helper(asha, "always", &[]);
    until(leader, |told| !told.is_empty());
    run(scene.owner(asha, &["pause"]));
    until(leader, <[_]>::is_empty);
    run(scene.owner(asha, &["resume"]));
    until(leader, |told| !told.is_empty());
    let goodbyes = listen(leader);
    helper.interrupt().unwrap();
    assert!(helper.wait_within(PATIENCE).unwrap().unwrap().success());
    assert!(goodbyes.join().unwrap(), "nothing was taken back");
    assert_eq!(ask(leader), <[Vec<u8>; 0]>::default());
}

#[test]
fn announcements_are_made_and_looked_for_on_fitting_interfaces_only() {
    let Some(scene) = build(three()) else { return };
    let payload = Payload::new(35, 2 << 20);
    let nginx = scene.serve(payload);
    let url = nginx.url("/file.bin");
    let (asha, leader) = (scene.lan.helper("asha"), scene.lan.leader());
    // A tunnel would be a VPN to the helper, with which it helps nobody.
    for (host, other) in [(asha, "virbr0"), (leader, "tun0")] {
        host.ip("link set lo up").unwrap();
        for (name, network) in [("docker0", "172.17.0.1/16"), (other, "10.9.0.1/24")] {
            host.ip(&format!("link add {name} type veth peer name far-{name}")).unwrap();
            host.ip(&format!("addr add {network} dev {name}")).unwrap();
            host.ip(&format!("link set {name} up")).unwrap();
            host.ip(&format!("link set far-{name} up")).unwrap();
        }
        filter(
            host,
            "add counter inet lab strays; add counter inet lab meant; \
             add chain inet lab output { type filter hook output priority 0 ; }; \
             add rule inet lab output udp dport 5353 oifname { lo, docker0, virbr0, tun0 } counter name strays; \
             add rule inet lab output udp dport 5353 oifname lan0 counter name meant",
        );
    }
    let _helper = scene.helper(asha, "always", &[]);
    until(leader, |told| !told.is_empty());
    scene.get(&url, &[&checksum(payload)]).exact(payload);
    for host in [asha, leader] {
        assert_ne!(counted(host, "meant"), 0);
        assert_eq!(counted(host, "strays"), 0, "{}", host.name());
    }
}

fn three() -> LanBuilder {
    let link = Link::mbit(20);
    let lan = Lan::builder().leader(Link::mbit(10)).helper("asha", link);
    lan.helper("ben", link).helper("chi", link)
}

fn hosts(scene: &Scene) -> [&Host; 3] {
    ["asha", "ben", "chi"].map(|name| scene.lan.helper(name))
}

/// Where the machines are that joined, in order.
fn joined(ran: &Ran) -> Vec<Ipv4Addr> {
    let events = ran.events();
    let joined = events.iter().filter(|event| event["event"] == "joined");
    let address = |event: &Value| {
        let address: SocketAddrV4 = event["address"].as_str().unwrap().parse().unwrap();
        *address.ip()
    };
    let mut addresses: Vec<Ipv4Addr> = joined.map(address).collect();
    addresses.sort_unstable();
    addresses
}

fn joined_at(ran: &Ran) -> Vec<f64> {
    let events = ran.events();
    let joined = events.iter().filter(|event| event["event"] == "joined");
    joined.map(|event| event["at"].as_f64().unwrap()).collect()
}

/// A name server on the machine itself that knows these helpers of `lab.test`.
fn serve_names(host: &Host, helpers: &[(&str, Ipv4Addr)]) {
    let service = |name: &str| Service {
        priority: 0,
        weight: 0,
        port: 4299,
        host: format!("{name}.lab.test"),
    };
    let services: Vec<Service> = helpers.iter().map(|(name, _)| service(name)).collect();
    let zone = Zone::default().with_services("_haul._udp.lab.test", &services);
    let zone = helpers.iter().fold(zone, |zone, &(name, address)| {
        zone.with(&format!("{name}.lab.test"), &[address.into()])
    });
    let at = (host.address(), 53);
    let serve = move || {
        zone.serve_over_tcp_too(UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
    };
    host.enter(serve).unwrap().join().unwrap();
    host.set_name_server(host.address().into()).unwrap();
}

/// What is answered on the LAN to a question for helpers that is none of haul's (RFC 6762 §6.7).
fn ask(host: &Host) -> Vec<Vec<u8>> {
    let from = host.address();
    let ask = move || {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x05_haul\x04_udp\x05local\0\0\x0c\0\x01";
        socket.send_to(question, MDNS).unwrap();
        let mut datagram = [0; 2048];
        let next = || socket.recv(&mut datagram).ok().map(|len| datagram[..len].to_vec());
        std::iter::from_fn(next).collect()
    };
    host.enter(ask).unwrap().join().unwrap()
}

/// Asks again and again until the answers are as wanted.
fn until(host: &Host, is_wanted: impl Fn(&[Vec<u8>]) -> bool) -> Vec<Vec<u8>> {
    let began = Instant::now();
    loop {
        let answers = ask(host);
        if is_wanted(&answers) {
            return answers;
        }
        assert!(began.elapsed() < PATIENCE, "{answers:x?}");
    }
}

/// Hears multicast DNS until a helper takes its word back, a time to live of zero, or for long.
fn listen(host: &Host) -> std::thread::JoinHandle<bool> {
    let address = host.address();
    let open = move || {
        let socket = UdpSocket::bind(MDNS).unwrap();
        socket.join_multicast_v4(MDNS.ip(), &address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket
    };
    let socket = host.enter(open).unwrap().join().unwrap();
    let pointer = b"\x05_haul\x04_udp\x05local\0\0\x0c\0\x01\0\0\0\0";
    std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while let Ok(len) = socket.recv(&mut datagram) {
            if datagram[..len].windows(pointer.len()).any(|part| part == pointer) {
                return true;
            }
        }
        false
    })
}

fn counted(host: &Host, counter: &str) -> u64 {
    let mut nft = host.command("nft");
    let listed = run_for(nft.args(["list", "counter", "inet", "lab", counter]));
    let mut words = listed.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().unwrap().parse().unwrap()
}

fn run(mut command: Command) {
    run_for(&mut command);
}

fn run_for(command: &mut Command) -> String {
    let mut process = Process::spawn(command).unwrap();
    let status = process.wait_within(PATIENCE).unwrap().unwrap();
    assert!(status.success(), "{}", process.stderr());
    process.stdout()
}
