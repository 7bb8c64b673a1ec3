//! Whoever finds nobody is told why: by the download itself within 5 s, by `leader helpers` and by
//! `doctor`, and the command that they name opens the way.

use crate::common::{LEADER, Ran, program};
use crate::scene::{Scene, say};
use haul_lab::Payload;
use haul_lab::lan::{self, Host, Lan, LanBuilder, Link};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Within this time after its start a download says that nobody was found, in seconds.
const SOON: f64 = 5.0;

/// Nobody can connect to the machine over the LAN any more; connections that it makes are fine.
const NO_CONNECTIONS: &str = "tcp flags & (syn | ack) == syn drop";

#[test]
fn with_both_firewalls_shut_all_name_the_cause_and_the_command_that_opens_the_way() {
    let link = Link::mbit(10);
    let Some(scene) = build(Lan::builder().leader(link).helper("asha", link)) else { return };
    let payload = Payload::new(23, 12 << 20);
    let origin = scene.serve(payload);
    let (url, helper) = (origin.url("/file.bin"), program("helper"));
    let _helpers = scene.helpers();
    let (leader, asha) = (scene.lan.leader(), scene.lan.helper("asha"));
    shut(leader, NO_CONNECTIONS);
    shut(asha, NO_CONNECTIONS);

    let causes = nobody(&scene.get(&url, &[]).exact(payload));
    let command = "sudo nft insert rule inet lab input tcp dport 4285-4300 accept";
    assert_eq!(causes[0]["try"], command, "{causes:#?}");
    assert!(told(&causes[0]["because"]).contains("`inet lab input` drops them"), "{causes:#?}");
    assert!(told(&causes[1]["because"]).starts_with("10.77.0.11 is there"), "{causes:#?}");

    let doctor = scene.run(leader, Path::new(LEADER), &["doctor", "--json"]);
    assert_eq!(firewall(&doctor), [("warn".into(), command.into())], "{}", doctor.stdout);
    let doctor = scene.run(asha, &helper, &["doctor", "--json"]);
    let of_helper = "sudo nft insert rule inet lab input tcp dport 4285 accept";
    let expected = [("ok".into(), String::new()), ("warn".into(), of_helper.into())];
    assert_eq!(firewall(&doctor), expected, "{}", doctor.stdout);
    let machines = helpers(&scene);
    assert_eq!(machines[0]["helps"], "unreachable", "{machines:#?}");

    nft(leader, command.strip_prefix("sudo nft ").unwrap());
    let ran = scene.get(&url, &[]).exact(payload);
    assert!(ran.events().iter().all(|event| event["event"] != "nobody"), "{}", ran.stdout);
    assert_eq!(ran.done()["workers"].as_array().unwrap().len(), 2, "asha comes in");
}

#[test]
fn a_helper_that_nobody_can_reach_is_told_so_by_doctor() {
    let Some(scene) = build(Lan::builder().helper("asha", Link::UNSHAPED)) else { return };
    let asha = scene.lan.helper("asha");
    shut(asha, "meta l4proto { tcp, udp } drop");
    let doctor = scene.run(asha, &program("helper"), &["doctor", "--json"]);
    let states: Vec<String> = firewall(&doctor).into_iter().map(|(state, _)| state).collect();
    assert_eq!(states, ["fail", "fail"], "{}", doctor.stdout);
    assert_eq!(doctor.status.code(), Some(1));
    let voice = checks(&doctor).filter(|check| check["check"] == "multicast");
    let heard: Vec<_> = voice.map(|check| (told(&check["state"]), told(&check["found"]))).collect();
    let expected = [("ok", "works on net0"), ("warn", "does not work on lan0")];
    assert_eq!(heard, expected.map(|(state, found)| (state.to_owned(), found.to_owned())));
}

#[test]
fn where_nobody_runs_a_helper_the_download_says_so_once_and_in_time() {
    let link = Link::mbit(10);
    let Some(scene) = build(Lan::builder().leader(link).helper("idle", link)) else { return };
    let payload = Payload::new(29, 12 << 20);
    let origin = scene.serve(payload);
    let causes = nobody(&scene.get(&origin.url("/file.bin"), &[]).exact(payload));
    // The router on the side of the internet is the other one.
    assert_eq!(causes.len(), 1, "{causes:#?}");
    assert!(told(&causes[0]["because"]).contains("(2) runs a helper"), "{causes:#?}");
    assert!(told(&causes[0]["try"]).contains("`helper run`"), "{causes:#?}");
}

