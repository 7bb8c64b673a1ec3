//! The owner's attention, which strangers cannot use up.

use haul_link::PeerId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often strangers may have the owner asked, and in what time.
const QUESTIONS: usize = 6;
const HOUR: Duration = Duration::from_secs(3600);

/// How long a stranger who was refused has nobody asked.
const REFUSED: Duration = Duration::from_secs(600);

/// The questions of the last hour.
#[derive(Debug, Default)]
pub(crate) struct Attention(VecDeque<Question>);

#[derive(Debug)]
struct Question {
    at: Instant,
    leader: PeerId,
    refused: bool,
}

impl Attention {
    /// Whether the owner may be asked for this stranger now; if so, it counts as asked.
    pub(super) fn take(&mut self, now: Instant, leader: PeerId) -> bool {
        let since = |question: &Question| now.saturating_duration_since(question.at);
        self.0.retain(|question| since(question) < HOUR);
        let sent_away = |question: &Question| {
            question.leader == leader && question.refused && since(question) < REFUSED
        };
        let may = self.0.len() < QUESTIONS && !self.0.iter().any(sent_away);
        if may {
            self.0.push_back(Question { at: now, leader, refused: false });
        }
        may
    }

    /// The owner said no, or nothing.
    pub(super) fn refuse(&mut self, leader: PeerId) {
        if let Some(question) = self.0.iter_mut().rev().find(|question| question.leader == leader) {
            question.refused = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_have_the_owner_asked_six_times_an_hour_in_all() {
        let (mut attention, began) = (Attention::default(), Instant::now());
        let at = |seconds| began + Duration::from_secs(seconds);
        let asked = (0..100u8).filter(|&n| attention.take(at(n.into()), PeerId([n; 32]))).count();
        assert_eq!(asked, QUESTIONS);
        assert!(!attention.take(at(3599), PeerId([200; 32])));
        assert!(attention.take(at(3600), PeerId([200; 32])));
    }

    #[test]
    fn one_who_was_refused_waits_ten_minutes_and_others_do_not() {
        let (mut attention, began) = (Attention::default(), Instant::now());
        let [one, other] = [PeerId([1; 32]), PeerId([2; 32])];
        assert!(attention.take(began, one));
        attention.refuse(one);
        assert!(!attention.take(began + Duration::from_secs(599), one));
        assert!(attention.take(began, other) && attention.take(began, other));
        assert!(attention.take(began + REFUSED, one));
    }
}
