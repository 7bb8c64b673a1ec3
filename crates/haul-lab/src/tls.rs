use crate::Error;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, crypto::ring, pki_types::CertificateDer};
use std::sync::Arc;

/// A server's certificate, and the authority made for it alone.
///
/// Tests trust [`Certificate::authority_pem`]; nothing else anywhere does.
#[derive(Clone, Debug)]
pub struct Certificate {
    authority: String,
    own: String,
    key: String,
}

impl Certificate {
    /// A certificate for these names and addresses, such as `localhost` and `127.0.0.1`.
    pub fn for_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        Self::make(names).map_err(|error| Error::Tls(Box::new(error)))
    }

    fn make(names: Vec<String>) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "haul lab authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "haul lab origin");
        let certificate = params.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), own: certificate.pem(), key: key.serialize_pem() })
    }

    /// The authority's certificate, for a client to trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// The server's certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.own
    }

    /// The server's private key.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// What a rustls server that speaks HTTP/1.1 needs.
    pub(crate) fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        self.build_config().map_err(Error::Tls)
    }

    fn build_config(&self) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
        let chain = vec![CertificateDer::from_pem_slice(self.own.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
