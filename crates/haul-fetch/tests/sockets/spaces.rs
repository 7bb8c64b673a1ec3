//! What a server says leads to no narrower address space than its own.
//!
//! Loopback is all that these tests have, so that a public origin is a name behind a proxy: to the
//! client it is on the internet. What it leads to is on loopback, and connected to without a proxy.

use crate::origin::{Origin, Reply, drain, fetch, payload, reply, serve, span};
use haul_fetch::ways::{Metalink, Mirror, Proxies};
use haul_fetch::{AddressSpace, Client, Denied, Error, Guard, Kind, Lane, Options, Probe, Refusal};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

const REBOOT: &str = "/router/reboot";

fn spaces() -> Guard {
    Guard::Spaces { local: Vec::new().into() }
}

/// A client to which names are on the internet, by a proxy, and loopback is not.
fn outside(guard: Guard, proxy: &Origin) -> Client {
    let variables = |name: &str| match name {
        "all_proxy" => Some(proxy.address.to_string()),
        "no_proxy" => Some("127.0.0.1,localhost".to_owned()),
        _ => None,
    };
    let proxies = Proxies::from_variables(variables).unwrap();
    Client::new(Options { guard, proxies, ..Options::default() }).unwrap()
}

/// A client that connects by itself.
fn inside() -> Client {
    Client::new(Options { guard: spaces(), ..Options::default() }).unwrap()
}

fn public() -> Url {
    "http://origin.test/f".parse().unwrap()
}

fn redirect(code: u16, to: &str) -> Reply {
    reply(&format!("{code} Go\nLocation: {to}\nContent-Length: 0"), b"")
}

/// The whole of `file`, with one more field.
fn with_field(file: &[u8], field: &str) -> Reply {
    let end = file.len();
    let range = format!("Content-Range: bytes 0-{}/{end}\n{field}", end - 1);
    crate::origin::part(file, 0..end as u64, &range)
}

fn refused_inward(error: &Error) -> bool {
    let inward = matches!(error, Error::Refused { why: Refusal::Inward, .. });
    inward && error.kind() == Kind::Refused
}

#[tokio::test]
async fn a_public_origin_redirects_to_no_private_address_at_any_hop_in_any_form() {
    let router = Origin::of(b"rebooting".to_vec()).await;
    let port = router.address.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0",
        "[::ffff:127.0.0.1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1]",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "router",
        "nas.local",
        "x.localhost",
    ] {
        for (code, hops) in [(301, 0), (302, 2), (303, 0), (307, 1), (308, 3)] {
            let to = format!("http://{host}:{port}{REBOOT}");
            let proxy = Origin::new(move |request| match request.number {
                hop if hop < hops => redirect(code, &format!("http://hop{hop}.test/{hop}")),
                _ => redirect(code, &to),
            })
            .await;
            let error = outside(spaces(), &proxy).probe(&public()).await.err().unwrap();
            assert!(refused_inward(&error), "{code} to {host}: {error}");
            assert_eq!(proxy.requests().len(), hops + 1, "{code} to {host}");
        }
    }
    assert_eq!(router.requests().len(), 0);
}

#[tokio::test]
async fn an_open_guard_follows_the_same_redirect() {
    let router = Origin::of(b"rebooting".to_vec()).await;
    let to = router.url(REBOOT).to_string();
    let proxy = Origin::new(move |_| redirect(302, &to)).await;
    let mut probe = outside(Guard::Open, &proxy).probe(&public()).await.unwrap();
    assert_eq!(drain(&mut probe.body).await.0, b"rebooting");
    assert_eq!(router.requests()[0].path(), REBOOT);
}

