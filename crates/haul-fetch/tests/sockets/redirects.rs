//! Redirects: by hand, not far, and without secrets.

use crate::origin::{Origin, client, drain, fetch, payload, reply, serve, span};
use haul_fetch::{Client, Error, Kind, Lane, Options, Retry};
use url::Url;

fn onward(code: u16, to: &str) -> crate::origin::Reply {
    reply(&format!("{code} Go\nLocation: {to}\nContent-Length: 0"), b"")
}

fn with_secrets() -> Client {
    let headers = [("Cookie", "a=b"), ("X-Token", "secret"), ("User-Agent", "me")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Client::new(Options { headers, ..Options::default() }).unwrap()
}

fn signed_in(mut url: Url) -> Url {
    url.set_username("user").unwrap();
    url.set_password(Some("pass")).unwrap();
    url
}

#[tokio::test]
async fn every_code_that_redirects_is_followed() {
    for code in [301, 302, 303, 307, 308] {
        let origin = Origin::new(move |request| match request.path() {
            "/a/f" => onward(code, "../b/g.bin?x#y"),
            _ => serve(request, b"hello"),
        })
        .await;
        let mut probe = client().probe(&origin.url("/a/f")).await.unwrap();
        assert_eq!(drain(&mut probe.body).await.0, b"hello");
        assert_eq!(probe.source.final_url().path(), "/b/g.bin");
        assert_eq!((probe.source.name(), probe.source.url().path()), ("g.bin", "/a/f"));
        assert_eq!(origin.requests()[1].path(), "/b/g.bin?x");
    }
}

#[tokio::test]
async fn ten_redirects_are_followed_and_no_more() {
    for (hops, fine) in [(10, true), (11, false)] {
        let origin = Origin::new(move |request| {
            let hop: u32 = request.path()[1..].parse().unwrap();
            if hop == hops { serve(request, b"x") } else { onward(302, &format!("/{}", hop + 1)) }
        })
        .await;
        let probed = client().probe(&origin.url("/0")).await;
        assert_eq!(probed.is_ok(), fine);
        if let Err(error) = probed {
            assert!(matches!(error, Error::TooManyRedirects { .. }), "{error}");
            assert_eq!((error.kind(), error.retry()), (Kind::Redirects, Retry::Never));
            assert_eq!(origin.requests().len(), 11);
        }
    }
}

#[tokio::test]
async fn a_redirect_to_nowhere_or_out_of_the_web_is_an_error() {
    for location in ["file:///etc/passwd", "ftp://h/", "data:,x", "http://", "http://[::"] {
        let origin = Origin::new(move |_| onward(302, location)).await;
        let error = client().probe(&origin.url("/")).await.err().unwrap();
        assert!(matches!(error, Error::BadRedirect { .. }), "{location}: {error}");
        assert_eq!(error.kind(), Kind::Redirects);
    }
    for fields in ["", "\nLocation: /a\nLocation: /b"] {
        let head = format!("302 Go\nContent-Length: 0{fields}").leak();
        let origin = Origin::new(|_| reply(head, b"")).await;
        let error = client().probe(&origin.url("/")).await.err().unwrap();
        assert!(matches!(error, Error::BadRedirect { .. }), "{fields}: {error}");
    }
}

#[tokio::test]
async fn a_redirect_may_be_written_in_any_letters() {
    for (location, path) in [
        ("/na\u{ef}ve", "/na%C3%AFve"),
        ("/a b", "/a%20b"),
        ("/%C3%AF?\u{ef}#\u{ef}", "/%C3%AF?%C3%AF"),
    ] {
        let origin = Origin::new(move |request| match request.path() {
            "/" => onward(302, location),
            _ => reply("200 OK\nContent-Length: 1", b"x"),
        });
        let origin = origin.await;
        client().probe(&origin.url("/")).await.unwrap();
        assert_eq!(origin.requests().last().unwrap().path(), path, "{location}");
    }
}

#[tokio::test]
async fn secrets_stay_with_the_origin_that_was_asked() {
    let away = Origin::of(payload(100)).await;
    let there = away.url("/g");
    let origin = Origin::new(move |request| match request.path() {
        "/f" => onward(302, "/again"),
        _ => onward(302, there.as_str()),
    })
    .await;
    let probe = with_secrets().probe(&signed_in(origin.url("/f"))).await.unwrap();
    for request in origin.requests() {
        assert_eq!(request.header("cookie"), Some("a=b"));
        assert_eq!(request.header("x-token"), Some("secret"));
        assert_eq!(request.header("user-agent"), Some("me"));
        assert_eq!(request.header("authorization"), Some("Basic dXNlcjpwYXNz"));
    }
    // A lane goes to the final URL at once, and is no more trusting.
    fetch(&mut Lane::new(probe.source), span(10, 20)).await.unwrap();
    let requests = away.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        for name in ["cookie", "x-token", "authorization", "referer"] {
            assert_eq!(request.header(name), None, "{name}");
        }
        assert!(request.header("user-agent").unwrap().starts_with("haul/"));
    }
}

#[tokio::test]
async fn secrets_do_not_come_back_by_way_of_another_origin() {
    let (sender, home) = std::sync::mpsc::channel::<Url>();
    let home = std::sync::Mutex::new(home);
    let away =
        Origin::new(move |_| onward(302, home.lock().unwrap().recv().unwrap().as_str())).await;
    let there = away.url("/");
    let origin = Origin::new(move |request| match request.path() {
        "/f" => onward(302, there.as_str()),
        _ => serve(request, b"x"),
    })
    .await;
    sender.send(origin.url("/back")).unwrap();
    with_secrets().probe(&signed_in(origin.url("/f"))).await.unwrap();
    let requests = origin.requests();
    assert_eq!((requests[1].path(), requests[1].header("cookie")), ("/back", None));
    assert_eq!(requests[1].header("authorization"), None);
}

#[tokio::test]
async fn a_user_in_a_redirect_is_not_told_to_anyone() {
    let away = Origin::of(payload(100)).await;
    let there = signed_in(away.url("/g"));
    let origin = Origin::new(move |_| onward(302, there.as_str())).await;
    let probe = client().probe(&origin.url("/f")).await.unwrap();
    assert_eq!(away.requests()[0].header("authorization"), None);
    assert_eq!(probe.source.final_url(), away.url("/g"));
}
