//! Traps 82 to 88: heads that say what no head should.

use super::Trap;
use super::conduct::{Asked, Scene};
use super::ranges::{in_later_parts, range};
use super::reply::{ETAG, Reply, Step, Then};
use haul_span::Span;

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(82, "content-range-blanks", "puts signs and blanks into Content-Range", blanks),
    Trap::new(82, "content-range-zeros", "puts zeros before its numbers", |asked, scene| {
        in_later_parts(asked, scene, |span| {
            format!("bytes 000{}-0{}/00{}", span.start(), span.last(), scene.size())
        })
    }),
    Trap::new(82, "crumbs", "answers later parts with at most 100 bytes", |asked, scene| {
        let crumb = asked.later_part(scene.size()).and_then(|span| span.first(100));
        crumb.map_or_else(|| Reply::fair(asked, scene), |span| Reply::part(scene, span))
    }),
    Trap::new(82, "empty-parts", "answers later parts with 206 and no byte", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.later_part(scene.size()).is_none() {
            return fair;
        }
        fair.with("Content-Length", 0).sending([])
    }),
    Trap::new(
        82,
        "chunks-of-nothing",
        "answers later parts with 206 and no chunk",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            if asked.later_part(scene.size()).is_none() {
                return fair;
            }
            let reply = fair.without("Content-Length").with("Transfer-Encoding", "chunked");
            reply.sending([Step::Bytes(b"0\r\n\r\n".to_vec())])
        },
    ),
    Trap::new(82, "part-of-nothing", "answers 206 when no range was asked for", |_, scene| Reply {
        status: "206 Partial Content".to_owned(),
        ..Reply::whole(scene)
    })
    .refused(22)
    .patience(60),
    Trap::new(82, "first-part-elsewhere", "begins every part 4 KiB later", |asked, scene| {
        let later = asked.part(scene.size()).and_then(|span| span.from(span.start() + 4096));
        later.map_or_else(|| Reply::whole(scene), |span| Reply::part(scene, span))
    }),
    Trap::new(
        82,
        "whole-as-long-as-part",
        "answers later parts with another file of their length",
        |asked, scene| match asked.later_part(scene.size()) {
            Some(span) => {
                let reply = Reply::whole(scene).with("Content-Length", span.len());
                reply.sending([Step::File(scene.other, span)])
            }
            None => Reply::fair(asked, scene),
        },
    ),
    Trap::new(
        82,
        "multipart-with-range",
        "answers one range as multipart/byteranges with a Content-Range",
        |asked, scene| {
            let Some(span) = asked.later_part(scene.size()) else {
                return Reply::fair(asked, scene);
            };
            let head = format!("--x\r\nContent-Range: {}\r\n\r\n", range(span, scene.size()));
            let body = [Step::Bytes(head.into()), Step::File(scene.payload, span)];
            Reply::part(scene, span)
                .with("Content-Type", "multipart/byteranges; boundary=x")
                .sending(body)
                .then(Then::Close)
        },
    ),
    Trap::new(83, "huge-total", "says that the file has 2^64 - 1 bytes", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        match asked.part(scene.size()) {
            Some(span) => fair.with("Content-Range", range(span, u64::MAX)),
            None => fair,
        }
    })
    .refused(9),
    Trap::new(83, "huge-length", "says that the whole has 2^63 - 1 bytes", |_, scene| {
        Reply::whole(scene).without("Accept-Ranges").with("Content-Length", i64::MAX)
    })
    .refused(9),
    Trap::new(83, "length-with-sign", "puts a plus before Content-Length", |asked, scene| {
        let length = asked.part(scene.size()).map_or(scene.size(), Span::len);
        Reply::fair(asked, scene).with("Content-Length", format!("+{length}"))
    })
    .refused(22),
    Trap::new(83, "length-overflows", "says that the whole has 2^64 bytes", |_, scene| {
        Reply::whole(scene).with("Content-Length", "18446744073709551616")
    })
    .refused(22),
    Trap::new(84, "etag-weak-at-times", "makes its ETag weak every other time", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.number % 2 == 1 { fair.with("ETag", format!("W/{ETAG}")) } else { fair }
    }),
    Trap::new(84, "etag-of-each-answer", "has another ETag each time", |asked, scene| {
        Reply::fair(asked, scene).with("ETag", format!("\"v{}\"", asked.number))
    })
    .refused(41),
    Trap::new(84, "etag-of-32-kib", "has an ETag of 32 KiB", |asked, scene| {
        Reply::fair(asked, scene).with("ETag", format!("\"{}\"", "v".repeat(32 << 10)))
    }),
    Trap::new(84, "etag-with-quotes", "has an ETag with quotes inside", |asked, scene| {
        if asked.seen.header("if-range").is_some() {
            scene.memory.blame("it repeated a tag that is none");
        }
        Reply::fair(asked, scene).with("ETag", "\"a\"b\", \"c\"")
    }),
    Trap::new(84, "dates-beyond-time", "is of the year 9999, modified in 1900", |asked, scene| {
        let date = "Fri, 31 Dec 9999 23:59:59 GMT";
        let reply = Reply::fair(asked, scene).without("ETag").and("Date", date);
        reply.and("Expires", date).with("Last-Modified", "Mon, 01 Jan 1900 00:00:00 GMT")
    }),
    Trap::new(85, "letters-of-no-ascii", "has fields with letters beyond ASCII", |asked, scene| {
        let reply = Reply::fair(asked, scene).with("ETag", "\"v\u{e9}\"").and("X-Name", "\u{fc}");
        reply.and("Content-Type", "application/\u{fc}; name=\u{e9}")
    }),
    Trap::new(85, "folded-lines", "goes on with fields on a second line", |asked, scene| {
        Reply::fair(asked, scene).and("X-Folded", "one\r\n two\r\n\tthree")
    }),
    Trap::new(85, "head-without-end", "sends fields and never ends the head", |asked, scene| {
        let reply = (0..20_000).fold(Reply::fair(asked, scene), |reply, at| reply.and("X", at));
        reply.sending([]).then(Then::HangInHead)
    })
    .refused(22),
    Trap::new(85, "no-http", "speaks SSH", |_, _| {
        let mut reply = Reply::status("OpenSSH_9.2");
        reply.version = "SSH-2.0";
        reply
    })
    .refused(22),
    Trap::new(86, "interim-many", "sends 103 two hundred times first", |asked, scene| {
        interim(Reply::fair(asked, scene), 200)
    }),
    Trap::new(86, "interim-flood", "sends 103 a hundred thousand times first", |asked, scene| {
        interim(Reply::fair(asked, scene), 100_000)
    })
    .refused(22),
    Trap::new(87, "switches", "answers 101 and switches to nothing", |_, _| {
        Reply::status("101 Switching Protocols").with("Upgrade", "x").with("Connection", "upgrade")
    })
    .refused(22)
    .patience(60),
    Trap::new(87, "no-content", "answers everything with 204", |_, _| {
        Reply::status("204 No Content")
    })
    .refused(22),
    Trap::new(87, "not-modified", "answers everything with 304", |_, _| {
        Reply::status("304 Not Modified").with("ETag", ETAG)
    })
    .refused(22),
    Trap::new(88, "not-satisfiable-at-all", "answers 416 to every range", |asked, scene| {
        if asked.range().is_none() {
            return Reply::whole(scene);
        }
        let outside = format!("bytes */{}", scene.size());
        Reply::status("416 Range Not Satisfiable").with("Content-Range", outside)
    }),
];

fn blanks(asked: &Asked, scene: &Scene) -> Reply {
    in_later_parts(asked, scene, |span| {
        let (first, last, total) = (span.start(), span.last(), scene.size());
        match asked.parts_before % 6 {
            0 => format!("bytes  {first}-{last}/{total}"),
            1 => format!("bytes {first} - {last}/{total}"),
            2 => format!("bytes\t{first}-{last}/{total}"),
            3 => format!("bytes +{first}-{last}/{total}"),
            4 => format!("bytes {first}-{last}/+{total}"),
            _ => format!("bytes {first}-{last}/ {total}"),
        }
    })
}

fn interim(mut reply: Reply, times: usize) -> Reply {
    let interim = "103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 ".repeat(times);
    reply.status = interim + &reply.status;
    reply
}
