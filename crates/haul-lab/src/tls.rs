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
        Self::make(names, None).map_err(|error| Error::Tls(Box::new(error)))
    }

    /// A certificate that expired long ago.
    pub(crate) fn expired<const N: usize>(names: [&str; N]) -> Result<Self, Error> {
        let names = names.map(str::to_owned).to_vec();
        Self::make(names, Some(2001)).map_err(|error| Error::Tls(Box::new(error)))
    }

    /// A certificate of another authority than the one that it names to trust.
    pub(crate) fn unsigned<const N: usize>(names: [&str; N]) -> Result<Self, Error> {
        let other = Self::for_names(names)?;
        Ok(Self { authority: other.authority, ..Self::for_names(names)? })
    }

    fn make(names: Vec<String>, last_year: Option<i32>) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "haul lab authority");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "haul lab origin");
        if let Some(year) = last_year {
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
        }
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
        self.server_config_offering(&["http/1.1"])
    }

    /// What one needs that offers these protocols, in this order (ALPN, RFC 7301).
    pub(crate) fn server_config_offering(
        &self,
        protocols: &[&str],
    ) -> Result<Arc<ServerConfig>, Error> {
        self.build_config(protocols).map_err(Error::Tls)
    }

    fn build_config(
        &self,
        protocols: &[&str],
    ) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error + Send + Sync>> {
        let chain = vec![CertificateDer::from_pem_slice(self.own.as_bytes())?];
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols =
            protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }
}
