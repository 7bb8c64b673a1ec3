use crate::{Error, ErrorKind};
use haul_fetch::Digest;

/// Reads `sha-256=HEX` or `sha-512=HEX`, as `--checksum` takes it.
pub(crate) fn parse(text: &str) -> Result<Digest, Error> {
    let (name, hex) = text.split_once('=').ok_or_else(|| unreadable(text))?;
    let digest = match name.to_ascii_lowercase().as_str() {
        "sha-256" | "sha256" => bytes(hex).map(Digest::Sha256),
        "sha-512" | "sha512" => bytes(hex).map(Digest::Sha512),
        _ => None,
    };
    digest.ok_or_else(|| unreadable(text))
}

/// A digest as [`parse`] reads it.
pub(crate) fn text(digest: &Digest) -> String {
    let (name, bytes) = match digest {
        Digest::Sha256(bytes) => ("sha-256", &bytes[..]),
        Digest::Sha512(bytes) => ("sha-512", &bytes[..]),
    };
    format!("{name}={}", hex(bytes))
}

/// Two lower-case digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn unreadable(text: &str) -> Error {
    Error::new(
        ErrorKind::Usage,
        "the checksum cannot be read",
        format!("`{text}` is not of the form"),
    )
    .with_remedy("write it as sha-256= and 64 hexadecimal digits, or sha-512= and 128")
}

fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let value = |digit: char| digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
    let digits: Option<Vec<u8>> = hex.trim().chars().map(value).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * N)?;
    Some(std::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_in_either_case_and_with_or_without_the_dash() {
        let digest = Digest::Sha256([0xab; 32]);
        for text in [format!("sha-256={}", "ab".repeat(32)), format!("SHA256={}", "AB".repeat(32))]
        {
            assert_eq!(parse(&text), Ok(digest));
            assert_eq!(super::text(&digest), format!("sha-256={}", "ab".repeat(32)));
        }
        assert_eq!(parse(&format!("sha-512={}", "01".repeat(64))), Ok(Digest::Sha512([1; 64])));
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for text in [
            "",
            "sha-256",
            "sha-256=",
            "md5=00",
            "sha-256=zz",
            &format!("sha-256={}é", "ab".repeat(31)),
        ] {
            assert_eq!(parse(text).map_err(|error| error.kind()), Err(ErrorKind::Usage), "{text}");
        }
    }
}
