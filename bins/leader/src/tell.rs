//! What a user reads: one place for sizes, times and errors in words.

use haul::{Cause, Error, Failed};
use std::process::ExitCode;
use std::time::Duration;

/// An error in its three fields.
pub(crate) fn error(error: &Error) {
    let failed = Failed::from(error);
    eprintln!("error: {}", failed.error);
    eprintln!("  because {}", failed.because);
    eprintln!("  try     {}", failed.r#try);
}

/// How a command ended, told to whoever gave it.
pub(crate) fn ended(done: Result<(), Error>) -> ExitCode {
    let Err(failed) = done else { return ExitCode::SUCCESS };
    error(&failed);
    ExitCode::from(failed.kind().code())
}

/// That nobody was found to help, and what may be done about it.
pub(crate) fn nobody(causes: &[Cause]) -> String {
    let leads = ["because perhaps"].into_iter().chain(std::iter::repeat("or because"));
    let reasons = leads
        .zip(causes)
        .map(|(lead, Cause { because, r#try })| format!("\n  {lead} {because}\n    try {try}"));
    let reasons: String = reasons.collect();
    format!("nobody was found to help; the download goes on alone{reasons}")
}

/// A size as people read it, in units of 1024.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// A duration as people read it.
pub(crate) fn time(time: Duration) -> String {
    match time.as_secs() {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_cause_comes_first_with_what_to_try() {
        let cause = |because: &str, r#try: &str| Cause {
            because: because.to_owned(),
            r#try: r#try.to_owned(),
        };
        assert_eq!(
            nobody(&[cause("a VPN is up", "to switch it off"), cause("nobody helps", "to ask")]),
            "nobody was found to help; the download goes on alone\n  \
             because perhaps a VPN is up\n    try to switch it off\n  \
             or because nobody helps\n    try to ask"
        );
    }

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
        assert_eq!(time(Duration::from_millis(7234)), "7.2 s");
        assert_eq!(time(Duration::from_secs(61)), "1 min 1 s");
        assert_eq!(time(Duration::from_secs(7260)), "2 h 1 min");
    }
}
