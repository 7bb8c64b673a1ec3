//! A leader and a helper that say what they should not: the other side ends the session with a
//! word that names the reason, goes on with its work, and never breaks.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::{Event, Happening, Helpers, Home, Leader, Report, Serving};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use haul_link::{FrameReader, FrameWriter};
use haul_span::Span;
use haul_wire::{Answer, ByeReason, FailReason, Failure, Frame};
use scene::{job, last_words, lured, signed_on};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

const SIZE: u64 = 2 << 20;

/// How long the other side may take to end a session that has gone wrong.
const SOON: Duration = Duration::from_secs(15);

/// What a hostile side sends once it may.
struct Attack {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Attack {
    fn frames(name: &'static str, frames: &[Frame]) -> Self {
        let mut bytes = bytes::BytesMut::new();
        for frame in frames {
            frame.encode(&mut bytes);
        }
        Self { name, bytes: bytes.to_vec() }
    }

    fn raw(name: &'static str, len: u32, kind: u8, body: &[u8]) -> Self {
        let header = [&len.to_be_bytes()[..], &[kind, 0, 0, 0, 0, 0, 0, 1]].concat();
        Self { name, bytes: [header, body.to_vec()].concat() }
    }
}

/// Frames that nobody may send at any time.
fn broken() -> Vec<Attack> {
    let mut attacks = vec![
        Attack::raw("a length beyond all memory", u32::MAX, 5, &[]),
        Attack::raw("data longer than allowed", (64 << 10) + 9, 20, &[]),
        Attack::raw("control longer than allowed", (64 << 10) + 1, 19, &[]),
        Attack::raw("data without a byte", 8, 20, &[0; 8]),
        Attack::raw("data past the last offset", 9, 20, &[255; 9]),
        Attack::raw("an unknown kind", 1, 200, &[0]),
        Attack::raw("an empty span", 2, 16, &[5, 5]),
        Attack::raw("a reversed span", 2, 16, &[9, 5]),
        Attack::raw("a varint without an end", 11, 19, &[255; 11]),
    ];
    // Every kind with a body, without it.
    attacks.extend(
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 19, 20, 22, 23, 26, 31]
            .map(|kind| Attack::raw("a kind without its body", 0, kind, &[])),
    );
    attacks
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).unwrap()
}

/// What a leader may not say to a helper at work.
fn of_leader() -> Vec<Attack> {
    let data = Frame::Data { lease: 1, offset: 0, bytes: b"x".as_slice().into() };
    let failure = Failure { reason: FailReason::Network, pause_ms: 0 };
    let leases: Vec<Frame> =
        (0..200).map(|lease| Frame::Grant { lease, span: span(0, 10) }).collect();
    vec![
        Attack::frames("data", &[data]),
        Attack::frames("done", &[Frame::Done { lease: 1 }]),
        Attack::frames("failed", &[Frame::Failed { lease: 1, failure }]),
        Attack::frames("an answer", &[Frame::Answer(Answer::yes(1, 1))]),
        Attack::frames("what only a helper knows", &[Frame::Held { share: 1 }]),
        Attack::frames("ready", &[Frame::Ready]),
        Attack::frames("a challenge", &[Frame::Challenge { span: span(0, 9) }]),
        Attack::frames("a roll call at work", &[Frame::RollCall]),
        Attack::frames("a second reveal", &[Frame::Reveal { nonce: [0; 32] }]),
        Attack::frames(
            "a second job",
            &[Frame::Job(job(&"http://a.test/".parse().unwrap(), SIZE))],
        ),
        Attack::frames("a proof too many", &vec![Frame::Proof { sha256: [0; 32] }; 2]),
        Attack::frames(
            "a grant past the end",
            &[Frame::Grant { lease: 1, span: span(0, SIZE + 1) }],
        ),
        Attack::frames("leases without end", &leases),
        Attack::frames("credit beyond all memory", &[Frame::Credit { bytes: u32::MAX }]),
        Attack::frames("credit without end", &vec![Frame::Credit { bytes: 64 << 20 }; 100]),
        Attack::frames("100,000 pings", &vec![Frame::Ping; 100_000]),
        Attack::frames("100,000 trims", &vec![Frame::Trim { lease: 7, end: 7 }; 100_000]),
    ]
}

