//! Names that lead to this machine without being its own, and other ways to reach the server under
//! a foreign origin.

use crate::JOB;
use crate::client::{Served, with};

#[tokio::test]
async fn a_foreign_host_is_refused_on_every_route() {
    let page = Served::new().await;
    let session = page.enter().await;
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
        let fields = with(page.inside(&session), "Host", &host);
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/page.js"),
            ("GET", "/api/events"),
            ("GET", "/api/jobs"),
            ("POST", "/api/session"),
            ("POST", "/api/jobs"),
        ] {
            assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{host} {path}");
        }
    }
}

#[tokio::test]
async fn a_rebound_page_that_names_itself_everywhere_is_refused_and_spends_no_token() {
    let page = Served::new().await;
    let evil = format!("evil.example:{}", page.address.port());
    let rebound = with(page.own(), "Host", &evil);
    let rebound = with(rebound, "Origin", &format!("http://{evil}"));
    let body = format!(r#"{{"token":"{}"}}"#, page.token());
    assert_eq!(page.send("POST", "/api/session", &rebound, &body).await.status, 403);
    page.enter().await;
}

#[tokio::test]
async fn other_spellings_of_this_machine_are_no_names_of_the_page() {
    let page = Served::new().await;
    let port = page.address.port();
    for host in ["0.0.0.0", "127.1", "2130706433", "0x7f000001", "127.0.0.2", "[::1]", "localhost."]
    {
        let fields = with(page.own(), "Host", &format!("{host}:{port}"));
        assert_eq!(page.send("GET", "/", &fields, "").await.status, 403, "{host}");
    }
}

#[tokio::test]
async fn a_request_with_two_hosts_or_none_or_a_foreign_target_is_refused() {
    let page = Served::new().await;
    let own = page.address;
    for lines in [
        "GET / HTTP/1.1\r\n".to_owned(),
        "GET / HTTP/1.0\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\n"),
        format!("GET http://evil.example/ HTTP/1.1\r\nHost: {own}\r\n"),
        format!("GET https://evil.example/ HTTP/1.1\r\nHost: {own}\r\n"),
    ] {
        let answer = page.raw(format!("{lines}Connection: close\r\n\r\n").as_bytes()).await;
        assert!(matches!(answer.status, 400 | 403), "{lines} {answer:?}");
    }
}

#[tokio::test]
async fn the_page_is_no_proxy() {
    let page = Served::new().await;
    let own = page.address;
    for line in [
        "CONNECT evil.example:443 HTTP/1.1".to_owned(),
        format!("CONNECT {own} HTTP/1.1"),
        "OPTIONS * HTTP/1.1".to_owned(),
    ] {
        let request = format!("{line}\r\nHost: {own}\r\nConnection: close\r\n\r\n");
        let answer = page.raw(request.as_bytes()).await;
        assert!(matches!(answer.status, 400..=499), "{line} {answer:?}");
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
