/// A moment as the clock on the wall shows it; whoever decides is given it and reads no clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub unix: i64,
    /// How far local time is ahead of UTC, in seconds.
    pub offset: i32,
}

impl Moment {
    /// Seconds of local time since its own 1970-01-01 00:00.
    pub(crate) fn local(self) -> i64 {
        self.unix.saturating_add(self.offset.into())
    }

    /// The local day, counted from 1970-01-01.
    pub(crate) fn day(self) -> i64 {
        self.local().div_euclid(DAY)
    }

    /// Minutes since local midnight, below 1440.
    pub(crate) fn minute(self) -> u16 {
        // Below 1440 by the remainder.
        u16::try_from(self.local().rem_euclid(DAY) / 60).unwrap_or(0)
    }

    /// Seconds until the next local midnight.
    pub(crate) fn until_midnight(self) -> i64 {
        DAY - self.local().rem_euclid(DAY)
    }

    /// So many seconds later.
    pub(crate) const fn after(self, seconds: i64) -> Self {
        Self { unix: self.unix.saturating_add(seconds), offset: self.offset }
    }

    /// The day of the week, 0 for Monday.
    pub(crate) fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        u8::try_from((self.day() + 3).rem_euclid(7)).unwrap_or(0)
    }
}

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;
