//! Traps 81: what is peculiar to HTTP/2.

use super::conduct::{Asked, Scene};
use super::reply::{Reply, Then};
use super::{Asks, Secured, Trap};
use h2::Reason;

pub(super) const TRAPS: &[Trap] = &[
    trap("h2-well-behaved", "serves ranges in HTTP/2", Reply::fair),
    trap("h2-one-stream", "allows one stream at a time on a connection", Reply::fair)
        .secured(Secured::OfferingH2 { streams: 1 }),
    trap("h2-in-name-only", "chooses HTTP/2 and answers in HTTP/1.1", Reply::fair)
        .secured(Secured::OnlyNamingH2),
    trap("h2-stream-refused", "refuses every third stream", |asked, scene| {
        if asked.number % 3 == 1 {
            Reply::fair(asked, scene).then(Then::Refuse(Reason::REFUSED_STREAM))
        } else {
            Reply::fair(asked, scene)
        }
    }),
    trap("h2-stream-reset", "resets the first four streams after 700,000 bytes", |asked, scene| {
        cut_at_first(asked, scene, Reason::CANCEL)
    }),
    trap(
        "h2-stream-error",
        "breaks the first four streams with an internal error after 700,000 bytes",
        |asked, scene| cut_at_first(asked, scene, Reason::INTERNAL_ERROR),
    ),
    trap("h2-goaway", "ends the connection at every fourth request", |asked, scene| {
        dismiss(asked, scene, asked.number % 4 == 2, Reason::NO_ERROR)
    }),
    trap("h2-calm", "ends the connection and asks for calm, once", |asked, scene| {
        dismiss(asked, scene, asked.number == 2, Reason::ENHANCE_YOUR_CALM)
    }),
    trap("h2-wants-http1", "refuses all streams but those over HTTP/1.1", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        // A request in HTTP/1.1 alone has this field (RFC 9113 §8.3.1).
        if asked.seen.header("host").is_none() {
            return fair.then(Then::Refuse(Reason::HTTP_1_1_REQUIRED));
        }
        fair
    }),
    trap("h2-over-long", "sends more than the part in a stream without a length", over_long),
    trap("h2-stalled-stream", "stops in the middle of the third stream", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.number == 2 { fair.cut_after(100_000, Then::Hang) } else { fair }
    }),
    trap(
        "h2-ends-by-reset",
        "resets a stream of unknown length halfway as if it had ended, always",
        |_, scene| {
            let whole = Reply::whole(scene).without("Accept-Ranges").without("Content-Length");
            whole.cut_after(scene.size() / 2, Then::Break(Reason::NO_ERROR))
        },
    )
    .refused(6)
    .size(1 << 20)
    .patience(60),
    trap("h2-unknown-length", "ends a stream of unknown length as it should", |_, scene| {
        Reply::whole(scene).without("Accept-Ranges").without("Content-Length")
    }),
    trap("h2-huge-head", "sends heads of 1 MiB", |asked, scene| {
        (0..64).fold(Reply::fair(asked, scene), |reply, at| {
            reply.and(&format!("X-Padding-{at}"), "x".repeat(16 << 10))
        })
    })
    .refused(22),
];

const fn trap(name: &'static str, does: &'static str, answer: fn(&Asked, &Scene) -> Reply) -> Trap {
    Trap::new(81, name, does, answer)
        .secured(Secured::OfferingH2 { streams: 100 })
        .asks(Asks::Http2)
}

fn cut_at_first(asked: &Asked, scene: &Scene, reason: Reason) -> Reply {
    let fair = Reply::fair(asked, scene);
    if asked.number < 4 { fair.cut_after(700_000, Then::Break(reason)) } else { fair }
}

fn dismiss(asked: &Asked, scene: &Scene, now: bool, reason: Reason) -> Reply {
    let fair = Reply::fair(asked, scene);
    if now { fair.then(Then::Dismiss(reason)) } else { fair }
}

fn over_long(asked: &Asked, scene: &Scene) -> Reply {
    let mut reply = Reply::fair(asked, scene);
    if asked.later_part(scene.size()).is_some() {
        reply = reply.without("Content-Length");
        reply.body.push(super::reply::Step::Bytes(vec![b'X'; 64 << 10]));
    }
    reply
}
