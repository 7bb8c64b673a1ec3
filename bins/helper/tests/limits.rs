//! What the owner has set holds whatever leaders want: so many bytes a day through crashes, so
//! fast, and not a byte more once it is stopped.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a test may panic"
)]

mod common;

use common::{PATIENCE, write_policy};
use haul::control::{Command as Tell, State, tell};
use haul::{Answer, Event, Happening, Helpers, Home, Leader, LeaderBuilder, Report, Transfer};
use haul_lab::hostile::ask;
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Mutex;

/// The helper fetches from the address that the system gives it, the leader from its own.
const HELPER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LEADER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 12));

/// The tests measure time, so one runs at a time.
static TURN: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_cap_of_100_mb_holds_over_ten_jobs_with_three_kills_between() {
    const CAP: u64 = 100 << 20;
    let _turn = TURN.lock().await;
    let scene = Scene::new(24 << 20, Rate::mbit(32), Rate::mbit(160));
    let mut helper = Helper::start("per_day = \"100M\"\n");
    let (mut before, mut answers) = (0, Vec::new());
    for job in 0..10 {
        let mut transfer = scene.start(&helper, job);
        while let Some(event) = transfer.next_event().await {
            answers.extend(answer(&event));
            let halfway =
                matches!(event.what, Happening::Progress { stored, .. } if stored > 6 << 20);
            if halfway && [1, 3, 4].contains(&job) && helper.is_running() {
                helper.kill();
            }
        }
        scene.is_exact(&transfer.finish().await.unwrap());
        if !helper.is_running() {
            helper.run_again();
        }
        let spent = helper.status().spent.today;
        assert!(spent >= before, "job {job}: {before}, then {spent} bytes");
        before = spent;
    }
    let received = scene.received(HELPER);
    let ratio = received as f64 / CAP as f64;
    say(&format!(
        "a cap of 100 MiB: {received} bytes received, {:.2} %; {before} booked",
        ratio * 100.0
    ));
    let none = answers.iter().filter(|answer| **answer == Answer::Later).count();
    assert!(none > 0 && answers.last() == Some(&Answer::Later), "used up: {answers:?}");
    assert!((0.99..=1.01).contains(&ratio), "{received} bytes are {ratio} of the cap");
    let booked = before as f64 / CAP as f64;
    assert!((0.99..=1.01).contains(&booked), "{before} bytes were booked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_holds_over_ten_seconds() {
    const RATE: f64 = (2 << 20) as f64;
    let _turn = TURN.lock().await;
    let scene = Scene::new(64 << 20, Rate::mbit(2), Rate::mbit(800));
    let helper = Helper::start("rate = \"2M\"\n");
    let mut transfer = scene.start(&helper, 0);
    let mut readings: Vec<(Duration, u64)> = Vec::new();
    while let Some(event) = transfer.next_event().await {
        let Happening::Progress { workers, .. } = &event.what else { continue };
        if let Some(asha) = workers.iter().find(|worker| worker.worker == 1) {
            readings.push((event.at, asha.bytes));
        }
        // The first second has the greeting and what is read ahead.
        if readings.iter().any(|(at, _)| *at + Duration::from_secs(12) < event.at) {
            break;
        }
    }
    transfer.cancel();
    let began = readings[0].0 + Duration::from_secs(1);
    let from = readings.iter().find(|(at, _)| *at >= began).unwrap();
    let to = readings.iter().find(|(at, _)| *at >= from.0 + Duration::from_secs(10)).unwrap();
    let rate = (to.1 - from.1) as f64 / to.0.saturating_sub(from.0).as_secs_f64();
    say(&format!(
        "a rate of 2 MiB/s: {rate:.0} bytes a second over 10 s, {:.2} %",
        rate / RATE * 100.0
    ));
    assert!((0.97..=1.03).contains(&(rate / RATE)), "{rate} bytes a second");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_ends_reading_at_once_and_the_download_goes_on_without_this_helper() {
    let _turn = TURN.lock().await;
    let scene = Scene::new(24 << 20, Rate::mbit(32), Rate::mbit(64));
    let mut helper = Helper::start("");
    let mut transfer = scene.start(&helper, 0);
    let mut lost = None;
    let mut took = None;
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Progress { stored, .. } if stored > 4 << 20 && took.is_none() => {
                took = Some(scene.last_byte_after(|| helper.tells("stop")));
            }
            Happening::Lost { because, .. } => lost = Some(because),
            _ => {}
        }
    }
    let took = took.unwrap();
    say(&format!("`helper stop`: the last byte was read after {took:?}"));
    assert!(took <= Duration::from_millis(200), "{took:?}");
    scene.is_exact(&transfer.finish().await.unwrap());
    assert!(lost.unwrap().contains("its owner stopped it"));
    assert!(helper.ends(), "the program has not ended");
    let history = control(&helper.home, &["history", "--json"]);
    assert_eq!(history["because"], "stopped by the owner");
    assert!(
        history["bytes"].as_u64().unwrap() > 1 << 20 && history["leader"] == "asha",
        "{history}"
    );
    let status = control(&helper.home, &["status", "--json"]);
    assert_eq!((&status["event"], &status["code"]), (&"failed".into(), &1.into()), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_help_refuses_with_later_and_outlives_the_helper() {
    let _turn = TURN.lock().await;
    let scene = Scene::new(8 << 20, Rate::mbit(32), Rate::mbit(32));
    let mut helper = Helper::start("");
    let mut transfer = scene.start(&helper, 0);
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored > 2 << 20) {
            helper.tells("pause");
        }
    }
    scene.is_exact(&transfer.finish().await.unwrap());
    assert_eq!((helper.status().state, helper.status().paused_until), (State::Paused, None));
    helper.kill();
    helper.run_again();
    assert_eq!(helper.status().state, State::Paused);
    let before = scene.received(HELPER);
    let (events, _) = scene.run(&helper, 1).await;
    assert_eq!(events.iter().find_map(answer), Some(Answer::Later));
    assert_eq!(scene.received(HELPER), before);
    helper.tells("resume");
    let (events, report) = scene.run(&helper, 2).await;
    assert_eq!(events.iter().find_map(answer), Some(Answer::Yes));
    assert!(report.workers[1].bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_heard_through_a_flood_of_asks() {
    let _turn = TURN.lock().await;
    let helper = Helper::start("");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| flood(&helper.address, &over));
        for _ in 0..100 {
            let heard = tell(&Home::at(helper.home.path()), Tell::Status);
            over.store(heard.is_err(), Ordering::Relaxed);
            assert_eq!(heard.unwrap().state, State::Waiting);
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_helper_takes_a_changed_policy_and_keeps_the_last_good_one() {
    let _turn = TURN.lock().await;
    let helper = Helper::start("per_day = \"3G\"\n");
    let becomes = |is: &dyn Fn(&haul::control::Status) -> bool| {
        let began = Instant::now();
        while !is(&helper.status()) {
            assert!(began.elapsed() < PATIENCE, "{:?}", helper.status());
            thread::sleep(Duration::from_millis(50));
        }
    };
    write_policy(helper.home.path(), "always", "per_day = \"9G\"\n");
    becomes(&|status| status.per_day == 9 << 30);
    write_policy(helper.home.path(), "always", "per_dya = \"1G\"\n");
    becomes(&|status| status.policy_error.is_some());
    assert_eq!(helper.status().per_day, 9 << 30);
    write_policy(helper.home.path(), "always", "per_day = \"2G\"\n");
    becomes(&|status| status.per_day == 2 << 30 && status.policy_error.is_none());
}

/// Sends asks that nobody follows, for the port is none of a leader.
fn flood(helper: &str, over: &AtomicBool) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ask = ask([7; 16], [7; 32], 22).to_bytes();
    while !over.load(Ordering::Relaxed) {
        // What the helper has no room for is lost on the way.
        let _ = socket.send_to(&ask, helper);
    }
}

/// A file at an origin, over links of their own for the leader and the helper.
struct Scene {
    origin: Origin,
    payload: Payload,
    folder: TempDir,
}

impl Scene {
    fn new(size: u64, leader: Rate, helper: Rate) -> Self {
        let payload = Payload::new(31, size);
        let links = Shape::default().peer(LEADER, leader).peer(HELPER, helper);
        let served = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = served.shape(links).start().unwrap();
        Self { origin, payload, folder: TempDir::new().unwrap() }
    }

    /// Starts a download that asks this helper, always as the same leader.
    fn start(&self, helper: &Helper, job: u32) -> Transfer {
        self.leader(helper, job).build().unwrap().start()
    }

    fn leader(&self, helper: &Helper, job: u32) -> LeaderBuilder {
        Leader::builder(self.origin.url("/file.bin").parse().unwrap())
            .helpers(Helpers::only([helper.address.clone()]))
            .home(Home::at(self.folder.path().join("home")))
            .folder(self.folder.path())
            .save_as(format!("{job}.bin"))
            .source_address(LEADER)
            .name("asha")
            .no_scan()
    }

    async fn run(&self, helper: &Helper, job: u32) -> (Vec<Event>, Report) {
        let mut transfer = self.start(helper, job);
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        (events, transfer.finish().await.unwrap())
    }

    fn is_exact(&self, report: &Report) {
        assert_eq!(self.payload.first_difference(&report.path).unwrap(), None);
    }

    /// What the origin has sent there.
    fn received(&self, peer: IpAddr) -> u64 {
        self.origin.counts().bytes_by_peer.get(&peer).copied().unwrap_or(0)
    }

    /// How long after the beginning of `work` the origin sent the helper its last byte.
    fn last_byte_after(&self, work: impl FnOnce() + Send) -> Duration {
        let began = Instant::now();
        thread::scope(|scope| {
            scope.spawn(work);
            let (mut last, mut seen) = (Duration::ZERO, self.received(HELPER));
            while began.elapsed() < Duration::from_secs(2) {
                let now = self.received(HELPER);
                if now != seen {
                    (last, seen) = (began.elapsed(), now);
                }
                thread::sleep(Duration::from_millis(2));
            }
            last
        })
    }
}

/// `helper run`, whose policy says yes to everybody within its limits.
struct Helper {
    process: Child,
    address: String,
    home: TempDir,
}

impl Helper {
    fn start(limits: &str) -> Self {
        let home = TempDir::new().unwrap();
        write_policy(home.path(), "always", limits);
        let (process, address) = run(&home);
        Self { process, address, home }
    }

    /// SIGKILL: it can write nothing more.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    fn run_again(&mut self) {
        (self.process, self.address) = run(&self.home);
    }

    /// Whether it ends by itself.
    fn ends(&mut self) -> bool {
        let began = Instant::now();
        while self.is_running() && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        self.process.try_wait().unwrap().is_some_and(|ended| ended.success())
    }

    fn status(&self) -> haul::control::Status {
        tell(&Home::at(self.home.path()), Tell::Status).unwrap()
    }

    /// Its owner types this command.
    fn tells(&self, command: &str) {
        control(&self.home, &[command, "--json"]);
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Both fail only for a helper that has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a helper with this home; returns it and where it hears asks.
fn run(home: &TempDir) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helper"));
    command.args(["run", "--json", "--allow-net", "127.0.0.0/8", "--listen", "127.0.0.1:0"]);
    command.env("HAUL_HOME", home.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let heard = lines.by_ref().map_while(Result::ok).find_map(|line| {
        let event: Value = serde_json::from_str(&line).unwrap();
        (event["event"] == "listening").then(|| event["address"].as_str().unwrap().to_owned())
    });
    // What it tells from now on is read, so that it never waits, and means nothing here.
    thread::spawn(move || lines.for_each(drop));
    (process, heard.unwrap())
}

/// Runs a command of the owner's; returns the last line that it prints.
fn control(home: &TempDir, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_helper"));
    let ran = command.args(arguments).env("HAUL_HOME", home.path()).output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    serde_json::from_str(out.lines().last().unwrap_or("null")).unwrap()
}

fn answer(event: &Event) -> Option<Answer> {
    match event.what {
        Happening::Answered { answer, .. } => Some(answer),
        _ => None,
    }
}

/// Prints past the test harness, which keeps what passing tests print to itself.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
