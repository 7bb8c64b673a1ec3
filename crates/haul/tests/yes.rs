//! A yes lasts: whom an owner has said yes to is helped without another question, across files,
//! interruptions and restarts, until the yes ends or is taken back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a figure is told")]

use haul::control::{Command, Status, history, tell};
use haul::doors::{Doors, Reply};
use haul::policy::PolicySource;
use haul::roll_call::{Called, Helps, RollCall};
use haul::trust::{Covers, Trust};
use haul::{
    Decision, Error, Event, Happening, Helper, HelperBuilder, HelperEvent, Helpers, Home, Lasts,
    Leader, LeaderBuilder, Report, Serving, Transfer,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const SIZE: u64 = 24 << 20;

/// How long after its start a file's last helper may have joined, where nobody is asked.
const SOON: Duration = Duration::from_secs(2);

/// An address is answered once in two seconds.
const PAUSE: Duration = Duration::from_millis(2100);

#[tokio::test(flavor = "multi_thread")]
async fn five_files_are_helped_as_by_strangers_that_always_help_when_three_owners_say_yes_once() {
    let stage = Stage::set();
    let owners: Vec<Owner> = (11..14).map(|link| stage.owner(link, Lasts::TwoHours)).collect();
    let mut helpers = Vec::new();
    for owner in &owners {
        helpers.push(listening(owner.helper()).await);
    }
    let asked = stage.queue(&helpers).await;
    drop(helpers);
    sleep(PAUSE).await;
    let mut always = Vec::new();
    for link in 21..24 {
        always.push(listening(stage.helper(link).consent(Decision::Yes)).await);
    }
    let unasked = stage.queue(&always).await;
    println!("the last of three helpers joined after {asked:.2?}; of those unasked {unasked:.2?}");
    for owner in &owners {
        assert_eq!(owner.asked(), 1, "one question for five files");
        let [grant] = &Trust::of(&owner.home).granted().unwrap()[..] else { panic!("one yes") };
        assert_eq!((&grant.covers, grant.files), (&Covers::All, 5));
        assert!(grant.bytes > SIZE / 2, "{grant:?}");
    }
    let slowest = unasked.iter().max().copied().unwrap_or_default();
    assert!(asked.iter().all(|&after| after < slowest.max(SOON) + SOON / 4), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_a_file_outlives_ctrl_c_and_a_restart_and_its_budget_does_not_begin_anew() {
    const BUDGET: u64 = 6 << 20;
    let stage = Stage::set();
    let owner = stage.owner(11, Lasts::File);
    let policy = "version = 1\n[when]\nmetered = \"allow\"\nvpn = \"allow\"\nunknown = \"allow\"\n\
        [limits]\nper_job = \"6M\"\nrate_while_busy = \"unlimited\"\n";
    std::fs::create_dir_all(owner.home.folder()).unwrap();
    std::fs::write(owner.home.folder().join("policy.toml"), policy).unwrap();
    let helper = || owner.helper().policy(PolicySource::of_home(&owner.home));
    let (serving, at) = listening(helper()).await;
    let mut transfer = stage.leader("/0.bin", &[&at]).build().unwrap().start();
    until_helped(&mut transfer, 1 << 20).await;
    transfer.cancel();
    assert!(transfer.finish().await.is_err(), "it stays resumable");
    // The helper hears of it.
    until(|| owner.granted_bytes() > 1 << 20).await;
    serving.stop().await.unwrap();
    let before = owner.granted_bytes();
    assert!(before < BUDGET);
    sleep(PAUSE).await;
    let (_serving, at) = listening(helper()).await;
    let (_, report) = run(stage.leader("/0.bin", &[&at]).resume()).await;
    let more = report.unwrap().workers[1].bytes;
    until(|| history(&owner.home).unwrap().len() > 1).await;
    let received: u64 = history(&owner.home).unwrap().iter().map(|helped| helped.bytes).sum();
    assert_eq!(owner.asked(), 1);
    // What had arrived in vain when a connection was closed counts too.
    let spent = BUDGET - (256 << 10)..BUDGET + (64 << 10);
    assert!(more > 0 && spent.contains(&received), "{received}");
    sleep(PAUSE).await;
    run(stage.leader("/large.bin", &[&at])).await.1.unwrap();
    assert_eq!(owner.asked(), 2, "another file is another question");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_done_ends_the_yes_to_it() {
    let stage = Stage::set();
    let owner = stage.owner(11, Lasts::File);
    let (_serving, at) = listening(owner.helper()).await;
    for asked in 1..3 {
        let (_, report) = run(stage.leader("/0.bin", &[&at]).auto_rename()).await;
        assert!(report.unwrap().workers[1].bytes > 0);
        until(|| Trust::of(&owner.home).granted().unwrap().is_empty()).await;
        assert_eq!(owner.asked(), asked);
        sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_that_is_taken_back_ends_the_help_under_it_at_once_and_is_asked_for_again() {
    let stage = Stage::set();
    let owner = stage.owner(11, Lasts::Today);
    let (_serving, at) = listening(owner.helper()).await;
    let trust = Trust::of(&owner.home);
    let id = stage.home("leader").id().unwrap();
    for (told, most) in [(true, 300), (false, 1500)] {
        let mut transfer = stage.leader("/0.bin", &[&at]).auto_rename().build().unwrap().start();
        until_helped(&mut transfer, 1 << 20).await;
        assert_eq!(trust.take_back(&id[..12]).unwrap().len(), 1);
        let began = Instant::now();
        if told {
            owner.tell(Command::Review).await;
        }
        until(|| {
            history(&owner.home).unwrap().iter().any(|it| it.because.contains("took the yes"))
        })
        .await;
        let took = began.elapsed();
        println!("taken back, the helper told: {told}; ended after {took:.1?}");
        assert!(took < Duration::from_millis(most), "{took:?}");
        std::fs::remove_file(owner.home.folder().join("history.jsonl")).unwrap();
        transfer.cancel();
        let _ = transfer.finish().await;
        sleep(PAUSE).await;
    }
    assert_eq!(owner.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_help_the_owner_ended_does_not_come_back_for_the_same_file() {
    let stage = Stage::set();
    let owner = stage.owner(11, Lasts::Today);
    let (_serving, at) = listening(owner.helper()).await;
    let mut transfer = stage.leader("/0.bin", &[&at]).build().unwrap().start();
    until_helped(&mut transfer, 1 << 20).await;
    let helping = owner.tell(Command::Status).await.helping;
    owner.tell(Command::End { help: helping[0].help }).await;
    let (mut lost, mut joined) = (None, 0);
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Lost { because, .. } => lost = Some(because),
            Happening::Joined { .. } => joined += 1,
            _ => {}
        }
    }
    let report = transfer.finish().await.unwrap();
    is_exact(0, &report.path);
    assert_eq!((lost.as_deref(), joined), (Some("its owner ended this help"), 0));
    assert_eq!((owner.asked(), Trust::of(&owner.home).granted().unwrap()), (1, vec![]));
    let history = history(&owner.home).unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(history[0].because, "ended by the owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_no_by_mistake_is_seen_and_taken_back_and_the_leader_is_asked_about_again() {
    let stage = Stage::set();
    let owner = stage.owner_saying(11, vec![Reply::No, Reply::Yes { lasts: Lasts::TwoHours }]);
    let (mut serving, at) = listening(owner.helper()).await;
    run(stage.leader("/0.bin", &[&at]).auto_rename()).await.1.unwrap();
    sleep(PAUSE).await;
    run(stage.leader("/0.bin", &[&at]).auto_rename()).await.1.unwrap();
    assert_eq!((owner.asked(), answers(&mut serving).await.last().unwrap().as_str()), (1, "Later"));
    let [refused] = &owner.tell(Command::Status).await.refused[..] else { panic!("one refused") };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((400..=600).contains(&(refused.until.unsigned_abs() - now)), "{refused:?}");
    assert_eq!(
        (&*refused.leader, &*refused.leader_id),
        ("asha", &*stage.home("leader").id().unwrap())
    );
    let after = owner.tell(Command::Lift { leader: refused.leader_id.clone() }).await;
    assert!(after.refused.is_empty());
    sleep(PAUSE).await;
    let (_, report) = run(stage.leader("/0.bin", &[&at]).auto_rename()).await;
    assert!(report.unwrap().workers[1].bytes > 0);
    assert_eq!(owner.asked(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_blocked_by_mistake_is_asked_about_again() {
    let stage = Stage::set();
    let owner = stage.owner_saying(11, vec![Reply::Block, Reply::Yes { lasts: Lasts::File }]);
    let (_serving, at) = listening(owner.helper()).await;
    run(stage.leader("/0.bin", &[&at]).auto_rename()).await.1.unwrap();
    let trust = Trust::of(&owner.home);
    assert_eq!(trust.blocked().unwrap()[0].leader, "asha");
    trust.unblock("asha").unwrap();
    sleep(PAUSE).await;
    let (_, report) = run(stage.leader("/0.bin", &[&at]).auto_rename()).await;
    assert!(report.unwrap().workers[1].bytes > 0);
    assert_eq!((owner.asked(), trust.blocked().unwrap()), (2, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roll_call_hears_yes_under_a_yes_and_later_after_a_no_and_where_nobody_may_be_asked() {
    let stage = Stage::set();
    let owner = stage.owner_saying(11, vec![Reply::No, Reply::Yes { lasts: Lasts::TwoHours }]);
    std::fs::create_dir_all(owner.home.folder()).unwrap();
    let policy = "version = 1\n[when]\nmetered = \"allow\"\nvpn = \"allow\"\nunknown = \"allow\"\n\
        [prompts]\nper_hour = 2\n";
    std::fs::write(owner.home.folder().join("policy.toml"), policy).unwrap();
    let helper = owner.helper().policy(PolicySource::of_home(&owner.home));
    let (_serving, at) = listening(helper).await;
    let helps = || async {
        sleep(PAUSE).await;
        stage.helps(&at).await
    };
    assert_eq!(helps().await, Helps::Yes, "its owner can be asked");
    sleep(PAUSE).await;
    run(stage.leader("/0.bin", &[&at]).auto_rename()).await.1.unwrap();
    assert_eq!(helps().await, Helps::Later, "its owner has said no");
    owner.tell(Command::Lift { leader: stage.home("leader").id().unwrap() }).await;
    sleep(PAUSE).await;
    run(stage.leader("/0.bin", &[&at]).auto_rename()).await.1.unwrap();
    assert_eq!(helps().await, Helps::Yes, "its owner has said yes, and the hour is spent");
    Trust::of(&owner.home).take_back("asha").unwrap();
    assert_eq!(helps().await, Helps::Later, "the hour is spent");
}

/// An origin of some files, with a link for each machine.
struct Stage {
    folder: TempDir,
    origin: Origin,
}

/// Whoever sits at a helper and says this, one after the other and the last for ever.
struct Owner {
    home: Home,
    link: u8,
    doors: Doors,
    asked: Arc<AtomicUsize>,
    _answering: JoinHandle<()>,
}

impl Stage {
    fn set() -> Self {
        let files = (0..5).fold(Origin::builder(), |origin, at: u64| {
            origin.serve(format!("/{at}.bin"), Resource::of(Payload::new(at, SIZE + at)))
        });
        let large = Resource::of(Payload::new(9, SIZE * 2));
        let origin = files.serve("/large.bin", large).shape(Shape::by_peer(Rate::mbit(16)));
        Self { folder: TempDir::new().unwrap(), origin: origin.start().unwrap() }
    }

    fn home(&self, of: &str) -> Home {
        Home::at(self.folder.path().join(of))
    }

    fn leader(&self, path: &str, at: &[&str]) -> LeaderBuilder {
        Leader::builder(self.origin.url(path).parse().unwrap())
            .folder(self.folder.path())
            .home(self.home("leader"))
            .helpers(Helpers::only(at.iter().copied()))
            .ports(0..=0)
            .no_scan()
            .name("asha")
    }

    /// What the helper there answers to a roll call of the leader.
    async fn helps(&self, at: &str) -> Helps {
        let roll = RollCall::new().helpers(Helpers::only([at])).home(self.home("leader"));
        let mut calling = roll.no_scan().interface("lo").ask_port(9).start().unwrap();
        while let Some(called) = calling.next().await {
            if let Called::Machine(machine) = called {
                return machine.helps;
            }
        }
        panic!("nobody answered the roll call")
    }

    fn helper(&self, link: u8) -> HelperBuilder {
        helper(&self.home(&format!("helper-{link}")), link)
    }

    fn owner(&self, link: u8, lasts: Lasts) -> Owner {
        self.owner_saying(link, vec![Reply::Yes { lasts }])
    }

    fn owner_saying(&self, link: u8, says: Vec<Reply>) -> Owner {
        let home = self.home(&format!("helper-{link}"));
        let doors = Doors::new(Trust::of(&home));
        let asked = Arc::new(AtomicUsize::new(0));
        let (mut door, count) = (doors.open(), Arc::clone(&asked));
        let answering = tokio::spawn(async move {
            loop {
                if let Some(prompt) = door.changed().await {
                    let nth = count.fetch_add(1, Ordering::AcqRel);
                    door.answer(prompt.id, &says[nth.min(says.len() - 1)]);
                }
            }
        });
        Owner { home, link, doors, asked, _answering: answering }
    }

    /// How long after their starts the last of the helpers joined the files of a queue, of which
    /// all must be helped by all.
    async fn queue(&self, helpers: &[(Serving, String)]) -> Vec<Duration> {
        let at: Vec<&str> = helpers.iter().map(|(_, at)| at.as_str()).collect();
        let mut joined = Vec::new();
        for file in 0..5 {
            let (events, report) =
                run(self.leader(&format!("/{file}.bin"), &at).auto_rename()).await;
            let report = report.unwrap();
            is_exact(file, &report.path);
            let brought: Vec<u64> = report.workers.iter().map(|worker| worker.bytes).collect();
            assert!(brought.len() == 4 && !brought.contains(&0), "file {file}: {brought:?}");
            joined.push(last_joined(&events));
        }
        joined
    }
}

impl Owner {
    fn helper(&self) -> HelperBuilder {
        helper(&self.home, self.link).consent(self.doors.clone())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }

    fn granted_bytes(&self) -> u64 {
        let granted = Trust::of(&self.home).granted().unwrap();
        granted.iter().map(|grant| grant.bytes).sum()
    }

    async fn tell(&self, command: Command) -> Status {
        let home = self.home.clone();
        tokio::task::spawn_blocking(move || tell(&home, command)).await.unwrap().unwrap()
    }
}

fn helper(home: &Home, link: u8) -> HelperBuilder {
    Helper::builder()
        .allow_net("127.0.0.0/8".parse().unwrap())
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .home(home.clone())
        .source_address([127, 0, 0, link].into())
        .ports(1..=u16::MAX)
        .name(format!("helper-{link}"))
}

async fn listening(helper: HelperBuilder) -> (Serving, String) {
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address.to_string()),
        other => panic!("{other:?}"),
    }
}

async fn run(leader: LeaderBuilder) -> (Vec<Event>, Result<Report, Error>) {
    let mut transfer = leader.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        events.push(event);
    }
    (events, transfer.finish().await)
}

/// What the helper has answered until now.
async fn answers(serving: &mut Serving) -> Vec<String> {
    let mut answers = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_millis(100), serving.next_event()).await {
        if let HelperEvent::Answered { answer, .. } = event {
            answers.push(format!("{answer:?}"));
        }
    }
    answers
}

/// Waits until a helper has brought so much.
async fn until_helped(transfer: &mut Transfer, bytes: u64) {
    while let Some(event) = transfer.next_event().await {
        if let Happening::Progress { workers, .. } = event.what
            && workers.iter().any(|worker| worker.worker > 0 && worker.bytes > bytes)
        {
            return;
        }
    }
    panic!("nobody helped");
}

fn last_joined(events: &[Event]) -> Duration {
    let joined = |event: &&Event| matches!(event.what, Happening::Joined { .. });
    events.iter().filter(joined).map(|event| event.at).max().unwrap()
}

async fn until(is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not come to pass");
        sleep(Duration::from_millis(20)).await;
    }
}

fn is_exact(file: u64, path: &Path) {
    assert_eq!(Payload::new(file, SIZE + file).first_difference(path).unwrap(), None);
}
