//! TLS: trusted roots, right names, and no way down.

use crate::origin::{Origin, client, fetch, payload, reply, serve, span};
use haul_fetch::{Client, Error, Kind, Options};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// An acceptor for `name`, and its certificate in PEM.
fn acceptor(name: &str) -> (TlsAcceptor, Vec<u8>) {
    acceptor_of(name, &[])
}

/// The same, for one that speaks these protocols.
pub(crate) fn acceptor_of(name: &str, protocols: &[&str]) -> (TlsAcceptor, Vec<u8>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    (TlsAcceptor::from(Arc::new(config)), cert.pem().into_bytes())
}

pub(crate) fn trusting(roots: Vec<u8>) -> Client {
    let hosts = [("f.test".to_owned(), vec!["127.0.0.1".parse().unwrap()])].into();
    Client::new(Options { extra_roots: roots, hosts, ..Options::default() }).unwrap()
}

fn url(host: &str, origin: &Origin) -> Url {
    Url::parse(&format!("https://{host}:{}/f", origin.address.port())).unwrap()
}

#[tokio::test]
async fn an_extra_root_is_trusted_for_its_name_and_connections_are_kept() {
    for name in ["f.test", "127.0.0.1"] {
        let file = payload(200_000);
        let sent = file.clone();
        let (tls, root) = acceptor(name);
        let origin = Origin::listen(Some(tls), move |request| serve(request, &sent)).await;
        let mut lane = trusting(root).probe(&url(name, &origin)).await.unwrap().into_lane();
        assert_eq!(fetch(&mut lane, span(0, 200_000)).await.unwrap(), file);
        assert_eq!(fetch(&mut lane, span(9, 99)).await.unwrap(), file[9..99]);
        assert_eq!(origin.requests()[1].connection, 0);
    }
}

#[tokio::test]
async fn an_unknown_root_and_a_wrong_name_are_refused() {
    let (tls, root) = acceptor("f.test");
    let origin = Origin::listen(Some(tls), |request| serve(request, b"x")).await;
    for (roots, host) in [(Vec::new(), "f.test"), (root, "127.0.0.1")] {
        let error = trusting(roots).probe(&url(host, &origin)).await.err().unwrap();
        assert!(matches!(error, Error::Tls { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Network);
    }
    assert!(origin.requests().is_empty());
}

#[tokio::test]
async fn a_plain_origin_is_not_taken_for_a_secure_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let answer = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 No\r\n\r\n").await.unwrap();
        stream
    };
    let client = client();
    let (probed, _stream) = tokio::join!(client.probe(&url), answer);
    assert!(matches!(probed, Err(Error::Tls { .. })));
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_refused() {
    let plain = Origin::of(payload(10)).await;
    let there = plain.url("/");
    let (tls, root) = acceptor("f.test");
    let origin = Origin::listen(Some(tls), move |_| {
        reply(&format!("302 Go\nLocation: {there}\nContent-Length: 0"), b"")
    })
    .await;
    let error = trusting(root).probe(&url("f.test", &origin)).await.err().unwrap();
    assert!(matches!(error, Error::Downgrade { .. }), "{error}");
    assert!(plain.requests().is_empty());
}