#[test]
fn every_machine_is_listed_with_the_reason_why_it_does_not_help_and_no_owner_is_asked() {
    let names = ["always", "never", "known", "idle", "shut", "asks"];
    let lan = names.into_iter().fold(Lan::builder(), |lan, name| lan.helper(name, Link::UNSHAPED));
    let Some(scene) = build(lan) else { return };
    let run = |name: &str| scene.helper(scene.lan.helper(name), name, &[]);
    let _running = ["always", "never", "known"].map(run);
    let _shut = scene.helper(scene.lan.helper("shut"), "always", &[]);
    shut(scene.lan.helper("shut"), "meta l4proto { tcp, udp } drop");
    let owner = scene.absent_owner(scene.lan.helper("asks"));
    let shown = owner.shown();

    let ran = scene.run(scene.lan.leader(), Path::new(LEADER), &["helpers", "--json"]);
    let machines: Vec<Value> = parsed(&ran).collect();
    let of = |name: &str| {
        let address = scene.lan.helper(name).address().to_string();
        let machine = machines.iter().find(|machine| machine["address"] == address.as_str());
        told(&machine.unwrap_or(&Value::Null)["helps"])
    };
    let helps = names.map(|name| (name, of(name)));
    let expected = ["yes", "no", "no", "absent", "unreachable", "yes"].map(str::to_owned);
    assert_eq!(helps.clone().map(|(_, helps)| helps), expected, "{helps:?}: {machines:#?}");
    let silent = |machine: &&Value| machine["helps"] != "yes" && machine["because"].is_null();
    assert_eq!(machines.iter().find(silent), None, "whoever does not help has a reason");
    assert!(ran.seconds < SOON, "{} s", ran.seconds);
    assert_eq!(owner.shown(), shown, "the owner sees nothing of it");
    say(&format!("six machines called in {:.2} s", ran.seconds));
}

/// A scene, where there can be one with a firewall.
fn build(lan: LanBuilder) -> Option<Scene> {
    match lan::missing(&["nft"]) {
        Some(reason) => {
            lan::skip_or_fail(&reason);
            None
        }
        None => Scene::build(lan),
    }
}

/// The causes of the one word that nobody was found, which came in time.
fn nobody(ran: &Ran) -> Vec<Value> {
    let events = ran.events();
    let mut words = events.iter().filter(|event| event["event"] == "nobody");
    let word = words.next().unwrap_or_else(|| panic!("not a word: {}", ran.stdout));
    assert!(words.next().is_none(), "it is said once");
    let at = word["at"].as_f64().unwrap();
    say(&format!("nobody was found: said after {at:.2} s"));
    assert!(at <= SOON, "{at} s");
    word["causes"].as_array().unwrap().clone()
}

/// What `leader helpers` tells.
fn helpers(scene: &Scene) -> Vec<Value> {
    parsed(&scene.run(scene.lan.leader(), Path::new(LEADER), &["helpers", "--json"])).collect()
}

/// The state of every way in, and the command that opens it.
fn firewall(doctor: &Ran) -> Vec<(String, String)> {
    let firewall = checks(doctor).filter(|check| check["check"] == "firewall");
    firewall.map(|check| (told(&check["state"]), told(&check["try"]))).collect()
}

fn checks(doctor: &Ran) -> impl Iterator<Item = Value> {
    let keys = ["check", "state", "found", "because", "try"];
    parsed(doctor).inspect(move |check| {
        assert!(keys.iter().all(|key| check.get(key).is_some()), "{check}");
    })
}

fn parsed(ran: &Ran) -> impl Iterator<Item = Value> {
    let lines: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.into_iter()
}

fn told(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A firewall that lets nothing of this kind in by the LAN.
fn shut(host: &Host, what: &str) {
    nft(host, "add table inet lab");
    nft(host, "add chain inet lab input { type filter hook input priority 0; }");
    nft(host, &format!("add rule inet lab input iifname lan0 {what}"));
}

fn nft(host: &Host, command: &str) {
    let mut nft: Command = host.command("nft");
    let ran = Ran::of(nft.arg(command));
    assert!(ran.status.success(), "nft {command}: {}", ran.stderr);
}
