//! Traps 89 to 95: bodies and connections that go on, stop short or shrink, further redirects and
//! names.

use super::Trap;
use super::conduct::{Asked, Scene};
use super::framing::{chunks, gzip, streamed};
use super::names::named;
use super::reply::{Reply, Step, Then};
use haul_span::Span;

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(
        89,
        "chunked-with-length",
        "sends chunks and a wrong Content-Length",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            let Some(span) = asked.part(scene.size()) else { return fair };
            let body = chunks(scene, span, "", "");
            fair.with("Content-Length", 17).with("Transfer-Encoding", "chunked").sending(body)
        },
    ),
    Trap::new(89, "transfer-gzip", "sends chunks of gzip that nobody asked for", |_, scene| {
        let bytes = gzip(&scene.whole().map_or_else(Vec::new, |span| scene.payload.bytes(span)));
        let size = format!("{:x}\r\n", bytes.len());
        let body = [size.into_bytes(), bytes, b"\r\n0\r\n\r\n".to_vec()].concat();
        let reply = streamed(scene).without("Content-Length").sending([Step::Bytes(body)]);
        reply.with("Transfer-Encoding", "gzip, chunked")
    })
    .size(50_001)
    .refused(22),
    Trap::new(89, "chunked-twice", "sends chunks within chunks", |_, scene| {
        let inner: Vec<u8> = scene.whole().map_or_else(Vec::new, |span| scene.payload.bytes(span));
        let inner = [format!("{:x}\r\n", inner.len()).into(), inner, b"\r\n0\r\n\r\n".to_vec()];
        let inner = inner.concat();
        let size = format!("{:x}\r\n", inner.len());
        let body = [size.into_bytes(), inner, b"\r\n0\r\n\r\n".to_vec()].concat();
        let reply = streamed(scene).without("Content-Length").sending([Step::Bytes(body)]);
        reply.with("Transfer-Encoding", "chunked, chunked")
    })
    .size(50_001)
    .refused(22),
    Trap::new(89, "chunk-extensions", "says more of each chunk than its size", |_, scene| {
        chunked(scene, ";a=\"b;c\";d", "")
    }),
    Trap::new(89, "trailers", "sends fields after the chunks that deny the head", |_, scene| {
        let trailers = "ETag: \"v9\"\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 3\r\n";
        chunked(scene, "", trailers)
    }),
    Trap::new(89, "chunk-size-overflows", "sends a chunk of 2^68 bytes halfway", |_, scene| {
        let mut reply = chunked(scene, "", "").then(Then::Close);
        reply.body.truncate(reply.body.len() / 6 * 3);
        reply.body.push(Step::Bytes(b"FFFFFFFFFFFFFFFFF\r\nxyz\r\n".to_vec()));
        reply
    })
    .refused(22)
    .size(1 << 20)
    .patience(60),
    Trap::new(
        90,
        "dies-between-parts",
        "closes after each part and does not say so",
        |asked, scene| Reply::fair(asked, scene).then(Then::Close),
    ),
    Trap::new(90, "unasked-answer", "sends an answer after each that nobody asked for", unasked),
    Trap::new(
        91,
        "shrinks-when-cut",
        "cuts the one stream, and has a shorter file then",
        |asked, scene| {
            if asked.number > 0 {
                let rest = Span::new(0, scene.size() / 2);
                let reply = streamed(scene).with("Content-Length", scene.size() / 2);
                return reply.sending(rest.map(|span| Step::File(scene.payload, span)));
            }
            streamed(scene).cut_after(scene.size() / 4 * 3, Then::Reset)
        },
    )
    .size(1 << 20)
    .refused(41),
    Trap::new(92, "retry-after-garbled", "asks for pauses that are none", |asked, scene| {
        let pauses = ["-5", "soon", "1e9", "Thu, 99 Foo 2024 99:99:99 GMT"];
        let pause = usize::try_from(asked.number).ok().and_then(|number| pauses.get(number));
        match pause {
            Some(pause) => Reply::status("503 Service Unavailable").with("Retry-After", pause),
            None => Reply::fair(asked, scene),
        }
    }),
    Trap::new(93, "redirect-grows", "redirects to ever longer addresses", |asked, _| {
        Reply::redirect(format!("{}{}", asked.path(), "x".repeat(5000)))
    })
    .refused(23),
    Trap::new(93, "redirect-to-ftp", "redirects to ftp", |_, scene| {
        Reply::redirect(format!("ftp://{}/file.bin", scene.stranger))
    })
    .refused(23),
    Trap::new(93, "redirect-to-data", "redirects to data in the address itself", |_, _| {
        Reply::redirect("data:application/octet-stream;base64,aGF1bA==")
    })
    .refused(23),
    Trap::new(93, "redirect-to-script", "redirects to a script", |_, _| {
        Reply::redirect("javascript:alert(1)")
    })
    .refused(23),
    Trap::new(93, "redirects-twice", "redirects to two places at once", |_, scene| {
        Reply::redirect("/one").and("Location", format!("http://{}/two", scene.stranger))
    })
    .refused(23),
    Trap::new(93, "redirect-in-utf8", "redirects to an address beyond ASCII", |asked, scene| {
        on_to(
            asked,
            scene,
            "/na\u{ef}ve file.bin",
            &["/na%C3%AFve%20file.bin", "/na\u{ef}ve%20file.bin"],
        )
    }),
    Trap::new(93, "redirect-with-fragment", "redirects to a part of a page", |asked, scene| {
        on_to(asked, scene, "/real.bin#top", &["/real.bin"])
    }),
    Trap::new(93, "redirect-with-user", "redirects with a user of its own", |asked, scene| {
        on_to(asked, scene, &format!("http://user:pw@{}/real.bin", scene.address), &["/real.bin"])
    }),
    Trap::new(94, "name-of-a-device", "names the file `CON.txt`", |asked, scene| {
        named(asked, scene, "filename=\"CON.txt\"")
    })
    .saved_as("_CON.txt"),
    Trap::new(94, "name-turned-around", "hides the end of the name", |asked, scene| {
        named(asked, scene, "filename*=UTF-8''invoice%E2%80%AEfdp.exe")
    })
    .saved_as("invoicefdp.exe"),
    Trap::new(94, "name-with-nul", "escapes NUL and line ends in the name", |asked, scene| {
        named(asked, scene, "filename*=UTF-8''a%00b%0D%0Ac.bin; filename=plain.bin")
    })
    .saved_as("abc.bin"),
    Trap::new(94, "name-of-10-kb", "names the file with 10,000 letters", |asked, scene| {
        named(asked, scene, &format!("filename=\"{}.bin\"", "x".repeat(10_000)))
    })
    .saved_as(LONG_NAME),
];

