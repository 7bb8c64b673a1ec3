//! Traps 26 to 33: codings, lengths, and where a body ends.

use super::Trap;
use super::conduct::Scene;
use super::ranges::over_long;
use super::reply::{Reply, Step, Then};
use haul_span::Span;

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(26, "encoded-part", "sends later parts of the gzip form", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.later_part(scene.size()).is_some() {
            fair.with("Content-Encoding", "gzip").of(scene.other)
        } else {
            fair
        }
    }),
    Trap::new(27, "encoded-whole", "sends the whole in gzip although nobody asked", |_, scene| {
        let gzip = gzip(&scene.whole().map_or_else(Vec::new, |span| scene.payload.bytes(span)));
        Reply::whole(scene)
            .without("Accept-Ranges")
            .with("Content-Encoding", "gzip")
            .with("Content-Length", gzip.len())
            .sending([Step::Bytes(gzip)])
    })
    .size(50_001)
    .encoded(),
    Trap::new(28, "chunked", "sends chunks and no length", |_, scene| chunked(scene, true)),
    Trap::new(29, "chunked-cut", "breaks off between chunks halfway, always", |_, scene| {
        chunked(scene, false).then(Then::Close)
    })
    .refused(6)
    .size(1 << 20)
    .patience(60),
    Trap::new(29, "chunk-garbled", "sends a chunk halfway whose size is none", |_, scene| {
        let mut reply = chunked(scene, false).then(Then::Close);
        reply.body.push(Step::Bytes(b"-1\r\nxyz\r\n0\r\n\r\n".to_vec()));
        reply
    })
    .refused(22)
    .size(1 << 20)
    .patience(60),
    Trap::new(30, "close-delimited", "ends the body with the connection", |_, scene| {
        streamed(scene).without("Content-Length").then(Then::Close)
    }),
    Trap::new(
        31,
        "length-too-long",
        "promises 1,000 bytes more than it sends, always",
        |_, scene| streamed(scene).with("Content-Length", scene.size() + 1000).then(Then::Close),
    )
    .refused(6)
    .size(1 << 20)
    .patience(60),
    Trap::new(31, "length-too-short", "sends 64 KiB more than it promises", |asked, scene| {
        over_long(asked, scene, true)
    }),
    Trap::new(31, "two-lengths", "sends two unequal Content-Length", |asked, scene| {
        Reply::fair(asked, scene).and("Content-Length", 17)
    })
    .refused(22),
    Trap::new(32, "empty", "has a file of 0 bytes", Reply::fair).size(0),
    Trap::new(33, "one-byte", "has a file of 1 byte", Reply::fair).size(1),
    Trap::new(33, "piece-less-one", "has a file of 1 MiB - 1", Reply::fair).size((1 << 20) - 1),
    Trap::new(33, "piece", "has a file of 1 MiB", Reply::fair).size(1 << 20),
    Trap::new(33, "piece-and-one", "has a file of 1 MiB + 1", Reply::fair).size((1 << 20) + 1),
];

/// The whole, without ranges.
pub(super) fn streamed(scene: &Scene) -> Reply {
    Reply::whole(scene).without("Accept-Ranges")
}

fn chunked(scene: &Scene, ends: bool) -> Reply {
    let mut steps = scene.whole().map_or_else(Vec::new, |span| chunks(scene, span, "", ""));
    if !ends {
        steps.truncate(steps.len() / 6 * 3);
    }
    streamed(scene).without("Content-Length").with("Transfer-Encoding", "chunked").sending(steps)
}

/// A part of the file in chunks, three steps for each and one at the end.
pub(super) fn chunks(scene: &Scene, span: Span, extension: &str, trailers: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = Some(span);
    while let Some(chunk) = rest.and_then(|rest| rest.first(60_000)) {
        steps.push(Step::Bytes(format!("{:x}{extension}\r\n", chunk.len()).into()));
        steps.push(Step::File(scene.payload, chunk));
        steps.push(Step::Bytes(b"\r\n".to_vec()));
        rest = span.from(chunk.end());
    }
    steps.push(Step::Bytes(format!("0\r\n{trailers}\r\n").into()));
    steps
}

/// A gzip member (RFC 1952) of stored blocks (RFC 1951 §3.2.4).
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut member = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let blocks = bytes.chunks(u16::MAX.into());
    let last = blocks.len() - 1;
    for (at, block) in blocks.enumerate() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        member.push((at == last).into());
        member.extend(length.to_le_bytes());
        member.extend((!length).to_le_bytes());
        member.extend(block);
    }
    member.extend(crc32(bytes).to_le_bytes());
    member.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    member
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_gzip_is_that_of_rfc_1952() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(gzip(b"a").len(), 10 + 5 + 1 + 8);
    }
}
