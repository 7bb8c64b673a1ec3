//! A server on the internet leads a leader to no machine of the leader's own network, unless the
//! leader's user allows it. The machine on the network counts every connection that is made to it.

use crate::common::{PATIENCE, Ran};
use crate::scene::Scene;
use haul_lab::Certificate;
use haul_lab::dns::Zone;
use haul_lab::lan::{Host, Lan, Link, Process};
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::PathBuf;
use tempfile::TempDir;

/// Where the server on the internet is.
const PUBLIC: &str = "93.184.215.14";

/// The router's address on the leader's network, and the one that it has on the internet.
const ROUTER: &str = "10.77.0.11";
const ROUTER_V6: &str = "2606:4700:aaaa::1";

const OTHER: &str = "10.77.0.12";
const TARGET: &str = "/router/reboot";

/// A router on the leader's network, and a server that is on the internet to the leader.
struct Stage {
    router: Process,
    server: Process,
    authority: PathBuf,
    scene: Scene,
    _folder: TempDir,
}

impl Stage {
    fn build() -> Option<Self> {
        let lan = Lan::builder().helper("router", Link::UNSHAPED).helper("server", Link::UNSHAPED);
        let scene = Scene::build(lan)?;
        let (leader, lan) = (scene.lan.leader(), &scene.lan);
        lan.helper("server").ip(&format!("addr add {PUBLIC}/32 dev lan0")).unwrap();
        leader.ip(&format!("route add {PUBLIC}/32 dev lan0")).unwrap();
        for (host, end) in [(leader, 2), (lan.helper("router"), 1)] {
            host.enable_ipv6().unwrap();
            host.ip(&format!("addr add 2606:4700:aaaa::{end}/64 dev lan0 nodad")).unwrap();
        }
        let folder = TempDir::new().unwrap();
        let certificate = Certificate::for_names([PUBLIC, ROUTER]).unwrap();
        let authority = folder.path().join("authority.pem");
        fs::write(&authority, certificate.authority_pem()).unwrap();
        fs::write(folder.path().join("certificate.pem"), certificate.certificate_pem()).unwrap();
        fs::write(folder.path().join("key.pem"), certificate.key_pem()).unwrap();
        let router = served(lan.helper("router"), OTHER, &folder);
        let server = served(lan.helper("server"), ROUTER, &folder);
        Some(Self { router, server, authority, scene, _folder: folder })
    }

    /// Downloads alone, and says how many connections were made to the router meanwhile and how
    /// often it was told to reboot.
    fn get(&self, url: &str, more: &[&str]) -> (Ran, usize, usize) {
        let before = self.counts();
        let authority = self.authority.to_str().unwrap();
        // Slow enough that mirrors and checksums are looked at before the file is whole.
        let fixed = ["--helpers", "none", "--limit-rate", "4M", "--ca-cert", authority];
        let (ran, _saved) = self.scene.get(url, &[&fixed, more].concat()).ended();
        let after = self.counts();
        (ran, after.0 - before.0, after.1 - before.1)
    }

    fn counts(&self) -> (usize, usize) {
        let said = self.router.stdout();
        let count = |what: &str| said.lines().filter(|line| line.starts_with(what)).count();
        (count("connected"), count(&format!("GET {TARGET}")))
    }
}

fn served(host: &Host, other: &str, folder: &TempDir) -> Process {
    let mut command = host.command("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lan/inward/server.py"));
    let mut server = Process::spawn(command.arg(other).arg(folder.path())).unwrap();
    server.wait_for(PATIENCE, |out, _| out.contains("ready")).unwrap();
    server
}

fn notes(ran: &Ran) -> String {
    let events = ran.events();
    let notes = events.iter().filter(|event| event["event"] == "note");
    notes.map(|note| note["text"].as_str().unwrap().to_owned() + "\n").collect()
}

#[test]
fn a_redirect_from_the_internet_to_the_own_network_or_machine_is_one_clear_error() {
    let Some(stage) = Stage::build() else { return };
    let hosts = [
        ROUTER,
        "[2606:4700:aaaa::1]",
        "[::ffff:10.77.0.11]",
        "0x0a4d000b",
        "10.77.11",
        "[64:ff9b::10.77.0.11]",
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "router",
    ];
    let urls = hosts.iter().map(|host| format!("http://{PUBLIC}/go/{host}"));
    for url in urls.chain([format!("http://{PUBLIC}/hops")]) {
        let (ran, connections, _) = stage.get(&url, &[]);
        assert_eq!((ran.status.code(), connections), (Some(43), 0), "{url}: {}", ran.stdout);
        let failed = ran.events().pop().unwrap();
        let said = failed["because"].as_str().unwrap();
        assert!(said.contains("somebody outside of them led there"), "{url}: {failed}");
        assert!(failed["try"].as_str().unwrap().contains("--allow-private"), "{url}: {failed}");
    }
    for host in [ROUTER, "[2606:4700:aaaa::1]"] {
        let url = format!("http://{PUBLIC}/go/{host}");
        let (ran, _, reboots) = stage.get(&url, &["--allow-private"]);
        ran.done();
        assert!(reboots > 0, "{url}");
    }
}

