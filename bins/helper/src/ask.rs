//! The question to the person at the terminal.

use haul::{ConsentPolicy, Decision, Request};
use std::future::Future;
use std::io::{self, BufRead};
use std::pin::Pin;
use std::thread;
use tokio::sync::{Mutex, mpsc};

/// Asks on the terminal, one question at a time.
pub(crate) struct Terminal {
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Terminal {
    /// Starts to listen to what is typed.
    pub(crate) fn new() -> Self {
        let (typed, lines) = mpsc::unbounded_channel();
        // It ends with the program: a read from a terminal cannot be called off.
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if typed.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines: Mutex::new(lines) }
    }

    async fn ask(&self, request: &Request) -> Decision {
        let mut lines = self.lines.lock().await;
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        eprintln!("{}", question(request));
        loop {
            eprint!("Can you help in download? Yes/No ");
            match lines.recv().await.as_deref().map(answer) {
                Some(Some(decision)) => return decision,
                Some(None) => eprintln!("Type yes or no."),
                None => {
                    eprintln!("(nobody can answer here, so: no)");
                    return Decision::No;
                }
            }
        }
    }
}

impl ConsentPolicy for Terminal {
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(self.ask(request))
    }
}

fn question(request: &Request) -> String {
    let Request { leader, code, scheme, host, size, .. } = request;
    format!(
        "\n{leader} wants to download a file of {} from {host} ({scheme}).\n\
         Its screen shows the code {code}. No answer within 45 seconds means no.",
        in_words(*size)
    )
}

fn answer(line: &str) -> Option<Decision> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(Decision::Yes),
        "n" | "no" => Some(Decision::No),
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
    fn only_yes_and_no_are_answers() {
        assert_eq!(answer(" Yes \r"), Some(Decision::Yes));
        assert_eq!(answer("n"), Some(Decision::No));
        assert_eq!(answer(""), None);
        assert_eq!(answer("yesterday"), None);
    }

    #[test]
    fn the_question_names_who_where_and_how_much() {
        let request = Request {
            leader: "asha".into(),
            leader_id: String::new(),
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 3 << 30,
        };
        let question = question(&request);
        for part in ["asha", "example.org", "3.0 GiB", "418 207"] {
            assert!(question.contains(part), "{question}");
        }
    }
}
