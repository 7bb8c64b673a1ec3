//! How often a person is asked.

use super::quota::Quota;
use crate::limits::party::{Party, Share};
use haul_link::PeerId;
use std::collections::BTreeMap;
use std::time::Duration;

/// How soon a leader may be asked about again that was refused.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// The longest that the pause grows by refusals.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

const HOUR: Duration = Duration::from_secs(3600);

/// How many prompts may be taken back in an hour before they were answered. They cost the person
/// a glance, and are not among those that the policy counts.
const WITHDRAWN: Share = Share { key: 2, address: 3, network: 12, all: 24 };

const NO_END: Share =
    Share { key: usize::MAX, address: usize::MAX, network: usize::MAX, all: usize::MAX };

/// The pace of prompts, so that nobody is worn down into a yes.
///
/// 1. One prompt is open at a time.
/// 2. After a refusal, or silence, nobody is asked about the leader for 10 minutes, and for twice
///    as long after each further one, up to a day; a yes ends that.
/// 3. No more prompts about strangers are shown within an hour than the policy says, and no more
///    about others; of those that one address brought in vain, half as many.
/// 4. A prompt whose leader left before the answer counts for none of that, and by itself.
///
/// Time is an argument: since the helper started. Only leaders that had a prompt are remembered,
/// and only for their pause, so that however many ask, the memory is bounded by the prompts shown.
#[derive(Debug)]
pub(crate) struct Prompts {
    open: Option<(Duration, Party)>,
    closed: u64,
    shown: Quota<u64>,
    /// Those of `shown` that were no use to the person.
    in_vain: Quota<u64>,
    withdrawn: Quota<u64>,
    pauses: BTreeMap<PeerId, Pause>,
}

#[derive(Clone, Debug)]
struct Pause {
    length: Duration,
    until: Duration,
    refused: Option<Refused>,
}

/// Who was refused at a prompt, and for which of its asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The name that it gave itself.
    pub(crate) leader: String,
    pub(crate) ask: [u8; 16],
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
    /// So many were taken back.
    Withdrawn,
}

impl Held {
    /// How the log names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "prompts: one is open",
            Self::Pause => "prompts: this leader was refused not long ago",
            Self::Hour => "prompts.per_hour",
            Self::Withdrawn => "prompts: too many were taken back",
        }
    }
}

/// What became of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Yes,
    /// A no, or no answer.
    No,
    /// A no for good, which is kept elsewhere.
    Block,
    /// Its leader left before it was answered.
    Withdrawn,
}

impl Default for Prompts {
    fn default() -> Self {
        let [shown, in_vain] = [(); 2].map(|()| Quota::new(HOUR, NO_END));
        let (withdrawn, pauses) = (Quota::new(HOUR, WITHDRAWN), BTreeMap::new());
        Self { open: None, closed: 0, shown, in_vain, withdrawn, pauses }
    }
}

impl Prompts {
    /// Opens a prompt about a leader, if its time has come.
    pub(crate) fn open(&mut self, now: Duration, who: &Party, per_hour: u16) -> Result<(), Held> {
        self.may_open(now, who, per_hour)?;
        self.open = Some((now, *who));
        Ok(())
    }

    /// Whether a prompt about a leader may be opened.
    pub(crate) fn may_open(
        &mut self,
        now: Duration,
        who: &Party,
        per_hour: u16,
    ) -> Result<(), Held> {
        self.pauses.retain(|_, pause| now < pause.until + pause.length.max(HOUR));
        let per_hour = usize::from(per_hour);
        self.shown.set_share(Share { all: per_hour, ..NO_END });
        self.in_vain.set_share(Share { address: per_hour.div_ceil(2), ..NO_END });
        let pause = who.key.and_then(|key| self.pauses.get(&key));
        if self.open.is_some() {
            Err(Held::Open)
        } else if pause.is_some_and(|pause| now < pause.until) {
            Err(Held::Pause)
        } else if self.shown.is_spent(now, who)
            || self.in_vain.is_spent(now, who)
            || (who.is_trusted && self.shown.of_trusted() >= per_hour)
        {
            Err(Held::Hour)
        } else if self.withdrawn.is_spent(now, who) {
            Err(Held::Withdrawn)
        } else {
            Ok(())
        }
    }

    /// Closes the open prompt.
    pub(crate) fn close(&mut self, now: Duration, outcome: Outcome) {
        let Some((opened, who)) = self.open.take() else { return };
        self.closed += 1;
        match outcome {
            Outcome::Withdrawn => return self.withdrawn.note(now, who, self.closed),
            Outcome::Yes => {}
            Outcome::No | Outcome::Block => self.in_vain.note(now, who, self.closed),
        }
        self.shown.note(opened, who, self.closed);
        let Some(key) = who.key else { return };
        let before = self.pauses.remove(&key).map_or(Duration::ZERO, |pause| pause.length);
        if outcome == Outcome::No {
            let length = (before * 2).clamp(PAUSE, LONGEST);
            self.pauses.insert(key, Pause { length, until: now + length, refused: None });
        }
    }

