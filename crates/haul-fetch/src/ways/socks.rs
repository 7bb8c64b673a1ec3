//! The client's half of SOCKS 5 (RFC 1928) with user and password (RFC 1929).

use super::ProxyFault;
use super::proxy::Credentials;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Where a proxy is to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Address(SocketAddr),
    /// A name of at most 255 bytes, which the proxy looks up.
    Name(String, u16),
}

/// Asks the proxy at the other end of `stream` for a way to `target`; afterwards the stream leads
/// there.
pub(crate) async fn handshake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    who: Option<&Credentials>,
    target: &Target,
) -> Result<(), ProxyFault> {
    let request = request(target).ok_or(ProxyFault::LongName)?;
    let methods: &[u8] =
        if who.is_some() { &[VERSION, 2, OPEN, PASSWORD] } else { &[VERSION, 1, OPEN] };
    stream.write_all(methods).await?;
    stream.flush().await?;
    match (read::<2>(stream).await?, who) {
        ([VERSION, OPEN], _) => {}
        ([VERSION, PASSWORD], Some(who)) => sign_in(stream, who).await?,
        ([VERSION, NONE_FITS], _) => return Err(ProxyFault::SignIn),
        _ => return Err(ProxyFault::Garbled),
    }
    stream.write_all(&request).await?;
    stream.flush().await?;
    take_reply(stream).await
}

async fn sign_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    who: &Credentials,
) -> Result<(), ProxyFault> {
    let mut message = vec![1];
    for text in [&who.user, &who.password] {
        message.push(u8::try_from(text.len()).map_err(|_| ProxyFault::SignIn)?);
        message.extend_from_slice(text);
    }
    stream.write_all(&message).await?;
    stream.flush().await?;
    match read::<2>(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(ProxyFault::SignIn),
    }
}

/// `CONNECT` (RFC 1928 §4); `None` for a name that is too long for it.
fn request(target: &Target) -> Option<Vec<u8>> {
    let mut message = vec![VERSION, 1, 0];
    let port = match target {
        Target::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => message.extend([&[V4], &ip.octets()[..]].concat()),
                IpAddr::V6(ip) => message.extend([&[V6], &ip.octets()[..]].concat()),
            }
            address.port()
        }
        Target::Name(name, port) => {
            message.extend([NAME, u8::try_from(name.len()).ok()?]);
            message.extend_from_slice(name.as_bytes());
            *port
        }
    };
    message.extend(port.to_be_bytes());
    Some(message)
}

/// Reads the reply to its last byte and not further, since what follows is the origin's.
async fn take_reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), ProxyFault> {
    let [version, reply, _, kind] = read::<4>(stream).await?;
    if version != VERSION {
        return Err(ProxyFault::Garbled);
    }
    if reply != 0 {
        return Err(ProxyFault::NoWay { reply });
    }
    let length = match kind {
        V4 => 4,
        V6 => 16,
        NAME => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(ProxyFault::Garbled),
    };
    let mut bound = vec![0; length + 2];
    stream.read_exact(&mut bound).await?;
    Ok(())
}

async fn read<const N: usize>(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<[u8; N], ProxyFault> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

const VERSION: u8 = 5;

// Methods (RFC 1928 §3).
const OPEN: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_FITS: u8 = 0xff;

// Kinds of addresses (RFC 1928 §5).
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    const FINE: &[u8] = &[5, 0, 0, 1, 127, 0, 0, 1, 1, 1];

    /// What a handshake ends with and has sent, if the proxy says `said`.
    async fn against(
        said: &[u8],
        who: Option<&Credentials>,
        target: &Target,
    ) -> (Result<(), ProxyFault>, Vec<u8>) {
        let (mut here, mut there) = duplex(4096);
        there.write_all(said).await.unwrap();
        there.shutdown().await.unwrap();
        let ended = handshake(&mut here, who, target).await;
        drop(here);
        let mut sent = Vec::new();
        there.read_to_end(&mut sent).await.unwrap();
        (ended, sent)
    }

    fn named() -> Target {
        Target::Name("a.b".to_owned(), 443)
    }

    #[tokio::test]
    async fn the_messages_are_those_of_the_rfcs() {
        let (ended, sent) = against(&[&[5, 0], FINE].concat(), None, &named()).await;
        assert!(ended.is_ok());
        assert_eq!(sent, [&[5, 1, 0, 5, 1, 0, 3, 3][..], b"a.b", &[1, 0xbb]].concat());
        let who = Credentials { user: b"me".to_vec(), password: b"pw".to_vec() };
        let target = Target::Address("[::1]:80".parse().unwrap());
        let (ended, sent) = against(&[&[5, 2, 1, 0], FINE].concat(), Some(&who), &target).await;
        assert!(ended.is_ok());
        let address = [&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat();
        assert_eq!(sent, [&[5, 2, 0, 2, 1, 2][..], b"me", &[2], b"pw", &address].concat());
    }

    #[tokio::test]
    async fn every_way_to_fail_has_its_name() {
        let who = Credentials { user: b"me".to_vec(), password: b"pw".to_vec() };
        let fault = async |said: &[u8]| against(said, Some(&who), &named()).await.0.unwrap_err();
        assert!(matches!(fault(&[5, 0xff]).await, ProxyFault::SignIn));
        assert!(matches!(fault(&[5, 2, 1, 1]).await, ProxyFault::SignIn));
        assert!(matches!(fault(&[5, 0, 5, 4, 0, 1]).await, ProxyFault::NoWay { reply: 4 }));
        for garbled in [&b"HTTP/1.1 400"[..], &[5, 1], &[4, 0], &[5, 0, 5, 0, 0, 9]] {
            assert!(matches!(fault(garbled).await, ProxyFault::Garbled), "{garbled:?}");
        }
        for cut in [&[][..], &[5], &[5, 0, 5], &[5, 0, 5, 0, 0, 3, 9, 1]] {
            assert!(matches!(fault(cut).await, ProxyFault::Lost(_)), "{cut:?}");
        }
        let long = Target::Name("a".repeat(256), 1);
        assert!(matches!(against(&[], None, &long).await.0, Err(ProxyFault::LongName)));
    }

    #[tokio::test]
    async fn what_follows_the_reply_is_left_for_whoever_reads_next() {
        let (mut here, mut there) = duplex(4096);
        there
            .write_all(&[&[5, 0, 5, 0, 0, 3, 1, b'x', 0, 0], &b"hello"[..]].concat())
            .await
            .unwrap();
        handshake(&mut here, None, &named()).await.unwrap();
        drop(there);
        let mut rest = String::new();
        here.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "hello");
    }
}
