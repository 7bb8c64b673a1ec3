//! What a hostile leader holds of a helper keeps no honest one out: connections that say nothing,
//! places that are of no use, questions that are taken back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod scene;

use haul::Serving;
use haul::doors::{Doors, Reply};
use haul::policy::PolicySource;
use haul::trust::Trust;
use haul::{Decision, Helper, HelperBuilder, HelperEvent, Home, Lasts, Url};
use haul_lab::Payload;
use haul_lab::hostile::ask;
use haul_lab::origin::{Origin, Resource};
use haul_link::{FrameReader, FrameWriter, Identity, Me, Session, accept, greet, secure};
use haul_span::Span;
use haul_wire::{ByeReason, Frame, Offer, Scheme, Verdict};
use scene::{connected, dialled_from, grant, hired, last_words, next_word, offer, verdict};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::{Instant, sleep, timeout};

/// An address makes one connection in two seconds.
const PAUSE: Duration = Duration::from_millis(2050);

/// How long an honest leader waits for an answer that takes some milliseconds.
const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn places_of_fourteen_honest_leaders_are_free_while_two_addresses_hold_half_open_sessions() {
    let folder = TempDir::new().unwrap();
    let (_serving, at) = listening(builder(folder.path()).consent(Decision::No)).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        for last in [1, 2] {
            let tcp = connected(at, Ipv4Addr::new(127, 3, 0, last)).await.unwrap();
            held.push(tokio::spawn(half_open(tcp)));
        }
        sleep(PAUSE).await;
    }
    let honest = (10..24).map(|last| {
        tokio::spawn(async move {
            let from = Ipv4Addr::new(127, 3, 0, last);
            let answered = async { verdict(&mut dialled_from(at, from).await?, elsewhere()).await };
            matches!(timeout(SOON, answered).await, Ok(Ok(Verdict::No)))
        })
    });
    let mut refused = 0;
    for leader in honest.collect::<Vec<_>>() {
        refused += usize::from(!leader.await.unwrap());
    }
    assert_eq!(refused, 0, "of 14");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_a_leader_that_only_shows_signs_of_life_go_to_whoever_comes_after_30_seconds() {
    let stage = Stage::set();
    let (_serving, at) = listening(stage.helper_of_one()).await;
    let (reader, writer) = hired(at, &stage.url(), stage.payload).await;
    let began = Instant::now();
    let pinging = tokio::spawn(pinged(reader, writer));
    let mut last = 0;
    let (mut session, taken) = loop {
        last += 1;
        let mut session = dialled_from(at, Ipv4Addr::new(127, 4, 0, last)).await.unwrap();
        match verdict(&mut session, offer(&stage.url(), SIZE)).await.unwrap() {
            Verdict::Yes => break (session, began.elapsed()),
            other => assert_eq!(other, Verdict::Busy),
        }
        assert!(began.elapsed() < Duration::from_secs(40), "the place is held for ever");
        sleep(Duration::from_secs(1)).await;
    };
    assert!(taken >= Duration::from_secs(29), "it was taken after {taken:?}");
    assert_eq!(pinging.await.unwrap(), Some(ByeReason::Timeout));
    session.send(&Frame::Job(scene::job(&stage.url(), SIZE))).await.unwrap();
    let (mut reader, mut writer) = session.granted();
    scene::prove(&mut reader, &mut writer, stage.payload).await;
    grant(&mut writer, 1, Span::new(0, SIZE).unwrap()).await;
    assert!(matches!(next_word(&mut reader).await, Frame::Data { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_leaders_that_work_or_that_nobody_else_wants_are_kept() {
    let stage = Stage::set();
    let (_serving, at) = listening(stage.helper_of_one()).await;
    let (mut reader, mut writer) = hired(at, &stage.url(), stage.payload).await;
    let began = Instant::now();
    // A grant every eight seconds is use enough, and a pause that nobody minds is none.
    for lease in 1..5 {
        for _ in 0..4 {
            sleep(Duration::from_secs(2)).await;
            writer.send(&Frame::Ping).await.unwrap();
        }
        grant(&mut writer, lease, Span::of_len(u64::from(lease) << 16, 1 << 16).unwrap()).await;
        while next_word(&mut reader).await != (Frame::Done { lease }) {}
    }
    let mut other = dialled_from(at, Ipv4Addr::new(127, 4, 1, 1)).await.unwrap();
    let said = verdict(&mut other, offer(&stage.url(), SIZE)).await.unwrap();
    assert_eq!(said, Verdict::Busy, "after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn places_for_work_are_one_for_a_key_and_half_for_the_strangers_of_an_address() {
    let stage = Stage::set();
    let (_serving, at) = listening(stage.helper()).await;
    let leader = Identity::ephemeral();
    let offered = || offer(&stage.url(), SIZE);
    let mut first = known(at, &leader, [1; 16], 1).await;
    assert_eq!(verdict(&mut first, offered()).await.unwrap(), Verdict::Yes);
    let mut second = known(at, &leader, [2; 16], 2).await;
    assert_eq!(verdict(&mut second, offered()).await.unwrap(), Verdict::Busy, "the same key");
    let mut held = vec![first];
    for expected in [Verdict::Yes, Verdict::Busy] {
        sleep(PAUSE).await;
        let mut fresh = known(at, &Identity::ephemeral(), [3; 16], 1).await;
        assert_eq!(verdict(&mut fresh, offered()).await.unwrap(), expected, "the same address");
        held.push(fresh);
    }
    let mut elsewhere = known(at, &Identity::ephemeral(), [4; 16], 3).await;
    assert_eq!(verdict(&mut elsewhere, offered()).await.unwrap(), Verdict::Yes);
    drop(held);
    sleep(PAUSE).await;
    let mut third = known(at, &leader, [5; 16], 4).await;
    assert_eq!(verdict(&mut third, offered()).await.unwrap(), Verdict::Yes, "its place is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_a_leader_that_had_no_use_for_the_helper_are_there_when_it_asks_again() {
    let stage = Stage::set();
    let (_serving, at) = listening(stage.helper()).await;
    let (leader, from, id) = (Identity::ephemeral(), Ipv4Addr::new(127, 8, 0, 1), [8; 16]);
    let listener = TcpListener::bind((from, 0)).await.unwrap();
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    let ask = ask(id, leader.id().0, listener.local_addr().unwrap().port()).to_bytes();
    for time in 0..2 {
        let dialled = async {
            loop {
                socket.send_to(&ask, at).await.unwrap();
                if let Ok(taken) = timeout(Duration::from_millis(200), listener.accept()).await {
                    break taken.unwrap().0;
                }
            }
        };
        let tcp = timeout(SOON, dialled).await;
        let secured = accept(&leader, tcp.unwrap_or_else(|_| panic!("{time}"))).await.unwrap();
        let me = Me { id: leader.id(), name: "asha", group: None };
        let mut session = greet(secured, me, id).await.unwrap().session;
        let said = verdict(&mut session, offer(&stage.url(), SIZE)).await.unwrap();
        assert_eq!(said, Verdict::Yes, "{time}");
        session.send(&Frame::Job(scene::job(&stage.url(), SIZE))).await.unwrap();
        let (mut reader, mut writer) = session.granted();
        scene::prove(&mut reader, &mut writer, stage.payload).await;
        writer.send(&Frame::Bye { reason: ByeReason::NotWanted }).await.unwrap();
        last_words(reader).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_a_file_is_good_for_its_leaders_return_and_another_file_is_another_question() {
    let stage = Stage::set();
    let doors = Doors::new(Trust::of(&Home::at(stage.folder.path().join("helper"))));
    let mut door = doors.open();
    let (_serving, at) = listening(stage.helper().consent(doors.clone())).await;
    let leader = Identity::ephemeral();
    let mut first = known(at, &leader, [1; 16], 1).await;
    first.send(&Frame::Offer(offer(&stage.url(), SIZE))).await.unwrap();
    let prompt = door.changed().await.unwrap();
    door.answer(prompt.id, &Reply::Yes { lasts: Lasts::File });
    assert!(
        matches!(first.next().await.unwrap(), Frame::Answer(said) if said.verdict == Verdict::Yes)
    );
    first.send(&Frame::Job(scene::job(&stage.url(), SIZE))).await.unwrap();
    let (mut reader, mut writer) = first.granted();
    scene::prove(&mut reader, &mut writer, stage.payload).await;
    // The connection breaks, as far as the helper can tell.
    drop((reader, writer));
    sleep(PAUSE).await;
    let mut again = known(at, &leader, [1; 16], 1).await;
    let said = timeout(SOON, verdict(&mut again, offer(&stage.url(), SIZE))).await.unwrap();
    assert_eq!(said.unwrap(), Verdict::Yes, "its owner has agreed to this very file");
    drop(again);
    sleep(PAUSE).await;
    let mut other = known(at, &leader, [2; 16], 1).await;
    other.send(&Frame::Offer(offer(&stage.url(), SIZE + 1))).await.unwrap();
    // What is seen first is that the prompt of before is closed.
    while door.changed().await.is_none_or(|prompt| prompt.request.size == SIZE) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_that_are_taken_back_at_once_spend_no_hour_and_have_an_end() {
    let folder = TempDir::new().unwrap();
    let doors = Doors::new(Trust::of(&Home::at(folder.path())));
    let mut door = doors.open();
    let (_serving, at) = listening(builder(folder.path()).consent(doors.clone())).await;
    for last in 0..6 {
        let from = Ipv4Addr::new(127, 5, last, 1);
        let mut session = dialled_from(at, from).await.unwrap();
        session.send(&Frame::Offer(elsewhere())).await.unwrap();
        let shown = timeout(SOON, door.changed()).await;
        assert!(shown.is_ok_and(|prompt| prompt.is_some()), "{last}");
        drop(session);
        let closed = timeout(SOON, door.changed()).await;
        assert_eq!(closed, Ok(None), "a prompt whose leader has left is taken away");
    }
    let mut honest = dialled_from(at, Ipv4Addr::new(127, 5, 9, 1)).await.unwrap();
    honest.send(&Frame::Offer(elsewhere())).await.unwrap();
    let shown = timeout(SOON, door.changed()).await.unwrap().unwrap();
    door.answer(shown.id, &Reply::No);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_whose_host_would_be_shown_as_another_is_refused_without_a_question() {
    let folder = TempDir::new().unwrap();
    let (mut serving, at) = listening(builder(folder.path())).await;
    for (last, host) in (0..).zip([
        "exam$ple.org",
        "example.org\u{200b}",
        "EXAMPLE.org",
        "example.org/",
        "exаmple.org",
        "example.org:81",
        "user@example.org",
        "",
    ]) {
        let mut session = dialled_from(at, Ipv4Addr::new(127, 6, 0, last + 1)).await.unwrap();
        let offer = Offer { host: host.into(), ..elsewhere() };
        assert_eq!(verdict(&mut session, offer).await.unwrap(), Verdict::No, "{host}");
    }
    let mut honest = dialled_from(at, Ipv4Addr::new(127, 6, 0, 99)).await.unwrap();
    assert_eq!(verdict(&mut honest, elsewhere()).await.unwrap(), Verdict::Yes);
    let mut asked = 0;
    while let Ok(Some(event)) = timeout(Duration::from_millis(200), serving.next_event()).await {
        asked += usize::from(matches!(event, HelperEvent::Asked { .. }));
    }
    assert_eq!(asked, 1);
}

const SIZE: u64 = 2 << 20;

/// An origin, and the home of a helper.
struct Stage {
    folder: TempDir,
    payload: Payload,
    origin: Origin,
}

impl Stage {
    fn set() -> Self {
        let payload = Payload::new(7, SIZE);
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload)).start().unwrap();
        Self { folder: TempDir::new().unwrap(), payload, origin }
    }

    fn url(&self) -> Url {
        self.origin.url("/file.bin").parse().unwrap()
    }

    fn helper(&self) -> HelperBuilder {
        builder(&self.folder.path().join("helper"))
    }

    /// One that helps no more than one leader at a time.
    fn helper_of_one(&self) -> HelperBuilder {
        let policy = self.folder.path().join("policy.toml");
        std::fs::write(&policy, "version = 1\n[leaders]\nat_once = 1\n").unwrap();
        self.helper().policy(PolicySource::file(policy))
    }
}

fn builder(home: &Path) -> HelperBuilder {
    Helper::builder()
        .consent(Decision::Yes)
        .allow_net("127.0.0.0/8".parse().unwrap())
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .home(Home::at(home))
        .ports(1..=u16::MAX)
}

async fn listening(helper: HelperBuilder) -> (Serving, SocketAddr) {
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address),
        other => panic!("{other:?}"),
    }
}

/// An offer of a file that nobody fetches.
fn elsewhere() -> Offer {
    let (host, scheme) = ("example.org".to_owned(), Scheme::Https);
    Offer { scheme, host, port: 443, size: SIZE, share: SIZE }
}

/// A connection on which nothing is said, held until the other side closes it.
async fn half_open(tcp: tokio::net::TcpStream) {
    let mut byte = [0];
    while tcp.readable().await.is_ok() && tcp.try_read(&mut byte).is_err() {}
}

/// Shows signs of life until the helper leaves; with which word.
async fn pinged(reader: FrameReader, mut writer: FrameWriter) -> Option<ByeReason> {
    let pinging = async {
        while writer.send(&Frame::Ping).await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        (_, bye) = last_words(reader) => bye,
        () = pinging => None,
    }
}

/// A session of this leader, that comes because of this ask.
async fn known(at: SocketAddr, leader: &Identity, ask: [u8; 16], last: u8) -> Session {
    let tcp = connected(at, Ipv4Addr::new(127, 7, 0, last)).await.unwrap();
    let secured = secure(leader, tcp, None).await.unwrap();
    let me = Me { id: leader.id(), name: "asha", group: None };
    greet(secured, me, ask).await.unwrap().session
}
