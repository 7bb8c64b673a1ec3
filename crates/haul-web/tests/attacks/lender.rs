//! The helper's page: nobody but its owner answers, pauses or sets rules there, or learns who asks.

use crate::client::{Served, Session, with, without};
use haul::doors::{Doors, Onlooker, Reply};
use haul::trust::Standing;
use haul::{ConsentPolicy, Decision, Lasts, Request};
use std::fs;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const CHANGES: [(&str, &str); 7] = [
    ("/api/answer", r#"{"ask":1,"say":"yes"}"#),
    ("/api/pause", r#"{"seconds":1}"#),
    ("/api/resume", "{}"),
    ("/api/end", r#"{"help":0}"#),
    ("/api/limit", r#"{"rate":1}"#),
    ("/api/trust", r#"{"what":"refused","leader":"asha"}"#),
    ("/api/policy", r#"{"fields":{"mode":"always"}}"#),
];

const CODE: &str = "418 207";

fn request(leader: &str) -> Request {
    Request {
        leader: leader.into(),
        leader_id: "ab".repeat(32),
        standing: Standing::Stranger,
        code: CODE.into(),
        scheme: "https",
        host: "secret.example".into(),
        size: 1 << 20,
    }
}

/// A question that is open on the page; its number, and what will be answered.
async fn asked(doors: &Doors) -> (u64, JoinHandle<Decision>) {
    let mut onlooker: Onlooker = doors.watch();
    let all = doors.clone();
    let decides = tokio::spawn(async move { all.decide(&request("asha")).await });
    (onlooker.next().await.unwrap().id, decides)
}

/// Whether nobody has answered, seen by answering it here.
async fn is_open(doors: &Doors, (ask, decides): (u64, JoinHandle<Decision>)) -> bool {
    doors.answer(ask, &Reply::No);
    decides.await.unwrap() == Decision::No
}

#[tokio::test]
async fn an_owner_who_was_let_in_can_answer() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let (ask, decides) = asked(&doors).await;
    let yes = format!(r#"{{"ask":{ask},"say":"yes"}}"#);
    assert_eq!(page.post("/api/answer", &session, &yes).await.status, 202);
    assert_eq!(decides.await.unwrap(), Decision::YesFor(Lasts::TwoHours));
}

#[tokio::test]
async fn whoever_was_not_let_in_answers_nothing_and_learns_nothing() {
    let (page, doors) = Served::helper().await;
    let Session { cookie, key } = page.enter().await;
    let prompt = asked(&doors).await;
    let own = page.own();
    for fields in [
        own.clone(),
        with(own.clone(), "Cookie", &cookie),
        with(with(own.clone(), "Cookie", &cookie), "X-Haul-Key", &"0".repeat(64)),
        with(own.clone(), "X-Haul-Key", &key),
    ] {
        for (path, body) in CHANGES {
            assert_eq!(page.send("POST", path, &fields, body).await.status, 403, "{path}");
        }
        let heard = page.send("GET", "/api/events", &fields, "").await;
        assert_eq!(heard.status, 403);
        assert!(!heard.body.contains("asha"));
    }
    assert!(is_open(&doors, prompt).await);
    assert!(!fs::read_to_string(page.path("policy.toml")).unwrap().contains("\nmode"));
}

#[tokio::test]
async fn another_page_answers_nothing_in_the_owners_name() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    let own = page.inside(&session);
    let other_port = format!("http://127.0.0.1:{}", page.address.port() ^ 1);
    let foreign = [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", other_port.as_str()),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "none"),
    ];
    for (name, value) in foreign {
        for (path, body) in CHANGES {
            let fields = with(own.clone(), name, value);
            assert_eq!(page.send("POST", path, &fields, body).await.status, 403, "{path} {value}");
        }
    }
    for (path, body) in CHANGES {
        let silent = without(without(own.clone(), "Origin"), "Sec-Fetch-Site");
        assert_eq!(page.send("POST", path, &silent, body).await.status, 403, "{path}");
        let unkeyed = without(own.clone(), "X-Haul-Key");
        assert_eq!(page.send("POST", path, &unkeyed, body).await.status, 403, "{path}");
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn what_a_form_can_send_answers_nothing() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""] {
        for (path, body) in CHANGES {
            let fields = with(page.inside(&session), "Content-Type", kind);
            assert_eq!(page.send("POST", path, &fields, body).await.status, 415, "{path} {kind}");
        }
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn no_address_alone_answers() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    let own = page.inside(&session);
    for (path, body) in CHANGES {
        for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let target = format!("{path}?ask={}&say=yes&_method=POST", prompt.0);
            assert_eq!(page.send(method, &target, &own, body).await.status, 405, "{method} {path}");
        }
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn a_rebound_name_reaches_neither_page_nor_question() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    for host in ["evil.example", "127.0.0.1", "127.evil.example:80", "127.0.0.1:1"] {
        let fields = with(page.inside(&session), "Host", host);
        for path in ["/", "/ask.js", "/api/events"] {
            assert_eq!(page.send("GET", path, &fields, "").await.status, 403, "{host} {path}");
        }
        for (path, body) in CHANGES {
            assert_eq!(page.send("POST", path, &fields, body).await.status, 403, "{host} {path}");
        }
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn every_file_of_the_page_is_shown_in_no_frame_and_runs_nothing_inline() {
    let (page, _doors) = Served::helper().await;
    let host = [("Host", page.address.to_string())];
    for path in
        ["/", "/helper.js", "/ask.js", "/lending.js", "/policy.js", "/entry.js", "/page.css"]
    {
        let answer = page.send("GET", path, &host, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.field("x-frame-options"), Some("DENY"), "{path}");
        let policy = answer.field("content-security-policy").unwrap();
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn the_two_pages_share_neither_secrets_nor_deeds() {
    let (helper, doors) = Served::helper().await;
    let leader = Served::new().await;
    let (of_helper, of_leader) = (helper.enter().await, leader.enter().await);
    let prompt = asked(&doors).await;
    for (path, body) in CHANGES {
        assert_eq!(leader.post(path, &of_leader, body).await.status, 404, "{path}");
        assert_eq!(helper.post(path, &of_leader, body).await.status, 403, "{path}");
    }
    for path in ["/api/jobs", "/api/jobs/cancel", "/api/probe"] {
        assert_eq!(helper.post(path, &of_helper, crate::JOB).await.status, 404, "{path}");
    }
    for path in ["/page.js", "/job.js", "/form.js"] {
        let answer = helper.send("GET", path, &helper.inside(&of_helper), "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn an_answer_that_was_overheard_answers_no_other_question() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let (ask, decides) = asked(&doors).await;
    let yes = format!(r#"{{"ask":{ask},"say":"yes"}}"#);
    assert_eq!(page.post("/api/answer", &session, &yes).await.status, 202);
    assert_eq!(decides.await.unwrap(), Decision::YesFor(Lasts::TwoHours));
    let prompt = asked(&doors).await;
    assert_eq!(page.post("/api/answer", &session, &yes).await.status, 409);
    for guess in [0, prompt.0 + 1, u64::MAX] {
        let guess = format!(r#"{{"ask":{guess},"say":"yes"}}"#);
        assert_eq!(page.post("/api/answer", &session, &guess).await.status, 409);
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn a_guessed_code_makes_nobody_known_and_after_three_the_right_one_is_not_taken_either() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    let always = |code: &str| format!(r#"{{"ask":{},"say":"always","code":"{code}"}}"#, prompt.0);
    for guess in ["", "4182", "418 208", "000000", "999999", CODE] {
        let answer = page.post("/api/answer", &session, &always(guess)).await;
        assert_eq!(answer.status, 422, "{guess}");
        assert!(!answer.body.contains("418"), "{}", answer.body);
    }
    assert!(!page.path("known").exists());
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn the_code_is_told_to_nobody_who_follows_the_page() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    let heard = hear(&page, &session, "\"leader\":\"asha\"").await;
    assert!(heard.contains("secret.example"), "{heard}");
    assert!(!heard.contains("418"), "{heard}");
    assert!(is_open(&doors, prompt).await);
}

/// What the stream of events tells up to this.
async fn hear(page: &Served, session: &Session, until: &str) -> String {
    let mut stream = TcpStream::connect(page.address).await.unwrap();
    let head = crate::client::head("GET", "/api/events", &page.inside(session));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = String::new();
    let mut bytes = [0; 4096];
    while !told.contains(until) {
        let read = timeout(Duration::from_secs(20), stream.read(&mut bytes)).await;
        let read = read.unwrap_or_else(|_| panic!("only {told}")).unwrap();
        assert_ne!(read, 0, "{told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    told
}

#[tokio::test]
async fn bodies_that_are_no_answers_are_refused_and_leave_the_question_open() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let prompt = asked(&doors).await;
    let deep = "[".repeat(8000);
    for body in [
        "",
        "{",
        "null",
        "1",
        "[]",
        r#"{"ask":1}"#,
        r#"{"ask":"1","say":"yes"}"#,
        r#"{"ask":-1,"say":"yes"}"#,
        r#"{"ask":1,"say":"YES"}"#,
        r#"{"ask":1,"say":"yes","x":1}"#,
        r#"{"ask":1,"ask":1,"say":"yes"}"#,
        "{\"ask\":1,\"say\":\"yes\"}}",
        "\u{0}",
        &deep,
    ] {
        let answer = page.post("/api/answer", &session, body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let huge = format!(r#"{{"ask":1,"say":"always","code":"{}"}}"#, "0".repeat(20_000));
    assert_eq!(page.post("/api/answer", &session, &huge).await.status, 413);
    for (path, _) in CHANGES {
        assert_eq!(page.post(path, &session, r#"{"evil":1}"#).await.status, 400, "{path}");
    }
    assert!(is_open(&doors, prompt).await);
}

#[tokio::test]
async fn no_value_of_a_rule_reaches_into_another_or_into_another_file() {
    let (page, _doors) = Served::helper().await;
    let session = page.enter().await;
    let before = fs::read_to_string(page.path("policy.toml")).unwrap();
    for (name, value) in [
        ("limits.per_day", "1G\"\nmode = \"always"),
        ("limits.per_day", "1G\\\"\\nmode = \\\"always"),
        ("hosts.deny", "a\"]\nmode = \"always\"#"),
        ("../../x.mode", "always"),
        ("mode\n[x]", "always"),
        ("__proto__", "always"),
        ("version", "2"),
        ("leaders.known", "[]"),
        ("mode", "always\u{0}"),
    ] {
        let fields = serde_json::json!({ "fields": { name: value } }).to_string();
        let answer = page.post("/api/policy", &session, &fields).await;
        assert_eq!(answer.status, 422, "{name} = {value}");
        assert!(answer.body.contains("\"fields\""), "{}", answer.body);
    }
    assert_eq!(fs::read_to_string(page.path("policy.toml")).unwrap(), before);
    let left = fs::read_dir(page.folder.path()).unwrap().count();
    assert_eq!(left, 1, "nothing was written beside it");
}

#[tokio::test]
async fn a_helper_that_does_not_run_is_told_nothing_and_the_page_says_so() {
    let (page, _doors) = Served::helper().await;
    let session = page.enter().await;
    for (path, body) in &CHANGES[1..5] {
        let answer = page.post(path, &session, body).await;
        assert_eq!(answer.status, 422, "{path}");
        assert!(answer.body.contains("nobody listens"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_flood_of_listeners_keeps_no_owner_from_answering() {
    let (page, doors) = Served::helper().await;
    let session = page.enter().await;
    let head = crate::client::head("GET", "/api/events", &page.inside(&session));
    let mut streams = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(page.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    let (ask, decides) = asked(&doors).await;
    let no = format!(r#"{{"ask":{ask},"say":"never"}}"#);
    assert_eq!(page.post("/api/answer", &session, &no).await.status, 202);
    assert_eq!(decides.await.unwrap(), Decision::Block);
}

#[tokio::test]
async fn a_link_opens_the_page_once() {
    let (page, doors) = Served::helper().await;
    page.enter().await;
    let prompt = asked(&doors).await;
    let body = format!(r#"{{"token":"{}"}}"#, page.token());
    assert_eq!(page.send("POST", "/api/session", &page.own(), &body).await.status, 403);
    let fresh = page.links.fresh().unwrap();
    assert_ne!(fresh, page.link);
    assert!(is_open(&doors, prompt).await);
}
