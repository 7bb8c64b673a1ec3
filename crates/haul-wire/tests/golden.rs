//! Every frame and the ask have the bytes that docs/PROTOCOL.md shows, and no input panics.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::format_collect,
    reason = "a test may panic"
)]

use bytes::{Bytes, BytesMut};
use haul_span::Span;
use haul_wire::{
    Answer, Ask, ByeReason, FailReason, Failure, Frame, Header, HelperHello, JobFacts, LeaderHello,
    Limit, MAX_DATA, Offer, Scheme, SizeClass, Verdict, WireError,
};
use proptest::prelude::*;

/// One frame of every kind and its bytes; `# …` is a comment.
fn golden() -> Vec<(Frame, String)> {
    let span = Span::new(0x1_0000, 0x2_0000).unwrap();
    let frames = vec![
        (
            Frame::LeaderHello(LeaderHello {
                minor: 0,
                features: 0,
                name: "asha".into(),
                ask: [7; 16],
                commit: [9; 32],
            }),
            format!(
                "00000037 01 00 0000 00000000
                 00 00 # minor, features
                 04 61736861 # name
                 {} {} # ask, commit",
                "07".repeat(16),
                "09".repeat(32)
            ),
        ),
        (
            Frame::HelperHello(HelperHello {
                minor: 1,
                features: 300,
                name: String::new(),
                nonce: [3; 32],
            }),
            format!("00000024 02 00 0000 00000000  01 ac02 00 {}", "03".repeat(32)),
        ),
        (
            Frame::Reveal { nonce: [4; 32] },
            format!("00000020 03 00 0000 00000000 {}", "04".repeat(32)),
        ),
        (
            Frame::GroupProof { mac: [5; 32] },
            format!("00000020 04 00 0000 00000000 {}", "05".repeat(32)),
        ),
        (
            Frame::Offer(Offer {
                scheme: Scheme::Https,
                host: "a.bc".into(),
                port: 443,
                size: 64 << 20,
                share: 16 << 20,
            }),
            "00000010 05 00 0000 00000000
             01 # https
             04 612e6263 # host
             bb03 # port
             80808020 80808008 # size, share"
                .into(),
        ),
        (
            Frame::Answer(Answer::yes(8, 1 << 20)),
            "00000006 06 00 0000 00000000  01 00 08 808040".into(),
        ),
        (
            Frame::Job(JobFacts {
                url: "http://a/b".into(),
                length: 5,
                validator: Some("\"x\"".into()),
            }),
            "00000011 07 00 0000 00000000
             0a 687474703a2f2f612f62 # url
             05 # length
             01 03 227822 # validator"
                .into(),
        ),
        (Frame::Challenge { span }, "00000006 08 00 0000 00000000  808004 808008".into()),
        (
            Frame::Proof { sha256: [6; 32] },
            format!("00000020 09 00 0000 00000000 {}", "06".repeat(32)),
        ),
        (Frame::Ready, "00000000 0a 00 0000 00000000".into()),
        (Frame::RollCall, "00000000 0b 00 0000 00000000".into()),
        (Frame::Grant { lease: 258, span }, "00000006 10 00 0000 00000102  808004 808008".into()),
        (Frame::Trim { lease: 1, end: 300 }, "00000002 11 00 0000 00000001  ac02".into()),
        (Frame::Revoke { lease: 1 }, "00000000 12 00 0000 00000001".into()),
        (Frame::Credit { bytes: 65536 }, "00000003 13 00 0000 00000000  808004".into()),
        (
            Frame::Data { lease: 2, offset: 0x0102_0304, bytes: Bytes::from_static(b"haul") },
            "0000000c 14 00 0000 00000002
             0000000001020304 # offset
             6861756c"
                .into(),
        ),
        (Frame::Done { lease: 2 }, "00000000 15 00 0000 00000002".into()),
        (
            Frame::Failed {
                lease: 2,
                failure: Failure { reason: FailReason::Throttled, pause_ms: 1500 },
            },
            "00000003 16 00 0000 00000002  02 dc0b".into(),
        ),
    ];
    let frames = frames.into_iter().chain(short());
    frames.map(|(frame, hex)| (frame, bare(&hex))).collect()
}