/// What a helper may not say to a leader that has granted it nothing, or little.
fn of_helper() -> Vec<Attack> {
    let data = |lease, offset, len| {
        let bytes = vec![0; len].into();
        Frame::Data { lease, offset, bytes }
    };
    let endless: Vec<Frame> = (0..400).map(|at| data(1, at << 16, 1 << 16)).collect();
    let failure = Failure { reason: FailReason::Network, pause_ms: 0 };
    vec![
        Attack::frames("a lease it was never given", &[data(9_999_999, 0, 10)]),
        Attack::frames("bytes from beyond its leases", &[data(1, SIZE * 10, 10)]),
        Attack::frames("an endless stream", &endless),
        Attack::frames(
            "the end of a lease it was never given",
            &[Frame::Done { lease: 9_999_999 }],
        ),
        Attack::frames(
            "the failure of a lease it was never given",
            &[Frame::Failed { lease: 9_999_999, failure }],
        ),
        Attack::frames("a grant", &[Frame::Grant { lease: 1, span: span(0, 10) }]),
        Attack::frames("a roll call", &[Frame::RollCall]),
        Attack::frames("credit", &[Frame::Credit { bytes: 1 }]),
        Attack::frames("a proof", &[Frame::Proof { sha256: [0; 32] }]),
        Attack::frames("ready again", &[Frame::Ready]),
        Attack::frames("a challenge past the end", &[Frame::Challenge { span: span(0, SIZE * 2) }]),
        Attack::frames("challenges at once", &vec![Frame::Challenge { span: span(0, 9) }; 9]),
        Attack::frames("100,000 pongs", &vec![Frame::Pong; 100_000]),
        Attack::frames("more than all of its time", &[Frame::Held { share: 101 }]),
        Attack::frames(
            "100,000 words of how long it waits",
            &vec![Frame::Held { share: 1 }; 100_000],
        ),
        Attack::frames("100,000 failures", &vec![Frame::Failed { lease: 1, failure }; 100_000]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_leaves_a_hostile_leader_with_a_reason_and_serves_the_next() {
    let stage = Stage::set();
    let (mut serving, at) = stage.helper().await;
    for attack in broken().into_iter().chain(of_leader()) {
        let reason = hostile_leader(&stage, at, &attack).await;
        assert_eq!(reason, Some(ByeReason::Protocol), "{}", attack.name);
        while timeout(Duration::from_millis(1), serving.next_event()).await.is_ok() {}
    }
    let report = stage.download(&[at.to_string()]).await.1;
    assert_eq!(report.workers.len(), 2, "an honest leader is helped after all that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_leaves_a_hostile_helper_with_a_reason_and_goes_on_without_it() {
    for attack in broken().into_iter().chain(of_helper()) {
        let stage = Stage::set();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let at = socket.local_addr().unwrap().to_string();
        let asked = [at];
        let (helper, (events, report)) =
            tokio::join!(hostile_helper(&socket, &attack), stage.download(&asked));
        assert_eq!(helper, Some(ByeReason::Protocol), "{}", attack.name);
        assert_eq!(stage.payload.first_difference(&report.path).unwrap(), None, "{}", attack.name);
        let named = |event: &Event| match &event.what {
            Happening::Lost { because, .. } => !because.is_empty(),
            _ => false,
        };
        assert!(events.iter().any(named), "{}: {events:?}", attack.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_without_credit_brings_nothing_and_reads_little() {
    let stage = Stage::set();
    let (_serving, at) = stage.helper().await;
    let (mut reader, mut writer) = stage.hired(at).await;
    writer.send(&Frame::Grant { lease: 1, span: span(0, SIZE) }).await.unwrap();
    let quiet = async {
        loop {
            let frame = reader.next().await.unwrap();
            assert!(!matches!(frame, Frame::Data { .. }), "{frame:?}");
        }
    };
    timeout(Duration::from_secs(1), quiet).await.unwrap_err();
    let read: u64 = stage.origin.counts().bytes_by_peer.values().sum();
    assert!(read < SIZE, "the brake holds at the origin too: {read} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_lease_is_read_no_further_after_200_ms() {
    let stage = Stage::set();
    let (_serving, at) = stage.helper().await;
    let (mut reader, mut writer) = stage.hired(at).await;
    writer.send(&Frame::Credit { bytes: 8 << 20 }).await.unwrap();
    writer.send(&Frame::Grant { lease: 1, span: span(0, SIZE) }).await.unwrap();
    while !matches!(reader.next().await.unwrap(), Frame::Data { .. }) {}
    writer.send(&Frame::Revoke { lease: 1 }).await.unwrap();
    let read = || stage.origin.counts().bytes_by_peer.values().sum::<u64>();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let then = read();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(read(), then, "of {SIZE}");
    assert!(then < SIZE, "it was cancelled on its way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_offers_nothing_is_left_with_a_reason() {
    let stage = Stage::set();
    let (_serving, at) = stage.helper().await;
    let mut session = lured(at).await.unwrap();
    let word = timeout(Duration::from_secs(30), session.next()).await.unwrap().unwrap();
    assert_eq!(word, Frame::Bye { reason: ByeReason::Timeout });
}

/// An origin and the folders of a leader and a helper.
struct Stage {
    folder: TempDir,
    payload: Payload,
    origin: Origin,
}

impl Stage {
    fn set() -> Self {
        let payload = Payload::new(7, SIZE);
        let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
        let origin = origin.shape(Shape::by_peer(Rate::mbit(16))).start().unwrap();
        Self { folder: TempDir::new().unwrap(), payload, origin }
    }

    fn url(&self) -> haul::Url {
        self.origin.url("/file.bin").parse().unwrap()
    }

    async fn helper(&self) -> (Serving, SocketAddr) {
        scene::helper(&self.folder.path().join("helper")).await
    }

    /// An honest leader's download with these machines asked.
    async fn download(&self, asked: &[String]) -> (Vec<Event>, Report) {
        let leader = Leader::builder(self.url())
            .folder(self.folder.path())
            .home(Home::at(self.folder.path().join("leader")))
            .helpers(Helpers::only(asked))
            .ports(0..=0)
            .auto_rename();
        let mut transfer = leader.build().unwrap().start();
        let mut events = Vec::new();
        while let Some(event) = transfer.next_event().await {
            events.push(event);
        }
        (events, transfer.finish().await.unwrap())
    }

    async fn hired(&self, at: SocketAddr) -> (FrameReader, FrameWriter) {
        scene::hired(at, &self.url(), self.payload).await
    }
}

/// Sends what the attack has to a helper at work; the reason with which it leaves.
async fn hostile_leader(stage: &Stage, at: SocketAddr, attack: &Attack) -> Option<ByeReason> {
    let (reader, writer) = stage.hired(at).await;
    attacked(reader, writer, attack).await
}

/// Comes to whoever asks `socket`, says yes, and sends what the attack has once it could be granted
/// something; the reason with which the leader leaves.
async fn hostile_helper(socket: &UdpSocket, attack: &Attack) -> Option<ByeReason> {
    let (reader, writer) = signed_on(socket).await;
    attacked(reader, writer, attack).await
}

/// Sends what the attack has; the reason with which the other side leaves.
async fn attacked(
    reader: FrameReader,
    mut writer: FrameWriter,
    attack: &Attack,
) -> Option<ByeReason> {
    let sent = async {
        // The other side may leave before it has read everything.
        let _ = writer.danger_send_bytes(&attack.bytes).await;
        std::future::pending::<()>().await;
    };
    let left = timeout(SOON, last_words(reader));
    tokio::select! {
        left = left => left.ok()?.1,
        () = sent => None,
    }
}
