//! Whatever is wrong with what the programs are given, there is one clear error with a reason and
//! something to try, the exit code of its kind, no panic, and no file under the final name.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, listening, names, program};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tempfile::TempDir;

#[test]
fn a_malformed_url_is_told_as_such() {
    let place = Place::new();
    for url in ["", "example.org/file.iso", "http://", "http://[::1", "http://127.0.0.1:99999/f"] {
        let failed = place.fails(&[url], 2);
        assert!(failed.contains("is no address"), "{url}: {failed}");
    }
}

#[test]
fn an_unsupported_scheme_is_named() {
    let place = Place::new();
    for (url, scheme) in [("ftp://127.0.0.1/f", "ftp"), ("file:///etc/hostname", "file")] {
        let failed = place.fails(&[url], 2);
        assert!(failed.contains(scheme) && failed.contains("http://"), "{failed}");
    }
}

#[test]
fn a_host_that_cannot_be_reached_is_a_network_error() {
    let place = Place::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = place.fails(&[&format!("http://{closed}/file.bin")], 6);
    assert!(failed.contains("127.0.0.1"), "{failed}");
}

#[test]
fn a_file_that_the_origin_does_not_have_is_not_found() {
    let (place, origin) = (Place::new(), origin());
    let failed = place.fails(&[&origin.url("/nothing.bin")], 3);
    assert!(failed.contains("404"), "{failed}");
}

#[test]
fn a_folder_that_does_not_exist_is_named_and_not_made() {
    let (place, origin) = (Place::new(), origin());
    let (url, folder) = (origin.url("/file.bin"), place.path("no/folder"));
    let folder = folder.to_str().unwrap();
    for place_of in [["--dir", folder], ["--output", &format!("{folder}/file.bin")]] {
        let failed = place.fails(&[&url, place_of[0], place_of[1]], 9);
        assert!(failed.contains(folder), "{failed}");
    }
}

#[test]
fn a_folder_that_nobody_may_write_to_is_named() {
    let (place, origin) = (Place::new(), origin());
    // Root ignores a folder's mode, but sysfs lets nobody make a file.
    let failed = place.fails(&[&origin.url("/file.bin"), "--dir", "/sys/kernel"], 9);
    assert!(failed.contains("/sys/kernel"), "{failed}");
    assert!(!fs::exists("/sys/kernel/file.bin").unwrap());
}

#[test]
fn a_target_that_exists_is_left_as_it_is() {
    let (place, origin) = (Place::new(), origin());
    let target = place.path("file.bin");
    let url = origin.url("/file.bin");
    for more in [&[][..], &["--output", "file.bin"], &["--continue"]] {
        fs::write(&target, "mine").unwrap();
        let arguments = [&[url.as_str()], more].concat();
        let failed = place.fails_beside(&arguments, 13, &["file.bin"]);
        assert!(failed.contains("file.bin") && failed.contains("--overwrite"), "{failed}");
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }
}

#[test]
fn a_part_that_was_left_is_kept_until_it_is_gone_on_with() {
    let (place, origin) = (Place::new(), slow_origin());
    let url = origin.url("/file.bin");
    let mut first = Process::spawn(&mut place.get(&[&url, "--json"])).unwrap();
    let began = Instant::now();
    first.wait_for(PATIENCE, |out, _| common::stored(out) > SIZE / 4).unwrap();
    first.interrupt().unwrap();
    let stopped = Ran::when_ended(&mut first, began);
    assert_eq!((stopped.status.code(), failure(&stopped)["code"].as_u64()), (Some(7), Some(7)));
    assert!(!fs::exists(place.path("file.bin")).unwrap());
    let left = place.names();
    let left: Vec<&str> = left.iter().map(String::as_str).collect();
    let failed = place.fails_beside(&[&url], 13, &left);
    assert!(failed.contains("-c") && failed.contains("--overwrite"), "{failed}");
    let ran = Ran::of(&mut place.get(&[&url, "--json", "-c"]));
    ran.done();
    assert_eq!(place.names(), ["file.bin"]);
    assert_eq!(payload().first_difference(place.path("file.bin")).unwrap(), None);
}

#[test]
fn a_leader_without_a_free_port_goes_on_alone_and_says_so() {
    let _ports = ports();
    // Those that cannot be taken are taken already.
    let taken: Vec<_> = (4285..=4300).map(|port| TcpListener::bind(("0.0.0.0", port))).collect();
    let (place, origin) = (Place::new(), origin());
    let asked = ["--helpers", "127.0.0.1:9"];
    let told = Ran::of(&mut place.get(&[&origin.url("/file.bin"), asked[0], asked[1]]));
    assert!(told.status.success() && told.stderr.contains("from 4285 to 4300"), "{}", told.stderr);
    assert_eq!(told.stdout.trim_end(), place.path("file.bin").to_str().unwrap());
    let url = origin.url("/file.bin");
    let ran = Ran::of(&mut place.get(&[&url, asked[0], asked[1], "--json", "--overwrite"]));
    ran.done();
    assert!(ran.events().iter().any(|event| event["event"] == "note"), "{}", ran.stdout);
    assert_eq!(payload().first_difference(place.path("file.bin")).unwrap(), None);
    drop(taken);
}

