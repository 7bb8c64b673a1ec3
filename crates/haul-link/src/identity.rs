use crate::LinkError;
use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
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
    /// The key in `path`, made on first use: readable by its owner only, and never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, LinkError> {
        let key_error = |source| LinkError::Key { path: path.to_owned(), source };
        let pkcs8 = match fs::read(path) {
            Ok(pkcs8) => pkcs8,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(key_error)?
            }
            Err(error) => return Err(key_error(error)),
        };
        Self::from_pkcs8(pkcs8).ok_or_else(|| LinkError::NotAKey { path: path.to_owned() })
    }

    /// A fresh key that is kept nowhere.
    pub fn ephemeral() -> Self {
        Self::from_pkcs8(fresh_pkcs8()).expect("a fresh key is an Ed25519 key")
    }

    /// Who this installation is.
    pub const fn id(&self) -> PeerId {
        self.id
    }

    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }

    fn from_pkcs8(pkcs8: Vec<u8>) -> Option<Self> {
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8)).ok()?;
        let spki = CertificateDer::from(signer.public_key()?.to_vec());
        let id = PeerId::of(&spki);
        Some(Self { key: Arc::new(CertifiedKey::new(vec![spki], signer)), id })
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

fn fresh_pkcs8() -> Vec<u8> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .expect("no key can be made on a system without randomness");
    pkcs8.as_ref().to_vec()
}

fn create(path: &Path) -> io::Result<Vec<u8>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let pkcs8 = fresh_pkcs8();
    match private_file(path)
        .and_then(|mut file| file.write_all(&pkcs8).and_then(|()| file.sync_all()))
    {
        Ok(()) => Ok(pkcs8),
        // Another program of this installation was quicker: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read(path),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/key");
        let first = Identity::load_or_create(&path).unwrap();
        assert_eq!(Identity::load_or_create(&path).unwrap().id(), first.id());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, b"not a key").unwrap();
        assert!(matches!(Identity::load_or_create(&path), Err(LinkError::NotAKey { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"not a key");
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
