//! TLS 1.3 with raw public keys both ways. Whoever dials is TLS's client; who leads and who helps
//! never follows from it.

use crate::LinkError;
use crate::identity::{Identity, PeerId};
use crate::key;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, CommonState, DigitallySignedStruct,
    DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{future::Future, io};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// The protocol and its major version, as ALPN carries it.
const ALPN: &[u8] = b"haul/1";

const EXPORTER: &[u8] = b"EXPORTER-haul-v1";

/// How long connecting, and then the TLS handshake, may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection whose other end has proved who it is.
#[derive(Debug)]
pub struct Secured {
    pub(crate) stream: TlsStream<TcpStream>,
    /// Who is at the other end.
    pub peer: PeerId,
    /// Where it is.
    pub address: SocketAddr,
    /// What only the two ends of this very connection know (RFC 8446 §7.5).
    pub(crate) exporter: [u8; 32],
}

/// Connects to `address`, where exactly `expected` must be, if that is known.
pub async fn dial(
    identity: &Identity,
    address: SocketAddr,
    expected: Option<PeerId>,
) -> Result<Secured, LinkError> {
    let tcp = within("connection", TcpStream::connect(address)).await??;
    secure(identity, tcp, expected).await
}

/// As [`dial`], over a connection that was made already.
pub async fn secure(
    identity: &Identity,
    tcp: TcpStream,
    expected: Option<PeerId>,
) -> Result<Secured, LinkError> {
    let address = tcp.peer_addr().map_err(|source| broken("connecting", source))?;
    let connector = TlsConnector::from(Arc::new(client_config(identity, expected)));
    let name = ServerName::IpAddress(address.ip().into());
    let handshake = within("TLS handshake", connector.connect(name, prepared(tcp)?)).await?;
    let stream = handshake.map_err(|source| not_expected(source, expected))?;
    secured(TlsStream::Client(stream), address)
}

/// Takes in a connection that somebody dialled.
pub async fn accept(identity: &Identity, tcp: TcpStream) -> Result<Secured, LinkError> {
    let address = tcp.peer_addr().map_err(|source| broken("accepting a connection", source))?;
    let acceptor = TlsAcceptor::from(Arc::new(server_config(identity)));
    let handshake = within("TLS handshake", acceptor.accept(prepared(tcp)?)).await?;
    let stream = handshake.map_err(handshake_error)?;
    secured(TlsStream::Server(stream), address)
}

async fn within<F: Future>(awaiting: &'static str, future: F) -> Result<F::Output, LinkError> {
    timeout(PATIENCE, future).await.map_err(|_| LinkError::Silent { awaiting, after: PATIENCE })
}

impl From<io::Error> for LinkError {
    fn from(source: io::Error) -> Self {
        broken("connecting", source)
    }
}

fn broken(doing: &'static str, source: io::Error) -> LinkError {
    LinkError::Broken { doing, source }
}

/// Tells the refusal of our own verifier from other failures.
fn not_expected(source: io::Error, expected: Option<PeerId>) -> LinkError {
    let refused = source.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (refused, expected) {
        (
            Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            Some(expected),
        ) => LinkError::OtherPeer { expected },
        _ => handshake_error(source),
    }
}

/// Tells that no version is spoken by both, which ALPN carries, from other failures.
fn handshake_error(source: io::Error) -> LinkError {
    let inner = source.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(
            Error::NoApplicationProtocol
            | Error::AlertReceived(AlertDescription::NoApplicationProtocol),
        ) => LinkError::Version,
        _ => broken("the TLS handshake", source),
    }
}

/// Small writes go out at once, and a machine that vanished is noticed.
fn prepared(tcp: TcpStream) -> Result<TcpStream, LinkError> {
    let alive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(3));
    let socket = socket2::SockRef::from(&tcp);
    let set = tcp.set_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&alive));
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(10))));
    set.map_err(|source| broken("preparing a connection", source))?;
    Ok(tcp)
}

fn secured(stream: TlsStream<TcpStream>, address: SocketAddr) -> Result<Secured, LinkError> {
    let (_, connection) = stream.get_ref();
    let common: &CommonState = connection;
    let spki = common.peer_certificates().and_then(<[_]>::first);
    let keying = match &stream {
        TlsStream::Client(client) => {
            client.get_ref().1.export_keying_material([0; 32], EXPORTER, None)
        }
        TlsStream::Server(server) => {
            server.get_ref().1.export_keying_material([0; 32], EXPORTER, None)
        }
    };
    let spoken = common.alpn_protocol() == Some(ALPN);
    match (spki, keying) {
        (Some(spki), Ok(exporter)) if spoken => {
            let peer = PeerId::of(spki);
            Ok(Secured { stream, peer, address, exporter })
        }
        _ => Err(broken("the TLS handshake", io::ErrorKind::InvalidData.into())),
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn client_config(identity: &Identity, expected: Option<PeerId>) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(RawKey { expected }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
            identity.key(),
        )));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config
}

fn server_config(identity: &Identity) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("ring speaks TLS 1.3")
        .with_client_cert_verifier(Arc::new(RawKey { expected: None }))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(identity.key())));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// Accepts a peer that proves to hold its raw Ed25519 key, and only the expected one if any is.
#[derive(Debug)]
struct RawKey {
    expected: Option<PeerId>,
}

impl RawKey {
    fn check(&self, spki: &CertificateDer<'_>) -> Result<(), Error> {
        key::judge(spki)?;
        match self.expected {
            Some(expected) if PeerId::of(spki) != expected => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(()),
        }
    }
}

fn check_signature(
    message: &[u8],
    spki: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(spki.as_ref());
    let algorithms = ring::default_provider().signature_verification_algorithms;
    verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
}

/// What both roles of TLS check of a signature, as rustls asks for it in two traits.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(rustls::PeerIncompatible::Tls12NotOffered.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            spki: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            check_signature(message, spki, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for RawKey {
    fn verify_server_cert(
        &self,
        spki: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(spki).map(|()| ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for RawKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        spki: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(spki).map(|()| ClientCertVerified::assertion())
    }

    signatures!();
}
