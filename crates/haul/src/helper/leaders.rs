//! The leaders that the owner knows: those who are helped without a question, and those who never
//! are.
//!
//! The file `leaders` of haul's home has one leader a line: its id, 64 hexadecimal digits; then
//! `blocked`, or `until=` and the last day on which it is helped, or neither; then whatever helps
//! to remember who that is. It is read anew for every ask. A leader has proved to hold the key of
//! its id; the name that it gives itself counts for nothing.

use super::policy::{Moment, Standing};
use crate::Home;
use jiff::civil::Date;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// What is remembered of leaders.
pub(crate) trait Book: Send + Sync {
    /// What is known of this one.
    fn standing(&self, id: &str, now: Moment) -> Standing;

    /// Helps it without a question until the end of this day, counted from 1970-01-01.
    fn know(&self, id: &str, name: &str, until: i64) -> io::Result<()>;

    /// Never helps it.
    fn block(&self, id: &str, name: &str) -> io::Result<()>;
}

/// The book in the file `leaders`.
#[derive(Debug)]
pub(crate) struct Leaders {
    file: PathBuf,
}

impl Leaders {
    pub(crate) fn of(home: &Home) -> Self {
        Self { file: home.folder().join("leaders") }
    }

    /// Replaces all that is said of a leader by one line.
    fn replace(&self, id: &str, line: &str) -> io::Result<()> {
        let before = match fs::read_to_string(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let others = before.lines().filter(|line| !is_of(line, id));
        let lines: Vec<&str> = others.chain([line, ""]).collect();
        let new = self.file.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(lines.join("\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(new, &self.file)
    }
}

impl Book for Leaders {
    fn standing(&self, id: &str, now: Moment) -> Standing {
        // A file that cannot be read knows nobody.
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        standing(&text, id, now.day())
    }

    fn know(&self, id: &str, name: &str, until: i64) -> io::Result<()> {
        let last = jiff::Span::new().try_days(until).and_then(|days| EPOCH.checked_add(days));
        let last = last.map_err(io::Error::other)?;
        self.replace(id, &format!("{id} until={last} {name}"))
    }

    fn block(&self, id: &str, name: &str) -> io::Result<()> {
        self.replace(id, &format!("{id} blocked {name}"))
    }
}

fn is_of(line: &str, id: &str) -> bool {
    line.split_whitespace().next().is_some_and(|listed| listed.eq_ignore_ascii_case(id))
}

/// What the file says; whoever is blocked on any line is blocked.
fn standing(file: &str, id: &str, today: i64) -> Standing {
    let lines = file.lines().filter(|line| !id.is_empty() && is_of(line, id));
    let mut known = false;
    for line in lines {
        match line.split_whitespace().nth(1) {
            Some("blocked") => return Standing::Blocked,
            Some(word) => known |= word.strip_prefix("until=").is_none_or(|day| lasts(day, today)),
            None => known = true,
        }
    }
    if known { Standing::Known } else { Standing::Stranger }
}

fn lasts(last: &str, today: i64) -> bool {
    let last = last.parse().map(|date: Date| date.duration_since(EPOCH).as_hours() / 24);
    last.is_ok_and(|last| today <= last)
}

const EPOCH: Date = Date::constant(1970, 1, 1);

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    const TODAY: Moment = Moment { unix: 20_512 * 86_400, offset: 0 };

    #[test]
    fn only_a_listed_id_is_known_whatever_the_name() {
        let (asha, other) = ("ab".repeat(32), "cd".repeat(32));
        let file = format!("# leaders\n\n{} Asha's laptop\n", asha.to_uppercase());
        assert_eq!(standing(&file, &asha, 0), Standing::Known);
        for id in [other.as_str(), "laptop", "", &asha[..63], "#"] {
            let stranger = standing(&file.replace("# leaders", ""), id, 0) == Standing::Stranger;
            assert!(stranger, "{id}");
        }
    }

    #[test]
    fn a_grant_ends_with_its_last_day_and_a_block_does_not() {
        let folder = TempDir::new().unwrap();
        let book = Leaders::of(&Home::at(folder.path()));
        let id = "ab".repeat(32);
        let on = |day: i64| Moment { unix: TODAY.unix + day * 86_400, offset: 0 };
        assert_eq!(book.standing(&id, TODAY), Standing::Stranger, "without a file");
        book.know(&id, "asha", TODAY.day() + 1).unwrap();
        assert!(fs::read_to_string(&book.file).unwrap().contains("until=2026-03-01 asha"));
        assert_eq!(book.standing(&id, on(1)), Standing::Known);
        assert_eq!(book.standing(&id, on(2)), Standing::Stranger);
        book.block(&id, "asha").unwrap();
        book.know(&"cd".repeat(32), "ben", TODAY.day()).unwrap();
        assert_eq!(book.standing(&id, on(1)), Standing::Blocked);
        assert_eq!(fs::read_to_string(&book.file).unwrap().lines().count(), 2);
    }
}