/// Those that take a line.
fn short() -> Vec<(Frame, String)> {
    vec![
        (Frame::Lanes { lanes: 4 }, "00000001 17 00 0000 00000000  04".into()),
        (Frame::Ping, "00000000 18 00 0000 00000000".into()),
        (Frame::Pong, "00000000 19 00 0000 00000000".into()),
        (Frame::Held { share: 75 }, "00000001 1a 01 0000 00000000  4b".into()),
        (Frame::LaneLimit { lanes: 2 }, "00000001 1b 01 0000 00000000  02".into()),
        (Frame::Bye { reason: ByeReason::Released }, "00000001 1f 00 0000 00000000  03".into()),
        (Frame::Bye { reason: ByeReason::Withdrawn }, "00000001 1f 00 0000 00000000  0c".into()),
    ]
}

#[test]
fn every_frame_has_its_golden_bytes_both_ways() {
    for (frame, hex) in golden() {
        let mut bytes = encoded(&frame);
        assert_eq!(to_hex(&bytes), hex, "{frame:?}");
        assert_eq!(Frame::read(&mut bytes, Limit::Granted), Ok(Some(frame)));
        assert!(bytes.is_empty());
    }
}

/// What the page shows under `golden`: a name and its bytes, in their order.
fn shown() -> Vec<(String, String)> {
    let page = include_str!("../../../docs/PROTOCOL.md");
    let blocks = page.split("```text\ngolden\n").skip(1);
    let mut shown: Vec<(String, String)> = Vec::new();
    for line in blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines()) {
        let (name, hex) = line.split_at_checked(14).unwrap_or((line, ""));
        if !name.trim().is_empty() {
            shown.push((name.trim().to_owned(), String::new()));
        }
        shown.last_mut().unwrap().1.push_str(&bare(hex));
    }
    shown
}

#[test]
fn the_page_shows_the_bytes_of_the_ask_and_of_every_frame() {
    let mut shown = shown().into_iter();
    let (name, hex) = shown.next().unwrap();
    assert_eq!((name.as_str(), hex), ("ask", to_hex(&ask().to_bytes()[..86])));
    let shown: Vec<(String, String)> = shown.collect();
    let bytes: Vec<&String> = shown.iter().map(|(_, hex)| hex).collect();
    let golden = golden();
    assert_eq!(bytes, golden.iter().map(|(_, hex)| hex).collect::<Vec<_>>());
    for ((name, _), (frame, _)) in shown.iter().zip(&golden) {
        let debug = format!("{frame:?}").to_lowercase();
        assert!(debug.starts_with(&name.replace(' ', "")), "{name} is {debug}");
    }
}

