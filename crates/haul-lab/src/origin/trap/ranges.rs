//! Traps 1 to 18: what is made of a range.

use super::conduct::{Asked, Scene};
use super::reply::{Reply, Step, Then};
use super::{Asks, Trap};
use haul_span::Span;

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(1, "well-behaved", "serves ranges as RFC 9110 has it", Reply::fair),
    Trap::new(
        2,
        "range-ignored",
        "advertises ranges and answers each with the whole",
        |_, scene| Reply::whole(scene),
    ),
    Trap::new(3, "range-unadvertised", "serves ranges without a word of it", |asked, scene| {
        Reply::fair(asked, scene).without("Accept-Ranges")
    }),
    Trap::new(4, "range-none", "says `Accept-Ranges: none` and means it", |_, scene| {
        Reply::whole(scene).with("Accept-Ranges", "none")
    }),
    Trap::new(5, "wrong-start", "answers with a part that begins 1 KiB later", |asked, scene| {
        let later = asked.later_part(scene.size()).and_then(|span| span.from(span.start() + 1024));
        later.map_or_else(|| Reply::fair(asked, scene), |span| Reply::part(scene, span))
    }),
    Trap::new(6, "part-ends-early", "answers with at most 100,000 bytes", |asked, scene| {
        let part = asked.later_part(scene.size()).and_then(|span| span.first(100_000));
        part.map_or_else(|| Reply::fair(asked, scene), |span| Reply::part(scene, span))
    }),
    Trap::new(6, "part-ends-late", "answers with all that follows", |asked, scene| {
        let part = asked.later_part(scene.size());
        let rest = part.and_then(|part| Span::new(part.start(), scene.size()));
        rest.map_or_else(|| Reply::fair(asked, scene), |span| Reply::part(scene, span))
    }),
    Trap::new(7, "wrong-total", "names another total in later parts", |asked, scene| {
        in_later_parts(asked, scene, |span| range(span, scene.size() + 1))
    })
    .refused(41),
    Trap::new(8, "unknown-total", "names no total in any part", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        match asked.part(scene.size()) {
            Some(span) => fair.with("Content-Range", range(span, "*")),
            None => fair,
        }
    }),
    Trap::new(8, "unknown-total-later", "names no total in later parts", |asked, scene| {
        in_later_parts(asked, scene, |span| range(span, "*"))
    }),
    Trap::new(9, "no-content-range", "leaves Content-Range out of later parts", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.later_part(scene.size()).is_some() { fair.without("Content-Range") } else { fair }
    }),
    Trap::new(10, "garbled-content-range", "garbles Content-Range, each time otherwise", garbled),
    Trap::new(10, "content-range-twice", "sends two unequal Content-Range", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        match asked.later_part(scene.size()) {
            Some(span) => fair.and("Content-Range", format!("bytes 0-9/{}", span.len())),
            None => fair,
        }
    }),
    Trap::new(11, "multipart", "answers one range as multipart/byteranges", multipart),
    Trap::new(12, "over-long-body", "sends 64 KiB more than the part", |asked, scene| {
        over_long(asked, scene, asked.later_part(scene.size()).is_some())
    }),
    Trap::new(
        13,
        "whole-at-times",
        "answers the first three parts with the whole",
        |asked, scene| {
            if asked.later_part(scene.size()).is_some() && asked.parts_before < 3 {
                Reply::whole(scene)
            } else {
                Reply::fair(asked, scene)
            }
        },
    ),
    Trap::new(
        14,
        "whole-near-the-end",
        "answers parts of the last tenth with the whole",
        |asked, scene| {
            let last =
                asked.later_part(scene.size()).filter(|span| span.start() >= scene.size() / 10 * 9);
            if last.is_some() { Reply::whole(scene) } else { Reply::fair(asked, scene) }
        },
    ),
    Trap::new(15, "not-satisfiable", "answers 416 to parts inside the file", |asked, scene| {
        outside(asked, scene, scene.size())
    }),
    Trap::new(15, "shrunk", "answers 416 with a smaller total to later parts", |asked, scene| {
        outside(asked, scene, scene.size() / 2)
    })
    .refused(41),
    Trap::new(
        16,
        "status-without-data",
        "answers parts with 204, 205, 300, 304",
        |asked, scene| {
            if asked.later_part(scene.size()).is_none() {
                return Reply::fair(asked, scene);
            }
            Reply::status(match asked.parts_before % 4 {
                0 => "204 No Content",
                1 => "205 Reset Content",
                2 => "300 Multiple Choices",
                _ => "304 Not Modified",
            })
        },
    ),
    Trap::new(
        17,
        "one-shot-token",
        "serves one request that has no end, and then 403",
        |asked, scene| {
            let bounded = asked.range().is_some_and(|(_, last)| last.is_some());
            if asked.number > 0 || bounded {
                Reply::status("403 Forbidden")
            } else {
                Reply::fair(asked, scene)
            }
        },
    ),
    Trap::new(18, "users-own-range", "is asked with a Range of the user's own", Reply::fair)
        .asks(Asks::Headers(&["Range: bytes=0-99"]))
        .refused(2),
];

pub(super) fn range(span: Span, total: impl std::fmt::Display) -> String {
    format!("bytes {}-{}/{total}", span.start(), span.last())
}

/// A fair answer, but for the Content-Range of later parts.
pub(super) fn in_later_parts(
    asked: &Asked,
    scene: &Scene,
    range: impl FnOnce(Span) -> String,
) -> Reply {
    let fair = Reply::fair(asked, scene);
    match asked.later_part(scene.size()) {
        Some(span) => fair.with("Content-Range", range(span)),
        None => fair,
    }
}

fn garbled(asked: &Asked, scene: &Scene) -> Reply {
    in_later_parts(asked, scene, |span| {
        let (first, last, total) = (span.start(), span.last(), scene.size());
        match asked.parts_before % 6 {
            0 => format!("bytes={first}-{last}/{total}"),
            1 => format!("bytes -{first}-{last}/{total}"),
            2 => format!("bytes {last}-{first}/{total}"),
            3 => format!("bytes {first}-18446744073709551616/{total}"),
            4 => format!("bytes 0x{first:x}-0x{last:x}/{total}"),
            _ => "bytes".to_owned(),
        }
    })
}

fn multipart(asked: &Asked, scene: &Scene) -> Reply {
    let Some(span) = asked.later_part(scene.size()) else { return Reply::fair(asked, scene) };
    let head = format!(
        "--frontier\r\nContent-Type: application/octet-stream\r\nContent-Range: {}\r\n\r\n",
        range(span, scene.size())
    );
    let tail = "\r\n--frontier--\r\n";
    Reply::part(scene, span)
        .without("Content-Range")
        .with("Content-Type", "multipart/byteranges; boundary=frontier")
        .with("Content-Length", head.len() as u64 + span.len() + tail.len() as u64)
        .sending([
            Step::Bytes(head.into()),
            Step::File(scene.payload, span),
            Step::Bytes(tail.into()),
        ])
}

/// A body that goes on past what its head promises.
pub(super) fn over_long(asked: &Asked, scene: &Scene, over: bool) -> Reply {
    let mut reply = Reply::fair(asked, scene);
    if over {
        reply.body.push(Step::Bytes(vec![b'X'; 64 << 10]));
        reply.then = Then::Close;
    }
    reply
}

fn outside(asked: &Asked, scene: &Scene, total: u64) -> Reply {
    match asked.later_part(scene.size()) {
        Some(_) => Reply::status("416 Range Not Satisfiable")
            .with("Content-Range", format!("bytes */{total}")),
        None => Reply::fair(asked, scene),
    }
}
