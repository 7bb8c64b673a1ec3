use crate::Error;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error as StdError;
use std::sync::Arc;
use tracing::debug;

type Failure = Box<dyn StdError + Send + Sync>;

/// HTTP/1.1 over TLS, trusting the platform's roots and the caller's.
pub(crate) fn config(extra_roots: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    build(extra_roots).map(Arc::new).map_err(|source| Error::Roots { source })
}

/// The same trust, for HTTP/2 before HTTP/1.1 (RFC 9113 §3.2).
pub(crate) fn offering_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut offering = config.clone();
    offering.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Arc::new(offering)
}

fn build(extra_roots: &[u8]) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = CertificateDer::pem_slice_iter(extra_roots).collect::<Result<Vec<_>, _>>()?;
    if extra.is_empty() && !extra_roots.is_empty() {
        return Err("there is no certificate in them".into());
    }
    let verifier = verifier(extra, &provider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(config)
}

/// The platform's verifier, or the bundled roots on a system that has none.
fn verifier(
    extra: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Failure> {
    // Asked without the extra roots: with them, a system without roots of its own is no error.
    if rustls_platform_verifier::Verifier::new(provider.clone()).is_ok() {
        let all = rustls_platform_verifier::Verifier::new_with_extra_roots(extra, provider.clone());
        return Ok(Arc::new(all?));
    }
    debug!("the system has no root certificates; using the bundled ones");
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in extra {
        roots.add(certificate)?;
    }
    let builder =
        rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    Ok(builder.build()?)
}

/// How the protocols are called in ALPN (RFC 7301 §6, RFC 9113 §3.1).
const HTTP1: &[u8] = b"http/1.1";
pub(crate) const HTTP2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_roots_are_an_error_and_no_extra_roots_are_fine() {
        assert!(config(b"").is_ok());
        for bad in ["hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(config(bad.as_bytes()), Err(Error::Roots { .. })), "{bad}");
        }
    }
}
