//! A thousand helpers that answer one ask at the same moment, each from an address of its own over
//! a connection of its own: none is lost, none is refused, and together they deliver the file.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use bytes::Bytes;
use haul::{Happening, Helpers, Home, Leader, Transfer};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use haul_link::{Greeting, Identity, LinkError, Me, PeerId, Session, answer, secure};
use haul_span::Span;
use haul_wire::{Answer, Ask, Frame, Verdict};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const HELPERS: usize = 1000;
const SIZE: u64 = 64 << 20;

/// How many a leader puts to work at a time.
const AT_WORK: usize = 64;

/// For how long either side of a handshake waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Nobody that answers may have to wait for longer.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_helpers_answer_at_once_and_none_is_lost_or_refused() {
    let (folder, payload) = (TempDir::new().unwrap(), Payload::new(7, SIZE));
    let origin = Origin::builder().serve("/file.bin", Resource::of(payload));
    let origin = origin.shape(Shape::by_peer(Rate::mbit(8))).start().unwrap();
    let asked = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = asked.local_addr().unwrap().to_string();
    let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("home")))
        .helpers(Helpers::only([at]))
        .ports(0..=0);
    let transfer = leader.build().unwrap().start();
    let crowd = tokio::spawn(answer_at_once(asked, payload));
    let (yes, joined) = followed(transfer).await;
    let (answered, offered) = crowd.await.unwrap();
    let line = format!(
        "1,000 helpers at once: all connected after {answered:.2?}, all offered after \
         {offered:.2?}, {yes} ready to help, {joined} were at work\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    assert_eq!(yes, HELPERS);
    assert!((AT_WORK..=HELPERS).contains(&joined));
    assert_eq!(payload.first_difference(folder.path().join("file.bin")).unwrap(), None);
}

/// How many helpers said yes to a download, and how many came to be at work. It must end well.
async fn followed(mut transfer: Transfer) -> (usize, usize) {
    let (mut yes, mut joined) = (0, 0);
    while let Some(event) = transfer.next_event().await {
        match event.what {
            Happening::Answered { answer: haul::Answer::Yes, .. } => yes += 1,
            Happening::Joined { .. } => joined += 1,
            _ => {}
        }
    }
    transfer.finish().await.unwrap();
    (yes, joined)
}

/// Lets all helpers answer the ask that comes to `socket`. How long it took until the last was
/// connected, and until the last had its offer.
async fn answer_at_once(socket: UdpSocket, payload: Payload) -> (Duration, Duration) {
    let mut datagram = [0; Ask::LEN];
    let (_, from) = socket.recv_from(&mut datagram).await.unwrap();
    let ask = Ask::parse(&datagram).unwrap();
    let (began, all) = (Instant::now(), Arc::new(Barrier::new(HELPERS)));
    let leader = SocketAddr::from((from.ip(), ask.port));
    let mut helpers = JoinSet::new();
    for at in 0..HELPERS {
        let (all, payload) = (Arc::clone(&all), payload);
        helpers.spawn(async move {
            let helper = async {
                let mut session = greeted(at as u16, leader, PeerId(ask.leader)).await;
                let connected = began.elapsed();
                assert!(matches!(session.next().await.unwrap(), Frame::Offer(_)));
                let offered = began.elapsed();
                all.wait().await;
                (session, connected, offered)
            };
            let (session, connected, offered) = timeout(SOON, helper).await.unwrap();
            deliver(session, &payload).await;
            (connected, offered)
        });
    }
    let ends = helpers.join_all().await;
    let last = |of: fn(&(Duration, Duration)) -> Duration| ends.iter().map(of).max().unwrap();
    (last(|end| end.0), last(|end| end.1))
}

/// A session of a helper that is at an address of its own. It comes again, as helpers do, if a
/// machine that is busy with other things keeps it waiting for too long; it may not be refused.
async fn greeted(at: u16, leader: SocketAddr, expected: PeerId) -> Session {
    loop {
        let began = Instant::now();
        match greeting(at, leader, expected).await {
            Ok(greeting) => return greeting.session,
            Err(error) => assert!(began.elapsed() >= PATIENCE, "refused: {error}"),
        }
    }
}

async fn greeting(at: u16, leader: SocketAddr, expected: PeerId) -> Result<Greeting, LinkError> {
    let [high, low] = at.to_be_bytes();
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.bind((Ipv4Addr::new(127, 1, high, low), 0).into()).unwrap();
    let tcp = tcp.connect(leader).await.unwrap();
    let me = Identity::ephemeral();
    let secured = secure(&me, tcp, Some(expected)).await?;
    answer(secured, Me { id: me.id(), name: "one of many", group: None }).await
}

/// Says yes, and delivers what it is granted until the leader says farewell.
async fn deliver(mut session: Session, payload: &Payload) {
    let yes = Answer { verdict: Verdict::Yes, after: 0, lanes: 1, budget: u64::MAX };
    session.send(&Frame::Answer(yes)).await.unwrap();
    assert!(matches!(session.next().await.unwrap(), Frame::Job(_)));
    session.send(&Frame::Ready).await.unwrap();
    let (mut reader, mut writer) = session.granted();
    while let Ok(frame) = reader.next().await {
        let replies = match frame {
            Frame::Grant { lease, span } => pieces(payload, lease, span),
            Frame::Ping => vec![Frame::Pong],
            Frame::Bye { .. } => return,
            _ => Vec::new(),
        };
        for reply in replies {
            if writer.send(&reply).await.is_err() {
                return;
            }
        }
    }
}

fn pieces(payload: &Payload, lease: u32, span: Span) -> Vec<Frame> {
    let mut pieces = Vec::new();
    let mut left = Some(span);
    while let Some(piece) = left.and_then(|left| left.first(64 << 10)) {
        let bytes = Bytes::from(payload.bytes(piece));
        pieces.push(Frame::Data { lease, offset: piece.start(), bytes });
        left = Span::new(piece.end(), span.end());
    }
    pieces.push(Frame::Done { lease });
    pieces
}
