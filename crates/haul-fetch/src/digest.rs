use crate::codec::base64_decode;
use sha2::{Digest as _, Sha256, Sha512};

/// A digest of the whole file, as its origin states it (RFC 9530).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Digest {
    /// SHA-256, FIPS 180-4.
    Sha256([u8; 32]),
    /// SHA-512, FIPS 180-4.
    Sha512([u8; 64]),
}

impl Digest {
    /// The digests that `Repr-Digest` (RFC 9530) and its predecessor `Digest` (RFC 3230) state.
    pub(crate) fn stated(repr_digest: Option<&str>, digest: Option<&str>) -> Vec<Self> {
        let mut digests = repr_digest.map(Self::parse_all).unwrap_or_default();
        let instance = digest.into_iter().flat_map(|field| field.split(','));
        digests.extend(instance.filter_map(|member| Self::parse_instance(member.trim())));
        digests
    }

    /// One member of `Digest`: `algorithm=base64` (RFC 3230 §4.2, RFC 5843).
    fn parse_instance(member: &str) -> Option<Self> {
        let (algorithm, value) = member.split_once('=')?;
        Self::of(&algorithm.to_ascii_lowercase(), base64_decode(value)?)
    }

    /// The digests in a `Repr-Digest` field that haul can check; others are passed over.
    pub(crate) fn parse_all(field: &str) -> Vec<Self> {
        field.split(',').filter_map(|member| Self::parse(member.trim())).collect()
    }

    /// The one of these that is hardest to forge.
    pub(crate) fn strongest(field: &str) -> Option<Self> {
        let all = Self::parse_all(field);
        let is_long = |digest: &&Self| matches!(digest, Self::Sha512(_));
        all.iter().find(is_long).or(all.first()).copied()
    }

    /// Whether these are the bytes that it names.
    pub(crate) fn names(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Sha256(digest) => Sha256::digest(bytes)[..] == digest[..],
            Self::Sha512(digest) => Sha512::digest(bytes)[..] == digest[..],
        }
    }

    /// One member of the dictionary: `algorithm=:base64:` (RFC 8941 §3.3.5).
    fn parse(member: &str) -> Option<Self> {
        let (algorithm, value) = member.split_once('=')?;
        let bytes = base64_decode(value.strip_prefix(':')?.strip_suffix(':')?)?;
        Self::of(algorithm, bytes)
    }

    /// The digest of that algorithm, by its name in the registry.
    pub(crate) fn of(algorithm: &str, bytes: Vec<u8>) -> Option<Self> {
        match algorithm {
            "sha-256" => Some(Self::Sha256(bytes.try_into().ok()?)),
            "sha-512" => Some(Self::Sha512(bytes.try_into().ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_digests_are_read_and_others_passed_over() {
        let sha256 = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        let field =
            format!("md5=:1B2M2Y8AsgTpgAmy7PhCfg==:, {sha256}, sha-512=:AAAA:, sha-256=abc");
        let digests = Digest::parse_all(&field);
        let [Digest::Sha256(bytes)] = digests[..] else { panic!("{digests:?}") };
        assert_eq!(bytes[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert!(digests[0].names(b"") && !digests[0].names(b"x"));
        assert_eq!(Digest::strongest(&field), Some(digests[0]));
    }

    #[test]
    fn the_older_field_is_read_too() {
        let value = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let stated = Digest::stated(None, Some(&format!("MD5=x==,SHA-256={value}")));
        assert_eq!(stated, Digest::parse_all(&format!("sha-256=:{value}:")));
        assert_eq!(stated.len(), 1);
    }

    proptest! {
        #[test]
        fn no_field_makes_the_parser_panic(field: String) {
            Digest::stated(Some(&field), Some(&field));
        }
    }
}
