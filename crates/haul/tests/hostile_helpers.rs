//! Sixteen keys of four addresses that spoil, are silent or challenge without end, beside honest
//! helpers: the file is right, and the addresses of those who spoil are named.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::{
    Decision, Event, Happening, Helper, HelperEvent, Helpers, Home, Leader, Report, Serving,
};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use haul_link::{FrameReader, FrameWriter, Identity, LinkError, Me, PeerId, answer, secure};
use haul_span::Span;
use haul_wire::{Answer, Ask, Frame, Verdict};
use scene::deliverer::{Deliverer, PIECE};
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpSocket, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const SIZE: u64 = 16 << 20;
const ADDRESSES: u8 = 4;
const KEYS: u8 = 4;

/// For how long a hostile helper tries at most.
const ENOUGH: Duration = Duration::from_secs(60);

/// What a hostile helper does once it has said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conduct {
    /// Delivers wrong bytes at once, and comes back under a new key when it was sent away.
    Spoils,
    /// Takes leases and gives signs of life, and not a byte.
    Silent,
    /// Says yes and is never ready.
    NeverReady,
    /// Challenges as often as it may.
    Challenges,
    /// Delivers what it is asked for.
    Helps,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_beside_hostile_helpers_is_exact_and_names_the_addresses_that_spoil() {
    let alone = Stage::set().await.download(&[]).await.1.seconds;
    let spoils = [Conduct::Spoils; ADDRESSES as usize];
    let all = [Conduct::Spoils, Conduct::Silent, Conduct::NeverReady, Conduct::Challenges];
    for conducts in
        [spoils, [Conduct::Silent; 4], [Conduct::NeverReady; 4], [Conduct::Challenges; 4], all]
    {
        let stage = Stage::set().await;
        let (events, report) = stage.download(&conducts).await;
        let line = format!(
            "{:?}: {:.2} s, {:.3} of {alone:.2} s\n",
            conducts.iter().map(|conduct| format!("{conduct:?}")).collect::<BTreeSet<_>>(),
            report.seconds,
            report.seconds / alone
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None);
        let spoiling = (1..).zip(conducts).filter(|(_, conduct)| *conduct == Conduct::Spoils);
        let spoiling: BTreeSet<IpAddr> = spoiling.map(|(at, _)| hostile(at).into()).collect();
        assert_eq!(blamed(&events), spoiling);
    }
}

/// As many as a leader puts to work at a time, and more.
const PLACES: u8 = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_that_waits_for_a_place_gets_that_of_one_that_brings_nothing() {
    let (folder, payload) = (TempDir::new().unwrap(), Payload::new(7, SIZE));
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
    let origin = origin.shape(Shape::by_peer(Rate::mbit(8))).start().unwrap();
    let mut sockets = Vec::new();
    for at in 1..=PLACES / KEYS + 1 {
        sockets.push((at, UdpSocket::bind((hostile(at), 0)).await.unwrap()));
    }
    let asked = sockets.iter().map(|(_, socket)| socket.local_addr().unwrap().to_string());
    let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("leader")))
        .helpers(Helpers::only(asked))
        .ports(0..=0);
    let mut transfer = leader.build().unwrap().start();
    let mut enemies = JoinSet::new();
    let (at, friend) = sockets.pop().unwrap();
    for (at, socket) in sockets {
        let siege = besiege(socket, hostile(at), Conduct::Silent, payload);
        enemies.spawn(timeout(ENOUGH, siege));
    }
    let mut places = 0;
    let mut friend = Some(friend);
    while let Some(event) = transfer.next_event().await {
        places += usize::from(matches!(event.what, Happening::Joined { .. }));
        if places == usize::from(PLACES)
            && let Some(friend) = friend.take()
        {
            let help = besiege(friend, hostile(at), Conduct::Helps, payload);
            enemies.spawn(timeout(ENOUGH, help));
        }
    }
    let report = transfer.finish().await.unwrap();
    assert_eq!(payload.first_difference(&report.path).unwrap(), None);
    // It has several keys, and the first to be let in need not bring most.
    let friends = report.workers.iter().filter(|it| it.address == Some(hostile(at).into()));
    let brought: u64 = friends.map(|friend| friend.bytes).sum();
    assert!(brought > SIZE / 4, "{report:?}");
}

const fn hostile(at: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 66, 0, at)
}

/// An origin that gives each address 20 Mbit/s, and three honest helpers.
struct Stage {
    folder: TempDir,
    payload: Payload,
    origin: Origin,
    helpers: Vec<(Serving, SocketAddr)>,
}

impl Stage {
    async fn set() -> Self {
        let (folder, payload) = (TempDir::new().unwrap(), Payload::new(7, SIZE));
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = origin.shape(Shape::by_peer(Rate::mbit(20))).start().unwrap();
        let mut helpers = Vec::new();
        for last in 11..14 {
            helpers.push(helper(&folder.path().join(last.to_string()), last).await);
        }
        Self { folder, payload, origin, helpers }
    }

