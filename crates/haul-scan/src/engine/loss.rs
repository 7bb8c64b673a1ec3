use std::ops::RangeInclusive;
use std::time::Duration;

/// How many live machines a scan may be expected to miss.
const MISS_GOAL: f64 = 0.02;

/// Over a cable hardly any answer takes longer, and none longer than the other; over Wi-Fi many do.
const PROMPT: Duration = Duration::from_millis(2);
const LONGEST_PROMPT: Duration = Duration::from_millis(10);
/// One answer in so many may have had to wait for this machine itself.
const SELDOM: u32 = 20;
/// Where one answer in so many is slow, it is the network that is.
const OFTEN: u32 = 4;

/// When a silent target is asked again, as long as nobody has answered.
const FIRST_REPEAT: Duration = Duration::from_millis(20);
/// Bounds of when a silent target is asked again.
const SHORTEST_REPEAT: Duration = Duration::from_millis(5);
const LONGEST_REPEAT: Duration = Duration::from_millis(100);

/// How long it must be quiet at the end if nobody has answered at all.
const QUIET_OF_NOBODY: Duration = Duration::from_millis(100);

/// What the answers so far tell about the network.
#[derive(Debug)]
pub(super) struct Loss {
    /// The share of probes expected to be lost before the first answer; it weighs as one answer.
    usual: f64,
    answers: u32,
    /// Those of them that came to a repeated probe, so that an earlier one must have been lost.
    repeated: u32,
    /// Those of them that took longer than answers do over a cable.
    slow: u32,
    /// Machines that need not answer, as the kernel knows them.
    records: u32,
    /// The longest time to an answer of those that came to a first probe.
    longest_rtt: Duration,
    /// The longest time from a target's first probe to its answer.
    longest_latency: Duration,
}

impl Loss {
    pub(super) const fn new(usual: f64) -> Self {
        let none = Duration::ZERO;
        Self {
            usual,
            answers: 0,
            repeated: 0,
            slow: 0,
            records: 0,
            longest_rtt: none,
            longest_latency: none,
        }
    }

    /// A target answered for the first time: after so many probes, so long after the last of them
    /// and after the first.
    pub(super) fn answered(&mut self, tries: u32, rtt: Duration, latency: Duration) {
        // An answer that comes later than answers do is more likely late than to the last probe.
        let is_late = rtt > self.repeat_interval();
        self.answers += 1;
        self.repeated += u32::from(tries > 1 && !is_late);
        self.slow += u32::from(latency > PROMPT);
        self.longest_latency = self.longest_latency.max(latency);
        if tries == 1 {
            self.longest_rtt = self.longest_rtt.max(rtt);
        }
    }

    /// Whether somebody is there, and everybody answered at once: no probe seems to get lost and
    /// nobody to sleep.
    pub(super) fn is_smooth(&self) -> bool {
        let is_prompt =
            self.longest_latency <= LONGEST_PROMPT && self.slow * SELDOM <= self.answers;
        self.answers + self.records > 0 && self.repeated == 0 && is_prompt
    }

    /// A target need not answer, as the kernel knows it.
    pub(super) const fn recorded(&mut self) {
        self.records += 1;
    }

    /// The estimated share of probes that get lost or whose answer does.
    pub(super) fn share(&self) -> f64 {
        (f64::from(self.repeated) + self.usual) / (f64::from(self.answers) + 1.0)
    }

    /// How many of the `found` machines' kind have probably lost every one of `tries` probes.
    ///
    /// Cables lose nothing and Wi-Fi much: so half the machines are taken to lose twice the share.
    pub(super) fn expected_missed(&self, found: usize, tries: u32) -> f64 {
        let losing = f64::from(u32::try_from(found).unwrap_or(u32::MAX)) / 2.0;
        losing * (2.0 * self.share()).min(1.0).powi(tries.cast_signed())
    }

    /// How often a silent target has to be asked for the goal to be met, within `bounds`; once more
    /// than at least where machines are slow as over Wi-Fi, whatever was lost so far.
    pub(super) fn tries(&self, found: usize, bounds: &RangeInclusive<u32>) -> u32 {
        let is_like_wifi = self.slow * OFTEN > self.answers;
        let least = (bounds.start() + u32::from(is_like_wifi)).min(*bounds.end());
        let suffices = |tries: &u32| self.expected_missed(found, *tries) < MISS_GOAL;
        (least..=*bounds.end()).find(suffices).unwrap_or(*bounds.end())
    }

    /// How long after a probe its target may be asked again: twice the longest time that an answer
    /// took. Only answers to first probes count, as it is not known which one others answer (Karn
    /// and Partridge, 1987).
    pub(super) fn repeat_interval(&self) -> Duration {
        match self.longest_rtt {
            Duration::ZERO => FIRST_REPEAT,
            longest => (2 * longest).clamp(SHORTEST_REPEAT, LONGEST_REPEAT),
        }
    }

    /// How long it must be quiet for the scan to have settled, within `bounds`.
    pub(super) fn quiet(&self, bounds: &RangeInclusive<Duration>) -> Duration {
        let usual = if self.answers == 0 { QUIET_OF_NOBODY } else { 2 * self.longest_latency };
        usual.clamp(*bounds.start(), *bounds.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn on_a_network_without_loss_two_tries_do() {
        let mut loss = Loss::new(0.01);
        assert_eq!(loss.tries(0, &(2..=8)), 2);
        for found in 1..1000 {
            loss.answered(1, MS, MS);
            assert_eq!(loss.tries(found, &(2..=8)), 2, "{found}");
        }
    }

    #[test]
    fn the_more_is_lost_the_more_often_is_asked() {
        let tries = |lost: u32| {
            let mut loss = Loss::new(0.01);
            (0..60).for_each(|n| loss.answered(if n < lost { 2 } else { 1 }, MS, MS));
            loss.tries(60, &(2..=8))
        };
        assert_eq!([tries(0), tries(2), tries(7), tries(20), tries(59)], [2, 3, 5, 8, 8]);
    }

    #[test]
    fn a_cable_is_smooth_and_neither_silence_nor_loss_nor_sleep_nor_wifi_is() {
        let is_smooth = |more: &[(u32, Duration)]| {
            let mut loss = Loss::new(0.01);
            (0..60).for_each(|_| loss.answered(1, MS, MS));
            for &(tries, rtt) in more {
                loss.answered(tries, rtt, rtt);
            }
            loss.is_smooth()
        };
        assert!(is_smooth(&[(1, 9 * MS)]));
        assert!(!is_smooth(&[(2, MS)]));
        assert!(!is_smooth(&[(1, 90 * MS)]));
        assert!(!is_smooth(&[(1, 5 * MS); 6]));
        assert!(!Loss::new(0.01).is_smooth());
    }

    #[test]
    fn a_sleeper_that_answers_long_after_the_repeat_is_no_loss() {
        let mut loss = Loss::new(0.01);
        loss.answered(1, MS, MS);
        loss.answered(2, 80 * MS, 85 * MS);
        assert!(loss.share() < 0.01);
        assert_eq!(loss.repeat_interval(), SHORTEST_REPEAT);
        assert_eq!(loss.quiet(&(MS..=400 * MS)), 170 * MS);
    }
}
