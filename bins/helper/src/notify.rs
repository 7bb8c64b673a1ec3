//! A word on the desktop when somebody asks for help, by the program `notify-send` where there is
//! one. It answers nothing: it points to where the question is.

use crate::ask::in_words;
use haul::Request;
use haul::doors::Doors;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;

/// Tells of every prompt, for as long as it is polled; `page` is where it can be answered, if not
/// on the terminal. Where nobody else could answer a prompt there is none to tell of.
pub(crate) fn tell(
    doors: &Doors,
    page: Option<SocketAddr>,
) -> impl Future<Output = ()> + Send + 'static {
    let mut shown = doors.watch();
    async move {
        while let Some(prompt) = shown.next().await {
            let (title, text) = words(&prompt.request, page);
            // Nobody waits for the desktop, and a machine without one goes without a word.
            thread::spawn(move || drop(command(&title, &text).status()));
        }
    }
}

fn words(request: &Request, page: Option<SocketAddr>) -> (String, String) {
    let Request { leader, host, size, .. } = request;
    let place =
        page.map_or_else(|| "in the helper's terminal".into(), |at| format!("on http://{at}/"));
    let text = format!(
        "A file of {} from {host}. No answer within 45 seconds means no. Answer {place}",
        in_words(*size)
    );
    (format!("{leader} asks for help"), text)
}

/// What others named is neither an option nor markup, which desktops understand in the text.
fn command(title: &str, text: &str) -> Command {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut command = Command::new("notify-send");
    command.args([
        "--app-name=haul",
        "--urgency=critical",
        "--expire-time=45000",
        "--",
        title,
        &text,
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul::trust::Standing;

    fn request(leader: &str) -> Request {
        Request {
            leader: leader.into(),
            leader_id: String::new(),
            standing: Standing::Stranger,
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 3 << 30,
        }
    }

    #[test]
    fn the_word_says_who_asks_for_what_and_where_to_answer_but_neither_code_nor_link() {
        let (title, text) = words(&request("asha"), Some(([127, 0, 0, 1], 4302).into()));
        assert_eq!(title, "asha asks for help");
        for part in ["3.0 GiB", "example.org", "Answer on http://127.0.0.1:4302/", "means no"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("418") && !text.contains('#'), "{text}");
        assert!(words(&request("asha"), None).1.contains("the helper's terminal"));
    }

    #[test]
    fn what_others_named_is_no_option_and_no_markup() {
        let command = command("--icon=x", "<a href=\"x\">&");
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments[3..], ["--", "--icon=x", "&lt;a href=\"x\"&gt;&amp;"]);
    }
}
