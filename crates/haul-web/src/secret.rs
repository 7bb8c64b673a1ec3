use crate::Error;
use ring::rand::{self, SystemRandom};
use std::fmt::Write;

/// 256 random bits that somebody must know to be let in.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn new() -> Result<Self, Error> {
        let bits = rand::generate(&SystemRandom::new()).map_err(|_| Error::Random)?;
        Ok(Self(bits.expose()))
    }

    /// As it stands in a link or a cookie: 64 digits in lower-case hex.
    pub(crate) fn to_hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether `said` is this secret, in a time that does not depend on how much of it is right.
    pub(crate) fn is(&self, said: &str) -> bool {
        let known = self.to_hex();
        let differs = |(a, b): (u8, u8)| a ^ b;
        said.len() == known.len()
            && known.bytes().zip(said.bytes()).map(differs).fold(0, |all, one| all | one) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_digits_of_a_secret_open() {
        let secret = Secret::new().unwrap();
        let hex = secret.to_hex();
        assert!(secret.is(&hex));
        assert!(!secret.is("") && !secret.is(&hex[1..]) && !secret.is(&format!("{hex}0")));
        for digit in 0..hex.len() {
            let mut wrong = hex.clone().into_bytes();
            wrong[digit] ^= 1;
            assert!(!secret.is(&String::from_utf8(wrong).unwrap()));
        }
    }

    #[test]
    fn no_two_secrets_are_alike() {
        assert!(!Secret::new().unwrap().is(&Secret::new().unwrap().to_hex()));
    }
}
