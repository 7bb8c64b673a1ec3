//! Frames to bytes and back: data over its chunk sizes, and control frames.

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use haul_lab::Payload;
use haul_span::Span;
use haul_wire::{FailReason, Failure, Frame, Limit, MAX_DATA};
use std::hint::black_box;

/// How many bytes a session takes from its socket at once.
const RECEIVED_AT_ONCE: usize = 16 << 10;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    data(&mut criterion);
    control(&mut criterion);
    criterion.final_summary();
}

fn data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/data");
    for kib in [4, 8, 16, 32, 64] {
        let frames = [data_frame(kib << 10)];
        group.throughput(Throughput::Bytes(kib << 10));
        let name = format!("{kib} KiB");
        let mut out = BytesMut::with_capacity(MAX_DATA * 2);
        group.bench_function(BenchmarkId::new("encode", &name), |bencher| {
            bencher.iter(|| encode(&frames, &mut out));
        });
        let mut session = BytesMut::new();
        group.bench_function(BenchmarkId::new("receive", &name), |bencher| {
            bencher.iter(|| receive(&out, &mut session));
        });
    }
}

fn control(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec/control");
    let frames = control_frames();
    group.throughput(Throughput::Elements(frames.len() as u64));
    let mut out = BytesMut::with_capacity(MAX_DATA);
    group.bench_function("encode", |bencher| bencher.iter(|| encode(&frames, &mut out)));
    let mut session = BytesMut::new();
    group.bench_function("receive", |bencher| bencher.iter(|| receive(&out, &mut session)));
}

fn encode(frames: &[Frame], out: &mut BytesMut) {
    out.clear();
    for frame in frames {
        black_box(frame).encode(out);
    }
}

/// Takes frames in as a session does: the socket's bytes are copied into its buffer, and the
/// frames come out of that.
fn receive(bytes: &[u8], session: &mut BytesMut) {
    for read in bytes.chunks(RECEIVED_AT_ONCE) {
        session.reserve(RECEIVED_AT_ONCE);
        session.put_slice(read);
        while let Ok(Some(frame)) = Frame::read(session, Limit::Granted) {
            black_box(frame);
        }
    }
    assert!(session.is_empty(), "every frame was read");
}

fn data_frame(len: u64) -> Frame {
    let bytes = Payload::new(1, len).bytes(span(0, len));
    Frame::Data { lease: 1, offset: 1 << 40, bytes: Bytes::from(bytes) }
}

/// What a session says besides data, about as often as it says it.
fn control_frames() -> [Frame; 8] {
    let failure = Failure { reason: FailReason::Network, pause_ms: 200 };
    [
        Frame::Grant { lease: 1, span: span(1 << 40, (1 << 40) + (16 << 20)) },
        Frame::Credit { bytes: 1 << 20 },
        Frame::Done { lease: 1 },
        Frame::Trim { lease: 2, end: (1 << 40) + 65_536 },
        Frame::Revoke { lease: 3 },
        Frame::Failed { lease: 4, failure },
        Frame::Lanes { lanes: 8 },
        Frame::Ping,
    ]
}

fn span(start: u64, end: u64) -> Span {
    Span::new(start, end).expect("the ends are in order")
}
