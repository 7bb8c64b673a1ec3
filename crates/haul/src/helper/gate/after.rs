//! When a leader that is turned away may come again, as far as it is told.

use crate::limits::party::Party;

/// What is told is a multiple of this, in seconds, so that it gives away no minute.
const STEP: u32 = 15 * 60;

/// What a leader is told of a rule that has nothing more to say in so many seconds, if that is
/// known: 0 is that it is not. When an owner pauses, works or sleeps is nothing for strangers.
pub(super) fn told(passes: Option<i64>, who: &Party) -> u32 {
    let seconds = passes.filter(|_| who.is_trusted).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or(0).div_ceil(STEP).saturating_mul(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_is_nothing_for_strangers_and_quarters_of_an_hour_for_others() {
        let stranger = Party::at([10, 0, 0, 1].into());
        let known = Party { is_trusted: true, ..stranger };
        assert_eq!([Some(0), Some(1), Some(90_000), None].map(|it| told(it, &stranger)), [0; 4]);
        let passes = [None, Some(-5), Some(0), Some(1), Some(900), Some(901), Some(i64::MAX)];
        assert_eq!(passes.map(|it| told(it, &known)), [0, 0, 0, 900, 900, 1800, 0]);
        assert_eq!(told(Some(u32::MAX.into()), &known), u32::MAX);
    }
}
