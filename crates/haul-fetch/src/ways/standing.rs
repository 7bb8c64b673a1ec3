//! How the sites of one file are doing, and which of them is asked next.

use crate::{Error, Retry};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// All sites of a file, by number.
#[derive(Default)]
pub(crate) struct Sites(Mutex<Vec<Site>>);

#[derive(Clone, Debug)]
struct Site {
    lanes: usize,
    standing: Standing,
    /// Failures since it last delivered.
    strikes: u32,
    /// Somebody finds out whether it has the file.
    proving: bool,
    /// Bytes per second of one lane, as last measured.
    rate: Option<f64>,
}

/// Whether a site is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Fit,
    /// Not before this time.
    Rests {
        until: Instant,
    },
    /// Not any more: it has another file, or never answers as it must.
    Out,
}

impl Standing {
    /// What follows from a failure.
    pub(crate) fn after(error: &Error) -> Self {
        match error.retry() {
            Retry::After(pause) => Self::Rests { until: Instant::now() + pause.max(REST) },
            Retry::Elsewhere | Retry::Never => Self::Out,
        }
    }
}

impl Sites {
    pub(crate) fn new(count: usize) -> Self {
        let site =
            Site { lanes: 0, standing: Standing::Fit, strikes: 0, proving: false, rate: None };
        Self(Mutex::new(vec![site; count]))
    }

    /// The fit site with the fewest lanes; of several the one at hand, then the first. While none
    /// was `tried` yet and none is fit, the one that comes closest.
    pub(crate) fn choose(&self, tried: &[usize], at_hand: impl Fn(usize) -> bool) -> Option<usize> {
        let now = Instant::now();
        let sites = self.lock();
        let best = sites.iter().filter_map(|site| site.rate).fold(0.0, f64::max);
        let rank = |at: usize| {
            let site = &sites[at];
            (site.badness(now), site.is_sluggish(best), site.lanes, !at_hand(at), at)
        };
        let open = (0..sites.len()).filter(|at| !tried.contains(at));
        let fit = open.filter(|&at| tried.is_empty() || sites[at].badness(now) == 0);
        fit.min_by_key(|&at| rank(at))
    }

    pub(crate) fn enter(&self, site: usize) {
        self.lock()[site].lanes += 1;
    }

    pub(crate) fn leave(&self, site: usize, bytes: usize, after: Duration) {
        let site = &mut self.lock()[site];
        site.lanes = site.lanes.saturating_sub(1);
        if bytes > 0 {
            site.strikes = 0;
        }
        if after >= MEASURED {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let rate = bytes as f64 / after.as_secs_f64();
            site.rate = Some(rate);
        }
    }

    /// Notes a failure. A rest grows with every failure that follows without a byte in between.
    pub(crate) fn fail(&self, site: usize, standing: Standing) {
        let site = &mut self.lock()[site];
        site.strikes += 1;
        site.standing = match standing {
            Standing::Rests { until } => {
                let grown = REST * (2_u32.pow(site.strikes.min(6)) - 2);
                Standing::Rests { until: until + grown }
            }
            other => other,
        };
    }

    pub(crate) fn is_fit(&self, site: usize) -> bool {
        self.lock().get(site).is_some_and(|site| site.badness(Instant::now()) == 0)
    }

    pub(crate) fn set_proving(&self, site: usize, proving: bool) {
        self.lock()[site].proving = proving;
    }

    /// Whether a site other than this one is fit.
    pub(crate) fn others_stand(&self, site: usize) -> bool {
        let now = Instant::now();
        let sites = self.lock();
        (0..sites.len()).any(|other| other != site && sites[other].badness(now) == 0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Site>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Site {
    fn badness(&self, now: Instant) -> u8 {
        match self.standing {
            Standing::Out => 3,
            Standing::Rests { until } if now < until => 2,
            _ => u8::from(self.proving),
        }
    }

    /// Whether a lane fares much worse here than elsewhere.
    fn is_sluggish(&self, best: f64) -> bool {
        self.rate.is_some_and(|rate| rate * SLUGGISH < best)
    }
}

/// The least pause after a failure.
const REST: Duration = Duration::from_secs(1);

/// Lanes that were at a site for a shorter time tell little of its rate.
const MEASURED: Duration = Duration::from_millis(500);

/// A site that is so many times slower than the best is used only where there is no other.
const SLUGGISH: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(sites: &Sites, tried: &[usize]) -> Option<usize> {
        sites.choose(tried, |_| false)
    }

    #[tokio::test(start_paused = true)]
    async fn lanes_spread_over_the_sites_that_are_fit() {
        let sites = Sites::new(3);
        for expected in [0, 1, 2, 0, 1, 2] {
            assert_eq!(chosen(&sites, &[]), Some(expected));
            sites.enter(expected);
        }
        sites.leave(1, 1, Duration::ZERO);
        assert_eq!(chosen(&sites, &[]), Some(1));
        sites.enter(1);
        assert_eq!(sites.choose(&[], |site| site == 2), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_failed_rests_longer_each_time_and_comes_back() {
        let sites = Sites::new(2);
        let passing = || Standing::Rests { until: Instant::now() + REST };
        sites.fail(0, passing());
        assert!(!sites.others_stand(1) && sites.others_stand(0));
        tokio::time::advance(REST).await;
        assert!(sites.others_stand(1));
        sites.fail(0, passing());
        tokio::time::advance(2 * REST).await;
        assert_eq!(chosen(&sites, &[]), Some(1));
        tokio::time::advance(REST).await;
        assert_eq!(chosen(&sites, &[]), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_that_is_out_is_asked_only_where_there_is_no_other() {
        let sites = Sites::new(2);
        sites.fail(0, Standing::Out);
        assert_eq!(chosen(&sites, &[]), Some(1));
        assert_eq!(chosen(&sites, &[1]), None);
        sites.fail(1, Standing::Out);
        assert_eq!(chosen(&sites, &[]), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_sluggish_site_and_one_that_is_not_proven_yet_are_left_alone() {
        let sites = Sites::new(3);
        sites.leave(0, 1 << 20, Duration::from_secs(1));
        sites.leave(1, 1 << 10, Duration::from_secs(1));
        sites.set_proving(2, true);
        for _ in 0..5 {
            assert_eq!(chosen(&sites, &[]), Some(0));
            sites.enter(0);
        }
        sites.set_proving(2, false);
        assert_eq!(chosen(&sites, &[]), Some(2));
    }
}
