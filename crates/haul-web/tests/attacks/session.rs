//! Getting in without the link, or with half of what it gives.

use crate::JOB;
use crate::client::{Served, Session, with, without};

const ROUTES: [(&str, &str); 9] = [
    ("GET", "/api/jobs"),
    ("GET", "/api/events"),
    ("POST", "/api/jobs"),
    ("POST", "/api/jobs/pause"),
    ("POST", "/api/jobs/cancel"),
    ("POST", "/api/jobs/resume"),
    ("POST", "/api/jobs/forget"),
    ("POST", "/api/left/resume"),
    ("POST", "/api/probe"),
];

#[tokio::test]
async fn nothing_but_the_page_itself_is_shown_to_whoever_was_not_let_in() {
    let page = Served::new().await;
    let own = page.own();
    let near = "haul-1=0000; other=1";
    for fields in [own.clone(), with(own.clone(), "Cookie", near), with(own, "Cookie", ";;=;")] {
        for (method, path) in ROUTES {
            assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{path}");
        }
        assert_eq!(page.send("GET", "/nothing", &fields, "").await.status, 403);
    }
}

#[tokio::test]
async fn a_cookie_that_another_port_came_to_know_opens_nothing() {
    let page = Served::new().await;
    let Session { cookie, key } = page.enter().await;
    let stolen = with(page.own(), "Cookie", &cookie);
    let reversed: String = key.chars().rev().collect();
    for guess in ["", "1", &reversed, &key[1..], &"0".repeat(64)] {
        let fields = with(stolen.clone(), "X-Haul-Key", guess);
        for (method, path) in ROUTES {
            assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{path}");
        }
    }
    for (method, path) in ROUTES {
        let fields = without(stolen.clone(), "X-Haul-Key");
        assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_key_without_its_cookie_opens_nothing() {
    let page = Served::new().await;
    let session = page.enter().await;
    let fields = without(page.inside(&session), "Cookie");
    for (method, path) in ROUTES {
        assert_eq!(page.send(method, path, &fields, JOB).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn secrets_in_the_address_open_nothing() {
    let page = Served::new().await;
    let Session { cookie, key } = page.enter().await;
    let token = page.token();
    let host = [("Host", page.address.to_string())];
    for query in [format!("key={key}"), format!("x-haul-key={key}&{cookie}"), format!("t={token}")]
    {
        let answer = page.send("GET", &format!("/api/jobs?{query}"), &host, "").await;
        assert_eq!(answer.status, 403, "{query}");
    }
}

#[tokio::test]
async fn a_key_said_twice_opens_nothing() {
    let page = Served::new().await;
    let session = page.enter().await;
    let mut fields = page.inside(&session);
    fields.push(("X-Haul-Key", session.key.clone()));
    assert_eq!(page.send("GET", "/api/jobs", &fields, "").await.status, 403);
}

#[tokio::test]
async fn the_secrets_of_one_program_open_no_other() {
    let (one, two) = (Served::new().await, Served::new().await);
    let Session { cookie, key } = one.enter().await;
    let value = cookie.split_once('=').unwrap().1;
    let forged = format!("haul-{}={value}", two.address.port());
    for cookie in [cookie.clone(), forged] {
        let session = Session { cookie, key: key.clone() };
        assert_eq!(two.post("/api/jobs", &session, JOB).await.status, 403);
    }
}

#[tokio::test]
async fn a_cookie_that_another_port_tosses_in_locks_nobody_out() {
    let page = Served::new().await;
    let session = page.enter().await;
    let name = session.cookie.split('=').next().unwrap();
    for tossed in
        [format!("{name}=evil; {}", session.cookie), format!("{name}; {}", session.cookie)]
    {
        let fields = with(page.inside(&session), "Cookie", &tossed);
        assert_eq!(page.send("GET", "/api/jobs", &fields, "").await.status, 200, "{tossed}");
    }
}

#[tokio::test]
async fn a_token_opens_once() {
    let page = Served::new().await;
    page.enter().await;
    let body = format!(r#"{{"token":"{}"}}"#, page.token());
    let again = page.send("POST", "/api/session", &page.own(), &body).await;
    assert_eq!(again.status, 403);
    assert!(again.field("set-cookie").is_none() && !again.body.contains("key"));
}

#[tokio::test]
async fn a_guessed_token_opens_nothing_and_spoils_nothing() {
    let page = Served::new().await;
    let reversed: String = page.token().chars().rev().collect();
    let numbered = (0..300).map(|at| format!("{at:064x}"));
    let near = ["", "0", &reversed].map(str::to_owned).into_iter();
    for guess in near.chain(numbered) {
        let body = format!(r#"{{"token":"{guess}"}}"#);
        assert_eq!(page.send("POST", "/api/session", &page.own(), &body).await.status, 403);
    }
    page.enter().await;
}

#[tokio::test]
async fn a_token_is_taken_from_no_foreign_page_even_if_it_is_right() {
    let page = Served::new().await;
    let body = format!(r#"{{"token":"{}"}}"#, page.token());
    for (name, value) in [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-site")] {
        let fields = with(page.own(), name, value);
        assert_eq!(page.send("POST", "/api/session", &fields, &body).await.status, 403);
    }
    page.enter().await;
}

#[tokio::test]
async fn no_answer_tells_a_secret_to_whoever_does_not_know_it() {
    let page = Served::new().await;
    let token = page.token().to_owned();
    let Session { cookie, key } = page.enter().await;
    let value = cookie.split_once('=').unwrap().1.to_owned();
    let session = Session { cookie, key: key.clone() };
    for path in ["/", "/page.js", "/program.js", "/api/jobs", "/nothing"] {
        let answer = page.send("GET", path, &page.inside(&session), "").await;
        let told = format!("{answer:?}");
        assert!(![&token, &value, &key].iter().any(|secret| told.contains(*secret)), "{path}");
    }
}