#[tokio::test]
async fn a_private_origin_redirects_to_private_addresses_until_a_public_one_has_spoken() {
    let file = payload(1000);
    let served = file.clone();
    let other = Origin::of(served).await;
    let to = other.url("/f").to_string();
    let direct = to.clone();
    let intranet = Origin::new(move |_| redirect(302, &direct)).await;
    let mut probe = inside().probe(&intranet.url("/f")).await.unwrap();
    assert_eq!(drain(&mut probe.body).await.0, file);
    let intranet = Origin::new(|_| redirect(302, "http://origin.test/f")).await;
    let proxy = Origin::new(move |_| redirect(302, &to)).await;
    let error = outside(spaces(), &proxy).probe(&intranet.url("/f")).await.err().unwrap();
    assert!(refused_inward(&error), "{error}");
    assert_eq!((proxy.requests().len(), other.requests().len()), (1, 1));
}

#[tokio::test]
async fn a_kept_connection_to_a_private_address_is_not_lent_to_whom_a_public_one_leads_there() {
    let router = Origin::of(payload(1000)).await;
    let to = router.url(REBOOT).to_string();
    let proxy = Origin::new(move |_| redirect(302, &to)).await;
    let client = outside(spaces(), &proxy);
    let mut probe = client.probe(&router.url("/own")).await.unwrap();
    drain(&mut probe.body).await;
    drop(probe);
    let error = client.probe(&public()).await.err().unwrap();
    assert!(refused_inward(&error), "{error}");
    assert_eq!(router.requests().len(), 1, "the user's own request");
}

/// Reads all of a source over several lanes, so that every fit site is asked.
async fn read_all(probe: Probe, length: u64) -> Vec<u8> {
    let source = probe.source.clone();
    let mut first = probe.into_lane();
    let (mut second, mut third) = (Lane::new(source.clone()), Lane::new(source));
    let (a, b) = (length / 3, length / 3 * 2);
    let (one, two, three) = tokio::join!(
        fetch(&mut first, span(0, a)),
        fetch(&mut second, span(a, b)),
        fetch(&mut third, span(b, length)),
    );
    [one.unwrap(), two.unwrap(), three.unwrap()].concat()
}

#[tokio::test]
async fn a_mirror_that_a_public_origin_names_is_left_out_with_a_word_if_it_is_private() {
    const LENGTH: u64 = 300_000;
    let file = payload(LENGTH as usize);
    for (guard, requests) in [(spaces(), 0..1), (Guard::Open, 1..100)] {
        let router = Origin::of(file.clone()).await;
        let link = format!("Link: <{}>; rel=duplicate", router.url(REBOOT));
        let served = file.clone();
        let proxy = Origin::new(move |request| match request.range() {
            Some((0, None)) => with_field(&served, &link),
            _ => serve(request, &served),
        })
        .await;
        let probe = outside(guard, &proxy).probe_any(&public(), &[], None).await.unwrap();
        let source = probe.source.clone();
        assert_eq!(source.leads_to(), AddressSpace::Public);
        assert!(read_all(probe, LENGTH).await == file);
        assert!(requests.contains(&router.requests().len()), "{}", router.requests().len());
        let told = timeout(Duration::from_millis(100), source.refused_mirror()).await;
        assert_eq!(told.is_ok_and(|error| refused_inward(&error)), requests.start == 0);
    }
}

#[tokio::test]
async fn a_mirror_that_the_user_names_may_be_private_and_one_that_redirects_inward_may_not() {
    const LENGTH: u64 = 300_000;
    let file = payload(LENGTH as usize);
    let (own, router) = (Origin::of(file.clone()).await, Origin::of(file.clone()).await);
    let (to, served) = (router.url(REBOOT).to_string(), file.clone());
    let proxy = Origin::new(move |request| match request.header("host") {
        Some("mirror.test") => redirect(302, &to),
        _ => serve(request, &served),
    })
    .await;
    let mirrors = [own.url("/f"), "http://mirror.test/f".parse().unwrap()].map(Mirror::named);
    let probe = outside(spaces(), &proxy).probe_any(&public(), &mirrors, None).await.unwrap();
    let source = probe.source.clone();
    assert!(read_all(probe, LENGTH).await == file);
    assert!(!own.requests().is_empty());
    assert!(refused_inward(&source.refused_mirror().await));
    assert_eq!(router.requests().len(), 0);
}

