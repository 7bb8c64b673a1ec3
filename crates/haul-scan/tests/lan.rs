//! In a LAN of namespaces, a scan finds every live machine, with privileges and without.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_lab::lan::{self, Host, Lan, Link, Process};
use haul_scan::{Event, Linger, Pace, Policy, interfaces, scan};
use std::collections::BTreeSet;
use std::io::{Read, Write, stdout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, fs};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

/// In a process that has this in its environment, the test [`scanner`] scans the interface that it
/// names,
const INTERFACE: &str = "HAUL_SCAN_TEST_INTERFACE";
/// and in this way.
const WAY: &str = "HAUL_SCAN_TEST_WAY";

/// A test with a LAN, or a word on why there can be none.
macro_rules! needs_lan {
    () => {
        if let Some(reason) = lan::missing(&["setpriv"]) {
            return lan::skip_or_fail(&reason);
        }
    };
}

#[test]
fn all_of_60_machines_on_a_24_are_found_by_arp_with_two_requests_for_the_others() {
    needs_lan!();
    let (lan, live) = lan_of_60();
    let report = run(&lan, &Command::new("env"));
    assert_eq!(report.found("arp"), live, "{report:?}");
    assert_eq!(report.figure("sent"), 253 + (253 - 60));
    assert_eq!(report.figure("kernel_drops"), 0);
    assert!(!report.text.contains("degraded"), "{report:?}");
}

#[test]
fn while_a_download_fills_the_interface_all_are_found_and_the_kernel_drops_no_answer() {
    needs_lan!();
    let (lan, live) = lan_of_60();
    let received = Arc::new(AtomicU64::new(0));
    let _download = download(&lan, Arc::clone(&received));
    for _ in 0..5 {
        let before = received.load(Ordering::Relaxed);
        let report = run(&lan, &Command::new("env"));
        assert_eq!(report.found("arp"), live, "{report:?}");
        assert_eq!(report.figure("kernel_drops"), 0);
        let bytes = received.load(Ordering::Relaxed) - before;
        assert!(bytes > 4 << 20, "only {bytes} bytes came meanwhile");
    }
}

#[test]
fn nobody_finds_all_of_60_machines_on_a_24_and_is_told_what_would_do_better() {
    needs_lan!();
    let (lan, live) = lan_of_60();
    let report = run(&lan, &nobody());
    assert_eq!(report.found("neighbour"), live, "{report:?}");
    let degraded = report.lines().find(|line| line.starts_with("degraded arp")).unwrap();
    assert!(degraded.contains("without CAP_NET_RAW"), "{degraded}");
    assert!(degraded.contains("; try sudo setcap cap_net_raw+ep /"), "{degraded}");
}

#[test]
fn the_right_to_open_packet_sockets_is_all_that_arp_takes() {
    needs_lan!();
    let (lan, live) = lan_of_60();
    let mut with_net_raw = nobody();
    with_net_raw.args(["--inh-caps=+net_raw", "--ambient-caps=+net_raw"]);
    let report = run(&lan, &with_net_raw);
    assert_eq!(report.found("arp"), live, "{report:?}");
}

#[test]
fn an_unplugged_machine_is_not_found() {
    needs_lan!();
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).helper("ben", Link::UNSHAPED);
    let lan = lan.build().unwrap();
    lan.helper("ben").unplug().unwrap();
    let asha = BTreeSet::from([lan.helper("asha").address()]);
    assert_eq!(run(&lan, &nobody()).found("neighbour"), asha);
    assert_eq!(run(&lan, &Command::new("env")).found("arp"), asha);
}

#[test]
fn two_machines_with_one_address_are_a_conflict() {
    needs_lan!();
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).helper("ben", Link::UNSHAPED);
    let lan = lan.build().unwrap();
    shell(lan.helper("ben"), "ip address add 10.77.0.11/24 dev lan0");
    let report = run(&lan, &Command::new("env"));
    assert!(report.lines().any(|line| line == "conflict 10.77.0.11 2"), "{report:?}");
}

