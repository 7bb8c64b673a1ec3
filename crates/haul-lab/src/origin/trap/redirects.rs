//! Traps 48 to 52: where a request is sent on to.

use super::conduct::{Asked, Scene};
use super::reply::Reply;
use super::{Asks, Secured, Trap};
use std::time::Duration;

pub(super) const TRAPS: &[Trap] = &[
    Trap::new(48, "redirect-loop", "redirects to itself", |_, _| Reply::redirect("/file.bin"))
        .refused(23),
    Trap::new(48, "redirect-chain", "redirects 60 times before it serves", |asked, scene| {
        let step = asked.path().strip_prefix("/step-").and_then(|at| at.parse::<u32>().ok());
        match step.unwrap_or(0) {
            60 => Reply::fair(asked, scene),
            step => Reply::redirect(format!("/step-{}", step + 1)),
        }
    })
    .refused(23),
    Trap::new(49, "downgrade", "redirects from https to http", |asked, scene| {
        if asked.to_stranger {
            scene.memory.blame("it went on without encryption");
            return Reply::fair(asked, scene);
        }
        Reply::redirect(format!("http://{}/file.bin", scene.stranger))
    })
    .secured(Secured::Well)
    .refused(23),
    Trap::new(50, "secrets-elsewhere", "redirects to another origin", |asked, scene| {
        if !asked.to_stranger {
            return Reply::redirect(format!("http://{}/file.bin", scene.stranger));
        }
        let secrets = ["authorization", "cookie", "x-api-key"];
        if secrets.iter().any(|name| asked.seen.header(name).is_some()) {
            scene.memory.blame("it told the user's secrets to another origin");
        }
        Reply::fair(asked, scene)
    })
    .asks(Asks::Headers(&[
        "Authorization: Bearer secret",
        "Cookie: a=secret",
        "X-Api-Key: secret",
    ])),
    Trap::new(51, "redirect-to-file", "redirects to a file of the user's machine", |_, _| {
        Reply::redirect("file:///etc/hostname")
    })
    .refused(23),
    Trap::new(51, "redirect-to-nowhere", "redirects without saying where to", |_, _| {
        Reply::status("302 Found")
    })
    .refused(23),
    Trap::new(
        52,
        "signed-url-expires",
        "redirects to a URL that is good for 0.7 s, once",
        expiring,
    ),
];

fn expiring(asked: &Asked, scene: &Scene) -> Reply {
    match asked.path() {
        "/file.bin" => {
            let late = scene.since() > SIGNED_FOR;
            Reply::redirect(if late { "/signed?late" } else { "/signed?early" })
        }
        "/signed?early" if scene.since() > SIGNED_FOR => Reply::status("403 Forbidden"),
        _ => Reply::fair(asked, scene),
    }
}

const SIGNED_FOR: Duration = Duration::from_millis(700);