    /// Notes who it is that was refused.
    pub(crate) fn name(&mut self, key: PeerId, refused: Refused) {
        if let Some(pause) = self.pauses.get_mut(&key) {
            pause.refused = Some(refused);
        }
    }

    /// Who was refused and is not asked about yet, and until when.
    pub(crate) fn refused(
        &self,
        now: Duration,
    ) -> impl Iterator<Item = (PeerId, &Refused, Duration)> {
        let paused = self.pauses.iter().filter(move |(_, pause)| now < pause.until);
        paused.filter_map(|(&key, pause)| Some((key, pause.refused.as_ref()?, pause.until)))
    }

    /// Takes the refusals of a leader back: it may be asked about at once, no prompt about it was in
    /// vain, and the next refusal is its first.
    pub(crate) fn lift(&mut self, key: PeerId) -> Option<Refused> {
        self.in_vain.forgive(key);
        self.pauses.remove(&key)?.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::party::tests::party;
    use proptest::prelude::*;

    fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }

    /// A leader of this number with an address of its own.
    fn leader(n: u32) -> Party {
        party(n, [10, 0, 0, u8::try_from(n % 250).unwrap()])
    }

    #[test]
    fn one_prompt_is_open_at_a_time() {
        let mut prompts = Prompts::default();
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()));
        assert_eq!(prompts.open(minutes(0), &leader(2), 6), Err(Held::Open));
        prompts.close(minutes(0), Outcome::Yes);
        assert_eq!(prompts.open(minutes(0), &leader(2), 6), Ok(()));
    }

    #[test]
    fn a_leader_waits_ten_minutes_and_twice_as_long_after_every_refusal_up_to_a_day() {
        let mut prompts = Prompts::default();
        let mut now = Duration::ZERO;
        for pause in [10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
            assert_eq!(prompts.open(now, &leader(1), 6), Ok(()), "before {pause} min");
            prompts.close(now, Outcome::No);
            let over = now + minutes(pause);
            let before = over.saturating_sub(Duration::from_nanos(1));
            assert_eq!(prompts.open(before, &leader(1), 6), Err(Held::Pause), "{pause} min");
            now = over;
        }
        assert_eq!(prompts.open(now, &leader(1), 6), Ok(()));
        prompts.close(now, Outcome::Yes);
        assert_eq!(prompts.open(now, &leader(1), 6), Ok(()), "a yes ends that at once");
        prompts.close(now, Outcome::No);
        assert_eq!(prompts.open(now + minutes(10), &leader(1), 6), Ok(()), "and for good");
    }

    #[test]
    fn a_refusal_is_seen_until_its_pause_ends_and_can_be_taken_back() {
        let mut prompts = Prompts::default();
        let key = leader(1).key.unwrap();
        let asha = Refused { leader: "asha".into(), ask: [7; 16] };
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()));
        prompts.close(minutes(0), Outcome::No);
        prompts.name(key, asha.clone());
        let seen: Vec<_> = prompts.refused(minutes(9)).collect();
        assert_eq!(seen, [(key, &asha, minutes(10))]);
        assert_eq!(prompts.refused(minutes(10)).count(), 0);
        assert_eq!(prompts.lift(key), Some(asha));
        assert_eq!((prompts.refused(minutes(0)).count(), prompts.lift(key)), (0, None));
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()));
        prompts.close(minutes(0), Outcome::No);
        assert_eq!(prompts.open(minutes(10), &leader(1), 6), Ok(()), "the next is its first");
    }

    #[test]
    fn a_refusal_that_was_taken_back_is_not_held_against_the_address() {
        let mut prompts = Prompts::default();
        for n in 0..6 {
            assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()), "{n}");
            prompts.close(minutes(0), Outcome::No);
            prompts.lift(leader(1).key.unwrap());
        }
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Err(Held::Hour), "the hour's are six");
    }

    #[test]
    fn a_block_leaves_no_pause_behind() {
        let mut prompts = Prompts::default();
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()));
        prompts.close(minutes(0), Outcome::Block);
        assert_eq!(prompts.open(minutes(0), &leader(1), 6), Ok(()));
    }

    #[test]
    fn prompts_about_strangers_are_six_in_any_hour() {
        let mut prompts = Prompts::default();
        for n in 0..6 {
            assert_eq!(prompts.open(minutes(n * 5), &leader(u32::try_from(n).unwrap()), 6), Ok(()));
            prompts.close(minutes(n * 5), Outcome::No);
        }
        assert_eq!(prompts.open(minutes(59), &leader(7), 6), Err(Held::Hour));
        let known = |n| Party { is_trusted: true, ..leader(n) };
        for n in 10..16 {
            assert_eq!(
                prompts.open(minutes(59), &known(n), 6),
                Ok(()),
                "strangers hold nobody off"
            );
            prompts.close(minutes(59), Outcome::No);
        }
        assert_eq!(prompts.open(minutes(59), &known(99), 6), Err(Held::Hour));
        assert_eq!(prompts.open(minutes(60), &leader(7), 6), Ok(()));
        prompts.close(minutes(60), Outcome::No);
        assert_eq!(prompts.open(minutes(64), &leader(8), 6), Err(Held::Hour));
        assert_eq!(Prompts::default().open(minutes(0), &leader(1), 0), Err(Held::Hour));
    }

    #[test]
    fn prompts_of_fresh_keys_count_by_their_address() {
        let mut prompts = Prompts::default();
        let here = |key| party(key, [10, 0, 0, 1]);
        for key in 0..3 {
            assert_eq!(prompts.open(minutes(0), &here(key), 6), Ok(()));
            prompts.close(minutes(0), Outcome::No);
        }
        assert_eq!(prompts.open(minutes(1), &here(9), 6), Err(Held::Hour));
        assert_eq!(prompts.open(minutes(1), &party(9, [10, 0, 0, 2]), 6), Ok(()));
    }

    #[test]
    fn prompts_that_are_answered_with_a_yes_are_not_held_against_the_address() {
        let mut prompts = Prompts::default();
        for n in 0..6 {
            assert_eq!(prompts.open(minutes(n * 10), &leader(1), 6), Ok(()), "{n}");
            prompts.close(minutes(n * 10), Outcome::Yes);
        }
    }

    #[test]
    fn prompts_that_are_taken_back_are_not_spent_and_have_an_end_by_key_and_by_address() {
        let mut prompts = Prompts::default();
        let mut flash = |who: Party| {
            let opened = prompts.open(minutes(0), &who, 6);
            prompts.close(minutes(0), Outcome::Withdrawn);
            opened
        };
        assert_eq!([flash(leader(1)), flash(leader(1))], [Ok(()); 2], "it may try again");
        assert_eq!(flash(leader(1)), Err(Held::Withdrawn), "by key");
        let fresh = |key| party(key, [10, 0, 0, 99]);
        assert!((10..13).all(|key| flash(fresh(key)).is_ok()));
        assert_eq!(flash(fresh(13)), Err(Held::Withdrawn), "by address");
        let flashed = (20..100).filter(|&n| flash(leader(n)).is_ok()).count();
        assert_eq!(flashed, 12 - 5, "by network");
        for n in 0..6 {
            let honest = party(200 + n, [10, 0, 1, 1 + u8::try_from(n).unwrap()]);
            assert_eq!(prompts.open(minutes(1), &honest, 6), Ok(()), "{n}: the hour is not spent");
            prompts.close(minutes(1), Outcome::No);
        }
    }

    #[test]
    fn ten_thousand_asks_an_hour_from_a_hundred_keys_show_six_prompts_and_grow_no_memory() {
        let mut prompts = Prompts::default();
        for hour in 0..48u64 {
            let shown = (0..10_000u64).filter(|ask| {
                let now = Duration::from_millis(hour * 3_600_000 + ask * 360);
                let who = leader(u32::try_from(ask % 100).unwrap());
                let opened = prompts.open(now, &who, 6).is_ok();
                if opened {
                    prompts.close(now + Duration::from_millis(300), Outcome::No);
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
            asks in prop::collection::vec((0u64..400, 0u32..30, any::<Option<bool>>()), 1..400)
        ) {
            let (mut prompts, mut now, mut shown, mut open) =
                (Prompts::default(), Duration::ZERO, Vec::new(), false);
            for (pause, who, answered) in asks {
                now += Duration::from_secs(pause);
                if prompts.open(now, &leader(who), 6).is_ok() {
                    prop_assert!(!open);
                    open = true;
                    shown.push(now);
                }
                if let Some(yes) = answered {
                    prompts.close(now, if yes { Outcome::Yes } else { Outcome::No });
                    open = false;
                }
                let recent = shown.iter().filter(|&&at| now < at + HOUR).count();
                prop_assert!(recent <= 6);
                prop_assert!(prompts.pauses.len() <= shown.len());
            }
        }
    }
}