#[test]
fn a_cancelled_scan_tells_nothing_more() {
    needs_lan!();
    let (lan, _) = lan_of_60();
    let mut cancelling = Command::new("env");
    cancelling.arg(format!("{WAY}=cancelling"));
    let report = run(&lan, &cancelling);
    assert_eq!(report.found("arp").len(), 1);
    assert!(!report.lines().any(|line| line.starts_with("done")), "{report:?}");
}

#[test]
fn in_gentle_mode_the_wire_sees_no_more_than_fourteen_requests_a_second_without_privileges_either()
{
    needs_lan!();
    let lan = Lan::builder().helper("asha", Link::UNSHAPED).build().unwrap();
    let (_folder, program) = program_for_all();
    for mut wrapper in [Command::new("env"), nobody()] {
        wrapper.arg("env").arg(format!("{WAY}=gentle"));
        let _scanner = Process::spawn(&mut scanner_command(&lan, &wrapper, &program)).unwrap();
        // The kernel's repeats of the first datagrams have begun after two seconds.
        let counts = count_for(lan.helper("asha"), Duration::from_secs(5));
        let most = counts.iter().map(|count| count.received_within_a_second(&counts)).max();
        assert!((6..=14).contains(&most.unwrap()), "{wrapper:?}: {most:?} of {counts:?}");
    }
}

/// Not a test of its own: what runs inside a namespace.
#[test]
fn scanner() {
    let Ok(name) = env::var(INTERFACE) else { return };
    let way = env::var(WAY).unwrap_or_default();
    let interfaces = interfaces(&[&name]).unwrap();
    let pace = if way == "gentle" { Pace::Gentle } else { Pace::Normal };
    let policy =
        Policy { pace, linger: Linger::For(Duration::from_millis(200)), ..Policy::default() };
    let mut scan = scan(&interfaces.fit[0], policy).unwrap();
    while let Some(event) = scan.next() {
        if way == "cancelling" && matches!(event, Event::Up { .. }) {
            scan.cancel();
        }
        // The harness prints the name of the test without ending the line.
        writeln!(stdout(), "\n{}", line(event)).unwrap();
    }
}

fn line(event: Event) -> String {
    match event {
        Event::Up { address, mac, via, rtt, interface } => {
            format!("up {address} {via} {mac:?} {rtt:?} {interface}")
        }
        Event::Conflict { address, macs } => format!("conflict {address} {}", macs.len()),
        Event::Degraded { from, to, why, remedy } => {
            format!("degraded {from} to {to:?}: {why}; try {}", remedy.unwrap_or_default())
        }
        Event::Settled(stats) => format!("settled {stats:?}"),
        Event::Done(stats) => format!("done {stats:?}"),
        other => format!("{other:?}"),
    }
}

/// What a scanner wrote.
#[derive(Debug)]
struct Report {
    text: String,
}

impl Report {
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }

    /// The addresses that were found, if it was all this way and each once.
    fn found(&self, via: &str) -> BTreeSet<Ipv4Addr> {
        let mut found = BTreeSet::new();
        for up in self.lines().filter_map(|line| line.strip_prefix("up ")) {
            let mut words = up.split(' ');
            let address: IpAddr = words.next().unwrap().parse().unwrap();
            assert_eq!(words.next(), Some(via), "{up}");
            let IpAddr::V4(address) = address else { panic!("{address} is not IPv4") };
            assert!(found.insert(address), "{address} is told twice");
        }
        found
    }

    /// A figure of the last line.
    fn figure(&self, name: &str) -> u64 {
        let done = self.lines().find(|line| line.starts_with("done ")).unwrap();
        let (_, rest) = done.split_once(&format!(" {name}: ")).unwrap();
        rest.split([',', ' ']).next().unwrap().parse().unwrap()
    }
}

