//! Another page in the same browser that makes it ask in the user's name.

use crate::JOB;
use crate::client::{Answer, Served, with, without};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};

#[tokio::test]
async fn a_change_from_another_page_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let own = page.inside(&session);
    let other_port = format!("http://127.0.0.1:{}", page.address.port() ^ 1);
    let other_name = format!("http://localhost:{}", page.address.port());
    for origin in ["http://evil.example", "null", "", "https://127.0.0.1", &other_port, &other_name]
    {
        let fields = with(own.clone(), "Origin", origin);
        assert_eq!(page.send("POST", "/api/jobs", &fields, JOB).await.status, 403, "{origin}");
    }
    for site in ["cross-site", "same-site", "none", ""] {
        let fields = with(own.clone(), "Sec-Fetch-Site", site);
        assert_eq!(page.send("POST", "/api/jobs", &fields, JOB).await.status, 403, "{site}");
    }
}

#[tokio::test]
async fn a_change_that_does_not_say_whence_it_comes_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let silent = without(without(page.inside(&session), "Origin"), "Sec-Fetch-Site");
    for path in ["/api/jobs", "/api/jobs/cancel", "/api/probe", "/api/session"] {
        assert_eq!(page.send("POST", path, &silent, JOB).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn an_origin_said_twice_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let mut fields = page.inside(&session);
    fields.push(("Origin", "http://evil.example".to_owned()));
    assert_eq!(page.send("POST", "/api/jobs", &fields, JOB).await.status, 403);
}

#[tokio::test]
async fn events_and_lists_are_not_told_to_another_page() {
    let page = Served::new().await;
    let session = page.enter().await;
    let own = without(without(page.inside(&session), "Origin"), "Sec-Fetch-Site");
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        for path in ["/api/events", "/api/jobs"] {
            let fields = with(own.clone(), name, value);
            assert_eq!(page.send("GET", path, &fields, "").await.status, 403);
        }
    }
}

#[tokio::test]
async fn a_web_socket_from_another_page_is_not_opened() {
    let page = Served::new().await;
    let session = page.enter().await;
    let fields = with(page.inside(&session), "Origin", "http://evil.example");
    let fields = with(fields, "Upgrade", "websocket");
    let fields = with(fields, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    for path in ["/", "/api/events"] {
        assert_ne!(page.send("GET", path, &fields, "").await.status, 101, "{path}");
    }
}

#[tokio::test]
async fn what_a_form_can_send_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    for kind in [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/plain; application/json",
        "application/jsonp",
        "",
    ] {
        let fields = with(page.inside(&session), "Content-Type", kind);
        for path in ["/api/jobs", "/api/jobs/cancel", "/api/probe", "/api/session"] {
            assert_eq!(page.send("POST", path, &fields, JOB).await.status, 415, "{kind}");
        }
    }
}

#[tokio::test]
async fn a_change_without_the_page_s_own_header_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let fields = without(page.inside(&session), "X-Haul-Key");
    for path in ["/api/jobs", "/api/jobs/cancel", "/api/session"] {
        assert_eq!(page.send("POST", path, &fields, JOB).await.status, 403);
    }
}

#[tokio::test]
async fn a_change_by_another_method_is_refused() {
    let page = Served::new().await;
    let session = page.enter().await;
    let own = page.inside(&session);
    for (method, path) in [
        ("GET", "/api/jobs/cancel"),
        ("GET", "/api/jobs/pause"),
        ("GET", "/api/probe"),
        ("GET", "/api/session"),
        ("HEAD", "/api/jobs/cancel"),
        ("PUT", "/api/jobs"),
        ("DELETE", "/api/jobs"),
        ("PATCH", "/api/jobs"),
        ("TRACE", "/api/jobs"),
        ("OPTIONS", "/api/jobs"),
        ("POST", "/api/events"),
        ("POST", "/"),
    ] {
        assert_eq!(page.send(method, path, &own, JOB).await.status, 405, "{method} {path}");
    }
}

#[tokio::test]
async fn a_method_named_by_a_header_or_the_address_is_not_followed() {
    let page = Served::new().await;
    let session = page.enter().await;
    let fields = with(page.inside(&session), "X-HTTP-Method-Override", "POST");
    assert_eq!(page.send("GET", "/api/jobs/cancel", &fields, "").await.status, 405);
    assert_eq!(page.send("GET", "/api/jobs/cancel?_method=POST", &fields, "").await.status, 405);
}

#[tokio::test]
async fn a_browser_that_asks_beforehand_is_allowed_nothing() {
    let page = Served::new().await;
    let fields = with(page.own(), "Origin", "http://evil.example");
    let fields = with(fields, "Access-Control-Request-Method", "POST");
    let fields = with(fields, "Access-Control-Request-Headers", "x-haul-key,content-type");
    let fields = with(fields, "Access-Control-Request-Private-Network", "true");
    for path in ["/api/jobs", "/api/session", "/"] {
        let answer = page.send("OPTIONS", path, &fields, "").await;
        assert!(matches!(answer.status, 403 | 405), "{answer:?}");
        is_guarded(&answer);
    }
}

#[tokio::test]
async fn no_foreign_page_makes_the_program_ask_an_origin() {
    let page = Served::new().await;
    let session = page.enter().await;
    let resource = Resource::of(Payload::new(1, 1 << 20));
    let origin = Origin::builder().serve("/file", resource).start().unwrap();
    let body = format!(r#"{{"url":"{}","save_as":"file"}}"#, origin.url("/file"));
    let foreign = with(page.inside(&session), "Origin", "http://evil.example");
    for fields in [page.own(), foreign] {
        for path in ["/api/probe", "/api/jobs"] {
            assert_eq!(page.send("POST", path, &fields, &body).await.status, 403);
        }
    }
    assert_eq!(origin.seen().len(), 0);
}

#[tokio::test]
async fn every_answer_carries_the_guards_and_none_opens_it_to_others() {
    let page = Served::new().await;
    let session = page.enter().await;
    let own = page.inside(&session);
    let foreign = with(page.own(), "Host", "evil.example");
    for answer in [
        page.send("GET", "/", &own, "").await,
        page.send("GET", "/page.css", &own, "").await,
        page.send("GET", "/page.js", &own, "").await,
        page.send("GET", "/icon.svg", &own, "").await,
        page.send("GET", "/api/jobs", &own, "").await,
        page.send("GET", "/nothing", &own, "").await,
        page.send("POST", "/api/jobs", &own, "").await,
        page.send("POST", "/api/jobs/cancel", &own, "{}").await,
        page.send("OPTIONS", "/api/jobs", &own, "").await,
        page.send("GET", "/", &foreign, "").await,
        page.send("POST", "/api/session", &page.own(), "{}").await,
    ] {
        is_guarded(&answer);
    }
}

/// Among others, that it is shown in no frame and that nothing inline ever runs.
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
