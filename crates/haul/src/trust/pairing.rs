use crate::Error;
use std::fmt;
use std::time::{Duration, Instant};

/// How many wrong codes are taken before pairing closes.
const TRIES: u8 = 3;

/// For how long it closes.
const CLOSED: Duration = Duration::from_secs(600);

/// Why a leader did not become known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unpaired {
    /// What was typed is not six digits; it counts for nothing.
    NotACode,
    /// It is not the code that the leader's screen shows.
    Wrong {
        /// How many more wrong ones are taken.
        left: u8,
    },
    /// Too many codes were wrong.
    Closed {
        /// When codes are taken again.
        again: Duration,
    },
    /// The code was right, but the leader could not be written down.
    NotKept(Error),
}

impl fmt::Display for Unpaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACode => write!(f, "a code is six digits"),
            Self::Wrong { left: 0 } => {
                write!(f, "that is not its code, and no other is taken for 10 minutes")
            }
            Self::Wrong { left: 1 } => write!(f, "that is not its code; one more try is left"),
            Self::Wrong { left } => write!(f, "that is not its code; {left} more tries are left"),
            Self::Closed { again } => {
                let minutes = again.as_secs().div_ceil(60);
                write!(f, "too many codes were wrong; none is taken for {minutes} min")
            }
            Self::NotKept(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Unpaired {}

/// The wrong codes that were typed lately.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    wrong: u8,
    closed_at: Option<Instant>,
}

impl Attempts {
    /// Holds what was typed `now` against the code.
    pub(super) fn attempt(
        &mut self,
        now: Instant,
        code: &str,
        typed: &str,
    ) -> Result<(), Unpaired> {
        let typed = digits(typed).ok_or(Unpaired::NotACode)?;
        if let Some(closed) = self.closed_at {
            let again = CLOSED.saturating_sub(now.saturating_duration_since(closed));
            if !again.is_zero() {
                return Err(Unpaired::Closed { again });
            }
            *self = Self::default();
        }
        if digits(code).as_ref() == Some(&typed) {
            self.wrong = 0;
            return Ok(());
        }
        self.wrong += 1;
        let left = TRIES.saturating_sub(self.wrong);
        self.closed_at = (left == 0).then_some(now);
        Err(Unpaired::Wrong { left })
    }
}

/// Six digits, however they are grouped.
fn digits(text: &str) -> Option<String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let six = bare.len() == 6 && bare.bytes().all(|byte| byte.is_ascii_digit());
    six.then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairing_opens_again_after_ten_minutes() {
        let (mut attempts, began) = (Attempts::default(), Instant::now());
        let mut at = |seconds, typed| {
            attempts.attempt(began + Duration::from_secs(seconds), "000 007", typed)
        };
        assert_eq!(at(0, "7"), Err(Unpaired::NotACode));
        for left in [2, 1, 0] {
            assert_eq!(at(1, "000008"), Err(Unpaired::Wrong { left }));
        }
        let again = Duration::from_secs(1);
        assert_eq!(at(600, "000007"), Err(Unpaired::Closed { again }));
        assert_eq!(at(601, "000008"), Err(Unpaired::Wrong { left: 2 }));
        assert_eq!(at(602, "000 007"), Ok(()));
        assert_eq!(at(603, "000008"), Err(Unpaired::Wrong { left: 2 }), "a right one clears");
    }
}
