use haul::WorkerProgress;
use std::time::Duration;

/// How fast everybody was, from the beginning of a job on, in up to `MOST` moments, for pictures of
/// it: more than a picture shows apart is of no use.
///
/// When there are too many moments every second one goes, and from then on only half as many come
/// in: the whole time is kept, as finely as the bound allows.
#[derive(Debug, Default)]
pub struct Past<const MOST: usize> {
    moments: Vec<Moment>,
    /// Of how many moments one is kept, as a power of two.
    thinned: u32,
    seen: u64,
}

/// How fast everybody was at one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Since the job began.
    pub at: Duration,
    /// The number of each worker that took part, with its rate in bytes a second.
    pub rates: Vec<(u32, u64)>,
}

impl<const MOST: usize> Past<MOST> {
    /// Takes a moment in, unless it is one of those that are passed over by now.
    pub fn note(&mut self, at: Duration, workers: &[WorkerProgress]) {
        let is_kept = self.seen.is_multiple_of(1 << self.thinned);
        self.seen += 1;
        if !is_kept {
            return;
        }
        let rates = workers.iter().map(|worker| (worker.worker, worker.rate)).collect();
        self.moments.push(Moment { at, rates });
        if self.moments.len() > MOST {
            let mut nth = 0;
            self.moments.retain(|_| {
                nth += 1;
                nth % 2 == 1
            });
            self.thinned += 1;
        }
    }

    /// What is kept, in its order.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// A list of `[seconds, [[worker, bytes per second], …]]`.
    pub(crate) fn to_json(&self) -> String {
        let moment = |Moment { at, rates }: &Moment| (tenths(*at), rates.clone());
        let moments: Vec<_> = self.moments.iter().map(moment).collect();
        // Numbers in lists can always be written.
        serde_json::to_string(&moments).unwrap_or_default()
    }
}

fn tenths(at: Duration) -> f64 {
    (at.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_time_is_kept_in_a_bounded_number_of_even_steps() {
        const MOST: usize = 240;
        let mut past = Past::<MOST>::default();
        (0..100_000).for_each(|second| past.note(Duration::from_secs(second), &[]));
        let at: Vec<u64> = past.moments.iter().map(|moment| moment.at.as_secs()).collect();
        assert!((MOST / 2..=MOST).contains(&at.len()), "{}", at.len());
        let step = at[1];
        assert_eq!(at[0], 0);
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] == step));
        assert!(at.last().unwrap() + step >= 100_000 - step);
    }
}
