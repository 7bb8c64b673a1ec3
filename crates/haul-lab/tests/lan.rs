//! A LAN of namespaces carries what it promises, at the rates it was given, and leaves nothing.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a test may panic")]

use haul_lab::lan::{self, Host, Lan, Link, Nginx, Process};
use haul_lab::{Payload, Rate};
use std::fs;
use std::io::{Write, stderr};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(60);

/// A test with a LAN, or a word on why there can be none.
macro_rules! needs_lan {
    () => {
        if let Some(reason) = lan::missing(&["nginx", "curl"]) {
            return lan::skip_or_fail(&reason);
        }
    };
}

#[test]
fn a_shaped_link_carries_its_rate_in_payload_of_tcp() {
    needs_lan!();
    let lan = Lan::builder().leader(Link::mbit(20)).build().unwrap();
    let (_folder, nginx) = serve(&lan, Payload::new(1, 8 << 20));
    let rate = measure(lan.leader(), &nginx.url("/file"));
    let ideal = Link::GOODPUT * 20.0;
    say(&format!("one curl over a link of 20 Mbit/s: {rate:.2} Mbit/s of {ideal:.2} Mbit/s"));
    assert!((0.97..1.03).contains(&(rate / ideal)), "{rate} Mbit/s");
}

#[test]
fn links_are_apart_and_change_at_run_time() {
    needs_lan!();
    let builder = Lan::builder().leader(Link::mbit(20));
    let lan = builder.helper("asha", Link::mbit(80)).build().unwrap();
    let (_folder, nginx) = serve(&lan, Payload::new(2, 4 << 20));
    let url = nginx.url("/file");
    let both = std::thread::scope(|scope| {
        let helper = scope.spawn(|| measure(lan.helper("asha"), &url));
        (measure(lan.leader(), &url), helper.join().unwrap())
    });
    say(&format!("at once over 20 and 80 Mbit/s: {:.2} and {:.2} Mbit/s", both.0, both.1));
    assert!((18.0..20.0).contains(&both.0) && (70.0..80.0).contains(&both.1), "{both:?}");
    lan.leader().set_link(Link::mbit(40)).unwrap();
    let faster = measure(lan.leader(), &url);
    assert!((36.0..40.0).contains(&faster), "{faster} Mbit/s");
}

#[test]
fn machines_behind_one_uplink_share_it() {
    needs_lan!();
    let builder = Lan::builder().uplink(Link::mbit(20)).helper("asha", Link::UNSHAPED);
    let lan = builder.build().unwrap();
    let (_folder, nginx) = serve(&lan, Payload::new(7, 4 << 20));
    let url = nginx.url("/file");
    let alone = measure(lan.leader(), &url);
    let both = std::thread::scope(|scope| {
        let helper = scope.spawn(|| measure(lan.helper("asha"), &url));
        measure(lan.leader(), &url) + helper.join().unwrap()
    });
    say(&format!("behind one uplink of 20 Mbit/s: alone {alone:.2}, two at once {both:.2} Mbit/s"));
    assert!((18.0..20.0).contains(&alone) && both < 26.0, "{alone} {both}");
}

#[test]
fn a_cable_of_some_rate_holds_what_comes_over_the_lan_and_nothing_else() {
    needs_lan!();
    let lan = Lan::builder().leader(Link::mbit(40)).helper("asha", Link::UNSHAPED).build().unwrap();
    let (folder, origin) = serve(&lan, Payload::new(8, 4 << 20));
    let _own = Nginx::serving(folder.path()).start(lan.helper("asha")).unwrap();
    let on_lan = format!("http://{}/file", lan.helper("asha").address());
    lan.leader().set_cable(Link::mbit(10)).unwrap();
    let there = measure(lan.leader(), &on_lan);
    let from_afar = measure(lan.leader(), &origin.url("/file"));
    say(&format!("over a cable of 10 Mbit/s: {there:.2}, past it {from_afar:.2} Mbit/s"));
    assert!((9.0..10.0).contains(&there) && from_afar > 36.0, "{there} {from_afar}");
    lan.leader().set_cable(Link::UNSHAPED).unwrap();
    assert!(measure(lan.leader(), &on_lan) > 100.0);
}

#[test]
fn nothing_passes_a_stalled_link_until_it_is_given_a_rate() {
    needs_lan!();
    let lan = Lan::builder().leader(Link::mbit(40)).build().unwrap();
    let (_folder, nginx) = serve(&lan, Payload::new(3, 4 << 20));
    let mut curl = curl(lan.leader(), &nginx.url("/file"));
    await_download(lan.leader(), 1 << 20);
    lan.leader().stall().unwrap();
    let stalled = lan.leader().downloaded().unwrap();
    assert_eq!(curl.wait_within(Duration::from_secs(2)).unwrap(), None);
    assert!(lan.leader().downloaded().unwrap() - stalled < 10_000);
    lan.leader().set_link(Link::mbit(40)).unwrap();
    assert!(curl.wait_within(SOON).unwrap().unwrap().success(), "{}", curl.stderr());
}