/// A leader at .1, and 60 addresses of three machines.
fn lan_of_60() -> (Lan, BTreeSet<Ipv4Addr>) {
    let names = ["asha", "ben", "chen"];
    let builder = names.iter().fold(Lan::builder(), |lan, name| lan.helper(*name, Link::UNSHAPED));
    let lan = builder.build().unwrap();
    let mut live: BTreeSet<_> = lan.helpers().iter().map(Host::address).collect();
    for (host, place) in lan.helpers().iter().zip(0..) {
        let more: Vec<_> =
            (0..19).map(|n| Ipv4Addr::new(10, 77, 0, 60 * place + 50 + 3 * n)).collect();
        let add = |address| format!("ip address add {address}/24 dev lan0");
        shell(host, &more.iter().map(add).collect::<Vec<_>>().join(" && "));
        live.extend(more);
    }
    assert_eq!(live.len(), 60);
    (lan, live)
}

/// A TCP stream from a machine to the leader, as fast as it goes, until the LAN is dropped.
fn download(lan: &Lan, received: Arc<AtomicU64>) -> [JoinHandle<()>; 2] {
    let from = SocketAddr::from((lan.helper("asha").address(), 7000));
    let (listening, is_listening) = mpsc::channel();
    let serve = move || {
        let listener = TcpListener::bind(from).unwrap();
        listening.send(()).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let zeros = vec![0; 64 << 10];
        while stream.write_all(&zeros).is_ok() {}
    };
    let fetch = move || {
        is_listening.recv().unwrap();
        let mut stream = TcpStream::connect(from).unwrap();
        let mut buffer = vec![0; 64 << 10];
        while let Ok(len @ 1..) = stream.read(&mut buffer) {
            received.fetch_add(len as u64, Ordering::Relaxed);
        }
    };
    [lan.helper("asha").within(serve).unwrap(), lan.leader().within(fetch).unwrap()]
}

/// Scans from the leader's place, under `wrapper`.
fn run(lan: &Lan, wrapper: &Command) -> Report {
    let (_folder, program) = program_for_all();
    let mut process = Process::spawn(&mut scanner_command(lan, wrapper, &program)).unwrap();
    let status = process.wait_within(SOON).unwrap().unwrap();
    let text = process.stdout();
    assert!(status.success(), "{text}{}", process.stderr());
    Report { text }
}

fn scanner_command(lan: &Lan, wrapper: &Command, program: &Path) -> Command {
    let mut command = lan.leader().command(wrapper.get_program());
    command.args(wrapper.get_args()).arg(program).env(INTERFACE, "lan0");
    command.args(["--exact", "scanner", "--nocapture"]);
    command
}

/// How many frames a machine had received at some time between two, in nanoseconds.
#[derive(Debug)]
struct Count {
    after: u64,
    frames: u64,
    before: u64,
}

impl Count {
    /// How many more there are in the last of `counts` that is surely less than a second later.
    fn received_within_a_second(&self, counts: &[Self]) -> u64 {
        let is_within = |later: &&Self| later.before <= self.after + 1_000_000_000;
        let last = counts.iter().rfind(is_within).unwrap();
        last.frames.saturating_sub(self.frames)
    }
}

/// Counts what a machine receives, several times a second.
fn count_for(host: &Host, time: Duration) -> Vec<Count> {
    let counter = "$(cat /sys/class/net/lan0/statistics/rx_packets)";
    let script = format!("while echo $(date +%s%N) {counter} $(date +%s%N); do sleep 0.05; done");
    let mut process = Process::spawn(host.command("sh").args(["-c", &script])).unwrap();
    assert_eq!(process.wait_within(time).unwrap(), None);
    let text = process.stdout();
    let count = |line: &str| {
        let mut numbers = line.split(' ').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        Count { after: next(), frames: next(), before: next() }
    };
    text.lines().map(count).collect()
}

/// Runs a program as a user without any privilege.
fn nobody() -> Command {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    setpriv
}

/// This very program where everybody may run it.
fn program_for_all() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("scanner");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    (folder, program)
}

fn shell(host: &Host, script: &str) {
    let mut process = Process::spawn(host.command("sh").args(["-c", script])).unwrap();
    let status = process.wait_within(SOON).unwrap().unwrap();
    assert!(status.success(), "{script}: {}", process.stderr());
}
