//! The address guard, at the sockets.

use crate::origin::{Origin, payload, reply};
use haul_fetch::{Client, Error, Guard, Kind, Options, Refusal};
use url::Url;

fn guarded(allowed: &[&str], hosts: &[(&str, &[&str])]) -> Client {
    let allowed = allowed.iter().map(|net| net.parse().unwrap()).collect();
    let hosts = hosts.iter().map(|(name, ips)| {
        ((*name).to_owned(), ips.iter().map(|ip| ip.parse().unwrap()).collect())
    });
    Client::new(Options {
        guard: Guard::Public { allowed, denied: Vec::new().into() },
        hosts: hosts.collect(),
        ..Options::default()
    })
    .unwrap()
}

async fn refusal(client: &Client, url: &str) -> Refusal {
    match client.probe(&Url::parse(url).unwrap()).await.err().unwrap() {
        error @ Error::Refused { why, .. } => {
            assert_eq!(error.kind(), Kind::Refused);
            why
        }
        error => panic!("{url}: {error}"),
    }
}

#[tokio::test]
async fn no_spelling_of_a_private_address_is_connected_to() {
    let client = guarded(&[], &[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "0",
        "0.0.0.0",
        "127.0.0.1.",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "10.0.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "１２７.0.0.1",
    ] {
        assert_eq!(refusal(&client, &format!("http://{host}/")).await, Refusal::Address, "{host}");
    }
    for host in ["localhost", "LOCALHOST", "localhost.", "foo.localhost", "nas", "nas.local"] {
        assert_eq!(refusal(&client, &format!("http://{host}/")).await, Refusal::Name, "{host}");
    }
}

#[tokio::test]
async fn a_name_is_refused_for_any_of_its_addresses() {
    let names: &[(&str, &[&str])] = &[
        ("private.example.org", &["10.0.0.1"]),
        ("mixed.example.org", &["192.0.32.8", "127.0.0.1"]),
        ("mapped.example.org", &["::ffff:10.0.0.1"]),
    ];
    let client = guarded(&[], names);
    for (name, _) in names {
        assert_eq!(refusal(&client, &format!("http://{name}/")).await, Refusal::Address, "{name}");
    }
}

#[tokio::test]
async fn an_allowed_network_opens_on_every_port() {
    let origin = Origin::of(payload(100)).await;
    let port = origin.address.port();
    let client = guarded(&["127.0.0.0/8"], &[("f.example.org", &["127.0.0.1"])]);
    client.probe(&origin.url("/")).await.unwrap();
    let url = Url::parse(&format!("http://f.example.org:{port}/")).unwrap();
    client.probe(&url).await.unwrap();
    assert_eq!(refusal(&client, "http://192.0.32.8:8080/").await, Refusal::Port);
    assert_eq!(refusal(&client, "http://u@127.0.0.1/").await, Refusal::Secret);
}

#[tokio::test]
async fn every_hop_of_a_redirect_is_judged() {
    for to in
        ["http://169.254.169.254/latest/", "http://10.0.0.1/", "http://[::1]/", "//127.0.0.2/"]
    {
        for code in [301, 302, 303, 307, 308] {
            let origin = Origin::new(move |_| {
                reply(&format!("{code} Go\nLocation: {to}\nContent-Length: 0"), b"")
            })
            .await;
            let client = guarded(&["127.0.0.1/32"], &[]);
            assert_eq!(refusal(&client, origin.url("/").as_str()).await, Refusal::Address, "{to}");
        }
    }
}
