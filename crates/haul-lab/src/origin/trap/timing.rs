//! Traps 35 to 47: time, connections, and what the network does.

use super::conduct::{Asked, Scene};
use super::reply::{Reply, Then};
use super::{Secured, Trap};
use std::time::{Duration, SystemTime};

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(
        35,
        "reset-mid-body",
        "resets the first four responses after 700,000 bytes",
        |asked, scene| cut(asked, scene, Then::Reset),
    ),
    Trap::new(
        35,
        "close-mid-body",
        "closes the first four responses after 700,000 bytes",
        |asked, scene| cut(asked, scene, Then::Close),
    ),
    Trap::new(
        36,
        "slowloris",
        "sends 1 byte a second over every third connection",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            if asked.connection % 3 == 1 { fair.crawling(1) } else { fair }
        },
    ),
    Trap::new(
        37,
        "head-never-ends",
        "never ends the head on the second connection",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            if asked.connection == 1 { fair.sending([]).then(Then::HangInHead) } else { fair }
        },
    ),
    Trap::new(37, "first-head-never-ends", "never ends the first head", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        if asked.number == 0 { fair.sending([]).then(Then::HangInHead) } else { fair }
    })
    .patience(60),
    Trap::new(
        38,
        "slow-tail",
        "sends the last quarter at a twentieth of the pace, once",
        |asked, scene| {
            let tail =
                asked.later_part(scene.size()).filter(|span| span.end() > scene.size() / 4 * 3);
            let fair = Reply::fair(asked, scene);
            if tail.is_some() && scene.memory.refuses_yet(1) {
                fair.crawling(scene.rate / 20)
            } else {
                fair
            }
        },
    ),
    Trap::new(39, "stalled-tail", "stops in the middle of the last part, once", |asked, scene| {
        let tail = asked.later_part(scene.size()).filter(|span| span.end() == scene.size());
        let fair = Reply::fair(asked, scene);
        match tail.filter(|_| scene.memory.refuses_yet(1)) {
            Some(span) => fair.cut_after(span.len() / 2, Then::Hang),
            None => fair,
        }
    }),
    Trap::new(
        40,
        "three-connections",
        "answers 503 to any more than three connections",
        |asked, scene| {
            if asked.open > 3 {
                Reply::status("503 Service Unavailable").then(Then::Close)
            } else {
                Reply::fair(asked, scene)
            }
        },
    )
    .rate(2 << 20),
    Trap::new(
        40,
        "one-connection",
        "answers 429 to any more than one connection",
        |asked, scene| {
            if asked.open > 1 {
                Reply::status("429 Too Many Requests").then(Then::Close)
            } else {
                Reply::fair(asked, scene)
            }
        },
    ),
    Trap::new(
        41,
        "retry-after-seconds",
        "answers 503 with `Retry-After: 2` twice",
        |asked, scene| busy(asked, scene, Duration::from_millis(1900), "2".to_owned()),
    ),
    Trap::new(
        41,
        "retry-after-date",
        "answers 429 with a date 2 s ahead, twice",
        |asked, scene| {
            let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(2));
            // A date has no fractions of a second.
            busy(asked, scene, Duration::from_millis(900), date)
        },
    ),
    Trap::new(
        41,
        "retry-after-past",
        "answers 503 with a date that is past, twice",
        |asked, scene| {
            busy(asked, scene, Duration::ZERO, "Mon, 01 Jan 2024 00:00:00 GMT".to_owned())
        },
    ),
    Trap::new(
        41,
        "retry-after-forever",
        "answers 503 with `Retry-After: 1000000000` once",
        |asked, scene| {
            if asked.number > 0 {
                return Reply::fair(asked, scene);
            }
            Reply::status("503 Service Unavailable").with("Retry-After", 1_000_000_000)
        },
    )
    .patience(150),
    Trap::new(42, "busy-at-first", "answers the first three requests with 503", |asked, scene| {
        if asked.number < 3 {
            Reply::status("503 Service Unavailable")
        } else {
            Reply::fair(asked, scene)
        }
    }),
    Trap::new(42, "busy-at-times", "answers every third part with 503", |asked, scene| {
        let part = asked.later_part(scene.size()).is_some();
        if part && asked.parts_before % 3 == 1 {
            Reply::status("503 Service Unavailable")
        } else {
            Reply::fair(asked, scene)
        }
    }),
    Trap::new(42, "busy-for-good", "answers everything with 503", |asked, scene| {
        if asked.number >= 60 {
            scene.memory.blame("it was asked more than 60 times");
        }
        Reply::status("503 Service Unavailable")
    })
    .refused(22)
    .patience(60),
    Trap::new(43, "h2-offered", "offers HTTP/2 and HTTP/1.1 in its handshake", Reply::fair)
        .secured(Secured::OfferingH2 { streams: 100 }),
    Trap::new(46, "unknown-authority", "shows a certificate that it made itself", Reply::fair)
        .secured(Secured::ByNobody)
        .refused(6),
    Trap::new(46, "expired-certificate", "shows a certificate that has expired", Reply::fair)
        .secured(Secured::TooLate)
        .refused(6),
    Trap::new(46, "wrong-host-certificate", "shows a certificate of another host", Reply::fair)
        .secured(Secured::AsAnother)
        .refused(6),
    Trap::new(47, "network-drop", "is gone for 6 s after 0.5 s", |asked, scene| {
        gone(asked, scene, Duration::from_secs(6))
    })
    .patience(60),
    Trap::new(47, "network-drop-long", "is gone for 60 s after 0.5 s", |asked, scene| {
        gone(asked, scene, Duration::from_secs(60))
    })
    .patience(150),
];

/// Gone for so long from half a second on, with all connections.
fn gone(asked: &Asked, scene: &Scene, time: Duration) -> Reply {
    let from = Duration::from_millis(500);
    if (from..from + time).contains(&scene.since()) {
        return Reply::status("").then(Then::Gone);
    }
    let fair = Reply::fair(asked, scene);
    if scene.since() < from { fair.cut_after(scene.rate / 2, Then::Reset) } else { fair }
}

fn cut(asked: &Asked, scene: &Scene, then: Then) -> Reply {
    let fair = Reply::fair(asked, scene);
    if asked.number < 4 { fair.cut_after(700_000, then) } else { fair }
}

/// Busy for so many requests; to ask again before the time is over is a breach.
fn busy(asked: &Asked, scene: &Scene, pause: Duration, wait: String) -> Reply {
    if asked.number < 2 {
        scene.memory.pause_until(scene.since() + pause);
        return Reply::status("503 Service Unavailable").with("Retry-After", wait);
    }
    if scene.memory.is_paused(scene.since()) {
        scene.memory.blame("it asked again before the time that it was told");
    }
    Reply::fair(asked, scene)
}
