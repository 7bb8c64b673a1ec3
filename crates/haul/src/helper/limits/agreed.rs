//! What an owner has agreed to and a leader may come back for.

use super::super::consent::Request;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a leader may take to come back after its session ended by no will of the owner.
const LASTS: Duration = Duration::from_secs(600);

/// How many are remembered.
const REMEMBERED: usize = 64;

/// The yeses of sessions that broke or were given up as idle. Time is an argument: since the
/// helper started.
#[derive(Debug, Default)]
pub(crate) struct Agreed(VecDeque<Kept>);

#[derive(Debug)]
struct Kept {
    until: Duration,
    request: Request,
    received: u64,
}

impl Agreed {
    /// The leader may come back for this file, for which so much was received already.
    pub(crate) fn keep(&mut self, now: Duration, request: Request, received: u64) {
        self.forget(&request);
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Kept { until: now + LASTS, request, received });
    }

    /// How much was received for this request before, if it was agreed to and its leader has come
    /// back in time.
    pub(crate) fn received(&self, now: Duration, request: &Request) -> Option<u64> {
        let kept = self.0.iter().find(|kept| is_same(&kept.request, request))?;
        (now < kept.until).then_some(kept.received)
    }

    /// Whoever comes for this is asked about anew.
    pub(crate) fn forget(&mut self, request: &Request) {
        self.0.retain(|kept| !is_same(&kept.request, request));
    }
}

/// Whether the same leader wants the same, as far as the owner was told.
fn is_same(one: &Request, other: &Request) -> bool {
    let told = |request: &Request| (request.leader_id.clone(), request.host.clone());
    told(one) == told(other) && (one.scheme, one.size) == (other.scheme, other.size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Standing;

    fn request(leader: &str, host: &str) -> Request {
        Request {
            leader: "asha".into(),
            leader_id: leader.into(),
            standing: Standing::Stranger,
            code: "418 207".into(),
            scheme: "https",
            host: host.into(),
            size: 1,
        }
    }

    #[test]
    fn a_yes_holds_for_the_same_leader_and_file_for_ten_minutes() {
        let (mut agreed, at) = (Agreed::default(), Duration::from_secs);
        agreed.keep(at(0), request("01", "a.test"), 7);
        let again = Request { code: "000 000".into(), ..request("01", "a.test") };
        assert_eq!(agreed.received(at(599), &again), Some(7));
        assert_eq!(agreed.received(at(600), &again), None);
        assert_eq!(agreed.received(at(0), &request("02", "a.test")), None);
        assert_eq!(agreed.received(at(0), &request("01", "b.test")), None);
        assert_eq!(agreed.received(at(0), &Request { size: 2, ..request("01", "a.test") }), None);
        agreed.forget(&again);
        assert_eq!(agreed.received(at(0), &again), None);
    }

    #[test]
    fn yeses_of_many_do_not_grow_the_memory() {
        let mut agreed = Agreed::default();
        (0..1000).for_each(|n| agreed.keep(Duration::ZERO, request(&n.to_string(), "a.test"), 0));
        assert_eq!(agreed.0.len(), REMEMBERED);
    }
}
