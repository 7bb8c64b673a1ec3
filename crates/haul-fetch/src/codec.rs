//! The codings of bytes as text that URLs, headers and digests need.

/// Undoes percent-encoding (RFC 3986 §2.1); a `%` without two hexadecimal digits stands for itself.
pub(crate) fn percent_decode(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&first, tail)) = rest.split_first() {
        let escape = if first == b'%' { escaped(tail) } else { None };
        bytes.push(escape.unwrap_or(first));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

fn escaped(tail: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// Text in UTF-8, or if it is none, in ISO 8859-1, which any bytes are.
pub(crate) fn latin1_or_utf8(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// The bytes of an even number of hexadecimal digits in either case.
pub(crate) fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.len().is_multiple_of(2).then(|| digits.chunks(2));
    pairs?.map(escaped).collect()
}

/// Base 64 with padding (RFC 4648 §4).
pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= group.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}

/// The bytes of padded base 64, or `None` if `text` is not that.
pub(crate) fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.as_bytes().chunks(4).collect::<Vec<_>>();
    for (at, group) in groups.iter().enumerate() {
        let data = group.iter().position(|&c| c == b'=').unwrap_or(group.len());
        let padded = group[data..].iter().all(|&c| c == b'=');
        let last = at + 1 == groups.len();
        if group.len() != 4 || data < 2 || !padded || (data < 4 && !last) {
            return None;
        }
        bytes.extend_from_slice(&sextets(&group[..data])?.to_be_bytes()[1..data]);
    }
    Some(bytes)
}

/// Up to four characters as the upper bits of a 24-bit group.
fn sextets(group: &[u8]) -> Option<u32> {
    let mut bits = 0;
    for (place, &character) in group.iter().enumerate() {
        let sextet = ALPHABET.iter().position(|&known| known == character)?;
        bits |= u32::try_from(sextet).ok()? << (18 - 6 * place);
    }
    Some(bits)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_follows_the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64_encode(plain.as_bytes()), coded);
            assert_eq!(base64_decode(coded).unwrap(), plain.as_bytes());
        }
        for text in ["Z", "Zg", "Zg=", "=Zg=", "Zg==Zg==", "Z===", "Zm9v!", "Zm 9v"] {
            assert_eq!(base64_decode(text), None, "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_read_in_either_case_and_nothing_else_is() {
        assert_eq!(hex_decode("00fF1a"), Some(vec![0, 255, 26]));
        for text in ["0", "0g", "+1", "é"] {
            assert_eq!(hex_decode(text), None, "{text}");
        }
    }

    #[test]
    fn percent_decoding_leaves_what_is_no_escape() {
        assert_eq!(percent_decode("a%20b%2Fc%"), b"a b/c%");
        assert_eq!(percent_decode("%zz%4"), b"%zz%4");
        assert_eq!(percent_decode("%+1é"), "%+1é".as_bytes());
    }

    proptest! {
        #[test]
        fn base64_reads_back_what_it_wrote(bytes: Vec<u8>) {
            prop_assert_eq!(base64_decode(&base64_encode(&bytes)), Some(bytes));
        }

        #[test]
        fn no_text_makes_a_decoder_panic(text: String) {
            percent_decode(&text);
            base64_decode(&text);
            hex_decode(&text);
        }
    }
}
