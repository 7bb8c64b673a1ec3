//! Proxies: each is told what it must know and nothing else, and its failures are its own.

use crate::origin::{Origin, Reply, Request, client, drain, payload, reply, serve, soon};
use haul_fetch::ways::{Cookies, Netrc, Proxies, ProxyFault};
use haul_fetch::{Client, Error, Guard, Kind, Options, Retry};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// A client that goes through the proxy at this URL, with secrets for every origin.
fn through(proxy: &str) -> Client {
    let headers = vec![("X-Token".to_owned(), "secret".to_owned())];
    Client::new(Options { headers, proxies: proxies(proxy), ..Options::default() }).unwrap()
}

fn proxies(proxy: &str) -> Proxies {
    let all = |name: &str| (name == "all_proxy").then(|| proxy.to_owned());
    Proxies::from_variables(all).unwrap()
}

fn is_fault(error: &Error, expected: impl Fn(&ProxyFault) -> bool) -> bool {
    matches!(error, Error::Proxy { fault, .. } if expected(fault))
}

#[tokio::test]
async fn an_http_proxy_is_asked_in_absolute_form_and_told_who_asks() {
    let file = payload(100_000);
    let served = file.clone();
    let proxy = Origin::new(move |request| serve(request, &served)).await;
    let client = through(&format!("http://me:pw@{}", proxy.address));
    let url: Url = "http://u:p@origin.test:8080/f.bin?q".parse().unwrap();
    let mut probe = client.probe(&url).await.unwrap();
    assert_eq!(drain(&mut probe.body).await.0, file);
    let request = &proxy.requests()[0];
    assert_eq!(request.path(), "http://origin.test:8080/f.bin?q");
    assert_eq!(request.header("host"), Some("origin.test:8080"));
    assert_eq!(request.header("proxy-authorization"), Some("Basic bWU6cHc="));
    assert_eq!(request.header("authorization"), Some("Basic dTpw"));
}

#[tokio::test]
async fn a_proxy_that_wants_another_user_is_an_error_of_its_own() {
    let proxy = Origin::new(|_| reply("407 No\nContent-Length: 0", b"")).await;
    for url in ["http://origin.test/f", "https://origin.test/f"] {
        let error = through(&proxy.address.to_string()).probe(&url.parse().unwrap()).await;
        let error = error.err().unwrap();
        assert!(is_fault(&error, |fault| matches!(fault, ProxyFault::SignIn)), "{error}");
        assert_eq!((error.kind(), error.retry()), (Kind::ProxySignIn, Retry::Never));
    }
}

#[tokio::test]
async fn a_status_407_of_an_origin_is_the_origins() {
    let origin = Origin::new(|_| reply("407 No\nContent-Length: 0", b"")).await;
    let error = client().probe(&origin.url("/f")).await.err().unwrap();
    assert!(matches!(error, Error::Status { status: 407, .. }), "{error}");
}

#[tokio::test]
async fn a_tunnel_is_asked_for_with_the_origins_name_and_none_of_its_secrets() {
    let proxy = Origin::new(|_| reply("403 No\nContent-Length: 0", b"")).await;
    let client = through(&format!("http://me:pw@{}", proxy.address));
    let error = client.probe(&"https://u:p@origin.test/f".parse().unwrap()).await.err().unwrap();
    let refused = |fault: &ProxyFault| matches!(fault, ProxyFault::Refused { status: 403 });
    assert!(is_fault(&error, refused), "{error}");
    assert_eq!((error.kind(), error.retry()), (Kind::Proxy, Retry::Elsewhere));
    let requests = proxy.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(request.path(), "origin.test:443");
    assert_eq!(request.header("proxy-authorization"), Some("Basic bWU6cHc="));
    for secret in ["authorization", "x-token", "cookie"] {
        assert_eq!(request.header(secret), None, "{secret}");
    }
}

