//! A helper reads for nobody what they cannot read themselves: wherever its origin leads it, the
//! leader has to show that it reads the same there before it gets a byte.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul_lab::Payload;
use haul_link::{FrameReader, FrameWriter};
use haul_span::Span;
use haul_wire::{ByeReason, Frame};
use scene::site::{SIZE, Site, payload};
use scene::{employed, grant, helper, hired, is_left_without_a_byte, next_word, proof};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_read_the_file_gets_no_byte() {
    let site = Site::bind(1);
    let url = site.url();
    site.serve(Vec::new());
    let folder = TempDir::new().unwrap();
    let (_serving, at) = helper(folder.path()).await;
    let (mut reader, mut writer) = employed(at, &url, SIZE).await;
    let Frame::Challenge { span } = reader.next().await.unwrap() else { panic!("no challenge") };
    assert_eq!(span.len(), 16 << 10);
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
    assert_eq!(span.len(), 16 << 10, "{span}");
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
