//! The origin serves what it was given, in the manner it was told, over links of the rates it was
//! told, and counts what it did.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Certificate, Payload, Rate};
use haul_span::Span;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::ring};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LEN: u64 = 300_001;

fn payload() -> Payload {
    Payload::new(11, LEN)
}

fn span(start: u64, end: u64) -> Vec<u8> {
    payload().bytes(Span::new(start, end).unwrap())
}

#[test]
fn a_range_is_served_with_its_place_and_a_strong_validator() {
    let origin = Origin::builder().serve("/file", Resource::of(payload())).start().unwrap();
    let reply = get(&origin, "/file", &["Range: bytes=1001-2000"]);
    assert_eq!(reply.status, 206);
    assert_eq!(reply.field("content-range"), Some("bytes 1001-2000/300001"));
    assert_eq!(reply.field("content-length"), Some("1000"));
    assert!(reply.field("etag").unwrap().starts_with('"'));
    assert_eq!(reply.body, span(1001, 2001));
}

#[test]
fn head_tells_all_that_get_does_and_sends_no_body() {
    let origin = Origin::builder().serve("/file", Resource::of(payload())).start().unwrap();
    let (head, full) = (ask(&origin, "HEAD", "/file", &[]), get(&origin, "/file", &[]));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(full.body, span(0, LEN));
    for name in ["content-length", "etag", "last-modified", "accept-ranges"] {
        assert!(head.field(name).is_some(), "{name}");
        assert_eq!(head.field(name), full.field(name));
    }
}

#[test]
fn a_resource_without_ranges_answers_every_range_with_the_whole() {
    let resource = Resource::of(payload()).without_ranges();
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    let reply = get(&origin, "/file", &["Range: bytes=5-9"]);
    assert_eq!((reply.status, reply.body), (200, span(0, LEN)));
}

#[test]
fn a_chunked_body_has_no_length_and_ends_with_the_last_chunk() {
    let resource = Resource::of(payload()).chunked();
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    let reply = get(&origin, "/file", &[]);
    assert_eq!(reply.field("content-length"), None);
    assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
    assert_eq!(unchunk(&reply.body), span(0, LEN));
}

#[test]
fn a_close_delimited_body_has_neither_length_nor_chunks() {
    let resource = Resource::of(payload()).close_delimited();
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    let reply = get(&origin, "/file", &[]);
    assert_eq!(reply.field("content-length"), None);
    assert_eq!(reply.field("transfer-encoding"), None);
    assert_eq!(reply.body, span(0, LEN));
}

#[test]
fn an_empty_resource_is_served_whole_and_has_no_ranges_to_give() {
    let resource = Resource::of(Payload::new(1, 0));
    let origin = Origin::builder().serve("/empty", resource).start().unwrap();
    let whole = get(&origin, "/empty", &[]);
    assert_eq!((whole.status, whole.field("content-length")), (200, Some("0")));
    let part = get(&origin, "/empty", &["Range: bytes=0-0"]);
    assert_eq!((part.status, part.field("content-range")), (416, Some("bytes */0")));
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_is_said() {
    let origin = Origin::builder().serve("/file", Resource::of(payload())).start().unwrap();
    assert_eq!(get(&origin, "/other", &[]).status, 404);
    assert_eq!(ask(&origin, "DELETE", "/file", &[]).status, 405);
}

#[test]
fn a_file_is_served_beyond_four_gibibytes_without_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(5 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"here", 5 << 30).unwrap();
    let origin =
        Origin::builder().serve("/sparse", Resource::file(&path).unwrap()).start().unwrap();
    let reply = get(&origin, "/sparse", &["Range: bytes=-6"]);
    assert_eq!(reply.field("content-range"), Some("bytes 5368709118-5368709123/5368709124"));
    assert_eq!(reply.body, b"\0\0here");
}