/// Sends on to another address, and serves there alone.
fn on_to(asked: &Asked, scene: &Scene, location: &str, paths: &[&str]) -> Reply {
    if asked.path() == "/file.bin" {
        return Reply::redirect(location);
    }
    if !paths.iter().any(|path| path.eq_ignore_ascii_case(asked.path())) {
        scene.memory.blame("it asked for another address than it was sent to");
    }
    Reply::fair(asked, scene)
}

/// Another part of another file follows each answer, at once.
fn unasked(asked: &Asked, scene: &Scene) -> Reply {
    let fair = Reply::fair(asked, scene);
    let Some(span) = asked.part(scene.size()) else { return fair };
    let Some(next) = Span::new(span.end(), scene.size()) else { return fair };
    let (next, last) = (next.first(64 << 10).unwrap_or(next), span.end() - span.len().min(1000));
    let mut tail = span.from(last).map_or_else(Vec::new, |end| scene.payload.bytes(end));
    tail.extend(Reply::part(scene, next).head());
    tail.extend(scene.other.bytes(next));
    let before = span.before(last).map(|before| Step::File(scene.payload, before));
    fair.sending(before.into_iter().chain([Step::Bytes(tail)]))
}

/// The whole in chunks, without ranges.
fn chunked(scene: &Scene, extension: &str, trailers: &str) -> Reply {
    let body = scene.whole().map_or_else(Vec::new, |span| chunks(scene, span, extension, trailers));
    streamed(scene).without("Content-Length").with("Transfer-Encoding", "chunked").sending(body)
}

/// What is left of the name: as much as file systems allow with room for endings.
const LONG_NAME: &str = concat!(
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.bin"
);
