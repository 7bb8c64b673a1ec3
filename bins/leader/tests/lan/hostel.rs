//! Several leaders at the same time, on a LAN whose helpers they share.

use crate::common::PATIENCE;
use crate::scene::{Get, Scene, checksum, say};
use haul_lab::Payload;
use haul_lab::lan::{Host, Lan, Link, Nginx};
use std::thread;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// What each link carries, in Mbit/s.
const RATE: f64 = 20.0;

/// A LAN with further leaders, whose links carry so many Mbit/s, and so many helpers.
fn stage(leaders: &[u64], helpers: &[&str]) -> Option<(Scene, Vec<String>)> {
    let names: Vec<String> = (1..leaders.len()).map(|at| format!("leader{at}")).collect();
    let lan = Lan::builder().leader(Link::mbit(leaders[0]));
    let lan = names
        .iter()
        .zip(&leaders[1..])
        .fold(lan, |lan, (name, rate)| lan.helper(name.clone(), Link::mbit(*rate)));
    let lan = helpers.iter().fold(lan, |lan, name| lan.helper(*name, Link::mbit(RATE as u64)));
    Some((Scene::build(lan)?, names))
}

fn host<'a>(scene: &'a Scene, names: &[String], at: usize) -> &'a Host {
    match at.checked_sub(1) {
        None => scene.lan.leader(),
        Some(at) => scene.lan.helper(&names[at]),
    }
}

/// The bytes that a link of so many Mbit/s carries in a second.
fn goodput(rate: f64) -> f64 {
    rate * 125_000.0 * Link::GOODPUT
}

/// What helpers have brought, by the last line of progress.
fn helped(stdout: &str) -> f64 {
    let told = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        let helpers = event["workers"].as_array()?.iter().skip(1);
        Some(helpers.filter_map(|helper| helper["bytes"].as_f64()).sum())
    };
    stdout.lines().rev().find_map(told).unwrap_or(0.0)
}

fn downloads(scene: &Scene, names: &[String], nginx: &Nginx, payload: Payload) -> Vec<Get> {
    let (url, checksum) = (nginx.url("/file.bin"), checksum(payload));
    let get = |at| scene.get_at(host(scene, names, at), &url, &[&checksum]);
    (0..=names.len()).map(get).collect()
}

#[test]
fn leader_that_comes_two_seconds_later_gets_its_fair_share() {
    // For two seconds one has four links, then both share five, and at the end one has four again.
    let (size, link) = (64.0 * MIB as f64, goodput(RATE));
    let ideal = 2.0 + (size - 2.0 * 4.0 * link) / (2.5 * link);
    // What slows the machine down for a while is not the programs' fault.
    for last in [false, false, true] {
        let Some([first, second]) = one_after_the_other() else { return };
        say(&format!(
            "two leaders, the second 2 s later: {first:.2} and {second:.2} s, fair {ideal:.2} s each"
        ));
        if first.max(second) <= 1.1 * ideal {
            return;
        }
        assert!(!last, "{first:.2} or {second:.2} s is more than 1.1 × {ideal:.2} s");
    }
}

/// How long two leaders take for 64 MiB each, the second of whom comes 2 s later, in seconds.
fn one_after_the_other() -> Option<[f64; 2]> {
    let (scene, names) = stage(&[20, 20], &["asha", "ben", "chi"])?;
    let payload = Payload::new(61, 64 * MIB);
    let nginx = scene.serve(payload);
    let _helpers =
        ["asha", "ben", "chi"].map(|name| scene.helper(scene.lan.helper(name), "always", &[]));
    let (url, checksum) = (nginx.url("/file.bin"), checksum(payload));
    let first = scene.get(&url, &[&checksum]);
    thread::sleep(Duration::from_secs(2));
    let second = scene.get_at(host(&scene, &names, 1), &url, &[&checksum]);
    let both = [first, second].map(|get| thread::spawn(move || get.exact(payload)));
    Some(both.map(|ran| ran.join().unwrap().seconds))
}

#[test]
fn leaders_that_begin_together_share_four_helpers() {
    let helpers = ["asha", "ben", "chi", "dev"];
    let Some((scene, names)) = stage(&[20, 20, 20], &helpers) else { return };
    let payload = Payload::new(62, 64 * MIB);
    let nginx = scene.serve(payload);
    let _helpers = helpers.map(|name| scene.helper(scene.lan.helper(name), "always", &[]));
    let ideal = 3.0 * payload.len() as f64 / (7.0 * goodput(RATE));
    // What slows the machine down for a while is not the programs' fault.
    for last in [false, false, true] {
        let gets = downloads(&scene, &names, &nginx, payload).into_iter();
        let ran: Vec<_> = gets.map(|get| thread::spawn(move || get.exact(payload))).collect();
        let took = ran.into_iter().map(|ran| ran.join().unwrap().seconds);
        let took: Vec<f64> = took.collect();
        let longest = took.iter().copied().fold(0.0, f64::max);
        let eta = ideal / longest;
        say(&format!(
            "three leaders and four helpers: {took:.2?} s, ideal {ideal:.2} s, η of all {eta:.3}"
        ));
        if longest <= 1.15 * ideal && eta >= 0.93 {
            return;
        }
        assert!(!last, "{took:.2?}, ideal {ideal:.2}, η {eta:.3}");
    }
}

