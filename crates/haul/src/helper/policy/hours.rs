use super::moment::{DAY, Moment};
use super::written::{Written, written};
use crate::Error;
use std::str::FromStr;

/// When help is given: at any time, or within windows of local time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours(Vec<Window>);

/// From one minute of some days to another; a window over midnight belongs to the day on which it
/// begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    /// One bit for each day, Monday the lowest.
    days: u8,
    from: u16,
    to: u16,
}

impl Hours {
    /// At any time.
    pub const fn any() -> Self {
        Self(Vec::new())
    }

    /// Whether help is given at this moment.
    pub fn contain(&self, now: Moment) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.contains(now))
    }

    /// In how many seconds they begin, to the minute; `None` if they never do.
    pub(crate) fn begin_in(&self, now: Moment) -> Option<i64> {
        let minutes = (0..=7 * DAY / 60).map(|minutes| 60 * minutes);
        minutes.into_iter().find(|&seconds| self.contain(now.after(seconds)))
    }

    /// Within all windows of this list; one that says `any` is no window.
    pub(crate) fn of(windows: Vec<HoursText>) -> Self {
        if windows.iter().any(|window| window.0.is_none()) {
            return Self::any();
        }
        Self(windows.into_iter().filter_map(|window| window.0).collect())
    }
}

/// One window, or `any`.
impl FromStr for Hours {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let window = HoursText::read(text);
        let window =
            window.ok_or_else(|| Error::usage(format!("`{text}` is no {}", HoursText::EXPECTED)));
        Ok(Self::of(vec![window?]))
    }
}

impl Window {
    fn contains(self, now: Moment) -> bool {
        let (today, minute) = (now.weekday(), now.minute());
        if self.from < self.to {
            return self.has(today) && (self.from..self.to).contains(&minute);
        }
        let begun_yesterday = self.has((today + 6) % 7) && minute < self.to;
        (self.has(today) && minute >= self.from) || begun_yesterday
    }

    fn has(self, day: u8) -> bool {
        self.days >> day & 1 == 1
    }
}

/// One entry of the list: `any`, or a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HoursText(Option<Window>);

impl Written for HoursText {
    const EXPECTED: &'static str =
        "hours such as \"22:00-07:00\", \"mon-fri 18:00-24:00\" or \"any\"";

    fn read(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self(None));
        }
        let (days, hours) = text.rsplit_once(' ').unwrap_or(("mon-sun", text));
        let (from, to) = hours.split_once('-')?;
        let window = Window { days: days_of(days)?, from: minute_of(from)?, to: minute_of(to)? };
        let sound = window.from != window.to && window.from < 1440;
        sound.then_some(Self(Some(window)))
    }
}

written!(HoursText);

fn days_of(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_of(first)?, day_of(last)?);
        let length = (last + 7 - first) % 7;
        Some((0..=length).fold(days, |days, step| days | 1 << ((first + step) % 7)))
    })
}

fn day_of(text: &str) -> Option<u8> {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let at = names.iter().position(|name| text.trim().eq_ignore_ascii_case(name))?;
    u8::try_from(at).ok()
}

/// Minutes since midnight; `24:00` is the day's end.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-02-28 was a Saturday.
    const SATURDAY: i64 = 20_512;

    fn at(day: i64, hour: i64, minute: i64) -> Moment {
        Moment { unix: day * 86_400 + hour * 3600 + minute * 60, offset: 0 }
    }

    fn hours(texts: &[&str]) -> Hours {
        Hours::of(texts.iter().map(|text| HoursText::read(text).unwrap()).collect())
    }

    #[test]
    fn a_window_begins_with_its_first_minute_and_ends_before_its_last() {
        let day = hours(&["09:00-17:30"]);
        for (hour, minute, open) in [(8, 59, false), (9, 0, true), (17, 29, true), (17, 30, false)]
        {
            assert_eq!(day.contain(at(SATURDAY, hour, minute)), open, "{hour}:{minute}");
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins_also_over_months_end() {
        let night = hours(&["sat 22:00-07:00"]);
        assert!(!night.contain(at(SATURDAY, 6, 0)), "the night before begins on a Friday");
        assert!(night.contain(at(SATURDAY, 23, 59)));
        assert!(night.contain(at(SATURDAY + 1, 0, 0)), "the first of March");
        assert!(night.contain(at(SATURDAY + 1, 6, 59)) && !night.contain(at(SATURDAY + 1, 7, 0)));
        assert!(!night.contain(at(SATURDAY + 1, 22, 0)));
    }

    #[test]
    fn several_windows_and_days_add_up() {
        let mixed = hours(&["sat,sun 00:00-24:00", "fri-mon 12:00-13:00"]);
        assert!(mixed.contain(at(SATURDAY, 0, 0)) && mixed.contain(at(SATURDAY + 1, 23, 59)));
        assert!(mixed.contain(at(SATURDAY + 2, 12, 30)) && !mixed.contain(at(SATURDAY + 2, 13, 0)));
        assert!(!mixed.contain(at(SATURDAY + 3, 12, 30)));
        assert!(hours(&["any"]).contain(at(SATURDAY + 3, 12, 30)));
    }

    #[test]
    fn hours_are_those_of_the_place() {
        let night = hours(&["22:00-07:00"]);
        let noon = at(SATURDAY, 12, 0);
        assert!(!night.contain(noon) && night.contain(Moment { offset: 11 * 3600, ..noon }));
        assert!(night.contain(Moment { offset: -6 * 3600, ..noon }));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in ["", "9-17", "25:00-26:00", "09:00-09:00", "24:00-07:00", "xyz 09:00-10:00"] {
            assert!(HoursText::read(text).is_none(), "{text}");
        }
    }
}
