//! A helper reads for nobody what they cannot read themselves: wherever its origin leads it, the
//! leader has to show that it reads the same there before it gets a byte.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::Url;
use haul_lab::Payload;
use haul_link::{FrameReader, FrameWriter};
use haul_span::Span;
use haul_wire::{ByeReason, Frame, JobFacts};
use scene::site::{Reply, SIZE, Site, licensed, payload};
use scene::{
    employed, given, grant, helper, hired, is_left_without_a_byte, next_word, proof, prove,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_read_the_file_gets_no_byte() {
    let site = Site::bind(1);
    let url = site.url();
    site.serve(Vec::new());
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = employed(at, &url, SIZE).await;
    let Frame::Challenge { span } = reader.next().await.unwrap() else { panic!("no challenge") };
    assert_eq!(span.len(), 1 << 10);
    grant(&mut writer, 1, Span::new(0, SIZE).unwrap()).await;
    writer.send(&proof(guess(), span)).await.unwrap();
    is_left_without_a_byte(reader, ByeReason::Unproven).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_another_place_are_sent_to_a_leader_that_reads_the_same_there() {
    let (_folder, _serving, mut reader, mut writer) = led_astray(&[]).await;
    let Frame::Challenge { span } = next_word(&mut reader).await else { panic!("no challenge") };
    writer.send(&proof(payload(), span)).await.unwrap();
    let expected = Frame::Data { lease: 1, offset: 0, bytes: payload().bytes(byte()).into() };
    assert_eq!(next_word(&mut reader).await, expected);
    assert_eq!(next_word(&mut reader).await, Frame::Done { lease: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_read_another_place_gets_no_byte_of_it() {
    let (_folder, _serving, mut reader, mut writer) = led_astray(&[]).await;
    let Frame::Challenge { span } = next_word(&mut reader).await else { panic!("no challenge") };
    // It was granted a single byte, which it may well know.
    assert_eq!(span.len(), 1 << 10, "{span}");
    writer.send(&proof(guess(), span)).await.unwrap();
    is_left_without_a_byte(reader, ByeReason::Unproven).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_for_one_place_is_none_for_a_place_that_leads_back_there() {
    let (_folder, _serving, mut reader, mut writer) = led_astray(&[1]).await;
    let Frame::Challenge { span } = next_word(&mut reader).await else { panic!("no challenge") };
    writer.send(&proof(payload(), span)).await.unwrap();
    is_left_without_a_byte(reader, ByeReason::Unreachable).await;
}

/// How the helper can be led from a file to another one of the same host, after its leader has
/// proved to read the first one: by a redirect, by one after the place where the file was found is
/// gone, and in the middle of a response.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_for_a_public_file_is_none_for_a_licensed_one_of_the_same_host() {
    for (how, found) in [("led", false), ("found anew", true)] {
        let site = Site::bind(1);
        let [url, public, secret] =
            ["/file.bin", "/public.bin", "/licensed.bin"].map(|target| site.url_of(target));
        site.answer(move |nth, target| match target {
            "/licensed.bin" => Reply::Part(licensed()),
            "/public.bin" if nth < 2 => Reply::Part(payload()),
            "/public.bin" => Reply::Gone,
            _ if nth == 0 && found => Reply::Led(public.to_string()),
            _ if nth == 0 => Reply::Part(payload()),
            _ => Reply::Led(secret.to_string()),
        });
        let (_folder, _serving, reader, writer) = granted_all(&url).await;
        assert_eq!(leaked(reader, writer).await, (Vec::new(), Some(ByeReason::Unproven)), "{how}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_covers_what_its_response_brings_and_not_where_the_rest_is_led() {
    let site = Site::bind(1);
    let (url, secret) = (site.url(), site.url_of("/licensed.bin"));
    site.answer(move |nth, target| match (nth, target) {
        (_, "/licensed.bin") => Reply::Part(licensed()),
        (0, _) => Reply::Part(payload()),
        (1, _) => Reply::Short(payload(), 256 << 10),
        _ => Reply::Led(secret.to_string()),
    });
    let (_folder, _serving, reader, writer) = granted_all(&url).await;
    let (brought, bye) = leaked(reader, writer).await;
    assert_eq!(bye, Some(ByeReason::Unproven));
    assert_eq!(brought, payload().bytes(Span::new(0, brought.len() as u64).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_which_a_part_was_led_elsewhere_proves_neither_place() {
    let site = Site::bind(1);
    let (url, public) = (site.url_of("/licensed.bin"), site.url_of("/public.bin"));
    let back = url.to_string();
    // A few bytes of the licensed file, which may be known, and the rest of the public one.
    site.answer(move |nth, target| match (nth, target) {
        (0..=2, "/public.bin") => Reply::Part(payload()),
        (_, "/public.bin") => Reply::Led(back.clone()),
        (0, _) => Reply::Short(licensed(), 256),
        (1, _) => Reply::Led(public.to_string()),
        _ => Reply::Part(licensed()),
    });
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = employed(at, &url, SIZE).await;
    let Frame::Challenge { span } = reader.next().await.unwrap() else { panic!("no challenge") };
    let guessed = [&licensed().bytes(span)[..256], &payload().bytes(span)[256..]].concat();
    writer.send(&Frame::Proof { sha256: Sha256::digest(guessed).into() }).await.unwrap();
    grant(&mut writer, 1, Span::new(0, SIZE).unwrap()).await;
    let (brought, _) = leaked(reader, writer).await;
    let known = payload().bytes(Span::new(0, brought.len().max(1) as u64).unwrap());
    assert!(brought.is_empty() || brought == known, "{} bytes leaked", brought.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_whose_query_is_renewed_takes_a_short_proof_and_never_none() {
    let site = Site::bind(1);
    let [url, first, second] =
        ["/file.bin", "/f?sig=1", "/f?sig=2"].map(|target| site.url_of(target));
    site.answer(move |nth, target| match target {
        "/f?sig=1" if nth >= 2 => Reply::Gone,
        "/f?sig=1" | "/f?sig=2" => Reply::Part(payload()),
        _ if nth == 0 => Reply::Led(first.to_string()),
        _ => Reply::Led(second.to_string()),
    });
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let job = JobFacts { validator: Some("etag \"7\"".into()), ..scene::job(&url, SIZE) };
    let (mut reader, mut writer) = given(at, &url, job).await;
    prove(&mut reader, &mut writer, payload()).await;
    grant(&mut writer, 1, Span::new(0, SIZE).unwrap()).await;
    let Frame::Challenge { span } = next_word(&mut reader).await else { panic!("no challenge") };
    assert_eq!(span.len(), 1 << 10, "{span}");
    writer.send(&proof(payload(), span)).await.unwrap();
    let word = next_word(&mut reader).await;
    assert!(matches!(word, Frame::Data { offset: 0, .. }), "{word:?}");
}

/// A helper whose leader has proved to read the public file at this URL, and was granted all.
async fn granted_all(url: &Url) -> (TempDir, haul::Serving, FrameReader, FrameWriter) {
    let folder = TempDir::new().unwrap();
    let (serving, at) = helper(folder.path()).await;
    let (reader, mut writer) = hired(at, url, payload()).await;
    grant(&mut writer, 1, Span::new(0, SIZE).unwrap()).await;
    (folder, serving, reader, writer)
}

/// What a leader gets that answers every challenge by the public file, and with which word the
/// helper leaves.
async fn leaked(mut reader: FrameReader, mut writer: FrameWriter) -> (Vec<u8>, Option<ByeReason>) {
    let mut brought = Vec::new();
    let all = async {
        loop {
            match reader.next().await {
                Ok(Frame::Challenge { span }) => {
                    writer.send(&proof(payload(), span)).await.unwrap();
                }
                Ok(Frame::Data { bytes, .. }) => brought.extend_from_slice(&bytes),
                Ok(Frame::Bye { reason }) => return Some(reason),
                Ok(Frame::Ping) => writer.send(&Frame::Pong).await.unwrap(),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    let bye = timeout(Duration::from_secs(6), all).await.unwrap_or_default();
    (brought, bye)
}

/// A helper whose leader has proved to read the file, which the first site then says is at a second
/// one, and was granted the first byte. The answers of these numbers of the second one lead back.
async fn led_astray(back: &[usize]) -> (TempDir, haul::Serving, FrameReader, FrameWriter) {
    let first = Site::bind(1);
    let second = Site::bind(2);
    let (there, here) = (second.url().to_string(), first.url().to_string());
    second.serve(back.iter().map(|&nth| (nth, here.clone())).collect());
    let url = first.url();
    // Its first answer is the one that the helper reads its first secret from.
    first.serve(vec![(1, there)]);
    let folder = TempDir::new().unwrap();
    let (serving, at) = helper(folder.path()).await;
    let (reader, mut writer) = hired(at, &url, payload()).await;
    grant(&mut writer, 1, byte()).await;
    (folder, serving, reader, writer)
}

/// What somebody might take the file for.
fn guess() -> Payload {
    Payload::new(8, SIZE)
}

fn byte() -> Span {
    Span::new(0, 1).unwrap()
}