#[test]
fn leader_with_a_slow_link_gets_as_much_help_as_the_others() {
    let Some((scene, names)) = stage(&[5, 20], &["asha", "ben", "chi"]) else { return };
    let payload = Payload::new(63, 96 * MIB);
    let nginx = scene.serve(payload);
    let helpers = ["asha", "ben", "chi"];
    let _helpers = helpers.map(|name| scene.helper(scene.lan.helper(name), "always", &[]));
    let mut gets = downloads(&scene, &names, &nginx, payload);
    gets[1].until_stored(72 * MIB);
    let [slow, quick] = [0, 1].map(|at: usize| helped(&gets[at].process.stdout()));
    for get in &mut gets {
        get.process.kill().unwrap();
    }
    say(&format!(
        "a link of 5 beside one of 20: helped with {:.1} and {:.1} MiB by then",
        slow / MIB as f64,
        quick / MIB as f64
    ));
    assert!((slow / quick - 1.0).abs() < 0.15, "{:.3}", slow / quick);
}

#[test]
fn helper_of_four_leaders_needs_little_memory() {
    let Some((worst, memory)) = helper_of_four() else { return };
    say(&format!(
        "a helper of four leaders: {:.1} % off a quarter at worst over 5 s, {} MiB of memory",
        100.0 * worst,
        memory >> 20
    ));
    assert!(memory <= 48 * MIB, "{} MiB", memory >> 20);
}

/// By which part of a quarter the help of one of four leaders is off it at worst, over any 5 s
/// after they have settled, and the helper's memory, in bytes.
fn helper_of_four() -> Option<(f64, u64)> {
    let (scene, names) = stage(&[2, 2, 2, 2], &["asha"])?;
    scene.lan.helper("asha").set_link(Link::mbit(40)).unwrap();
    let payload = Payload::new(64, 64 * MIB);
    let nginx = scene.serve(payload);
    let mut asha = scene.helper(scene.lan.helper("asha"), "always", &[]);
    let mut gets = downloads(&scene, &names, &nginx, payload);
    for get in &mut gets {
        get.process.wait_for(PATIENCE, |out, _| out.contains("\"joined\"")).unwrap();
    }
    let settled = gets[0].began.elapsed().as_secs_f64() + 5.0;
    thread::sleep(Duration::from_secs(25));
    let over_time: Vec<Vec<(f64, f64)>> = gets
        .iter()
        .map(|get| {
            let later = get.began.duration_since(gets[0].began).as_secs_f64();
            let lines = helped_over_time(&get.process.stdout()).into_iter();
            lines.map(|(at, bytes)| (at + later, bytes)).collect()
        })
        .collect();
    let worst = (0..28).map(|half| off_a_quarter(&over_time, settled + f64::from(half) / 2.0));
    let worst = worst.fold(0.0, f64::max);
    let memory = asha.usage().peak_memory;
    for get in &mut gets {
        get.process.kill().unwrap();
    }
    Some((worst, memory))
}

/// What helpers have brought by each line of progress, and when that was, in seconds.
fn helped_over_time(stdout: &str) -> Vec<(f64, f64)> {
    let told = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).ok()?;
        Some((event["at"].as_f64()?, helped(line))).filter(|_| event["event"] == "progress")
    };
    stdout.lines().filter_map(told).collect()
}

/// How far from a quarter one is in the 5 s from then, in quarters.
fn off_a_quarter(over_time: &[Vec<(f64, f64)>], from: f64) -> f64 {
    let until = from + 5.0;
    let got =
        over_time.iter().map(|lines| between_lines(lines, until) - between_lines(lines, from));
    let got: Vec<f64> = got.collect();
    let quarter = got.iter().sum::<f64>() / 4.0;
    got.iter().map(|got| (got / quarter - 1.0).abs()).fold(0.0, f64::max)
}

/// What had been brought by then, in the middle of two lines of progress.
fn between_lines(lines: &[(f64, f64)], at: f64) -> f64 {
    let next = lines.partition_point(|(time, _)| *time < at);
    let ((before, had), (after, has)) = (lines[next - 1], lines[next]);
    had + (has - had) * (at - before) / (after - before)
}