#[test]
fn a_mirror_on_the_own_network_that_the_internet_names_is_left_out_with_a_note() {
    let Some(stage) = Stage::build() else { return };
    let url = format!("http://{PUBLIC}/mirrored");
    let (ran, connections, _) = stage.get(&url, &[]);
    ran.done();
    assert_eq!(connections, 0);
    assert!(notes(&ran).contains("a mirror is left out: 10.77.0.11"), "{}", notes(&ran));
    let (ran, _, reboots) = stage.get(&url, &["--allow-private"]);
    ran.done();
    assert!(reboots > 0);
    let own = format!("http://{ROUTER}/file.bin");
    let (ran, connections, reboots) = stage.get(&url, &["--mirror", &own]);
    ran.done();
    assert!(connections > 0 && reboots == 0, "the mirror that the user names is used");
}

#[test]
fn a_metalink_from_the_internet_leads_to_nothing_on_the_own_network() {
    let Some(stage) = Stage::build() else { return };
    for (path, code) in
        [("d.meta4", 0), ("described", 0), ("described-there", 0), ("only.meta4", 43)]
    {
        let url = format!("http://{PUBLIC}/{path}");
        let (ran, connections, _) = stage.get(&url, &["--metalink"]);
        assert_eq!((ran.status.code(), connections), (Some(code), 0), "{path}: {}", ran.stdout);
        if path == "described-there" {
            assert!(
                notes(&ran).contains("the Metalink of the file is left out"),
                "{}",
                notes(&ran)
            );
        }
        let (_, _, reboots) = stage.get(&url, &["--metalink", "--allow-private"]);
        assert!(reboots > 0, "{path}");
    }
    let own = stage.scene.served("own.meta4");
    let document = format!(
        "<metalink xmlns='urn:ietf:params:xml:ns:metalink'><file name='file.bin'>\
         <url priority='1'>http://{PUBLIC}:81/gone</url>\
         <url priority='2'>http://{ROUTER}{TARGET}</url></file></metalink>"
    );
    fs::write(&own, document).unwrap();
    let (ran, connections, _) = stage.get(own.to_str().unwrap(), &[]);
    assert_eq!((ran.status.code(), connections), (Some(6), 0), "{}", ran.stdout);
}

#[test]
fn a_checksum_beside_the_file_that_redirects_to_the_own_network_is_left_out_with_a_note() {
    let Some(stage) = Stage::build() else { return };
    let url = format!("https://{PUBLIC}/file.bin");
    let (ran, connections, _) = stage.get(&url, &[]);
    assert_eq!(ran.done()["verified"], "unverified");
    assert_eq!(connections, 0);
    assert!(notes(&ran).contains("SHA256SUMS is not read: 10.77.0.11"), "{}", notes(&ran));
    let (ran, _, reboots) = stage.get(&url, &["--allow-private"]);
    ran.done();
    assert!(reboots > 0);
}

#[test]
fn a_name_on_the_internet_leads_inward_neither_later_nor_beside_its_other_addresses() {
    let Some(stage) = Stage::build() else { return };
    let [public, router, router_v6] =
        [PUBLIC, ROUTER, ROUTER_V6].map(|text| text.parse::<IpAddr>().unwrap());
    let zone = Zone::default()
        .with_turns("turns.test", &[&[public], &[router]])
        .with("both.test", &[router, public])
        .with("both6.test", &[public, router_v6])
        .with("inward.test", &[router]);
    let server = stage.scene.lan.helper("server");
    server.enter(|| zone.serve(UdpSocket::bind((OTHER, 53)).unwrap())).unwrap().join().unwrap();
    stage.scene.lan.leader().set_name_server(OTHER.parse().unwrap()).unwrap();
    for name in ["turns.test", "both.test", "both6.test"] {
        let (ran, connections, _) = stage.get(&format!("http://{name}{TARGET}"), &[]);
        assert_eq!(connections, 0, "{name}: {}", ran.stdout);
        assert!(name == "turns.test" || ran.status.success(), "{name}: {}", ran.stdout);
    }
    let url = format!("http://{PUBLIC}/go/inward.test");
    let (ran, connections, _) = stage.get(&url, &[]);
    assert_eq!((ran.status.code(), connections), (Some(43), 0), "{}", ran.stdout);
    let (ran, connections, _) = stage.get(&format!("http://inward.test{TARGET}"), &[]);
    ran.done();
    assert!(connections > 0, "what the user names may be anywhere");
}

#[test]
fn a_server_on_the_own_network_leads_to_others_there_and_not_to_the_own_machine() {
    let Some(stage) = Stage::build() else { return };
    let (ran, ..) = stage.get(&format!("http://{ROUTER}/go/{OTHER}"), &[]);
    ran.done();
    assert!(stage.server.stdout().contains(&format!("GET {TARGET}")));
    for (host, code) in [("127.0.0.1", 43), ("localhost", 43), (PUBLIC, 0)] {
        let (ran, ..) = stage.get(&format!("http://{ROUTER}/go/{host}"), &[]);
        assert_eq!(ran.status.code(), Some(code), "{host}: {}", ran.stdout);
    }
    // Once the internet has spoken, nobody further on leads inward.
    let url = format!("http://{ROUTER}/go/{PUBLIC}/go/{ROUTER}");
    let (ran, connections, _) = stage.get(&url, &[]);
    assert_eq!((ran.status.code(), connections), (Some(43), 1), "{}", ran.stdout);
}