#[test]
fn machines_meet_on_the_lan_and_the_lan_does_not_lead_to_the_internet() {
    needs_lan!();
    let builder = Lan::builder().leader(Link::mbit(20)).helper("asha", Link::mbit(20));
    let lan = builder.helper("ben", Link::UNSHAPED).build().unwrap();
    let (folder, origin) = serve(&lan, Payload::new(4, 10_000));
    let own = Nginx::serving(folder.path()).start(lan.helper("asha")).unwrap();
    let on_lan = format!("http://{}/file", lan.helper("asha").address());
    for host in [lan.leader(), lan.helper("ben")] {
        assert!(fetches(host, &on_lan), "{} reaches asha on the LAN", host.name());
        assert!(fetches(host, &origin.url("/file")), "{} reaches the origin", host.name());
    }
    assert!(!fetches(lan.origin(), &on_lan), "the origin reaches into the LAN");
    lan.helper("asha").unplug().unwrap();
    assert!(!fetches(lan.leader(), &on_lan), "the leader reaches an unplugged machine");
    lan.helper("asha").plug_in().unwrap();
    assert!(fetches(lan.leader(), &on_lan), "the leader reaches a machine plugged in again");
    drop(own);
}

#[test]
fn nginx_serves_ranges_and_tls_and_tells_of_every_request() {
    needs_lan!();
    let lan = Lan::builder().build().unwrap();
    let (_folder, nginx) = serve(&lan, Payload::new(5, 10_000));
    let mut command = lan.leader().command("curl");
    command.args(["--silent", "--show-error", "--range", "10-19", "--cacert"]);
    command.arg(nginx.authority()).arg(nginx.tls_url("/file"));
    let mut curl = Process::spawn(&mut command).unwrap();
    assert!(curl.wait_within(SOON).unwrap().unwrap().success(), "{}", curl.stderr());
    assert_eq!(nginx.requests(), ["198.51.100.2\tGET /file\tbytes=10-19\t206\t10"]);
}

#[test]
fn a_cap_of_each_connection_holds_whatever_the_link() {
    needs_lan!();
    let lan = Lan::builder().leader(Link::mbit(80)).build().unwrap();
    let folder = TempDir::new().unwrap();
    Payload::new(6, 3 << 20).write_to(folder.path().join("file")).unwrap();
    let nginx = Nginx::serving(folder.path()).per_connection(Rate::mbit(4));
    let nginx = nginx.start(lan.origin()).unwrap();
    let rate = measure(lan.leader(), &nginx.url("/file"));
    assert!(rate < 5.0, "{rate} Mbit/s");
}

#[test]
fn a_dropped_lan_leaves_no_namespace_and_no_program() {
    needs_lan!();
    let lan = Lan::builder().helper("zoe-who-leaves", Link::mbit(1)).build().unwrap();
    let mut command = lan.helper("zoe-who-leaves").command("sleep");
    let mut sleep = command.arg("600").spawn().unwrap();
    let names = || fs::read_dir("/run/netns").unwrap().map(|entry| entry.unwrap().file_name());
    let ours = |name: &std::ffi::OsString| name.to_string_lossy().ends_with("zoe-who-leaves");
    assert_eq!(names().filter(ours).count(), 1);
    drop(lan);
    assert_eq!(names().filter(ours).count(), 0);
    assert_eq!(sleep.wait().unwrap().code(), None, "the program was killed");
}

#[test]
fn what_a_killed_test_left_is_swept_by_the_next() {
    needs_lan!();
    // No process has an id above 2^22.
    let left = "haul-lab-4194999-0-leader";
    let add = std::process::Command::new("ip").args(["netns", "add", left]).status().unwrap();
    assert!(add.success());
    drop(Lan::builder().build().unwrap());
    assert!(!fs::exists(format!("/run/netns/{left}")).unwrap());
}

fn serve(lan: &Lan, payload: Payload) -> (TempDir, Nginx) {
    let folder = TempDir::new().unwrap();
    payload.write_to(folder.path().join("file")).unwrap();
    let nginx = Nginx::serving(folder.path()).start(lan.origin()).unwrap();
    (folder, nginx)
}

/// The rate at which one curl downloads, in Mbit/s.
fn measure(host: &Host, url: &str) -> f64 {
    let mut curl = curl(host, url);
    assert!(curl.wait_within(SOON).unwrap().unwrap().success(), "{}", curl.stderr());
    curl.stdout().parse::<f64>().unwrap() * 8e-6
}

fn curl(host: &Host, url: &str) -> Process {
    let mut command = host.command("curl");
    command.args(["--silent", "--show-error", "--fail", "--output", "/dev/null"]);
    command.args(["--write-out", "%{speed_download}", url]);
    Process::spawn(&mut command).unwrap()
}

fn fetches(host: &Host, url: &str) -> bool {
    let mut command = host.command("curl");
    command.args(["--silent", "--fail", "--output", "/dev/null", "--max-time", "2", url]);
    let mut curl = Process::spawn(&mut command).unwrap();
    curl.wait_within(SOON).unwrap().unwrap().success()
}

fn await_download(host: &Host, bytes: u64) {
    let began = Instant::now();
    while host.downloaded().unwrap() < bytes {
        assert!(began.elapsed() < SOON, "nothing comes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Prints past the test harness, which keeps what passing tests print to itself.
fn say(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}
