//! Bodies that are read alone, by how they end.

use crate::origin::{Origin, Reply, client, drain, payload, reply, soon};
use haul_fetch::{Error, Fault, Framing, Kind, Probe};

async fn probe(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Probe {
    let origin = Origin::new(move |_| reply()).await;
    client().probe(&origin.url("/f")).await.unwrap()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(1000) {
        coded.extend(format!("{:x}\r\n", chunk.len()).bytes());
        coded.extend_from_slice(chunk);
        coded.extend(b"\r\n");
    }
    coded
}

#[tokio::test]
async fn a_chunked_body_ends_with_its_last_chunk() {
    let file = payload(10_500);
    let sent = [&chunked(&file)[..], b"0\r\nX-Trailer: 1\r\n\r\n"].concat();
    let mut probe = probe(move || Reply::raw(sent.clone())).await;
    assert_eq!((probe.source.length(), probe.body.framing()), (None, Framing::Chunked));
    let (bytes, error) = drain(&mut probe.body).await;
    assert!(bytes == file && error.is_none());
}

#[tokio::test]
async fn a_chunked_body_without_its_last_chunk_is_an_error() {
    let file = payload(10_500);
    let sent = chunked(&file);
    let mut probe = probe(move || Reply::raw(sent.clone()).close()).await;
    let (bytes, error) = drain(&mut probe.body).await;
    assert_eq!(bytes, file);
    assert!(matches!(error, Some(Error::Lost { at: 10_500, .. })), "{error:?}");
}

#[tokio::test]
async fn chunks_that_are_none_are_the_origins_fault() {
    let mut probe = probe(|| Reply::raw([&chunked(&[1; 9])[..], b"xyz\r\n"].concat())).await;
    let (bytes, error) = soon(drain(&mut probe.body)).await;
    assert_eq!(bytes, [1; 9]);
    assert!(matches!(error, Some(Error::Broken { fault: Fault::Message, .. })), "{error:?}");
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_read_but_unverified() {
    let file = payload(10_500);
    let sent = file.clone();
    let mut probe = probe(move || reply("200 OK\nConnection: close", &sent).close()).await;
    assert_eq!((probe.source.length(), probe.body.framing()), (None, Framing::Close));
    let (bytes, error) = drain(&mut probe.body).await;
    assert!(bytes == file && error.is_none());
}

#[tokio::test]
async fn a_body_shorter_than_its_content_length_is_an_error() {
    let mut probe = probe(|| reply("200 OK\nContent-Length: 100", &[1; 99]).close()).await;
    let (bytes, error) = drain(&mut probe.body).await;
    assert_eq!(bytes, [1; 99]);
    let error = error.unwrap();
    assert!(matches!(error, Error::Lost { at: 99, .. }), "{error}");
    assert_eq!(error.kind(), Kind::Network);
}

#[tokio::test]
async fn bytes_after_the_content_length_are_ignored() {
    let mut probe = probe(|| reply("200 OK\nContent-Length: 100", &[1; 150])).await;
    let (bytes, error) = drain(&mut probe.body).await;
    assert!(bytes == [1; 100] && error.is_none());
}

#[tokio::test]
async fn an_encoded_file_is_handed_out_as_it_comes_and_said_to_be_so() {
    let mut probe =
        probe(|| reply("200 OK\nContent-Length: 3\nContent-Encoding: GZip", b"abc")).await;
    assert_eq!(probe.source.encoding(), Some("gzip"));
    assert_eq!(drain(&mut probe.body).await.0, b"abc");
}

#[tokio::test]
async fn contradictory_lengths_are_the_origins_fault() {
    let origin =
        Origin::new(|_| reply("200 OK\nContent-Length: 3\nContent-Length: 4", b"abcd")).await;
    let error = client().probe(&origin.url("/")).await.err().unwrap();
    assert!(matches!(error, Error::Broken { fault: Fault::Message, .. }), "{error}");
}
