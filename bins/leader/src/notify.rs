//! A word on the desktop when a download has ended, by the program `notify-send` where there is one.

use haul::{Event, Happening};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Whoever waited no longer than this is still looking.
const WORTH_IT: Duration = Duration::from_secs(10);

/// Tells of the end of a download, if this event is one that is worth it.
///
/// Nobody waits for the desktop, and a machine without one goes without a word.
pub(crate) fn tell(event: &Event) {
    let Some((title, text)) = words(event).filter(|_| event.at >= WORTH_IT) else { return };
    thread::spawn(move || {
        let _ = command(&title, &text).status();
    });
}

fn words(event: &Event) -> Option<(String, String)> {
    match &event.what {
        Happening::Done(report) => {
            let name = report.path.file_name().unwrap_or_default().to_string_lossy();
            Some((format!("{name} is there"), report.path.display().to_string()))
        }
        Happening::Failed(failed) => Some((failed.error.clone(), failed.because.clone())),
        _ => None,
    }
}

/// What others named is neither an option nor markup, which desktops understand in the text.
fn command(title: &str, text: &str) -> Command {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut command = Command::new("notify-send");
    command.env_remove(crate::veil::HANDED_OVER);
    command.args(["--app-name=haul", "--", title, &text]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_named_is_no_option_and_no_markup() {
        let command = command("--icon=x", "<a href=\"x\">&");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[1..], ["--", "--icon=x", "&lt;a href=\"x\"&gt;&amp;"]);
    }

    #[test]
    fn only_the_end_of_a_download_is_told() {
        let text = "a word".to_owned();
        assert!(words(&Event { at: WORTH_IT, what: Happening::Note { text } }).is_none());
        let error = haul::Error::usage("nothing");
        let what = Happening::Failed(haul::Failed::from(&error));
        assert_eq!(words(&Event { at: WORTH_IT, what }).unwrap().1, "nothing");
    }
}
