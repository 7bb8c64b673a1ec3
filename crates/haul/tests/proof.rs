//! A helper reads for nobody what they cannot read themselves: wherever its origin leads it, the
//! leader has to show that it reads the same there before it gets a byte.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

mod scene;

use haul::Url;
use haul_lab::Payload;
use haul_link::{FrameReader, FrameWriter};
use haul_span::Span;
use haul_wire::{ByeReason, Frame};
use scene::{employed, helper, hired, last_words, proof};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tempfile::TempDir;

const SIZE: u64 = 2 << 20;

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
    grant(&mut writer, 0, SIZE).await;
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
    let (there, here) = (second.address(), first.address());
    second.serve(back.iter().map(|&nth| (nth, here)).collect());
    let url = first.url();
    // Its first answer is the one that the helper reads its first secret from.
    first.serve(vec![(1, there)]);
    let folder = TempDir::new().unwrap();
    let (serving, at) = helper(folder.path()).await;
    let (reader, mut writer) = hired(at, &url, payload()).await;
    grant(&mut writer, 0, 1).await;
    (folder, serving, reader, writer)
}

async fn grant(writer: &mut FrameWriter, start: u64, end: u64) {
    writer.send(&Frame::Credit { bytes: 8 << 20 }).await.unwrap();
    let span = Span::new(start, end).unwrap();
    writer.send(&Frame::Grant { lease: 1, span }).await.unwrap();
}

/// The next frame that is more than a sign of life.
async fn next_word(reader: &mut FrameReader) -> Frame {
    loop {
        match reader.next().await.unwrap() {
            Frame::Ping | Frame::Pong => {}
            frame => return frame,
        }
    }
}

async fn is_left_without_a_byte(reader: FrameReader, reason: ByeReason) {
    let (before, bye) = last_words(reader).await;
    assert_eq!(bye, Some(reason), "{before:?}");
    assert!(!before.iter().any(|frame| matches!(frame, Frame::Data { .. })), "{before:?}");
}

fn payload() -> Payload {
    Payload::new(7, SIZE)
}

/// What somebody might take the file for.
fn guess() -> Payload {
    Payload::new(8, SIZE)
}

fn byte() -> Span {
    Span::new(0, 1).unwrap()
}

/// A web server that has the file, or says where it is.
struct Site(TcpListener);

impl Site {
    fn bind(last: u8) -> Self {
        Self(TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn url(&self) -> Url {
        format!("http://{}/file.bin", self.address()).parse().unwrap()
    }

    /// Serves until the process ends; from the answer of each number on it leads there.
    fn serve(self, leads: Vec<(usize, SocketAddr)>) {
        let answered = AtomicUsize::new(0);
        thread::spawn(move || {
            for stream in self.0.incoming().map_while(Result::ok) {
                let nth = answered.fetch_add(1, Ordering::Relaxed);
                let to = leads.iter().rev().find(|(from, _)| *from <= nth);
                // Whoever leaves early wants no answer.
                let _ = answer(stream, to.map(|(_, to)| *to));
            }
        });
    }
}

fn answer(mut stream: TcpStream, leads: Option<SocketAddr>) -> io::Result<()> {
    let span = wanted(&stream)?;
    if let Some(to) = leads {
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n\
             Location: http://{to}/file.bin\r\n\r\n"
        );
    }
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Range: bytes {}-{}/{SIZE}\r\n\r\n",
        span.len(),
        span.start(),
        span.last()
    )?;
    stream.write_all(&payload().bytes(span))
}

/// The part that is asked for.
fn wanted(stream: &TcpStream) -> io::Result<Span> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let range = lines.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let (start, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Span::new(start.parse().ok()?, last.parse::<u64>().ok()? + 1)
    });
    range.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
