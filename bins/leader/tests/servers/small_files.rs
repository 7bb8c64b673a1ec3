use crate::common::{PATIENCE, Ran};
use crate::stage::Stage;
use haul_lab::Payload;
use haul_lab::lan::Process;
use haul_lab::servers::OriginKind;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{Write as _, stderr};
use std::time::{Duration, Instant};

const FILES: u64 = 4000;

fn small(number: u64) -> Payload {
    Payload::new(number, 1 + number * 37 % 20_000)
}

#[test]
fn four_thousand_small_files_come_over_few_connections_and_nothing_grows() {
    let Some(stage) = Stage::of(OriginKind::Nginx) else { return };
    let list = stage.served("list");
    let mut text = String::new();
    for number in 0..FILES {
        small(number).write_to(stage.served(&format!("f{number}"))).unwrap();
        writeln!(text, "{}\n out=g{number}", stage.server.url(&format!("/f{number}"))).unwrap();
    }
    fs::write(&list, text).unwrap();
    let began = Instant::now();
    let mut leader = Process::spawn(&mut stage.leader(&["-i", list.to_str().unwrap()])).unwrap();
    let course = Course::of(&mut leader);
    let ran = Ran::when_ended(&mut leader, began);
    assert!(ran.status.success(), "{}", ran.stderr);
    for number in 0..FILES {
        let saved = stage.saved(&format!("g{number}"));
        assert_eq!(small(number).first_difference(saved).unwrap(), None, "file {number}");
    }
    assert_eq!(stage.saved("").read_dir().unwrap().count() as u64, FILES);
    let requests = stage.server.requests();
    let connections: BTreeSet<_> =
        requests.iter().filter_map(|line| line.split('\t').next()).collect();
    let Course { fds, memory } = course;
    let (asked, used) = (requests.len(), connections.len());
    let line = format!(
        "{FILES} files in {:.1} s: {asked} requests over {used} connections; descriptors at most {} in the first half and {} in the second; resident KiB {} and {}\n",
        ran.seconds, fds.0, fds.1, memory.0, memory.1
    );
    stderr().write_all(line.as_bytes()).unwrap();
    assert_eq!(asked as u64, FILES);
    assert!(used <= 100, "{used} connections");
    assert!(fds.1 <= fds.0 + 8, "descriptors grow");
    assert!(memory.1 <= memory.0 + 8192, "memory grows");
}

/// The most that a process held in the first half of its course, and in the second.
struct Course {
    fds: (u64, u64),
    memory: (u64, u64),
}

impl Course {
    /// Looks at a leader until it ends.
    fn of(leader: &mut Process) -> Self {
        let mut seen = Vec::new();
        let began = Instant::now();
        while leader.wait_within(Duration::from_millis(50)).unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it goes on and on");
            seen.extend(held(leader.id()));
        }
        // It starts with nothing, which says nothing of growth.
        let (first, second) = seen.split_at(seen.len() / 2);
        let most =
            |half: &[(u64, u64)], of: fn(&(u64, u64)) -> u64| half.iter().map(of).max().unwrap();
        Self {
            fds: (most(first, |held| held.0), most(second, |held| held.0)),
            memory: (most(first, |held| held.1), most(second, |held| held.1)),
        }
    }
}

/// The open descriptors and the resident KiB of a process that runs.
fn held(process: u32) -> Option<(u64, u64)> {
    let fds = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64;
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some((fds, resident.split_whitespace().next()?.parse().ok()?))
}