#[tokio::test]
async fn the_addresses_of_a_metalink_lead_no_further_in_than_who_sent_it_or_stands_first_in_it() {
    let router = Origin::of(payload(1000)).await;
    let document = format!(
        "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\"f\"><url>{}</url>\
         </file></metalink>",
        router.url(REBOOT)
    );
    let mirrors = |space| {
        let sent = Metalink::parse(document.as_bytes()).unwrap().said_in(space);
        sent.files[0].mirrors.clone()
    };
    let proxy = Origin::new(|_| reply("404 No\nContent-Length: 0", b"")).await;
    let client = outside(spaces(), &proxy);
    // A file of the user's own, whose first address is on the internet.
    let own = mirrors(AddressSpace::Loopback);
    assert!(client.probe_any(&public(), &own, None).await.is_err());
    // Sent by somebody on the internet.
    let sent = mirrors(AddressSpace::Public);
    let intranet = Origin::new(|_| reply("404 No\nContent-Length: 0", b"")).await;
    assert!(client.probe_any(&intranet.url("/f"), &sent, None).await.is_err());
    let led = client.probe_led(sent[0].floor(), sent[0].url(), &[], None).await;
    assert!(refused_inward(&led.err().unwrap()));
    assert_eq!(router.requests().len(), 0);
    // A file of the user's own, whose first address is private too.
    assert!(client.probe_any(&intranet.url("/f"), &own, None).await.is_ok());
}

#[tokio::test]
async fn a_description_is_asked_for_where_its_origin_could_and_is_told_no_secret_elsewhere() {
    let router = Origin::of(payload(10)).await;
    let other = Origin::of(payload(10)).await;
    for (target, inward) in [(&router, true), (&other, false)] {
        let link = format!(
            "Link: <{}>; rel=describedby; type=\"application/metalink4+xml\"",
            target.url(REBOOT)
        );
        let origin = Origin::new(move |_| with_field(b"hello", &link)).await;
        let headers = vec![("X-Token".to_owned(), "secret".to_owned())];
        let variables = |name: &str| match name {
            "all_proxy" => Some(origin.address.to_string()),
            "no_proxy" => Some("127.0.0.1".to_owned()),
            _ => None,
        };
        let proxies = Proxies::from_variables(variables).unwrap();
        let options = Options { guard: spaces(), proxies, headers, ..Options::default() };
        let url = if inward { public() } else { origin.url("/f") };
        let probe = Client::new(options).unwrap().probe(&url).await.unwrap();
        let described = probe.source.description().await;
        assert_eq!(described.err().is_some_and(|error| refused_inward(&error)), inward);
        assert!(target.requests().iter().all(|request| request.header("x-token").is_none()));
    }
    assert_eq!((router.requests().len(), other.requests().len()), (0, 1));
}

#[tokio::test]
async fn what_is_around_the_machine_counts_as_local_even_where_its_address_is_public() {
    let guard = || Guard::Spaces { local: vec!["203.0.113.0/24".parse().unwrap()].into() };
    let proxy = Origin::new(|_| redirect(302, "http://203.0.113.1/router/reboot")).await;
    let error = outside(guard(), &proxy).probe(&public()).await.err().unwrap();
    assert!(refused_inward(&error), "{error}");
    let unknown = Guard::Spaces { local: Denied::asking(|| None) };
    let proxy = Origin::new(|request| match request.number {
        0 => redirect(302, "http://elsewhere.test/f"),
        _ => serve(request, b"hello"),
    })
    .await;
    assert!(outside(unknown, &proxy).probe(&public()).await.is_ok());
}

/// Whoever opens a connection elsewhere would pass the guard by.
#[test]
fn only_connect_rs_opens_connections() {
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let opens = ["TcpStream::connect", "TcpSocket::", "lookup_host", "to_socket_addrs"];
            if opens.iter().any(|opens| text.contains(opens)) {
                found.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(found, ["connect.rs"]);
}
