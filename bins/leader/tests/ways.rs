//! The ways to a file that a user can ask for: lists, mirrors, Metalinks, netrc, cookies and headers,
//! from the command line to the saved file and the exit code.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod common;

use common::{LEADER, PATIENCE, Ran, names, stored};
use haul_lab::lan::Process;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;
use tempfile::TempDir;

#[test]
fn a_list_brings_every_file_under_its_name_and_tells_which_event_is_whose() {
    let (place, origin) = (Place::new(), origin());
    fs::create_dir(place.path("sub")).unwrap();
    let sum = format!("sha-256={}", payload(2).sha256());
    let text = format!(
        "# a list\n{}\n{}\t{}\n  out=two.bin\n\tdir=sub\n  checksum={sum}\n\n{}\n",
        origin.url("/f1"),
        nowhere(),
        origin.url("/f2"),
        origin.url("/f3"),
    );
    let ran = place.list(&text, &["--json"]);
    assert!(ran.status.success(), "{}{}", ran.stdout, ran.stderr);
    for (number, name) in [(1, "f1"), (2, "sub/two.bin"), (3, "f3")] {
        assert_eq!(payload(number).first_difference(place.path(name)).unwrap(), None, "{name}");
    }
    let lines = lines(&ran);
    let (last, others) = lines.split_last().unwrap();
    assert_eq!(
        (&last["event"], &last["files"], &last["done"]),
        (&"done".into(), &3.into(), &3.into())
    );
    assert!(last["file"].is_null() && others.iter().all(|line| line["file"].is_u64()), "{last}");
    let verified = |line: &&Value| line["file"] == 2 && line["verified"] == "sha-256";
    assert_eq!(others.iter().filter(verified).count(), 1);
}

