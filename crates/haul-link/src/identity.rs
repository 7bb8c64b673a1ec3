use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::{fmt, str};

/// Who a machine is: the SHA-256 of its public key's SPKI.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 32]);

impl PeerId {
    pub(crate) fn of(spki: &[u8]) -> Self {
        Self(digest(&[spki]))
    }

    /// The first eight hexadecimal digits, to tell machines apart in a list.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

/// 64 hexadecimal digits.
impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl str::FromStr for PeerId {
    type Err = BadPeerId;

    fn from_str(text: &str) -> Result<Self, BadPeerId> {
        let digits = text.as_bytes();
        let mut id = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(BadPeerId);
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = str::from_utf8(pair).map_err(|_| BadPeerId)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadPeerId)?;
        }
        Ok(Self(id))
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPeerId;

impl fmt::Display for BadPeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a machine's id is 64 hexadecimal digits")
    }
}

impl std::error::Error for BadPeerId {}

/// The Ed25519 key of this installation. Cheap to clone; never printed.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    id: PeerId,
}

impl Identity {
    /// The identity of a key that [`fresh_key`](Self::fresh_key) made; `None` if it is no Ed25519
    /// key.
    pub fn from_key(pkcs8: Vec<u8>) -> Option<Self> {
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).ok()?;
        let spki = CertificateDer::from(signer.public_key()?.to_vec());
        let id = PeerId::of(&spki);
        Some(Self { key: Arc::new(CertifiedKey::new(vec![spki], signer)), id })
    }

    /// A fresh key in PKCS #8, which whoever keeps it keeps from others.
    pub fn fresh_key() -> Vec<u8> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
            .expect("no key can be made on a system without randomness");
        pkcs8.as_ref().to_vec()
    }

    /// A fresh key that is kept nowhere.
    pub fn ephemeral() -> Self {
        Self::from_key(Self::fresh_key()).expect("a fresh key is an Ed25519 key")
    }

    /// Who this installation is.
    pub const fn id(&self) -> PeerId {
        self.id
    }

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(context.finish().as_ref());
    sha256
}

/// Fresh random bytes from the system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes)
        .expect("no key can be made on a system without randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_the_same_identity_again_and_what_is_none_gives_none() {
        let key = Identity::fresh_key();
        let id = |key: Vec<u8>| Identity::from_key(key).map(|identity| identity.id());
        assert!(id(key.clone()).is_some() && id(key.clone()) == id(key));
        assert_eq!(id(b"not a key".to_vec()), None);
    }

    #[test]
    fn an_id_reads_back_as_it_prints_and_nothing_else_does() {
        let id = Identity::ephemeral().id();
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "00", &"0".repeat(63), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(wrong.parse::<PeerId>(), Err(BadPeerId));
        }
    }
}
