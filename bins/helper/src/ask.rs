//! The question to the person at the terminal.

use haul::doors::{Door, Doors, Prompt, Replied, Reply};
use haul::trust::Standing;
use haul::{Lasts, Request};
use std::io::{self, BufRead, IsTerminal};
use std::thread;
use tokio::sync::mpsc;

/// A door to the person at the terminal, if there is one.
pub(crate) struct Terminal {
    door: Door,
    lines: mpsc::UnboundedReceiver<String>,
}

/// What is typed at the question.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Yes(Lasts),
    No,
    /// Yes, and always: the code is asked for.
    Always,
    Block,
    /// What looks like the leader's code.
    Code(String),
}

impl Terminal {
    /// Opens the door and starts to listen to what is typed; `None` where nobody can read a
    /// question or answer it.
    pub(crate) fn open(doors: &Doors) -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return None;
        }
        let (typed, lines) = mpsc::unbounded_channel();
        // It ends with the program: a read from a terminal cannot be called off.
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if typed.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self { door: doors.open(), lines })
    }

    /// Shows every prompt and passes on what is typed, for as long as it is polled; `idle` is told
    /// of every line that is typed while nothing is asked.
    pub(crate) async fn serve(mut self, idle: impl Fn()) {
        let mut open = None;
        loop {
            let Some(prompt) = open.take() else {
                open = self.wait(&idle).await;
                continue;
            };
            forget_what_was_typed(&mut self.lines);
            eprintln!("{}", question(&prompt.request));
            open = self.ask(&prompt).await;
        }
    }

    /// Waits until a prompt is open, or none is.
    async fn wait(&mut self, idle: &impl Fn()) -> Option<Prompt> {
        loop {
            tokio::select! {
                next = self.door.changed() => return next,
                Some(_) = self.lines.recv() => idle(),
            }
        }
    }

    /// Asks until the prompt is closed; returns the next one if that is open already.
    async fn ask(&mut self, prompt: &Prompt) -> Option<Prompt> {
        loop {
            eprint!("{PROMPT} ");
            let line = tokio::select! {
                next = self.door.changed() => {
                    eprintln!();
                    return next;
                }
                line = self.lines.recv() => line,
            };
            let Some(line) = line else {
                eprintln!("(nobody can answer here, so: no)");
                self.door.answer(prompt.id, &Reply::No);
                return None;
            };
            if self.reply(prompt, &line) {
                return None;
            }
        }
    }

    /// Passes on what was typed; whether that closed the prompt.
    fn reply(&self, prompt: &Prompt, line: &str) -> bool {
        let leader = &prompt.request.leader;
        let reply = match typed(line) {
            Some(Typed::Yes(lasts)) => Reply::Yes { lasts },
            Some(Typed::No) => Reply::No,
            Some(Typed::Block) => Reply::Block,
            Some(Typed::Code(code)) => Reply::Always { code },
            Some(Typed::Always) => {
                eprintln!("Type the six digits that {leader}'s screen shows.");
                return false;
            }
            None => {
                eprintln!("Type yes or no. {HELP}");
                return false;
            }
        };
        match self.door.answer(prompt.id, &reply) {
            Replied::Unpaired(unpaired) => {
                eprintln!("Nobody became known: {unpaired}.");
                return false;
            }
            Replied::Taken => {
                if let Some(means) = means(&reply) {
                    eprintln!("{leader} is {means}.");
                }
            }
            Replied::Closed => {}
        }
        true
    }
}

/// What a reply means for the leader from now on.
fn means(reply: &Reply) -> Option<&'static str> {
    match reply {
        Reply::Yes { lasts: Lasts::File } => Some("helped with this file"),
        Reply::Yes { lasts: Lasts::TwoHours } => {
            Some("helped for 2 hours; `helper trust forget` takes that back")
        }
        Reply::Yes { lasts: Lasts::Today } => {
            Some("helped until midnight; `helper trust forget` takes that back")
        }
        Reply::Always { .. } => Some("known from now on"),
        Reply::Block => Some("blocked from now on"),
        Reply::No => None,
    }
}

/// What is asked, and what may be typed.
const PROMPT: &str = "Can you help in download? Yes/No (yes: for 2 hours; F: with this file, \
    T: today, P: always; B: block)";

/// What the letters do.
const HELP: &str = "Yes helps for 2 hours, F with this file only, T until midnight, P always; \
    B blocks.";

/// What was typed before a question is no answer to it, not even half a line.
fn forget_what_was_typed(lines: &mut mpsc::UnboundedReceiver<String>) {
    // What cannot be taken back has to be ended with a key all the same.
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush);
    while lines.try_recv().is_ok() {}
}

fn question(request: &Request) -> String {
    let Request { leader, standing, scheme, host, size, .. } = request;
    let who = match standing {
        Standing::Known { name } => format!("You know it as {name}."),
        Standing::Group => "It is of your group.".into(),
        Standing::Namesake => {
            format!("It is NOT the {leader} that you know: its key is another.")
        }
        _ => format!("To help {leader} always, type the six digits that its screen shows."),
    };
    format!(
        "\n{leader} wants to download a file of {} from {host} ({scheme}).\n\
         {who} No answer within 45 seconds means no.",
        in_words(*size)
    )
}

fn typed(line: &str) -> Option<Typed> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(Typed::Yes(Lasts::TwoHours)),
        "f" | "file" => Some(Typed::Yes(Lasts::File)),
        "t" | "today" => Some(Typed::Yes(Lasts::Today)),
        "n" | "no" => Some(Typed::No),
        "p" | "always" => Some(Typed::Always),
        "b" | "block" => Some(Typed::Block),
        code if code.starts_with(|c: char| c.is_ascii_digit()) => Some(Typed::Code(code.into())),
        _ => None,
    }
}

/// A size as people read it, in units of 1024.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub(crate) fn in_words(bytes: u64) -> String {
    let units = [(1u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit as f64),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_no_always_block_and_a_code_are_answers() {
        assert_eq!(typed(" Yes \r"), Some(Typed::Yes(Lasts::TwoHours)));
        assert_eq!(typed("f"), Some(Typed::Yes(Lasts::File)));
        assert_eq!(typed("Today"), Some(Typed::Yes(Lasts::Today)));
        assert_eq!(typed("n"), Some(Typed::No));
        assert_eq!(typed("P"), Some(Typed::Always));
        assert_eq!(typed("b"), Some(Typed::Block));
        assert_eq!(typed(" 418 207"), Some(Typed::Code("418 207".into())));
        assert_eq!(typed(""), None);
        assert_eq!(typed("yesterday"), None);
    }

    fn request(standing: Standing) -> Request {
        Request {
            leader: "asha".into(),
            leader_id: String::new(),
            standing,
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 3 << 30,
        }
    }

    #[test]
    fn the_question_names_who_where_and_how_much_but_not_the_code() {
        let question = question(&request(Standing::Stranger));
        for part in ["asha", "example.org", "3.0 GiB", "six digits"] {
            assert!(question.contains(part), "{question}");
        }
        assert!(!question.contains("418"), "who types it must have read it on the other screen");
    }

    #[test]
    fn a_namesake_is_said_to_be_one() {
        assert!(question(&request(Standing::Namesake)).contains("NOT the asha that you know"));
        let known = Standing::Known { name: "Asha's".into() };
        assert!(question(&request(known)).contains("You know it as Asha's"));
    }
}