#[test]
fn a_list_goes_on_after_a_failure_and_ends_with_the_first_ones_code() {
    let (place, origin) = (Place::new(), origin());
    let wrong = "0".repeat(64);
    let text = format!(
        "{}\n{}\n{}\n checksum=sha-256={wrong}\n{}\n",
        origin.url("/f1"),
        origin.url("/nothing"),
        origin.url("/f2"),
        origin.url("/f3")
    );
    let ran = place.list(&text, &[]);
    assert_eq!(ran.status.code(), Some(3), "{}{}", ran.stdout, ran.stderr);
    assert!(!place.path("f2").exists() && place.path("f1").exists() && place.path("f3").exists());
    assert!(
        ran.stderr.contains("2 of 4 files") && ran.stderr.contains("2 failed"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    let again = place.list(&text, &["--continue", "--json"]);
    let last = lines(&again).pop().unwrap();
    assert_eq!((&last["code"], &last["skipped"]), (&3.into(), &2.into()), "{last}");
}

#[test]
fn a_list_that_cannot_be_read_begins_nothing() {
    let (place, origin) = (Place::new(), origin());
    for (text, why) in [
        (format!("{}\nno address\n", origin.url("/f1")), "line 2"),
        (format!("{}\n split=5\n", origin.url("/f1")), "line 2"),
        ("# nothing\n".to_owned(), "no file"),
    ] {
        let ran = place.list(&text, &[]);
        assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    assert!(origin.seen().is_empty() && place.names().is_empty());
}

#[test]
fn a_list_that_is_interrupted_begins_nothing_more_and_goes_on_later() {
    let place = Place::new();
    let slow = Shape::by_peer(Rate::bytes_per_second(1 << 20));
    let large = Payload::new(9, 9 << 20);
    let files = Origin::builder().serve("/large", Resource::of(large));
    let origin = files.serve("/f1", Resource::of(payload(1))).shape(slow).start().unwrap();
    let list = place.write("list", &format!("{}\n{}\n", origin.url("/large"), origin.url("/f1")));
    let mut leader = Process::spawn(&mut place.get(&["-i", &list, "--json"])).unwrap();
    leader.wait_for(PATIENCE, |out, _| stored(out) > 1 << 20).unwrap();
    leader.interrupt().unwrap();
    let ran = Ran::when_ended(&mut leader, Instant::now());
    assert_eq!(ran.status.code(), Some(7), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(lines(&ran).pop().unwrap()["code"], 7);
    assert!(origin.seen().iter().all(|seen| seen.target == "/large"));
    origin.set_rate([127, 0, 0, 1].into(), Rate::mbit(1000));
    let again = Ran::of(&mut place.get(&["-i", &list, "--continue", "-q"]));
    assert!(again.status.success(), "{}", again.stderr);
    assert_eq!(large.first_difference(place.path("large")).unwrap(), None);
    assert_eq!(place.names(), ["f1", "large"]);
}

#[test]
fn a_list_may_come_by_standard_input() {
    let (place, origin) = (Place::new(), origin());
    let mut command = place.get(&["-i", "-", "-q"]);
    let mut leader = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = format!("{}\n{}", origin.url("/f1"), origin.url("/f2"));
    leader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(leader.wait_with_output().unwrap().status.success());
    assert_eq!(place.names(), ["f1", "f2"]);
}

#[test]
fn a_mirror_stands_in_for_a_dead_address() {
    let (place, origin) = (Place::new(), origin());
    let mirror = origin.url("/f1");
    let ran = Ran::of(&mut place.get(&[&nowhere(), "--mirror", &mirror, "-o", "one", "--json"]));
    ran.done();
    assert_eq!(payload(1).first_difference(place.path("one")).unwrap(), None);
    let ran = Ran::of(&mut place.get(&[&nowhere(), "--mirror", &nowhere(), "-o", "two"]));
    assert_eq!(ran.status.code(), Some(6), "{}", ran.stderr);
}

#[test]
fn headers_of_the_user_go_to_the_first_address_and_to_no_mirror() {
    let large = || {
        let shape = Shape::default().per_connection(Rate::bytes_per_second(1 << 20));
        let file = Resource::of(Payload::new(9, 6 << 20));
        Origin::builder().serve("/large", file).shape(shape).start().unwrap()
    };
    let (place, first, mirror) = (Place::new(), large(), large());
    let (url, other) = (first.url("/large"), mirror.url("/large"));
    let header = ["-H", "X-Key: secret", "-H", "Authorization: Bearer secret"];
    let one = ["--mirror", &other, "-o", "one"];
    Ran::of(&mut place.get(&[&[url.as_str(), "--json"], &one[..], &header].concat())).done();
    let list = format!("{}\t{other}\n out=two\n", nowhere());
    assert!(place.list(&list, &header).status.success());
    let told = |origin: &Origin| {
        let seen = origin.seen().into_iter();
        seen.map(|seen| seen.header("x-key").or(seen.header("authorization")).is_some()).collect()
    };
    let (first, mirror): (Vec<bool>, Vec<bool>) = (told(&first), told(&mirror));
    assert!(!first.is_empty() && first.iter().all(|told| *told));
    assert!(mirror.len() > 1 && mirror.iter().all(|told| !told));
}

#[test]
fn a_list_may_name_metalinks_beside_addresses() {
    let (place, origin) = (Place::new(), origin());
    fs::create_dir(place.path("sub")).unwrap();
    let file = place.write("both.meta4", &metalink(&[(1, &origin), (2, &origin)]));
    let ran = place.list(&format!("{}\n{file}\n dir=sub\n", origin.url("/f3")), &["--json"]);
    assert!(ran.status.success(), "{}{}", ran.stdout, ran.stderr);
    for (number, name) in [(1, "sub/named1"), (2, "sub/named2"), (3, "f3")] {
        assert_eq!(payload(number).first_difference(place.path(name)).unwrap(), None, "{name}");
    }
    for (text, why) in [
        (format!("{file}\n out=x\n"), "line 1 of the list: has 2 files"),
        ("\nmissing.meta4\n".to_owned(), "line 2 of the list: missing.meta4"),
    ] {
        let ran = place.list(&text, &[]);
        assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
}

#[test]
fn a_metalink_in_a_list_is_followed_from_its_address_where_that_is_asked_for() {
    let (place, origin) = (Place::new(), origin());
    let served = canned("Content-Type: application/metalink4+xml", &metalink(&[(1, &origin)]));
    let text = format!("{served}\n{}\n", origin.url("/f2"));
    let ran = place.list(&text, &["--metalink", "-q"]);
    assert!(ran.status.success(), "{}", ran.stderr);
    assert_eq!(place.names(), ["f2", "named1"]);
}

#[test]
fn a_metalink_brings_all_its_files_checked() {
    let (place, origin) = (Place::new(), origin());
    let file = place.write("both.meta4", &metalink(&[(1, &origin), (2, &origin)]));
    let ran = Ran::of(&mut place.get(&[&file, "--json"]));
    assert!(ran.status.success(), "{}{}", ran.stdout, ran.stderr);
    for number in [1, 2] {
        let saved = place.path(&format!("named{number}"));
        assert_eq!(payload(number).first_difference(saved).unwrap(), None);
    }
    let verified = |line: &&Value| line["verified"] == "sha-256";
    assert_eq!(lines(&ran).iter().filter(verified).count(), 2);
    let failed = Ran::of(&mut place.get(&[&file, "-o", "x"]));
    assert_eq!(failed.status.code(), Some(2));
    let broken = place.write("broken.meta4", "<metalink>");
    assert_eq!(Ran::of(&mut place.get(&[&broken])).status.code(), Some(2));
}

#[test]
fn a_metalink_is_followed_from_an_address_only_where_it_is_asked_for() {
    let (place, origin) = (Place::new(), origin());
    let document = metalink(&[(1, &origin)]);
    let served = canned("Content-Type: application/metalink4+xml; charset=utf-8", &document);
    let followed = Ran::of(&mut place.get(&[&served, "--metalink", "--json"]));
    assert_eq!(followed.done()["verified"], "sha-256");
    assert_eq!(payload(1).first_difference(place.path("named1")).unwrap(), None);
    let kept = Ran::of(&mut place.get(&[&served, "-o", "kept.meta4", "--json"]));
    kept.done();
    assert_eq!(fs::read_to_string(place.path("kept.meta4")).unwrap(), document);
}

#[test]
fn a_file_that_a_metalink_describes_is_checked_by_it() {
    let (place, origin) = (Place::new(), origin());
    let described = canned("Content-Type: application/metalink4+xml", &metalink(&[(1, &origin)]));
    let link = format!("Link: <{described}>; rel=describedby; type=\"application/metalink4+xml\"");
    let wrong = canned(&link, &"x".repeat(payload(1).len() as usize));
    let ran = Ran::of(&mut place.get(&[&wrong, "--metalink", "--json", "-o", "file"]));
    assert_eq!(ran.status.code(), Some(32), "{}", ran.stdout);
    assert!(!place.path("file").exists());
}

#[test]
fn who_asks_is_told_to_the_named_host_only_and_nobody_helps_then() {
    let (place, origin) = (Place::new(), origin());
    let netrc = place.write("netrc", "machine 127.0.0.1 login me password pw\n");
    let cookies = place.write("cookies", "127.0.0.1\tFALSE\t/\tFALSE\t0\ta\tb\n");
    let url = origin.url("/f1");
    let secret = ["--netrc-file", &netrc, "--load-cookies", &cookies, "--helpers", "127.0.0.1:9"];
    let ran = Ran::of(&mut place.get(&[&[url.as_str(), "--json"], &secret[..]].concat()));
    ran.done();
    let seen = origin.seen();
    assert_eq!(seen[0].header("authorization"), Some("Basic bWU6cHc="));
    assert_eq!(seen[0].header("cookie"), Some("a=b"));
    assert!(ran.stdout.contains("this download runs alone"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("\"asked\""), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("others can read") && ran.stderr.contains("chmod 600"),
        "{}",
        ran.stderr
    );
    fs::set_permissions(&netrc, Permissions::from_mode(0o600)).unwrap();
    let mut quiet = place.get(&[&url, "-o", "again", "--netrc"]);
    let ran = Ran::of(quiet.env("NETRC", &netrc));
    assert!(ran.status.success() && !ran.stderr.contains("warning"), "{}", ran.stderr);
    assert_eq!(origin.seen().last().unwrap().header("authorization"), Some("Basic bWU6cHc="));
}

#[test]
fn a_broken_file_of_secrets_is_told_and_not_shown() {
    let (place, origin) = (Place::new(), origin());
    let netrc = place.write("netrc", "machine h login \"me password hunter2\n");
    let cookies = place.write("cookies", "hunter2\n");
    for option in [["--netrc-file", &netrc], ["--load-cookies", &cookies]] {
        let ran = Ran::of(&mut place.get(&[&origin.url("/f1"), option[0], option[1]]));
        assert_eq!(ran.status.code(), Some(2), "{}", ran.stderr);
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
    }
    let missing = place.get(&[&origin.url("/f1"), "--netrc-file", "/nowhere"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(origin.seen().is_empty());
}

#[test]
fn headers_that_haul_must_own_are_refused_with_the_reason() {
    let (place, origin) = (Place::new(), origin());
    for (header, why) in [
        ("Range: bytes=0-9", "parts"),
        ("accept-encoding: gzip", "plain bytes"),
        ("If-Range: \"x\"", "versions"),
        ("If-Match: \"x\"", "versions"),
        ("Host: other", "connection"),
        ("Content-Length: 5", "connection"),
        ("Transfer-Encoding: chunked", "connection"),
        ("Connection: close", "connection"),
        ("Proxy-Authorization: Basic x", "--proxy"),
    ] {
        let ran = Ran::of(&mut place.get(&[&origin.url("/f1"), "-H", header]));
        assert_eq!(ran.status.code(), Some(2), "{header}: {}", ran.stderr);
        assert!(ran.stderr.contains(why), "{header}: {}", ran.stderr);
    }
    assert!(origin.seen().is_empty());
}

fn payload(number: u64) -> Payload {
    Payload::new(number, 100_000 + number)
}

/// An origin of `/f1` to `/f3`.
fn origin() -> Origin {
    let paths = (1..=3).map(|number| (format!("/f{number}"), Resource::of(payload(number))));
    let origin = paths.fold(Origin::builder(), |origin, (path, file)| origin.serve(path, file));
    origin.start().unwrap()
}

/// An address where nobody listens.
fn nowhere() -> String {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{closed}/file.bin")
}

/// The address of a server that gives this answer to whoever asks.
fn canned(field: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{field}\r\n\r\n{body}");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (answer, mut stream) = (answer.clone(), stream);
            thread::spawn(move || {
                let mut head = [0; 4096];
                while matches!(stream.read(&mut head), Ok(1..)) {
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    format!("http://{address}/x.bin")
}

fn metalink(files: &[(u64, &Origin)]) -> String {
    let file = |(number, origin): &(u64, &Origin)| {
        let (payload, url) = (payload(*number), origin.url(&format!("/f{number}")));
        format!(
            "<file name=\"named{number}\"><size>{}</size><hash type=\"sha-256\">{}</hash>\
             <url priority=\"1\">{}</url><url priority=\"2\">{url}</url></file>",
            payload.len(),
            payload.sha256(),
            nowhere()
        )
    };
    let files: Vec<_> = files.iter().map(file).collect();
    let files = files.concat();
    format!("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">{files}</metalink>")
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A folder to download to, and one for what is not downloaded.
struct Place {
    folder: TempDir,
    beside: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), beside: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        names(self.folder.path())
    }

    /// A file beside the folder, that all may read.
    fn write(&self, name: &str, text: &str) -> String {
        let path: &Path = &self.beside.path().join(name);
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `leader get` into the folder, which asks nobody unless the arguments say whom.
    fn get(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LEADER);
        command.arg("get").arg("--dir").arg(self.folder.path());
        if !arguments.contains(&"--helpers") {
            command.args(["--helpers", "none"]);
        }
        command.args(arguments).env("HAUL_HOME", self.beside.path().join("home"));
        for variable in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(variable).env_remove(variable.to_uppercase());
        }
        command
    }

    fn list(&self, list: &str, arguments: &[&str]) -> Ran {
        let file = self.write("list", list);
        Ran::of(&mut self.get(&[&["-i", &file], arguments].concat()))
    }
}
