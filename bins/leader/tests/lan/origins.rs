use crate::common::{PATIENCE, program};
use crate::scene::{Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link, Process};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

fn scene() -> Option<Scene> {
    Scene::build(Lan::builder().leader(Link::mbit(40)).helper("asha", Link::mbit(40)))
}

#[test]
fn a_tls_origin_is_read_by_all_who_trust_its_authority() {
    let Some(scene) = scene() else { return };
    let payload = Payload::new(14, 16 << 20);
    let nginx = scene.serve(payload);
    let authority = nginx.authority();
    let trust = ["--ca-cert", authority.to_str().unwrap()];
    let _asha = scene.helper(scene.lan.helper("asha"), "always", &trust);
    let sum = checksum(payload);
    let url = nginx.tls_url("/file.bin");
    let ran = scene.get(&url, &[trust[0], trust[1], &sum]).exact(payload);
    let shares = ran.done();
    assert!(shares["workers"][1]["bytes"].as_u64().unwrap() > payload.len() / 10, "{shares}");
    let (ran, saved) = scene.get(&url, &[]).ended();
    assert_eq!(ran.status.code(), Some(6), "a stranger's certificate was taken: {}", ran.stdout);
    assert!(saved.names().is_empty(), "{:?}", saved.names());
}

#[test]
fn files_of_no_byte_and_of_one_are_saved() {
    let Some(scene) = scene() else { return };
    let _helpers = scene.helpers();
    for payload in [Payload::new(15, 0), Payload::new(15, 1)] {
        let nginx = scene.serve(payload);
        scene.get(&nginx.url("/file.bin"), &[&checksum(payload)]).exact(payload);
    }
}

#[test]
fn three_gibibytes_come_whole() {
    let link = Link::mbit(1000);
    let lan = Lan::builder().leader(link).helper("asha", link).helper("ben", link);
    let Some(scene) = Scene::build(lan) else { return };
    let file = scene.served("file.bin");
    sparse(&file, 3 << 30);
    let nginx = scene.nginx();
    let _helpers = scene.helpers();
    let (ran, saved) = scene.get(&nginx.url("/file.bin"), &[]).ended();
    assert_eq!(ran.done()["bytes"].as_u64(), Some(3 << 30));
    assert_eq!(saved.names(), ["file.bin"]);
    say(&format!("3 GiB over 3 links of 1 Gbit/s: {:.1} s", ran.seconds));
    assert!(same(&file, &saved.path("file.bin")), "a byte differs");
}

#[test]
fn an_origin_without_ranges_is_read_in_one_stream() {
    let Some(scene) = scene() else { return };
    let payload = Payload::new(16, 8 << 20);
    let nginx = scene.serve(payload);
    drop(nginx);
    let mut server = scene.lan.origin().command("python3");
    server.args(["-u", "-m", "http.server", "80", "--directory"]);
    server.arg(scene.served("file.bin").parent().unwrap());
    let _server = listening(&mut server, "Serving HTTP");
    let _helpers = scene.helpers();
    let url = format!("http://{}/file.bin", scene.lan.origin().internet_address());
    let ran = scene.get(&url, &[&checksum(payload)]).exact(payload);
    assert_eq!(ran.done()["workers"].as_array().unwrap().len(), 1);
}

#[test]
fn an_origin_that_does_not_tell_the_length_is_read_to_its_end() {
    let Some(scene) = scene() else { return };
    let payload = Payload::new(1, 8 << 20);
    let mut origin = scene.lan.origin().command(program("haul-lab"));
    let address = scene.lan.origin().internet_address().to_string();
    origin.args(["origin", "--size", "8M", "--port", "80", "--address", &address]);
    let _origin = listening(&mut origin, "sha-256");
    let _helpers = scene.helpers();
    for (path, verified) in [("chunked", "unverified"), ("close", "length-unverified")] {
        let url = format!("http://{address}/{path}");
        let ran = scene.get(&url, &["-o", "file.bin"]).exact(payload);
        assert_eq!(ran.done()["verified"], verified, "{path}");
        let sum = checksum(payload);
        let ran = scene.get(&url, &["-o", "file.bin", &sum]).exact(payload);
        assert_eq!(ran.done()["verified"], "sha-256", "{path}");
    }
}

#[test]
fn an_origin_that_never_answers_is_given_up_with_a_word_and_no_file() {
    let Some(scene) = scene() else { return };
    scene.lan.leader().stall().unwrap();
    let url = format!("http://{}/file.bin", scene.lan.origin().internet_address());
    let (ran, saved) = scene.get(&url, &[]).ended();
    assert_eq!(ran.status.code(), Some(6), "{}", ran.stdout);
    let failed = ran.events().pop().unwrap();
    assert!(failed["because"].as_str().unwrap().contains("203.0.113.10"), "{failed}");
    assert!(saved.names().is_empty(), "{:?}", saved.names());
}

/// A server that has written `ready`.
fn listening(command: &mut Command, ready: &str) -> Process {
    let mut server = Process::spawn(command).unwrap();
    server.wait_for(PATIENCE, |out, err| out.contains(ready) || err.contains(ready)).unwrap();
    server
}

/// A file of mostly nothing, with a payload of its own at every 100 MiB and at its end.
fn sparse(path: &Path, len: u64) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    let places = (0..len).step_by(100 << 20).chain([len - PATCH]);
    for place in places {
        let mut bytes = vec![0; PATCH as usize];
        Payload::new(17, len).fill(place, &mut bytes);
        file.write_all_at(&bytes, place).unwrap();
    }
}

/// The length of what is not nothing, in bytes.
const PATCH: u64 = 1 << 20;

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> bool {
    let (mut one, mut other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let (mut here, mut there) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let read = one.read(&mut here).unwrap();
        if read == 0 {
            return other.read(&mut there).unwrap() == 0;
        }
        if other.read_exact(&mut there[..read]).is_err() || here[..read] != there[..read] {
            return false;
        }
    }
}
