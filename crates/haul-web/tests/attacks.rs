//! Whoever has not opened the link, another page in the same browser included, gets nothing from
//! the page's server and changes nothing, and the page writes nowhere but in its folder.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    reason = "a test may panic, and its helpers are shared"
)]

mod browser;

use browser::{Answer, Served, head, with, without};
use std::fs;

const JOB: &str = r#"{"url":"http://127.0.0.1:9/file","save_as":"file"}"#;

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let port = page.address.port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("127.0.0.1:{}", port ^ 1),
        "127.0.0.1".to_owned(),
        format!("user@127.0.0.1:{port}"),
        String::new(),
    ] {
        let fields = with(with(page.own(), "Cookie", &cookie), "Host", &host);
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/app.js"),
            ("GET", "/events"),
            ("POST", "/session"),
            ("POST", "/jobs"),
        ] {
            assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{host} {path}");
        }
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_or_none_or_a_foreign_target_is_refused() {
    let page = Served::new().await;
    let own = page.address;
    for lines in [
        "GET / HTTP/1.1\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n"),
        format!("GET http://evil.example/ HTTP/1.1\r\nHost: {own}\r\n"),
    ] {
        let answer = page.raw(format!("{lines}Connection: close\r\n\r\n").as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{lines} {answer:?}");
    }
}

#[tokio::test]
async fn both_names_of_this_machine_are_served() {
    let page = Served::new().await;
    for host in [page.address.to_string(), format!("localhost:{}", page.address.port())] {
        let answer = page.send("GET", "/", &[("Host", host)], "").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("Save as"));
    }
}

#[tokio::test]
async fn nothing_but_the_page_itself_is_shown_without_the_cookie() {
    let page = Served::new().await;
    let own = page.own();
    let near = "haul-1=0000; other=1";
    for fields in [own.clone(), with(own.clone(), "Cookie", near), with(own, "Cookie", ";;=;")] {
        for path in ["/jobs", "/events", "/session", "/jobs/cancel", "/nothing"] {
            assert_eq!(page.send("GET", path, &fields, "").await.status, 403, "{path}");
        }
        for path in ["/jobs", "/jobs/cancel"] {
            assert_eq!(page.send("POST", path, &fields, JOB).await.status, 403, "{path}");
        }
    }
}

#[tokio::test]
async fn the_cookie_of_one_program_opens_no_other() {
    let (one, two) = (Served::new().await, Served::new().await);
    let cookie = one.enter().await;
    let value = cookie.split_once('=').unwrap().1;
    let forged = format!("haul-{}={value}", two.address.port());
    for cookie in [&cookie, &forged] {
        assert_eq!(two.post("/jobs", cookie, JOB).await.status, 403);
    }
}

#[tokio::test]
async fn a_token_opens_once() {
    let page = Served::new().await;
    page.enter().await;
    let body = format!(r#"{{"token":"{}"}}"#, page.token());
    let again = page.send("POST", "/session", &page.own(), &body).await;
    assert_eq!(again.status, 403);
    assert!(again.field("set-cookie").is_none());
}

#[tokio::test]
async fn a_guessed_token_opens_nothing_and_spoils_nothing() {
    let page = Served::new().await;
    let flipped: String = page.token().chars().rev().collect();
    for guess in ["", "0", &"0".repeat(64), &flipped] {
        let body = format!(r#"{{"token":"{guess}"}}"#);
        assert_eq!(page.send("POST", "/session", &page.own(), &body).await.status, 403);
    }
    page.enter().await;
}

#[tokio::test]
async fn a_change_from_another_page_is_refused() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    let other_port = format!("http://127.0.0.1:{}", page.address.port() ^ 1);
    for origin in ["http://evil.example", "null", "", "https://127.0.0.1", &other_port] {
        let fields = with(own.clone(), "Origin", origin);
        assert_eq!(page.send("POST", "/jobs", &fields, JOB).await.status, 403, "{origin}");
    }
    for site in ["cross-site", "same-site", "none", ""] {
        let fields = with(own.clone(), "Sec-Fetch-Site", site);
        assert_eq!(page.send("POST", "/jobs", &fields, JOB).await.status, 403, "{site}");
    }
    let silent = without(without(own, "Origin"), "Sec-Fetch-Site");
    assert_eq!(page.send("POST", "/jobs", &silent, JOB).await.status, 403);
}

#[tokio::test]
async fn events_are_not_told_to_another_page() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let fields = [("Host", page.address.to_string()), ("Cookie", cookie)];
    for (name, value) in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-site")] {
        let fields = with(fields.to_vec(), name, value);
        assert_eq!(page.send("GET", "/events", &fields, "").await.status, 403);
    }
}

