//! `leader scan` in LANs of network namespaces: every machine is found, with fewer packets and in a
//! fraction of the time of arp-scan and nmap, with privileges and without, and nothing is sent over
//! an interface that is not to be scanned.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

use haul_lab::crowd::{Crowd, Habits, Responder};
use haul_lab::lan::{self, Lan, Link, Neighbourhood, Process, Timed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const LEADER: &str = env!("CARGO_BIN_EXE_leader");

/// They measure time, so one runs after the other.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for a test's turn, or says why there can be no LAN.
macro_rules! needs {
    ($($program:literal),*) => {{
        if let Some(reason) = lan::missing(&[$($program),*]) {
            return lan::skip_or_fail(&reason);
        }
        turn()
    }};
}

#[test]
fn on_a_24_all_are_found_in_twenty_runs_for_fewer_packets_and_in_a_twentieth_of_arp_scans_time() {
    let _turn = needs!("arp-scan", "nmap");
    let lan = Neighbourhood::build(24, 60, 20).unwrap();
    let ours = || lan.leader().time(scan(&["--interface", "lan0"])).unwrap();
    let arp_scan = || lan.leader().time(arp_scan()).unwrap();
    let nmap = || lan.leader().time(nmap(&lan.network())).unwrap();
    let ours: Vec<_> = (0..20).map(|_| ours()).collect();
    for scan in &ours {
        assert_eq!(found(scan), *lan.live(), "{scan:?}");
    }
    let (theirs, nmap) = (several(arp_scan), several(nmap));
    let (most, least) =
        (ours.iter().map(|scan| scan.sent).max(), theirs.iter().map(|scan| scan.sent).min());
    assert!(most <= least, "{most:?} packets, where arp-scan needs {least:?}");
    let walls = [&ours, &theirs, &nmap].map(|scans| median(scans));
    assert!(walls[0] * 20 <= walls[1], "ours, arp-scan, nmap: {walls:?}");
    assert!(walls[0] * 4 <= walls[2], "ours, arp-scan, nmap: {walls:?}");
}

#[test]
fn over_wifi_that_loses_broadcasts_more_are_found_than_by_arp_scan_in_three_fifths_of_its_time() {
    let _turn = needs!("arp-scan");
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).build().unwrap();
    let live: BTreeSet<_> = (0..60).map(|n| Ipv4Addr::new(10, 77, 0, 12 + 4 * n)).collect();
    ip(lan.helper("asha"), "address flush dev lan0");
    let crowd = Crowd::new(live.iter().copied(), Habits::WIFI, 1);
    let _responder = Responder::start(lan.helper("asha"), crowd).unwrap();
    let ours = several(|| lan.leader().time(scan(&["--interface", "lan0"])).unwrap());
    let theirs = several(|| lan.leader().time(arp_scan()).unwrap());
    assert!(ours.iter().all(|scan| found(scan).is_subset(&live)), "{ours:?}");
    let counts = [
        ours.iter().map(|scan| found(scan).len()).sum::<usize>(),
        theirs.iter().map(|scan| scan.stdout.matches("\t02:77:").count()).sum(),
    ];
    assert!(counts[0] >= 299 && counts[0] >= counts[1], "of 300, ours and arp-scan's: {counts:?}");
    let walls = [median(&ours), median(&theirs)];
    assert!(walls[0].as_secs_f64() <= 0.6 * walls[1].as_secs_f64(), "{walls:?}");
}

