//! A helper on loopback, and a leader and a helper that are played by hand: they say what a test
//! wants them to.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod deliverer;
pub(crate) mod site;

use haul::{Decision, Helper, HelperEvent, Home, Serving, Url};
use haul_lab::Payload;
use haul_lab::hostile::ask;
use haul_link::{
    FrameReader, FrameWriter, Identity, LinkError, Me, Session, accept, answer, dial, greet,
    random, secure,
};
use haul_span::Span;
use haul_wire::{Answer, Ask, ByeReason, Frame, JobFacts, Offer, Scheme, Verdict};
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

/// A helper that says yes to everybody, and where it hears asks.
pub(crate) async fn helper(home: &Path) -> (Serving, SocketAddr) {
    let helper = Helper::builder()
        .consent(Decision::Yes)
        .allow_net("127.0.0.0/8".parse().unwrap())
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .home(Home::at(home))
        .source_address([127, 0, 0, 11].into())
        .ports(1..=u16::MAX);
    let mut serving = helper.build().unwrap().start();
    match serving.next_event().await {
        Some(HelperEvent::Listening { address }) => (serving, address),
        other => panic!("{other:?}"),
    }
}

/// A session with a helper that hears asks at this address.
pub(crate) async fn lured(at: SocketAddr) -> Result<Session, LinkError> {
    // A helper dials one address every two seconds only.
    let from = Ipv4Addr::from(0x7f01_0000 | u32::from(u16::from_be_bytes(random())));
    lured_from(at, from).await
}

/// The same for a leader with a fresh key at this address of loopback.
pub(crate) async fn lured_from(at: SocketAddr, from: Ipv4Addr) -> Result<Session, LinkError> {
    let leader = Identity::ephemeral();
    let listener = TcpListener::bind((from, 0)).await.unwrap();
    let id = random();
    let ask = ask(id, leader.id().0, listener.local_addr().unwrap().port());
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    let tcp = loop {
        socket.send_to(&ask.to_bytes(), at).await.unwrap();
        if let Ok(taken) = timeout(Duration::from_millis(200), listener.accept()).await {
            break taken.unwrap().0;
        }
    };
    let secured = accept(&leader, tcp).await?;
    Ok(greet(secured, Me { id: leader.id(), name: "eve", group: None }, id).await?.session)
}

/// A session of a leader with a fresh key that dials the helper from this address of loopback.
pub(crate) async fn dialled_from(at: SocketAddr, from: Ipv4Addr) -> Result<Session, LinkError> {
    let leader = Identity::ephemeral();
    let secured = secure(&leader, connected(at, from).await?, None).await?;
    let me = Me { id: leader.id(), name: "asha", group: None };
    Ok(greet(secured, me, random()).await?.session)
}

/// A connection from this address of loopback.
pub(crate) async fn connected(at: SocketAddr, from: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(at).await
}

/// What a leader hears that offers this.
pub(crate) async fn verdict(session: &mut Session, offer: Offer) -> Result<Verdict, LinkError> {
    session.send(&Frame::Offer(offer)).await?;
    match session.next().await? {
        Frame::Answer(answer) => Ok(answer.verdict),
        other => panic!("{other:?}"),
    }
}

/// A session in which the helper was given the job and has answered with its first word to it.
pub(crate) async fn employed(at: SocketAddr, url: &Url, size: u64) -> (FrameReader, FrameWriter) {
    given(at, url, job(url, size)).await
}

/// The same with this job.
pub(crate) async fn given(at: SocketAddr, url: &Url, job: JobFacts) -> (FrameReader, FrameWriter) {
    let mut session = lured(at).await.unwrap();
    session.send(&Frame::Offer(offer(url, job.length))).await.unwrap();
    session.next().await.unwrap();
    session.send(&Frame::Job(job)).await.unwrap();
    session.granted()
}

/// A session in which the helper at this address has read its part of the file and waits for
/// grants, and its leader has proved what was asked.
pub(crate) async fn hired(
    at: SocketAddr,
    url: &Url,
    payload: Payload,
) -> (FrameReader, FrameWriter) {
    let (mut reader, mut writer) = employed(at, url, payload.len()).await;
    prove(&mut reader, &mut writer, payload).await;
    (reader, writer)
}

/// Proves what is asked until the helper is ready.
pub(crate) async fn prove(reader: &mut FrameReader, writer: &mut FrameWriter, payload: Payload) {
    while let Frame::Challenge { span } = reader.next().await.unwrap() {
        writer.send(&proof(payload, span)).await.unwrap();
    }
}

/// A session of a helper that comes to whoever asks `socket`, says yes and is ready for grants.
pub(crate) async fn signed_on(socket: &UdpSocket) -> (FrameReader, FrameWriter) {
    let mut datagram = [0; Ask::LEN];
    let (_, from) = socket.recv_from(&mut datagram).await.unwrap();
    let ask = Ask::parse(&datagram).unwrap();
    let me = Identity::ephemeral();
    let secured = dial(&me, (from.ip(), ask.port).into(), None).await.unwrap();
    let me = Me { id: me.id(), name: "mallory", group: None };
    let mut session = answer(secured, me).await.unwrap().session;
    session.next().await.unwrap();
    let yes = Answer { verdict: Verdict::Yes, after: 0, lanes: 2, budget: u64::MAX };
    session.send(&Frame::Answer(yes)).await.unwrap();
    session.next().await.unwrap();
    session.send(&Frame::Ready).await.unwrap();
    session.granted()
}

/// What a leader that reads this payload answers to a challenge.
pub(crate) fn proof(payload: Payload, span: Span) -> Frame {
    Frame::Proof { sha256: Sha256::digest(payload.bytes(span)).into() }
}

/// The frames up to the word of farewell, if there is one before the connection closes.
pub(crate) async fn last_words(mut reader: FrameReader) -> (Vec<Frame>, Option<ByeReason>) {
    let mut before = Vec::new();
    loop {
        match reader.next().await {
            Ok(Frame::Bye { reason }) => return (before, Some(reason)),
            Ok(frame) => before.push(frame),
            Err(_) => return (before, None),
        }
    }
}

/// Leases a span to the helper, with credit for more than there is.
pub(crate) async fn grant(writer: &mut FrameWriter, lease: u32, span: Span) {
    writer.send(&Frame::Credit { bytes: 8 << 20 }).await.unwrap();
    writer.send(&Frame::Grant { lease, span }).await.unwrap();
}

/// The next frame that is more than a sign of life.
pub(crate) async fn next_word(reader: &mut FrameReader) -> Frame {
    loop {
        match reader.next().await.unwrap() {
            Frame::Ping | Frame::Pong | Frame::LaneLimit { .. } => {}
            frame => return frame,
        }
    }
}

/// The helper must leave so, and send no byte before.
pub(crate) async fn is_left_without_a_byte(reader: FrameReader, reason: ByeReason) {
    let (before, bye) = last_words(reader).await;
    assert_eq!(bye, Some(reason), "{before:?}");
    assert!(!before.iter().any(|frame| matches!(frame, Frame::Data { .. })), "{before:?}");
}

pub(crate) fn offer(url: &Url, size: u64) -> Offer {
    let host = url.host_str().unwrap().to_owned();
    let port = url.port_or_known_default().unwrap();
    Offer { scheme: Scheme::Http, host, port, size, share: size }
}

pub(crate) fn job(url: &Url, size: u64) -> JobFacts {
    JobFacts { url: url.to_string(), length: size, validator: None }
}
