//! Whoever could not help is asked again the moment it can.

use crate::common::PATIENCE;
use crate::scene::{Get, Scene, say};
use haul_lab::Payload;
use haul_lab::lan::{Lan, Link, Process};
use std::process::Command;
use std::time::{Duration, Instant};

/// How soon a helper that is free again is to take part.
const SOON: f64 = 1.0;

fn stage() -> Option<Scene> {
    let link = Link::mbit(10);
    Scene::build(Lan::builder().leader(link).helper("asha", link).helper("dev", link))
}

fn count(out: &str, event: &str) -> usize {
    out.matches(&format!("\"event\":\"{event}\"")).count()
}

/// How long it takes from now until a helper has joined for the so-manyth time, in seconds.
fn until_joined(get: &mut Get, times: usize) -> f64 {
    let began = Instant::now();
    get.process.wait_for(PATIENCE, |out, _| count(out, "joined") >= times).unwrap();
    began.elapsed().as_secs_f64()
}

fn done(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

#[test]
fn helper_that_was_full_joins_the_next_leader_once_it_is_free() {
    let Some(scene) = stage() else { return };
    let nginx = scene.serve(Payload::new(71, 256 << 20));
    let asha = scene.lan.helper("asha");
    scene.set_policy(asha, "version = 1\n[leaders]\nat_once = 1\n");
    let _asha = scene.helper(asha, "always", &[]);
    let mut first = scene.get(&nginx.url("/file.bin"), &[]);
    until_joined(&mut first, 1);
    let mut second = scene.get_at(scene.lan.helper("dev"), &nginx.url("/file.bin"), &[]);
    second.process.wait_for(PATIENCE, |out, _| out.contains("\"busy\"")).unwrap();
    std::thread::sleep(Duration::from_secs(15));
    assert_eq!(count(&second.process.stdout(), "joined"), 0);
    first.process.interrupt().unwrap();
    let took = until_joined(&mut second, 1);
    say(&format!("a helper that was full joined {took:.2} s after it was free"));
    assert!(took <= SOON);
}

#[test]
fn helper_that_was_paused_joins_once_it_is_resumed() {
    let Some(scene) = stage() else { return };
    let nginx = scene.serve(Payload::new(72, 256 << 20));
    let asha = scene.lan.helper("asha");
    let _asha = scene.helper(asha, "always", &[]);
    done(&mut scene.owner(asha, &["pause"]));
    let mut get = scene.get(&nginx.url("/file.bin"), &[]);
    get.process.wait_for(PATIENCE, |out, _| out.contains("\"later\"")).unwrap();
    std::thread::sleep(Duration::from_secs(12));
    done(&mut scene.owner(asha, &["resume"]));
    let took = until_joined(&mut get, 1);
    // And one that is paused while it helps.
    done(&mut scene.owner(asha, &["pause"]));
    get.process.wait_for(PATIENCE, |out, _| count(out, "lost") >= 1).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    done(&mut scene.owner(asha, &["resume"]));
    let again = until_joined(&mut get, 2);
    say(&format!(
        "a helper that was paused joined {took:.2} and {again:.2} s after it was resumed"
    ));
    assert!(took <= SOON && again <= SOON);
}

#[test]
fn helper_that_was_started_anew_joins_at_once() {
    let Some(scene) = stage() else { return };
    let nginx = scene.serve(Payload::new(73, 256 << 20));
    let asha = scene.lan.helper("asha");
    let mut helper = scene.helper(asha, "always", &[]);
    let mut get = scene.get(&nginx.url("/file.bin"), &[]);
    until_joined(&mut get, 1);
    let mut took = Vec::new();
    for (times, end) in [(2, Process::kill as fn(&mut Process) -> _), (3, Process::interrupt)] {
        end(&mut helper).unwrap();
        helper.wait_within(PATIENCE).unwrap();
        get.process.wait_for(PATIENCE, |out, _| count(out, "lost") + 2 > times).unwrap();
        std::thread::sleep(Duration::from_secs(4));
        helper = scene.helper(asha, "always", &[]);
        took.push(until_joined(&mut get, times));
    }
    say(&format!(
        "a helper that was killed, and one that was stopped, joined {took:.2?} s after its start"
    ));
    assert!(took.iter().all(|took| *took <= SOON), "{took:?}");
}

#[test]
fn helper_that_was_unplugged_joins_once_it_is_back() {
    let Some(scene) = stage() else { return };
    let nginx = scene.serve(Payload::new(74, 256 << 20));
    let asha = scene.lan.helper("asha");
    let _asha = scene.helper(asha, "always", &[]);
    let mut get = scene.get(&nginx.url("/file.bin"), &[]);
    until_joined(&mut get, 1);
    let mut took = Vec::new();
    for times in 1..3 {
        asha.unplug().unwrap();
        get.process.wait_for(PATIENCE, |out, _| count(out, "lost") >= times).unwrap();
        std::thread::sleep(Duration::from_secs(10));
        asha.plug_in().unwrap();
        took.push(until_joined(&mut get, times + 1));
    }
    say(&format!("a helper that was unplugged joined {took:.2?} s after it was back"));
    // What slows the machine down for a moment is not the programs' fault.
    assert!(took.iter().any(|took| *took <= SOON), "{took:?}");
}
