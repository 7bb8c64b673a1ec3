//! Writing elsewhere than in the folder, and reading what is on the disk.

use crate::JOB;
use crate::client::Served;
use haul::{Happening, Helpers, Home, Leader};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Payload, Rate};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let page = Served::new().await;
    let session = page.enter().await;
    for name in [
        "",
        " ",
        ".",
        "..",
        "../file",
        "a/../../file",
        "/tmp/file",
        "..\\\\file",
        "C:file",
        "a\\u0000b",
        "a\\nb",
        ".bashrc",
        "sub/file",
    ] {
        let body = format!(r#"{{"url":"http://127.0.0.1:9/file","save_as":"{name}"}}"#);
        let answer = page.post("/api/jobs", &session, &body).await;
        assert_eq!(answer.status, 422, "{name} {answer:?}");
    }
    assert_eq!(fs::read_dir(page.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_name_that_reads_otherwise_than_it_is_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    for name in ["photo\u{202e}gpj.exe", "a\u{200b}.iso", "\u{feff}a", "a\u{2066}b\u{2069}"] {
        let body = format!(r#"{{"url":"http://127.0.0.1:9/file","save_as":"{name}"}}"#);
        assert_eq!(page.post("/api/jobs", &session, &body).await.status, 422, "{name:?}");
    }
}

#[tokio::test]
async fn a_name_too_long_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    for name in ["a".repeat(256), "ध".repeat(100)] {
        let body = format!(r#"{{"url":"http://127.0.0.1:9/file","save_as":"{name}"}}"#);
        assert_eq!(page.post("/api/jobs", &session, &body).await.status, 422);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_planted_in_the_folder_is_not_followed_out_of_it() {
    let page = Served::new().await;
    let session = page.enter().await;
    let outside = tempfile::TempDir::new().unwrap();
    let victim = outside.path().join("victim");
    let resource = Resource::of(Payload::new(1, 1 << 16));
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    for (planted, name) in [("a", "a"), ("b.part", "b"), ("c", "c")] {
        symlink(&victim, page.path(planted)).unwrap();
        if name == "c" {
            fs::write(&victim, "mine").unwrap();
        }
        let body = format!(r#"{{"url":"{}","save_as":"{name}"}}"#, origin.url("/file"));
        assert_eq!(page.post("/api/jobs", &session, &body).await.status, 202);
        ended(&page, &session).await;
        assert_eq!(victim.exists(), name == "c", "{planted}");
    }
    assert_eq!(fs::read(victim).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_there_is_never_replaced() {
    let page = Served::new().await;
    let session = page.enter().await;
    let resource = Resource::of(Payload::new(1, 1 << 16));
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    fs::write(page.path("kept"), "mine").unwrap();
    let body = format!(r#"{{"url":"{}","save_as":"kept"}}"#, origin.url("/file"));
    assert_eq!(page.post("/api/jobs", &session, &body).await.status, 202);
    assert!(ended(&page, &session).await.contains(r#""code":13"#));
    assert_eq!(fs::read(page.path("kept")).unwrap(), b"mine");
}

#[tokio::test]
async fn no_path_leads_to_a_file_on_the_disk() {
    let page = Served::new().await;
    let session = page.enter().await;
    for path in [
        "/../Cargo.toml",
        "/..%2fCargo.toml",
        "/%2e%2e/Cargo.toml",
        "//etc/passwd",
        "/./page.js",
        "/page.js/",
        "/page.js%00",
        "/pages/index.html",
        "/favicon.ico",
        "/api/../page.js",
        "/api/jobs/..",
        "/API/jobs",
    ] {
        assert_eq!(page.send("GET", path, &page.inside(&session), "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn no_address_but_one_of_the_web_is_fetched() {
    let page = Served::new().await;
    let session = page.enter().await;
    for url in ["", "file:///etc/passwd", "javascript:alert(1)", "ftp://a.example/b", "nonsense"] {
        let body = format!(r#"{{"url":"{url}","save_as":"file"}}"#);
        assert_eq!(page.post("/api/jobs", &session, &body).await.status, 422, "{url}");
        let body = format!(r#"{{"url":"{url}"}}"#);
        assert_eq!(page.post("/api/probe", &session, &body).await.status, 422, "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_download_is_not_resumed_from_a_file_of_this_machine() {
    let page = Served::new().await;
    let session = page.enter().await;
    assert_eq!(page.post("/api/jobs", &session, JOB).await.status, 202);
    ended(&page, &session).await;
    let body = r#"{"job":1,"url":"file:///etc/passwd"}"#;
    assert_eq!(page.post("/api/jobs/resume", &session, body).await.status, 422);
    assert!(!page.path("file").exists());
}

#[tokio::test]
async fn a_download_that_is_not_there_is_not_touched() {
    let page = Served::new().await;
    let session = page.enter().await;
    for path in ["/api/jobs/pause", "/api/jobs/cancel", "/api/jobs/resume", "/api/jobs/forget"] {
        for job in ["0", "1", "4294967295"] {
            let body = format!(r#"{{"job":{job}}}"#);
            assert_eq!(page.post(path, &session, &body).await.status, 409, "{path}");
        }
        for job in ["-1", "4294967296", "1.5", "\"1\"", "null"] {
            let body = format!(r#"{{"job":{job}}}"#);
            assert_eq!(page.post(path, &session, &body).await.status, 400, "{path}");
        }
    }
}

#[tokio::test]
async fn a_checksum_or_limit_that_is_none_begins_nothing() {
    let page = Served::new().await;
    let session = page.enter().await;
    for (field, value) in [
        ("checksum", "sha-256=zz"),
        ("checksum", "md5=00"),
        ("limit", "fast"),
        ("limit", "-1"),
        ("limit", "99999999999999999999G"),
    ] {
        let job = r#"{"url":"http://127.0.0.1:9/file","save_as":"file""#;
        let body = format!(r#"{job},"{field}":"{value}"}}"#);
        let answer = page.post("/api/jobs", &session, &body).await;
        assert_eq!(answer.status, 422, "{value} {answer:?}");
    }
    let list = page.send("GET", "/api/jobs", &page.inside(&session), "").await;
    assert!(list.body.contains(r#""jobs":[]"#));
}

/// The list once nothing is at work.
async fn ended(page: &Served, session: &crate::client::Session) -> String {
    loop {
        let list = page.send("GET", "/api/jobs", &page.inside(session), "").await.body;
        if !list.contains("waiting") && !list.contains("working") {
            return list;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_in_another_folder_is_not_gone_on_with() {
    let page = Served::new().await;
    let session = page.enter().await;
    let other = tempfile::TempDir::new().unwrap();
    let home = Home::at(page.path(".home"));
    let served = Origin::builder().serve("/file", Resource::of(Payload::new(1, 4 << 20)));
    let origin = served.shape(Shape::by_peer(Rate::mbit(8))).start().unwrap();
    let leader = Leader::builder(origin.url("/file").parse().unwrap());
    let leader = leader.home(home.clone()).folder(other.path()).helpers(Helpers::None).no_scan();
    let mut transfer = leader.build().unwrap().start();
    while let Some(event) = transfer.next_event().await {
        if matches!(event.what, Happening::Progress { stored, .. } if stored > 1 << 20) {
            transfer.cancel();
        }
    }
    assert!(transfer.finish().await.is_err());
    let id = home.left_jobs().unwrap().remove(0).id;
    for left in [id.as_str(), "", "..", "../jobs", &id[1..], "zzzzzz"] {
        let url = origin.url("/file");
        for body in
            [format!(r#"{{"left":"{left}"}}"#), format!(r#"{{"left":"{left}","url":"{url}"}}"#)]
        {
            let answer = page.post("/api/left/resume", &session, &body).await;
            assert_eq!(answer.status, 409, "{left} {answer:?}");
        }
    }
    assert!(!other.path().join("file").exists() && !page.path("file").exists());
}
