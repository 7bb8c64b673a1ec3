//! How often a person is asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How soon the same leader may be asked about again.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// The longest that the pause grows by refusals.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

const HOUR: Duration = Duration::from_secs(3600);

/// The pace of prompts, so that nobody is worn down into a yes.
///
/// 1. One prompt is open at a time.
/// 2. A leader has a prompt at most every 10 minutes; a refusal, or silence, doubles its pause,
///    up to a day, and a yes makes it 10 minutes again.
/// 3. No more prompts are shown within an hour than the policy says.
///
/// Time is an argument: since the helper started. Only leaders that had a prompt are remembered,
/// and only for their pause, so that however many ask, the memory is bounded by the prompts shown.
#[derive(Debug, Default)]
pub(crate) struct Prompts {
    open: Option<String>,
    shown: VecDeque<Duration>,
    pauses: BTreeMap<String, Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Duration,
}

/// Why no prompt is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Another one is open.
    Open,
    /// This leader's pause is not over.
    Pause,
    /// So many were shown within an hour.
    Hour,
}

impl Held {
    /// How the log names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "prompts: one is open",
            Self::Pause => "prompts: this leader was asked about not long ago",
            Self::Hour => "prompts.per_hour",
        }
    }
}

impl Prompts {
    /// Opens a prompt about a leader, if its time has come.
    pub(crate) fn open(&mut self, now: Duration, leader: &str, per_hour: u16) -> Result<(), Held> {
        self.may_open(now, leader, per_hour)?;
        self.shown.push_back(now);
        self.open = Some(leader.to_owned());
        Ok(())
    }

    /// Whether a prompt about a leader may be opened.
    pub(crate) fn may_open(
        &mut self,
        now: Duration,
        leader: &str,
        per_hour: u16,
    ) -> Result<(), Held> {
        self.forget(now);
        if self.open.is_some() {
            return Err(Held::Open);
        }
        if self.pauses.get(leader).is_some_and(|pause| now < pause.until) {
            return Err(Held::Pause);
        }
        if self.shown.len() >= usize::from(per_hour) {
            return Err(Held::Hour);
        }
        Ok(())
    }

    /// Closes the open prompt, answered with a yes or not.
    pub(crate) fn close(&mut self, now: Duration, yes: bool) {
        let Some(leader) = self.open.take() else { return };
        let before = self.pauses.get(&leader).map_or(Duration::ZERO, |pause| pause.length);
        let length = if yes { PAUSE } else { (before * 2).clamp(PAUSE, LONGEST) };
        self.pauses.insert(leader, Pause { length, until: now + length });
    }

    /// Forgets what has no effect any more. A leader's pause is remembered for as long again as it
    /// lasted, so that the next refusal doubles it.
    fn forget(&mut self, now: Duration) {
        self.shown.retain(|&at| now < at + HOUR);
        self.pauses.retain(|_, pause| now < pause.until + pause.length.max(HOUR));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    #[test]
    fn one_prompt_is_open_at_a_time() {
        let mut prompts = Prompts::default();
        assert_eq!(prompts.open(minutes(0), "asha", 6), Ok(()));
        assert_eq!(prompts.open(minutes(0), "ben", 6), Err(Held::Open));
        prompts.close(minutes(0), true);
        assert_eq!(prompts.open(minutes(0), "ben", 6), Ok(()));
    }

    #[test]
    fn a_leader_waits_ten_minutes_and_twice_as_long_after_every_refusal_up_to_a_day() {
        let mut prompts = Prompts::default();
        let mut now = Duration::ZERO;
        for pause in [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
            assert_eq!(prompts.open(now, "asha", 6), Ok(()), "before {pause} min");
            prompts.close(now, false);
            let over = now + minutes(pause);
            let before = over.saturating_sub(Duration::from_nanos(1));
            assert_eq!(prompts.open(before, "asha", 6), Err(Held::Pause), "{pause} min");
            now = over;
        }
        assert_eq!(prompts.open(now, "asha", 6), Ok(()));
        prompts.close(now, true);
        assert_eq!(prompts.open(now + minutes(10), "asha", 6), Ok(()), "a yes ends the doubling");
    }

    #[test]
    fn six_are_shown_in_any_hour() {
        let mut prompts = Prompts::default();
        for n in 0..6 {
            assert_eq!(prompts.open(minutes(n * 5), &format!("leader {n}"), 6), Ok(()));
            prompts.close(minutes(n * 5), false);
        }
        assert_eq!(prompts.open(minutes(59), "another", 6), Err(Held::Hour));
        assert_eq!(prompts.open(minutes(60), "another", 6), Ok(()));
        prompts.close(minutes(60), false);
        assert_eq!(prompts.open(minutes(64), "a third", 6), Err(Held::Hour));
        assert_eq!(Prompts::default().open(minutes(0), "asha", 0), Err(Held::Hour));
    }

    #[test]
    fn ten_thousand_asks_an_hour_from_a_hundred_keys_show_six_prompts_and_grow_no_memory() {
        let mut prompts = Prompts::default();
        for hour in 0..48u64 {
            let shown = (0..10_000u64).filter(|ask| {
                let now = Duration::from_millis(hour * 3_600_000 + ask * 360);
                let opened = prompts.open(now, &format!("key {}", ask % 100), 6).is_ok();
                if opened {
                    prompts.close(now + Duration::from_millis(300), false);
                }
                opened
            });
            assert!(shown.count() <= 6, "hour {hour}");
            assert!(prompts.shown.len() <= 6 && prompts.pauses.len() <= 6 * 48, "hour {hour}");
        }
    }

    proptest! {
        #[test]
        fn no_order_of_asks_shows_more_than_six_in_an_hour_or_two_at_a_time(
            asks in prop::collection::vec((0u64..400, 0u8..30, any::<Option<bool>>()), 1..400)
        ) {
            let (mut prompts, mut now, mut shown, mut open) =
                (Prompts::default(), Duration::ZERO, Vec::new(), false);
            for (pause, leader, answered) in asks {
                now += Duration::from_secs(pause);
                if prompts.open(now, &leader.to_string(), 6).is_ok() {
                    prop_assert!(!open);
                    open = true;
                    shown.push(now);
                }
                if let Some(yes) = answered {
                    prompts.close(now, yes);
                    open = false;
                }
                let recent = shown.iter().filter(|&&at| now < at + HOUR).count();
                prop_assert!(recent <= 6);
                prop_assert!(prompts.pauses.len() <= shown.len());
            }
        }
    }
}