#[tokio::test]
async fn what_is_no_proxy_is_told_as_such() {
    for said in [&b"SSH-2.0-x\r\n"[..], b"", b"HTTP/1.1 200 OK\r\n\r\nno TLS"] {
        let said = said.to_vec();
        let proxy = Origin::new(move |_| Reply::raw(said.clone()).close()).await;
        let client = through(&proxy.address.to_string());
        let error = soon(client.probe(&"https://origin.test/f".parse().unwrap())).await;
        let error = error.err().unwrap();
        let is_expected = matches!(error, Error::Tls { .. } | Error::Proxy { .. });
        assert!(is_expected, "{error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = through(&format!("socks5h://{closed}"));
    let error = client.probe(&"http://origin.test/f".parse().unwrap()).await.err().unwrap();
    assert!(is_fault(&error, |fault| matches!(fault, ProxyFault::Unreachable(_))), "{error}");
    assert!(error.to_string().contains(&closed.to_string()), "{error}");
}

#[tokio::test]
async fn a_socks_proxy_leads_to_the_origin_which_sees_a_plain_request() {
    let file = payload(100_000);
    let origin = Origin::of(file.clone()).await;
    for (scheme, host) in
        [("socks5", "localhost"), ("socks5h", "nowhere.test"), ("socks5h", "127.0.0.1")]
    {
        let asked = socks(origin.address).await;
        let client = through(&format!("{scheme}://{}", asked.address));
        let url = format!("http://{host}:{}/f.bin", origin.address.port());
        let mut probe = client.probe(&url.parse().unwrap()).await.unwrap();
        assert_eq!(drain(&mut probe.body).await.0, file, "{scheme} {host}");
        let kind = if host == "nowhere.test" { 3 } else { 1 };
        assert_eq!(asked.kind.await.unwrap(), kind, "{scheme} {host}");
    }
    let request: &Request = &origin.requests()[0];
    assert_eq!((request.path(), request.header("proxy-authorization")), ("/f.bin", None));
}

#[tokio::test]
async fn what_no_proxy_covers_is_reached_without_one() {
    let origin = Origin::of(payload(10)).await;
    let proxies = Proxies::from_variables(|name| match name {
        "all_proxy" => Some("http://192.0.2.1:1".to_owned()),
        "no_proxy" => Some("127.0.0.0/8".to_owned()),
        _ => None,
    });
    let options = Options { proxies: proxies.unwrap(), ..Options::default() };
    assert!(Client::new(options).unwrap().probe(&origin.url("/f")).await.is_ok());
}

#[tokio::test]
async fn a_guarded_client_uses_no_proxy() {
    let origin = Origin::of(payload(10)).await;
    let proxy = Origin::of(payload(10)).await;
    let allowed = vec!["127.0.0.0/8".parse().unwrap()];
    let guard = Guard::Public { allowed, denied: Vec::new().into() };
    let proxies = proxies(&proxy.address.to_string());
    let client = Client::new(Options { guard, proxies, ..Options::default() }).unwrap();
    assert!(client.probe(&origin.url("/f")).await.is_ok());
    assert!(proxy.requests().is_empty());
}

#[tokio::test]
async fn what_is_kept_for_a_host_stays_with_it() {
    let other = Origin::of(payload(10)).await;
    let elsewhere = other.url("/f");
    let origin = Origin::new(move |_| {
        reply(&format!("302 Go\nLocation: {elsewhere}\nContent-Length: 0"), b"")
    })
    .await;
    let netrc = Netrc::parse("default login me password pw").unwrap();
    let cookies = Cookies::parse("127.0.0.1\tFALSE\t/\tFALSE\t0\ta\tb").unwrap();
    let client = Client::new(Options { netrc, cookies, ..Options::default() }).unwrap();
    assert!(client.tells_secrets(&origin.url("/f")));
    client.probe(&origin.url("/f")).await.unwrap();
    let (asked, led) = (&origin.requests()[0], &other.requests()[0]);
    assert_eq!(asked.header("authorization"), Some("Basic bWU6cHc="));
    assert_eq!(asked.header("cookie"), Some("a=b"));
    assert_eq!((led.header("authorization"), led.header("cookie")), (None, None));
}

/// A SOCKS proxy that is there for one connection, and leads to `origin` whatever it is asked.
struct Socks {
    address: SocketAddr,
    /// The kind of address that it was asked for.
    kind: tokio::sync::oneshot::Receiver<u8>,
}

async fn socks(origin: SocketAddr) -> Socks {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, kind) = tokio::sync::oneshot::channel();
    let listener = Arc::new(listener);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut methods = [0; 3];
        stream.read_exact(&mut methods).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.unwrap();
        let length = match head[3] {
            1 => 4,
            3 => usize::from(stream.read_u8().await.unwrap()),
            _ => 16,
        };
        stream.read_exact(&mut vec![0; length + 2]).await.unwrap();
        tell.send(head[3]).unwrap();
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let mut onward = TcpStream::connect(origin).await.unwrap();
        let _ = copy_bidirectional(&mut stream, &mut onward).await;
    });
    Socks { address, kind }
}