    async fn download(&self, conducts: &[Conduct]) -> (Vec<Event>, Report) {
        let mut asked: Vec<String> = self.helpers.iter().map(|(_, at)| at.to_string()).collect();
        let mut enemies = JoinSet::new();
        for (at, &conduct) in (1..).zip(conducts) {
            let socket = UdpSocket::bind((hostile(at), 0)).await.unwrap();
            asked.push(socket.local_addr().unwrap().to_string());
            let payload = self.payload;
            enemies.spawn(timeout(ENOUGH, besiege(socket, hostile(at), conduct, payload)));
        }
        let leader = Leader::builder(self.origin.url("/file.bin").parse().unwrap())
            .folder(self.folder.path())
            .home(Home::at(self.folder.path().join("leader")))
            .helpers(Helpers::only(asked))
            .ports(0..=0);
        let mut transfer = leader.build().unwrap().start();
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        (events, transfer.finish().await.unwrap())
    }
}

async fn helper(home: &std::path::Path, last: u8) -> (Serving, SocketAddr) {
    let helper = Helper::builder()
        .consent(Decision::Yes)
        .allow_net("127.0.0.0/8".parse().unwrap())
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .home(Home::at(home))
        .source_address([127, 0, 0, last].into())
        .ports(1..=u16::MAX);
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address),
        other => panic!("{other:?}"),
    }
}

fn blamed(events: &[Event]) -> BTreeSet<IpAddr> {
    let blamed = events.iter().filter_map(|event| match &event.what {
        Happening::Blamed { address, .. } => *address,
        _ => None,
    });
    blamed.collect()
}

/// Answers the ask that comes to `socket` with several keys at once.
async fn besiege(socket: UdpSocket, from: Ipv4Addr, conduct: Conduct, payload: Payload) {
    let mut datagram = [0; Ask::LEN];
    let (_, asker) = socket.recv_from(&mut datagram).await.unwrap();
    let ask = Ask::parse(&datagram).unwrap();
    let leader = SocketAddr::from((asker.ip(), ask.port));
    let mut keys = JoinSet::new();
    for _ in 0..KEYS {
        keys.spawn(async move {
            loop {
                // Whoever is turned away comes back under another key.
                let _ = misbehave(from, leader, PeerId(ask.leader), conduct, payload).await;
                sleep(Duration::from_millis(50)).await;
            }
        });
    }
    keys.join_all().await;
}

async fn misbehave(
    from: Ipv4Addr,
    leader: SocketAddr,
    expected: PeerId,
    conduct: Conduct,
    payload: Payload,
) -> Result<(), LinkError> {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.bind((from, 0).into()).unwrap();
    let Ok(tcp) = tcp.connect(leader).await else { return Ok(()) };
    let me = Identity::ephemeral();
    let secured = secure(&me, tcp, Some(expected)).await?;
    let me = Me { id: me.id(), name: "mallory", group: None };
    let mut session = answer(secured, me).await?.session;
    let Frame::Offer(_) = session.next().await? else { return Ok(()) };
    let yes = Answer { verdict: Verdict::Yes, after: 0, lanes: 2, budget: u64::MAX };
    session.send(&Frame::Answer(yes)).await?;
    let Frame::Job(_) = session.next().await? else { return Ok(()) };
    if conduct == Conduct::NeverReady {
        loop {
            session.send(&Frame::Ping).await?;
            sleep(Duration::from_secs(2)).await;
        }
    }
    session.send(&Frame::Ready).await?;
    let (reader, writer) = session.granted();
    match conduct {
        Conduct::Challenges => challenge(reader, writer).await,
        Conduct::Silent => listen(reader, writer).await,
        _ => {
            let spoil = |bytes: &mut [u8], _| {
                let mask = if conduct == Conduct::Spoils { u8::MAX } else { 0 };
                for byte in bytes {
                    *byte ^= mask;
                }
            };
            Deliverer::new(payload, spoil).work(reader, writer).await
        }
    }
}

/// Takes leases, and delivers nothing of them.
async fn listen(mut reader: FrameReader, mut writer: FrameWriter) -> Result<(), LinkError> {
    while !matches!(reader.next().await?, Frame::Bye { .. }) {
        writer.send(&Frame::Pong).await?;
    }
    Ok(())
}

async fn challenge(mut reader: FrameReader, mut writer: FrameWriter) -> Result<(), LinkError> {
    let mut at = 0;
    loop {
        let span = Span::of_len(at % (SIZE - PIECE), PIECE).unwrap();
        writer.send(&Frame::Challenge { span }).await?;
        at += PIECE;
        while !matches!(reader.next().await?, Frame::Proof { .. } | Frame::Bye { .. }) {}
    }
}