#[test]
fn nobody_finds_all_of_a_24_in_300_ms_and_is_told_which_command_would_do_better() {
    let _turn = needs!("setpriv");
    let lan = Neighbourhood::build(24, 60, 20).unwrap();
    let (_folder, command) = nobodys_scan("lan0");
    let scans = several(|| lan.leader().time(command()).unwrap());
    for scan in &scans {
        assert_eq!(found(scan), *lan.live(), "{scan:?}");
        assert!(scan.stdout.lines().all(|line| line.contains(r#""how":"neighbour""#)), "{scan:?}");
        assert!(scan.stderr.contains("without CAP_NET_RAW"), "{scan:?}");
        assert!(scan.stderr.contains("sudo setcap cap_net_raw+ep /"), "{scan:?}");
    }
    assert!(median(&scans) <= Duration::from_millis(300), "{:?}", median(&scans));
}

#[test]
fn nobody_finds_99_of_100_on_a_22() {
    let _turn = needs!("setpriv");
    let lan = Neighbourhood::build(22, 300, 100).unwrap();
    let (_folder, command) = nobodys_scan("lan0");
    let scan = lan.leader().time(command()).unwrap();
    let found = found(&scan);
    assert!(
        found.is_subset(lan.live()) && found.len() >= 297,
        "{} of 300: {}",
        found.len(),
        scan.stderr
    );
}

#[test]
fn the_right_interfaces_are_scanned_and_the_others_have_their_reasons_and_carry_nothing() {
    let _turn = needs!("python3");
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).helper("ben", Link::UNSHAPED);
    let lan = lan.build().unwrap();
    let (leader, asha) = (lan.leader(), lan.helper("asha"));
    // A second network on one interface, and a VLAN, with a machine on each; a network that is too
    // large to be looked at whole; then what is not to be scanned.
    for (host, last) in [(leader, 1), (asha, 11)] {
        ip(host, &format!("address add 10.78.0.{last}/22 dev lan0"));
        add_vlan(host);
        ip(host, &format!("address add 10.79.0.{last}/24 dev lan0.5"));
        ip(host, "link set lan0.5 up");
    }
    add_veth(leader, "big0", "10.80.0.1/16");
    add_veth(leader, "pair0", "10.81.0.0/31");
    ip(leader, "link add docker0 type bridge");
    ip(leader, "address add 172.17.0.1/16 dev docker0");
    ip(leader, "link set docker0 up");
    let _tunnel = tunnel(leader);
    let quiet = ["pair0", "docker0", "vpn0", "peer-big0", "peer-pair0"];
    let before = settled(|| quiet.map(|name| carried(leader, name)));
    let witness = Responder::start(asha, Crowd::new([], Habits::WIRED, 1)).unwrap();

    let scan = leader.time(scan(&["--max-hosts", "1000"])).unwrap();

    assert_eq!(quiet.map(|name| carried(leader, name)), before);
    let asked = witness.asked().requests;
    let is_on_link = |target: &Ipv4Addr| {
        let [a, b, c, _] = target.octets();
        (a, b) == (10, 77) && c == 0 || (a, b) == (10, 78) && c < 4 || (a, b, c) == (10, 79, 0)
    };
    assert!(asked.len() > 1000, "{}", asked.len());
    assert!(asked.iter().all(|(_, target)| is_on_link(target)), "{asked:?}");
    let at = |interface: &str| hosts(&scan).filter(|host| host["interface"] == interface).count();
    assert_eq!((at("lan0"), at("lan0.5"), at("net0"), at("big0")), (3, 1, 1, 0), "{scan:?}");
    let reasons = [
        "lo is not scanned: it leads to this machine alone",
        "docker0 is not scanned: its name is that of a virtual network; name it to use it",
        "pair0 is not scanned: 10.81.0.0/31 is not between /16 and /30",
        "peer-pair0 is not scanned: it has no IPv4 address",
        "vpn0 is not scanned: it is a tunnel or leads to one other machine; name it to use it",
        "64533 more addresses of big0 were not looked at",
    ];
    for reason in reasons {
        assert!(scan.stderr.contains(reason), "{reason}: {}", scan.stderr);
    }

    let home = tempfile::tempdir().unwrap();
    let mut doctor = Command::new(LEADER);
    doctor.args(["doctor", "--json"]).env("HAUL_HOME", home.path());
    let doctor = leader.time(doctor).unwrap();
    let told: Vec<_> = hosts(&doctor)
        .filter(|check| check["check"] == "interface")
        .map(|check| (check["found"].to_string(), check["because"].to_string()))
        .collect();
    for (found, because) in [
        ("lan0, 10.77.0.1/24, 10.78.0.1/22: used", ""),
        ("lan0.5, 10.79.0.1/24: used", ""),
        ("big0, 10.80.0.1/16: used", ""),
        ("lo, 127.0.0.1/8: not used", "it leads to this machine alone"),
        ("docker0, 172.17.0.1/16: not used", "its name is that of a virtual network"),
        ("pair0, 10.81.0.0/31: not used", "10.81.0.0/31 is not between /16 and /30"),
        ("peer-pair0: not used", "it has no IPv4 address"),
        ("vpn0, 10.82.0.1/24: not used", "it is a tunnel or leads to one other machine"),
    ] {
        let says = |(what, why): &(String, String)| what.contains(found) && why.contains(because);
        assert!(told.iter().any(says), "{found}: {told:#?}");
    }
}

#[test]
fn through_a_tunnel_that_is_named_machines_are_found_by_icmp_with_privileges_and_without() {
    let _turn = needs!("python3", "setpriv");
    let lan = Lan::builder().build().unwrap();
    let leader = lan.leader();
    let _tunnel = tunnel(leader);
    let found_by_icmp = |scan: &Timed| {
        assert!(hosts(scan).all(|host| host["how"] == "icmp" && host.get("mac").is_none()));
        found(scan)
    };
    let live = BTreeSet::from([9, 19, 29].map(|last| Ipv4Addr::new(10, 82, 0, last)));
    let with_privileges = leader.time(scan(&["--interface", "vpn0"])).unwrap();
    assert_eq!(found_by_icmp(&with_privileges), live, "{with_privileges:?}");

    let (_folder, nobody) = nobodys_scan("vpn0");
    let without = leader.time(nobody()).unwrap();
    assert_eq!(found(&without), BTreeSet::new(), "nobody may send echoes in a new namespace");
    assert!(without.stderr.contains("net.ipv4.ping_group_range"), "{}", without.stderr);
    assert!(without.stderr.contains("sudo setcap cap_net_raw+ep /"), "{}", without.stderr);

    let allow = "echo 0 65534 > /proc/sys/net/ipv4/ping_group_range";
    assert!(leader.command("sh").args(["-c", allow]).status().unwrap().success());
    let with_group = leader.time(nobody()).unwrap();
    assert_eq!(found_by_icmp(&with_group), live, "{with_group:?}");
}

#[test]
fn a_machine_that_only_ipv6_reaches_is_found_and_no_other_twice() {
    let _turn = needs!();
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).helper("ben", Link::UNSHAPED);
    let lan = lan.build().unwrap();
    for host in [lan.leader(), lan.helper("asha"), lan.helper("ben")] {
        let enable = "echo 0 > /proc/sys/net/ipv6/conf/lan0/disable_ipv6";
        assert!(host.command("sh").args(["-c", enable]).status().unwrap().success());
    }
    ip(lan.helper("ben"), "-4 address flush dev lan0");
    // An address is used when the kernel has seen that nobody else has it.
    let is_tentative = |host| text(host, "ip -6 address show tentative").contains("inet6");
    while is_tentative(lan.leader()) || lan.helpers().iter().any(is_tentative) {
        thread::sleep(Duration::from_millis(50));
    }
    let scan = lan.leader().time(scan(&["--interface", "lan0"])).unwrap();
    let ways: BTreeSet<_> = hosts(&scan)
        .map(|host| (host["how"].to_string(), host["address"].to_string().contains("fe80::")))
        .collect();
    assert_eq!(
        ways,
        BTreeSet::from([(r#""arp""#.to_owned(), false), (r#""icmp""#.to_owned(), true)])
    );
    assert_eq!(hosts(&scan).count(), 2, "{scan:?}");
}

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `leader scan --json`.
fn scan(arguments: &[&str]) -> Command {
    let mut command = Command::new(LEADER);
    command.args(["scan", "--json"]).args(arguments);
    command
}

fn arp_scan() -> Command {
    let mut command = Command::new("arp-scan");
    command.args(["--localnet", "--interface", "lan0"]);
    command
}

fn nmap(network: &str) -> Command {
    let mut command = Command::new("nmap");
    command.args(["-sn", "-n", network]);
    command
}

/// `leader scan` as a user without any privilege, and the folder in which that user may run it.
fn nobodys_scan(interface: &str) -> (TempDir, impl Fn() -> Command) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("leader");
    fs::copy(LEADER, &program).unwrap();
    (folder, move || as_nobody(&program, interface))
}

fn as_nobody(program: &Path, interface: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
    command.args(["scan", "--json", "--interface", interface]);
    command
}

fn several(run: impl FnMut() -> Timed) -> Vec<Timed> {
    std::iter::repeat_with(run).take(5).collect()
}

fn median(scans: &[Timed]) -> Duration {
    let mut walls: Vec<_> = scans.iter().map(|scan| scan.wall).collect();
    walls.sort_unstable();
    walls[walls.len() / 2]
}

/// The addresses that `leader scan --json` told of, each once.
fn found(scan: &Timed) -> BTreeSet<Ipv4Addr> {
    let addresses = hosts(scan).map(|host| host["address"].as_str().unwrap().parse().unwrap());
    let mut found = BTreeSet::new();
    addresses.for_each(|address| assert!(found.insert(address), "{address} is told twice"));
    found
}

fn hosts(scan: &Timed) -> impl Iterator<Item = Value> {
    scan.stdout.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn ip(host: &lan::Host, arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split_whitespace());
    let done = host.time(command).unwrap();
    assert_eq!(done.stderr, "", "ip {arguments}");
}

/// VLAN 5 on `lan0`, or a second plug into it where the kernel has no VLANs.
fn add_vlan(host: &lan::Host) {
    let add = |kind: &str| {
        let mut command = host.command("ip");
        command.args("link add link lan0 name lan0.5 type".split(' ')).args(kind.split(' '));
        command.output().unwrap().status.success()
    };
    assert!(add("vlan id 5") || add("macvlan mode bridge"));
}

/// What is seen once it has stayed the same for a while: the kernel greets new networks.
fn settled<T: PartialEq>(look: impl Fn() -> T) -> T {
    loop {
        let seen = look();
        thread::sleep(Duration::from_secs(2));
        if look() == seen {
            return seen;
        }
    }
}

/// A cable with this end of it in use, and the other not.
fn add_veth(host: &lan::Host, name: &str, address: &str) {
    ip(host, &format!("link add {name} type veth peer name peer-{name}"));
    ip(host, &format!("address add {address} dev {name}"));
    ip(host, &format!("link set {name} up"));
    ip(host, &format!("link set peer-{name} up"));
}

/// A tunnel `vpn0` with this machine at 10.82.0.1/24, in which .9, .19 and .29 answer echoes.
fn tunnel(host: &lan::Host) -> Process {
    let mut python = host.command("python3");
    python.args(["-u", "-c", TUNNEL]);
    let mut tunnel = Process::spawn(&mut python).unwrap();
    tunnel.wait_for(Duration::from_secs(20), |out, _| out.contains("ready")).unwrap();
    ip(host, "address add 10.82.0.1/24 dev vpn0");
    ip(host, "link set vpn0 up");
    tunnel
}

/// Opens a tunnel and answers the echoes that are asked for through it.
const TUNNEL: &str = "
import fcntl, struct
tunnel = open('/dev/net/tun', 'r+b', buffering=0)
fcntl.ioctl(tunnel, 0x400454ca, struct.pack('16sH', b'vpn0', 0x1001))
print('ready')
while True:
    packet = bytearray(tunnel.read(2048))
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8 and packet[19] in (9, 19, 29):
        packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
        packet[20], packet[22:24] = 0, b'\\0\\0'
        total = sum(struct.unpack('>%dH' % ((len(packet) - 20) // 2), packet[20:]))
        total = (total & 0xffff) + (total >> 16)
        packet[22:24] = struct.pack('>H', 0xffff & ~((total & 0xffff) + (total >> 16)))
        tunnel.write(packet)
";

/// How many frames an interface has sent.
fn carried(host: &lan::Host, interface: &str) -> String {
    text(host, &format!("cat /sys/class/net/{interface}/statistics/tx_packets"))
}

/// What a command writes.
fn text(host: &lan::Host, command: &str) -> String {
    let output = host.command("sh").args(["-c", command]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