#[test]
fn the_golden_list_has_every_kind() {
    let mut kinds: Vec<u8> = golden().iter().map(|(frame, _)| frame.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let known = (0..=u8::MAX).filter(|&kind| {
        let header = Header { len: 0, kind, optional: false, lease: 0 };
        Frame::decode(header, Bytes::new()) != Err(WireError::UnknownKind { kind })
    });
    assert_eq!(kinds, known.collect::<Vec<_>>());
}

fn ask() -> Ask {
    Ask {
        id: [1; 16],
        leader: [2; 32],
        port: 4285,
        size: SizeClass::of(64 << 20),
        wanted: 3,
        expires: 30,
        group: [4; 8],
        tag: [5; 16],
    }
}

#[test]
fn the_ask_has_its_golden_bytes_both_ways() {
    let ask = ask();
    let head = bare(&format!(
        "4841554c 01 01 0000 {} {}
         10bd # port
         01 03 001e # size, wanted, expires
         {} {}",
        "01".repeat(16),
        "02".repeat(32),
        "04".repeat(8),
        "05".repeat(16)
    ));
    let bytes = ask.to_bytes();
    assert_eq!(to_hex(&bytes[..86]), head);
    assert!(bytes[86..].iter().all(|&byte| byte == 0));
    assert_eq!(Ask::parse(&bytes), Ok(ask));
}

#[test]
fn an_ask_of_another_length_magic_or_version_is_foreign() {
    let bytes = [0; Ask::LEN];
    assert_eq!(Ask::parse(&bytes), Err(WireError::Foreign));
    assert_eq!(Ask::parse(&bytes[1..]), Err(WireError::Foreign));
    assert_eq!(Ask::parse(&[]), Err(WireError::Foreign));
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_body_arrives() {
    for (kind, len, limit) in [
        (5, 16 * 1024 + 1, Limit::Offered),
        (5, 64 * 1024 + 1, Limit::Granted),
        (20, 1, Limit::Offered),
        (20, MAX_DATA as u32 + 9, Limit::Granted),
        (255, u32::MAX, Limit::Granted),
    ] {
        let mut bytes = BytesMut::from(&[0; Header::LEN][..]);
        bytes[..4].copy_from_slice(&u32::to_be_bytes(len));
        bytes[4] = kind;
        assert!(matches!(Frame::read(&mut bytes, limit), Err(WireError::TooLong { .. })));
        assert!(bytes.capacity() < 1024);
    }
}

#[test]
fn an_unknown_kind_is_skipped_only_when_it_is_optional() {
    let mut bytes = BytesMut::from(&[0, 0, 0, 2, 99, 1, 0, 0, 0, 0, 0, 0, 1, 2][..]);
    bytes.extend_from_slice(&encoded(&Frame::Ping));
    assert_eq!(Frame::read(&mut bytes, Limit::Offered), Ok(Some(Frame::Ping)));
    let mut bytes = BytesMut::from(&[0, 0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0][..]);
    assert_eq!(Frame::read(&mut bytes, Limit::Offered), Err(WireError::UnknownKind { kind: 99 }));
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let mut bytes = encoded(&Frame::Answer(Answer::NO));
    bytes.extend_from_slice(b"later");
    bytes[3] += 5;
    assert_eq!(Frame::read(&mut bytes, Limit::Offered), Ok(Some(Frame::Answer(Answer::NO))));
    assert_eq!(Verdict::from(77), Verdict::Unknown(77));
}

#[test]
fn empty_data_and_data_past_the_end_of_offsets_are_malformed() {
    for (offset, data) in [(0, &b""[..]), (u64::MAX, b"x")] {
        let frame = Frame::Data { lease: 1, offset, bytes: Bytes::from_static(data) };
        let mut bytes = encoded(&frame);
        assert_eq!(Frame::read(&mut bytes, Limit::Granted), Err(WireError::Malformed { kind: 20 }));
    }
}

#[test]
fn a_share_of_more_than_a_hundred_hundredths_is_malformed() {
    let read = |share| Frame::read(&mut encoded(&Frame::Held { share }), Limit::Granted);
    assert_eq!(read(100), Ok(Some(Frame::Held { share: 100 })));
    assert_eq!(read(101), Err(WireError::Malformed { kind: 26 }));
    assert_eq!(read(u8::MAX), Err(WireError::Malformed { kind: 26 }));
}

#[test]
fn only_what_says_how_long_data_was_held_may_be_skipped() {
    for (frame, _) in golden() {
        let header = Header::parse(encoded(&frame).first_chunk().unwrap(), Limit::Granted);
        assert_eq!(header.unwrap().optional, [26, 27].contains(&frame.kind()), "{frame:?}");
    }
}

proptest! {
    #[test]
    fn frames_survive_any_cut_of_their_bytes(cut in 0..2000usize) {
        let mut stream = BytesMut::new();
        let frames: Vec<Frame> = golden().into_iter().map(|(frame, _)| frame).collect();
        for frame in &frames {
            frame.encode(&mut stream);
        }
        let tail = stream.split_off(cut.min(stream.len()));
        let mut read = Vec::new();
        while let Some(frame) = Frame::read(&mut stream, Limit::Granted).unwrap() {
            read.push(frame);
        }
        stream.unsplit(tail);
        while let Some(frame) = Frame::read(&mut stream, Limit::Granted).unwrap() {
            read.push(frame);
        }
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn no_bytes_panic_or_grow_the_buffer_past_one_frame(kind: u8, body in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = BytesMut::from(&[0, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0][..]);
        bytes[3] = body.len() as u8;
        bytes.extend_from_slice(&body);
        while let Ok(Some(_)) = Frame::read(&mut bytes, Limit::Granted) {}
        prop_assert!(bytes.capacity() <= 128 * 1024);
        let _ = Ask::parse(&body);
    }
}

fn encoded(frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes);
    bytes
}

fn bare(hex: &str) -> String {
    let lines = hex.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.chars().filter(|c| !c.is_whitespace()).collect::<Vec<_>>()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