#[test]
fn a_helper_whose_port_is_in_use_names_it() {
    let place = Place::new();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let arguments = ["run", "--accept", "never", "--listen", &address];
    let told = Ran::of(place.helper().args(arguments));
    assert_eq!((told.status.code(), told.stdout.as_str()), (Some(6), ""));
    assert!(is_clear(&told.stderr) && told.stderr.contains(&address), "{}", told.stderr);
    let ran = Ran::of(place.helper().args(arguments).arg("--json"));
    assert_eq!((ran.status.code(), failure(&ran)["code"].as_u64()), (Some(6), Some(6)));
}

#[test]
fn garbage_at_a_leader_at_work_changes_nothing() {
    let _ports = ports();
    let (place, origin) = (Place::new(), slow_origin());
    let (_helper, at) = place.helping();
    let me = UdpSocket::bind("127.0.0.1:0").unwrap();
    let whom = format!("{at},{}", me.local_addr().unwrap());
    let url = origin.url("/file.bin");
    let mut process =
        Process::spawn(&mut place.get(&[&url, "--helpers", &whom, "--json"])).unwrap();
    let began = Instant::now();
    let (ask, leader) = hear(&me);
    let kept = garbage().into_iter().map(|bytes| {
        me.send_to(&bytes[..bytes.len().min(65_000)], leader).unwrap();
        let mut guest = TcpStream::connect(("127.0.0.1", port_of(&ask))).unwrap();
        // The leader may hang up in the middle of it.
        let _ = guest.write_all(&bytes);
        guest
    });
    let kept: Vec<TcpStream> = kept.collect();
    let ran = Ran::when_ended(&mut process, began);
    let done = ran.done();
    assert!(done["workers"][1]["bytes"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(payload().first_difference(place.path("file.bin")).unwrap(), None);
    drop(kept);
}

#[test]
fn garbage_at_a_helper_keeps_it_from_nothing() {
    let _ports = ports();
    let (place, origin) = (Place::new(), origin());
    let (mut helper, at) = place.helping();
    let me = UdpSocket::bind("127.0.0.1:0").unwrap();
    let ask = place.genuine_ask(&me);
    for bytes in garbage().iter().chain(&broken_asks(&ask)) {
        me.send_to(&bytes[..bytes.len().min(65_000)], &at).unwrap();
    }
    dial_garbage(&me, ask, &at);
    // It follows a machine's next ask after two seconds; a leader asks again after three.
    let url = origin.url("/file.bin");
    let asked = ["--helpers", &at, "--min-helpers", "1"];
    let ran = Ran::of(&mut place.get(&[&[url.as_str(), "--json"], &asked[..]].concat()));
    let done = ran.done();
    assert!(done["workers"][1]["bytes"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(payload().first_difference(place.path("file.bin")).unwrap(), None);
    helper.interrupt().unwrap();
    let ended = Ran::when_ended(&mut helper, Instant::now());
    assert!(ended.status.success(), "{}", ended.stderr);
}

const SIZE: u64 = 6 << 20;

fn payload() -> Payload {
    Payload::new(21, SIZE)
}

fn origin() -> Origin {
    Origin::builder().serve("/file.bin", Resource::of(payload())).start().unwrap()
}

/// An origin that takes about three seconds.
fn slow_origin() -> Origin {
    let link = Shape::by_peer(Rate::bytes_per_second(2 << 20));
    Origin::builder().serve("/file.bin", Resource::of(payload())).shape(link).start().unwrap()
}

/// Tests that need ports of leaders take turns: one of them takes all there are.
fn ports() -> MutexGuard<'static, ()> {
    static PORTS: Mutex<()> = Mutex::new(());
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder to download to, and the homes of a leader and a helper.
struct Place {
    folder: TempDir,
    homes: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), homes: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    /// `leader get` into the folder, which asks nobody unless the arguments say whom.
    fn get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEADER);
        command.arg("get").env("HAUL_HOME", self.homes.path().join("leader"));
        for (option, value) in
            [("--helpers", "none"), ("--dir", self.folder.path().to_str().unwrap())]
        {
            if !arguments.contains(&option) {
                command.args([option, value]);
            }
        }
        command.args(arguments);
        command
    }

    fn helper(&self) -> Command {
        let mut command = Command::new(program("helper"));
        command.env("HAUL_HOME", self.homes.path().join("helper"));
        command
    }

    /// A helper that says yes, and where it hears asks.
    fn helping(&self) -> (Process, String) {
        listening(&mut self.helper(), &["--accept", "always"])
    }

    /// Runs it with and without `--json`: it must fail with this code, clearly, and leave nothing.
    /// Returns what it said.
    fn fails(&self, arguments: &[&str], code: u8) -> String {
        self.fails_beside(arguments, code, &[])
    }

    /// The same where these files are there already.
    fn fails_beside(&self, arguments: &[&str], code: u8, names: &[&str]) -> String {
        let told = Ran::of(&mut self.get(arguments));
        assert_eq!(told.status.code(), Some(code.into()), "{}", told.stderr);
        assert!(is_clear(&told.stderr) && told.stdout.is_empty(), "{}{}", told.stdout, told.stderr);
        assert!(told.seconds < 30.0, "it took {} s to say so", told.seconds);
        assert_eq!(self.names(), names);
        let ran = Ran::of(&mut self.get(&[arguments, &["--json"]].concat()));
        assert_eq!(ran.status.code(), Some(code.into()), "{}", ran.stdout);
        let failed = failure(&ran);
        assert_eq!(failed["code"], code, "{failed}");
        for field in ["error", "because", "try"] {
            let text = failed[field].as_str().unwrap();
            assert!(!text.is_empty() && told.stderr.contains(text), "{failed}\n{}", told.stderr);
        }
        assert_eq!(self.names(), names);
        told.stderr
    }

    /// What a leader sends to those it asks for help.
    fn genuine_ask(&self, me: &UdpSocket) -> Vec<u8> {
        let origin = slow_origin();
        let whom = me.local_addr().unwrap().to_string();
        let elsewhere = TempDir::new().unwrap();
        let mut get = self.get(&[
            &origin.url("/file.bin"),
            "--helpers",
            &whom,
            "--dir",
            elsewhere.path().to_str().unwrap(),
        ]);
        let _leader = Process::spawn(&mut get).unwrap();
        hear(me).0
    }
}

/// The last event of a run that failed.
fn failure(ran: &Ran) -> Value {
    let last = ran.events().pop().unwrap();
    assert_eq!(last["event"], "failed", "{last}");
    last
}

/// Whether there is one error, with its reason and something to try.
fn is_clear(stderr: &str) -> bool {
    let parts = ["error: ", "because ", "try "];
    let begins = |line: &&str, part: &str| line.trim_start().starts_with(part);
    parts.iter().all(|part| stderr.lines().filter(|line| begins(line, part)).count() == 1)
}

/// What strangers send by mistake or to do harm: nothing, a web request, noise, a TLS record that
/// never ends, and one of another kind.
fn garbage() -> Vec<Vec<u8>> {
    let noise = |len| {
        let mut bytes = vec![0; len];
        Payload::new(22, len as u64).fill(0, &mut bytes);
        bytes
    };
    vec![
        Vec::new(),
        vec![0],
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
        noise(512),
        noise(200_000),
        [&[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc][..], &noise(100)].concat(),
        vec![0x15, 3, 3, 0, 2, 2, 40],
    ]
}

/// A leader's ask and where it came from.
fn hear(me: &UdpSocket) -> (Vec<u8>, std::net::SocketAddr) {
    let mut ask = vec![0; 2048];
    me.set_read_timeout(Some(PATIENCE)).unwrap();
    let (len, from) = me.recv_from(&mut ask).unwrap();
    ask.truncate(len);
    (ask, from)
}

/// Where an ask names the leader's port.
const PORT: usize = 56;

fn port_of(ask: &[u8]) -> u16 {
    u16::from_be_bytes([ask[PORT], ask[PORT + 1]])
}

/// The ask, cut short, too long, of another version, and for ports where no leader is.
fn broken_asks(ask: &[u8]) -> Vec<Vec<u8>> {
    let with = |at: usize, bytes: [u8; 2]| {
        let mut other = ask.to_vec();
        other[at..][..2].copy_from_slice(&bytes);
        other
    };
    vec![
        ask[..ask.len() - 1].to_vec(),
        [ask, &[0]].concat(),
        with(0, *b"XX"),
        with(4, [9, 1]),
        with(PORT, [0, 0]),
        with(PORT, [0, 22]),
    ]
}

/// Makes the helper dial somebody who talks garbage, and waits until it has hung up.
fn dial_garbage(me: &UdpSocket, mut ask: Vec<u8>, helper: &str) {
    let mut free = (4285..=4300).filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let stranger = free.next().unwrap();
    ask[PORT..][..2].copy_from_slice(&stranger.local_addr().unwrap().port().to_be_bytes());
    me.send_to(&ask, helper).unwrap();
    let (mut dialled, _) = stranger.accept().unwrap();
    dialled.set_read_timeout(Some(PATIENCE)).unwrap();
    dialled.write_all(&garbage()[4]).unwrap();
    // Its hanging up may show as an error.
    let _ = dialled.read_to_end(&mut Vec::new());
}
