//! Nobody gets in with another's key, an older TLS, another protocol or a session of yesterday.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul_link::{Identity, LinkError, accept, dial};
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, HandshakeKind, ServerConfig,
    SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion,
};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[tokio::test]
async fn the_right_key_with_a_wrong_signature_is_no_leader() {
    let victim = Identity::ephemeral();
    let stolen = public_key_of(&victim).await;
    for (key, honest) in [(certified(&stolen, &fresh()), false), (own(), true)] {
        let expected = if honest { haul_link::PeerId(digest(&key.cert[0])) } else { victim.id() };
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(Anybody))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
        let (listener, address) = listening().await;
        let acceptor = TlsAcceptor::from(Arc::new(with_alpn(config)));
        let serve = async {
            let stream = acceptor.accept(listener.accept().await.unwrap().0).await;
            stream.err().map(|error| error.to_string())
        };
        let (_, dialled) = tokio::join!(serve, dial(&victim, address, Some(expected)));
        assert_eq!(dialled.is_ok(), honest, "{dialled:?}");
    }
}

#[tokio::test]
async fn the_right_key_with_a_wrong_signature_is_no_helper() {
    let stolen = public_key_of(&Identity::ephemeral()).await;
    assert!(Knock::with(certified(&stolen, &fresh())).is_refused().await);
    assert!(!Knock::with(own()).is_refused().await, "with its own key it is let in");
}

#[tokio::test]
async fn a_key_under_which_anybody_signs_anything_is_no_machines_in_either_role() {
    // The point at infinity: the signature (B·0, 0) holds for every message.
    let (mut point, mut signature) = ([0; 32], [0; 64]);
    (point[0], signature[0]) = (1, 1);
    let spki = [&own().cert[0][..12], &point].concat();
    let key: Arc<dyn SigningKey> = Arc::new(Anyone { spki: spki.clone(), signature });
    let key = certified(&spki.into(), &key);
    assert!(Knock::with(Arc::clone(&key)).is_refused().await, "as a leader or a helper that dials");
    let expected = haul_link::PeerId(digest(&key.cert[0]));
    for expected in [Some(expected), None] {
        assert!(dialled(Arc::clone(&key), expected).await.is_err(), "{expected:?}");
    }
}

/// What comes of dialling whoever has this key.
async fn dialled(
    key: Arc<CertifiedKey>,
    expected: Option<haul_link::PeerId>,
) -> Result<haul_link::Secured, LinkError> {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
    let (listener, address) = listening().await;
    let acceptor = TlsAcceptor::from(Arc::new(with_alpn(config)));
    let serve = async { acceptor.accept(listener.accept().await.unwrap().0).await.map(drop) };
    let me = Identity::ephemeral();
    tokio::join!(serve, dial(&me, address, expected)).1
}

/// Signs without a secret.
#[derive(Debug)]
struct Anyone {
    spki: Vec<u8>,
    signature: [u8; 64],
}

impl SigningKey for Anyone {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self { spki: Vec::new(), signature: self.signature }))
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.spki.as_slice().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Anyone {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.signature.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

#[tokio::test]
async fn an_older_tls_is_not_spoken() {
    assert!(Knock { version: &TLS12, ..Knock::with(own()) }.is_refused().await);
}

#[tokio::test]
async fn another_protocol_is_not_spoken() {
    for alpn in ["haul/0", "haul/2", "h2", "HAUL/1"] {
        assert!(Knock { alpn: Some(alpn), ..Knock::with(own()) }.is_refused().await, "{alpn}");
    }
    assert!(Knock { alpn: None, ..Knock::with(own()) }.is_refused().await, "none");
}

#[tokio::test]
async fn a_session_is_never_resumed() {
    let leader = Identity::ephemeral();
    let config = Arc::new(Knock { resumes: true, ..Knock::with(own()) }.config());
    for _ in 0..3 {
        let stream = knock(&leader, Arc::clone(&config)).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
    }
}

/// Somebody at a leader's door.
struct Knock {
    key: Arc<CertifiedKey>,
    version: &'static SupportedProtocolVersion,
    alpn: Option<&'static str>,
    resumes: bool,
}

impl Knock {
    fn with(key: Arc<CertifiedKey>) -> Self {
        Self { key, version: &TLS13, alpn: Some("haul/1"), resumes: false }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&self.key),
            )));
        config.alpn_protocols = self.alpn.iter().map(|alpn| alpn.as_bytes().to_vec()).collect();
        if !self.resumes {
            config.resumption = Resumption::disabled();
        }
        config
    }

    /// Whether a leader takes it for nobody.
    async fn is_refused(&self) -> bool {
        let (listener, address) = listening().await;
        let leader = Identity::ephemeral();
        let (taken, _) = tokio::join!(
            async { accept(&leader, listener.accept().await.unwrap().0).await },
            client(address, Arc::new(self.config()))
        );
        match taken {
            Ok(_) => false,
            Err(LinkError::Broken { .. } | LinkError::Version) => true,
            Err(other) => panic!("{other}"),
        }
    }
}

/// A connection to a leader that lets it in and says one word.
async fn knock(leader: &Identity, config: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let (listener, address) = listening().await;
    let (taken, stream) = tokio::join!(
        async { accept(leader, listener.accept().await.unwrap().0).await.unwrap() },
        client(address, config)
    );
    let mut stream = stream?;
    drop(taken);
    // What the leader sent comes with the end of its connection.
    let _ = stream.read(&mut [0]).await;
    Ok(stream)
}

async fn client(
    address: SocketAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::IpAddress(address.ip().into());
    let tcp = TcpStream::connect(address).await?;
    let mut stream = TlsConnector::from(config).connect(name, tcp).await?;
    stream.flush().await?;
    Ok(stream)
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What anybody who dials a machine gets to know of its key.
async fn public_key_of(victim: &Identity) -> CertificateDer<'static> {
    let stream = knock(victim, Arc::new(Knock::with(own()).config())).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn with_alpn(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols = vec![b"haul/1".to_vec()];
    config
}

fn fresh() -> Arc<dyn SigningKey> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_ref().to_vec())).unwrap()
}

/// This public key with that secret one.
fn certified(spki: &CertificateDer<'static>, key: &Arc<dyn SigningKey>) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(vec![spki.clone()], Arc::clone(key)))
}

fn own() -> Arc<CertifiedKey> {
    let key = fresh();
    certified(&CertificateDer::from(key.public_key().unwrap().to_vec()), &key)
}

fn digest(spki: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, spki).as_ref().try_into().unwrap()
}

/// Takes whoever is there for whom it wants.
#[derive(Debug)]
struct Anybody;

/// What both roles of TLS leave unchecked, as rustls asks for it in two traits.
macro_rules! unchecked {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    unchecked!();
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    unchecked!();
}
