//! The question to the person at the terminal.

use haul::trust::{Standing, Trust};
use haul::{ConsentPolicy, Decision, Request};
use std::future::Future;
use std::io::{self, BufRead};
use std::pin::Pin;
use std::thread;
use tokio::sync::{Mutex, mpsc};

/// Asks on the terminal, one question at a time.
pub(crate) struct Terminal {
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
    trust: Trust,
}

impl Terminal {
    /// Starts to listen to what is typed. Leaders whose code is typed become known.
    pub(crate) fn new(trust: Trust) -> Self {
        let (typed, lines) = mpsc::unbounded_channel();
        // It ends with the program: a read from a terminal cannot be called off.
        thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if typed.send(line).is_err() {
                    return;
                }
            }
        });
        Self { lines: Mutex::new(lines), trust }
    }

    async fn ask(&self, request: &Request) -> Decision {
        let mut lines = self.lines.lock().await;
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        eprintln!("{}", question(request));
        loop {
            eprint!("Can you help in download? Yes/No ");
            match lines.recv().await.as_deref().map(answer) {
                Some(Some(Typed::Decision(decision))) => return decision,
                Some(Some(Typed::Code(code))) => match self.trust.pair(request, &code) {
                    Ok(known) => {
                        eprintln!("{} is known from now on.", known.name);
                        return Decision::Yes;
                    }
                    Err(unpaired) => eprintln!("Nobody became known: {unpaired}."),
                },
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

/// What is typed at the question.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Decision(Decision),
    /// What looks like the leader's code.
    Code(String),
}

fn answer(line: &str) -> Option<Typed> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" => Some(Typed::Decision(Decision::Yes)),
        "n" | "no" => Some(Typed::Decision(Decision::No)),
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
    fn only_yes_no_and_a_code_are_answers() {
        assert_eq!(answer(" Yes \r"), Some(Typed::Decision(Decision::Yes)));
        assert_eq!(answer("n"), Some(Typed::Decision(Decision::No)));
        assert_eq!(answer(" 418 207"), Some(Typed::Code("418 207".into())));
        assert_eq!(answer(""), None);
        assert_eq!(answer("yesterday"), None);
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
