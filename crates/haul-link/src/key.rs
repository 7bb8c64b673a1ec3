//! Which raw public keys are taken for a machine's.

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};

/// The SPKI of an Ed25519 key before the key itself (RFC 8410 §4), in its one DER form: with
/// another, the same key would be another machine.
const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The y coordinates of the eight points of small order, little-endian: 0 and both of order 8 stand
/// for two points each, which differ in the sign of x only.
const SMALL_ORDER: [[u8; 32]; 5] = [
    small(0),
    small(1),
    // -1
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn small(y: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = y;
    bytes
}

/// Refuses what is no Ed25519 key in the form that everybody writes it in, and keys of small order:
/// under those anybody can sign anything, so they are nobody's.
pub(crate) fn judge(spki: &CertificateDer<'_>) -> Result<(), Error> {
    let key = spki.strip_prefix(&PREFIX).and_then(|key| <&[u8; 32]>::try_from(key).ok());
    match key {
        None => Err(CertificateError::BadEncoding.into()),
        Some(key) if is_weak(key) => Err(CertificateError::BadSignature.into()),
        Some(_) => Ok(()),
    }
}

fn is_weak(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    !is_canonical(&y) || SMALL_ORDER.contains(&y)
}

/// Whether y is less than 2^255 - 19; the few encodings of more are second names for other points.
fn is_canonical(y: &[u8; 32]) -> bool {
    y[0] < 0xed || y[31] != 0x7f || y[1..31].iter().any(|&byte| byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;

    fn spki(key: [u8; 32]) -> CertificateDer<'static> {
        [&PREFIX[..], &key].concat().into()
    }

    fn signed(mut y: [u8; 32], sign: u8) -> [u8; 32] {
        y[31] |= sign << 7;
        y
    }

    #[test]
    fn no_key_of_small_order_is_anybodys_however_it_is_written() {
        let beyond = (0xed..=0xff).map(|first| {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (first, 0x7f);
            y
        });
        let weak = SMALL_ORDER.into_iter().chain(beyond);
        for key in weak.flat_map(|y| [signed(y, 0), signed(y, 1)]) {
            assert!(judge(&spki(key)).is_err(), "{key:02x?}");
        }
    }

    #[test]
    fn a_key_that_was_drawn_is_taken_and_in_one_form_only() {
        for _ in 0..1000 {
            let key = Identity::ephemeral().key();
            let spki = &key.cert[0];
            assert_eq!(judge(spki), Ok(()));
            let longer = CertificateDer::from([spki.as_ref(), &[0]].concat());
            assert!(judge(&longer).is_err());
        }
        let mut other = spki([9; 32]).to_vec();
        other[8] = 0x71;
        assert!(judge(&other.into()).is_err(), "a key of another algorithm");
    }

    #[test]
    fn the_neighbours_of_small_order_are_keys_like_others() {
        for y in SMALL_ORDER {
            let mut near = y;
            near[16] ^= 1;
            assert!(!is_weak(&near));
        }
    }
}
