//! Requests that are not what they seem, or nothing at all.

use crate::JOB;
use crate::client::{Served, head, with};

#[tokio::test]
async fn a_body_too_long_is_not_read() {
    let page = Served::new().await;
    let session = page.enter().await;
    let own = page.inside(&session);
    let declared = with(own.clone(), "Content-Length", "99999999999");
    assert_eq!(page.send("POST", "/api/jobs", &declared, "").await.status, 413);
    let head = head("POST", "/api/jobs", &with(own, "Transfer-Encoding", "chunked"));
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
async fn a_head_of_very_many_fields_is_not_read() {
    let page = Served::new().await;
    let many = "X: y\r\n".repeat(500);
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{many}\r\n", page.address);
    assert!(matches!(page.raw(request.as_bytes()).await.status, 400..=499));
}

#[tokio::test]
async fn a_request_within_a_request_is_not_smuggled_in() {
    let page = Served::new().await;
    let session = page.enter().await;
    let inner = head("POST", "/api/jobs/cancel", &page.own());
    for (name, value) in [("Content-Length", "4"), ("Content-Length", "4\r\nContent-Length: 5")] {
        let fields = with(page.inside(&session), name, value);
        let fields = with(fields, "Transfer-Encoding", "chunked");
        let request = format!("{}0\r\n\r\n{inner}", head("POST", "/api/jobs", &fields));
        let answer = page.raw(request.as_bytes()).await;
        assert!(matches!(answer.status, 400..=499), "{answer:?}");
        assert!(!answer.body.contains("HTTP/1.1"), "{answer:?}");
    }
}

#[tokio::test]
async fn lengths_and_chunks_that_lie_are_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    for length in ["-1", "0x10", "1 2", "99999999999999999999999"] {
        let fields = with(page.inside(&session), "Content-Length", length);
        let answer = page.send("POST", "/api/jobs", &fields, JOB).await;
        assert!(matches!(answer.status, 400..=499), "{length} {answer:?}");
    }
    let chunked = with(page.inside(&session), "Transfer-Encoding", "chunked");
    for chunk in ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n"] {
        let request = format!("{}{chunk}{JOB}\r\n0\r\n\r\n", head("POST", "/api/jobs", &chunked));
        assert!(matches!(page.raw(request.as_bytes()).await.status, 400..=499), "{chunk}");
    }
}

#[tokio::test]
async fn a_field_with_a_line_of_another_in_it_is_refused() {
    let page = Served::new().await;
    let own = page.address;
    for field in [
        format!("Host : {own}"),
        format!("Host: {own}\r\n folded"),
        format!("Host:\0{own}"),
        format!("Ho\0st: {own}"),
        format!("Host: {own}\rX: y"),
    ] {
        let request = format!("GET /api/jobs HTTP/1.1\r\n{field}\r\nConnection: close\r\n\r\n");
        let answer = page.raw(request.as_bytes()).await;
        assert!(matches!(answer.status, 400..=499), "{field:?} {answer:?}");
    }
}

#[tokio::test]
async fn other_protocols_on_the_port_end_without_a_word_or_with_a_refusal() {
    let page = Served::new().await;
    let tls = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n";
    let h2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in [&tls[..], h2, b"\r\n\r\n\r\n", b"HELO evil\r\n\r\n", b"GET /\r\n\r\n"] {
        let answer = page.bytes(bytes).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    page.enter().await;
}

#[tokio::test]
async fn a_body_that_is_not_what_was_asked_for_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let url = "http://127.0.0.1:9/a";
    let more = format!(r#"{{"url":"{url}","save_as":"b","more":1}}"#);
    let twice = format!(r#"{{"url":"{url}","save_as":"b","url":"{url}"}}"#);
    for body in ["", "null", "[]", "{}", "{\"url\":1}", "{", "\u{feff}{}", &more, &twice] {
        assert_eq!(page.post("/api/jobs", &session, body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn lists_in_lists_without_end_exhaust_nothing() {
    let page = Served::new().await;
    let session = page.enter().await;
    for nested in ["[".repeat(16 << 10), r#"{"url":"#.repeat(2000)] {
        for path in ["/api/jobs", "/api/session", "/api/probe"] {
            assert_eq!(page.post(path, &session, &nested).await.status, 400);
        }
    }
}

#[tokio::test]
async fn text_that_is_no_text_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let head = head("POST", "/api/jobs", &with(page.inside(&session), "Content-Length", "4"));
    let request = [head.as_bytes(), b"\"\xff\xfe\""].concat();
    assert!(page.bytes(&request).await.starts_with(b"HTTP/1.1 400"));
}
