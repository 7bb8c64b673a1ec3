//! Traps 76 and on: what else a head may hold.

use super::Trap;
use super::reply::{Reply, Then};

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(76, "interim-responses", "sends 103 and 100 before each response", |asked, scene| {
        let mut reply = Reply::fair(asked, scene);
        reply.status = format!("103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 {}", reply.status);
        reply
    }),
    Trap::new(77, "many-fields", "sends 200 fields in each head", |asked, scene| {
        (0..200).fold(Reply::fair(asked, scene), |reply, at| reply.and(&format!("X-{at}"), at))
    }),
    Trap::new(78, "old-version", "speaks HTTP/1.0 and keeps no connection", |asked, scene| {
        let mut reply = Reply::fair(asked, scene).then(Then::Close);
        reply.version = "HTTP/1.0";
        reply
    }),
    Trap::new(79, "huge-head", "sends heads of 1 MiB", |asked, scene| {
        Reply::fair(asked, scene).and("X-Padding", "x".repeat(1 << 20))
    })
    .refused(22),
    Trap::new(
        80,
        "long-part-refused",
        "answers 403 to parts of more than 100 KiB",
        |asked, scene| {
            let part = asked.later_part(scene.size()).filter(|part| part.len() > 100 << 10);
            match part {
                Some(_) => Reply::status("403 Forbidden"),
                None => Reply::fair(asked, scene),
            }
        },
    ),
];
