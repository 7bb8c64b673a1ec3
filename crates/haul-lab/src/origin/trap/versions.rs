//! Traps 19 to 25: which version of the file it is.

use super::Trap;
use super::conduct::{Asked, Scene};
use super::reply::{ETAG, OTHER_ETAG, OTHER_MODIFIED, Reply};

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(
        19,
        "etag-changes",
        "serves another version, with its ETag, after two parts",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            if is_late(asked, scene) { fair.with("ETag", OTHER_ETAG).of(scene.other) } else { fair }
        },
    )
    .refused(41),
    Trap::new(
        20,
        "date-changes",
        "serves another version with another date and the same ETag",
        |asked, scene| {
            let fair = Reply::fair(asked, scene);
            if is_late(asked, scene) {
                fair.with("Last-Modified", OTHER_MODIFIED).of(scene.other)
            } else {
                fair
            }
        },
    )
    .refused(41),
    Trap::new(20, "total-changes", "lets the file grow under the same ETag", |asked, scene| {
        let fair = Reply::fair(asked, scene);
        match asked.later_part(scene.size()).filter(|_| is_late(asked, scene)) {
            Some(span) => {
                let total = scene.size() + 4096;
                fair.with(
                    "Content-Range",
                    format!("bytes {}-{}/{total}", span.start(), span.last()),
                )
            }
            None => fair,
        }
    })
    .refused(41),
    Trap::new(
        21,
        "weak-etag",
        "has a weak ETag only, and refuses it in a condition",
        |asked, scene| {
            let conditional =
                ["if-range", "if-match"].iter().any(|name| asked.seen.header(name).is_some());
            if conditional {
                return Reply::status("412 Precondition Failed");
            }
            Reply::fair(asked, scene).with("ETag", format!("W/{ETAG}")).without("Last-Modified")
        },
    ),
    Trap::new(22, "if-range-means-whole", "answers If-Range with the whole", |asked, scene| {
        if asked.seen.header("if-range").is_some() {
            Reply::whole(scene)
        } else {
            Reply::fair(asked, scene)
        }
    }),
    Trap::new(23, "no-validator", "names no version at all", |asked, scene| {
        Reply::fair(asked, scene).without("ETag").without("Last-Modified")
    }),
    Trap::new(25, "growing", "appends to the file all the time", |asked, scene| {
        let fair = Reply::fair(asked, scene).without("ETag").without("Last-Modified");
        match asked.later_part(scene.size()) {
            Some(span) => {
                let total = scene.size() + 1000 * (asked.parts_before + 1);
                fair.with(
                    "Content-Range",
                    format!("bytes {}-{}/{total}", span.start(), span.last()),
                )
            }
            None => fair,
        }
    })
    .refused(41),
];

fn is_late(asked: &Asked, scene: &Scene) -> bool {
    asked.later_part(scene.size()).is_some() && asked.parts_before >= 2
}