#[test]
fn over_tls_only_those_who_trust_its_authority_read() {
    let certificate = Certificate::for_names(["127.0.0.1", "localhost"]).unwrap();
    let builder = Origin::builder().serve("/file", Resource::of(payload()));
    let origin = builder.tls(certificate).start().unwrap();
    assert!(origin.url("/file").starts_with("https://127.0.0.1:"));
    let own = origin.certificate().unwrap().authority_pem();
    let stranger = Certificate::for_names(["127.0.0.1"]).unwrap();
    let reply = Reply::parse(&tls_get(origin.address(), own).unwrap());
    assert_eq!((reply.status, reply.body), (200, span(0, LEN)));
    assert!(tls_get(origin.address(), stranger.authority_pem()).is_err());
}

#[test]
fn each_peer_address_has_a_link_of_its_own() {
    let shape = Shape::by_peer(Rate::mbit(8)).peer([127, 0, 0, 2], Rate::mbit(80));
    let origin =
        Origin::builder().serve("/file", Resource::of(payload())).shape(shape).start().unwrap();
    let took = |url_host: [u8; 4]| {
        let began = Instant::now();
        assert_eq!(get_from(&origin, url_host).body, span(0, LEN));
        began.elapsed().as_secs_f64()
    };
    let (slow, fast) = (took([127, 0, 0, 1]), took([127, 0, 0, 2]));
    assert!(slow >= 0.28, "300 kB at 1 MB/s took {slow} s");
    assert!(fast < slow, "at ten times the rate it took {fast} s, not less than {slow} s");
}

#[test]
fn every_request_and_byte_is_counted() {
    let origin = Origin::builder().serve("/file", Resource::of(payload())).start().unwrap();
    get(&origin, "/file", &["X-Mark: one"]);
    get(&origin, "/file?q", &["Range: bytes=0-9"]);
    let (counts, seen) = (origin.counts(), origin.seen());
    assert_eq!((counts.connections, counts.requests), (2, 2));
    assert_eq!(counts.bytes, LEN + 10);
    assert_eq!(counts.bytes_by_peer.values().sum::<u64>(), LEN + 10);
    assert_eq!(seen[0].header("x-mark"), Some("one"));
    assert_eq!((seen[1].target.as_str(), seen[1].status), ("/file?q", 206));
}

#[test]
fn dropping_it_frees_the_port_and_ends_its_connections() {
    let shape = Shape::by_peer(Rate::bytes_per_second(1000));
    let origin =
        Origin::builder().serve("/file", Resource::of(payload())).shape(shape).start().unwrap();
    let address = origin.address();
    let mut stream = send(address, None, "GET", "/file", &[]);
    stream.read_exact(&mut [0; 16]).unwrap();
    drop(origin);
    // The body was cut short: what came is less than all, and then the connection is over.
    assert!(stream.read_to_end(&mut Vec::new()).is_ok_and(|len| len < LEN as usize));
    assert!(TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err());
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn get(origin: &Origin, path: &str, fields: &[&str]) -> Reply {
    ask(origin, "GET", path, fields)
}

fn ask(origin: &Origin, method: &str, path: &str, fields: &[&str]) -> Reply {
    receive(send(origin.address(), None, method, path, fields))
}

fn get_from(origin: &Origin, source: [u8; 4]) -> Reply {
    receive(send(origin.address(), Some(source), "GET", "/file", &[]))
}

fn receive(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Reply::parse(&bytes)
}

fn send(
    to: SocketAddr,
    source: Option<[u8; 4]>,
    method: &str,
    path: &str,
    fields: &[&str],
) -> TcpStream {
    let mut stream = connect(to, source);
    let host = format!("Host: {to}");
    let fields = [&[host.as_str(), "Connection: close"], fields].concat().join("\r\n");
    write!(stream, "{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n").unwrap();
    stream
}

/// The standard library cannot bind before it connects.
fn connect(to: SocketAddr, source: Option<[u8; 4]>) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        if let Some(source) = source {
            socket.bind((source, 0).into()).unwrap();
        }
        socket.connect(to).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

fn tls_get(to: SocketAddr, authority: &str) -> std::io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::from(to.ip());
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(to)?);
    write!(stream, "GET /file HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unchunk(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..][..size]);
        body = &body[end + 2 + size + 2..];
    }
}