#[tokio::test]
async fn a_change_without_the_page_s_own_header_is_refused() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    for fields in [without(own.clone(), "X-Haul"), with(own, "X-Haul", "2")] {
        assert_eq!(page.send("POST", "/jobs", &fields, JOB).await.status, 403);
    }
}

#[tokio::test]
async fn what_a_form_can_send_is_refused() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "application/jsonp",
        "",
    ] {
        let fields = with(own.clone(), "Content-Type", kind);
        for path in ["/jobs", "/jobs/cancel", "/session"] {
            assert_eq!(page.send("POST", path, &fields, JOB).await.status, 415, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_change_by_another_method_is_refused() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    for (method, path) in [
        ("GET", "/jobs/cancel"),
        ("GET", "/session"),
        ("PUT", "/jobs"),
        ("DELETE", "/jobs"),
        ("OPTIONS", "/jobs"),
        ("POST", "/events"),
        ("POST", "/"),
    ] {
        assert_eq!(page.send(method, path, &own, JOB).await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn no_name_leads_out_of_the_folder() {
    let page = Served::new().await;
    let cookie = page.enter().await;
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
        let answer = page.post("/jobs", &cookie, &body).await;
        assert_eq!(answer.status, 422, "{name} {answer:?}");
    }
    assert_eq!(fs::read_dir(page.folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn no_path_leads_to_a_file_on_the_disk() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let fields = with(page.own(), "Cookie", &cookie);
    for path in [
        "/../Cargo.toml",
        "/..%2fCargo.toml",
        "/%2e%2e/Cargo.toml",
        "//etc/passwd",
        "/./app.js",
        "/app.js/",
        "/app.js%00",
        "/pages/index.html",
        "/favicon.ico",
    ] {
        assert_eq!(page.send("GET", path, &fields, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_too_long_is_not_read() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    let declared = with(own.clone(), "Content-Length", "99999999999");
    assert_eq!(page.send("POST", "/jobs", &declared, "").await.status, 413);
    let head = head("POST", "/jobs", &with(own, "Transfer-Encoding", "chunked"));
    let long = " ".repeat((16 << 10) + 1);
    let request = format!("{head}{:x}\r\n{long}\r\n", long.len());
    assert_eq!(page.raw(request.as_bytes()).await.status, 413);
}

#[tokio::test]
async fn a_head_too_long_is_not_read() {
    let page = Served::new().await;
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(15 << 10));
    let more = format!("{long}X: {}\r\n\r\n", "b".repeat(1 << 10));
    assert!(matches!(page.raw(more.as_bytes()).await.status, 400..=499));
}

#[tokio::test]
async fn a_body_that_is_not_what_was_asked_for_is_refused() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    for body in ["", "null", "[]", "{}", "{\"url\":1}", r#"{"url":"a","save_as":"b","more":1}"#] {
        assert_eq!(page.post("/jobs", &cookie, body).await.status, 400, "{body}");
    }
    for url in ["", "file:///etc/passwd", "javascript:alert(1)", "ftp://a.example/b", "nonsense"] {
        let body = format!(r#"{{"url":"{url}","save_as":"file"}}"#);
        assert_eq!(page.post("/jobs", &cookie, &body).await.status, 422, "{url}");
    }
}

#[tokio::test]
async fn streams_without_end_leave_room_for_the_page() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let page = Served::new().await;
    let cookie = page.enter().await;
    let request =
        format!("GET /events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", page.address);
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut stream = tokio::net::TcpStream::connect(page.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        refused += usize::from(status.ends_with(b"429"));
        open.push(stream);
    }
    assert_eq!(refused, 8);
    let fields = with(page.own(), "Cookie", &cookie);
    assert_eq!(page.send("GET", "/jobs", &fields, "").await.status, 200);
}

#[tokio::test]
async fn every_answer_carries_the_guards_and_none_opens_it_to_others() {
    let page = Served::new().await;
    let cookie = page.enter().await;
    let own = with(page.own(), "Cookie", &cookie);
    let foreign = with(page.own(), "Host", "evil.example");
    for answer in [
        page.send("GET", "/", &own, "").await,
        page.send("GET", "/app.css", &own, "").await,
        page.send("GET", "/app.js", &own, "").await,
        page.send("GET", "/jobs", &own, "").await,
        page.send("GET", "/nothing", &own, "").await,
        page.send("POST", "/jobs", &own, "").await,
        page.send("POST", "/jobs/cancel", &own, "{}").await,
        page.send("OPTIONS", "/jobs", &own, "").await,
        page.send("GET", "/", &foreign, "").await,
        page.send("POST", "/session", &page.own(), "{}").await,
    ] {
        is_guarded(&answer);
    }
}

fn is_guarded(answer: &Answer) {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.field(name), Some(value), "{answer:?}");
    }
    let opens = |(name, _): &(String, String)| name.starts_with("access-control-");
    assert!(!answer.fields.iter().any(opens), "{answer:?}");
}
