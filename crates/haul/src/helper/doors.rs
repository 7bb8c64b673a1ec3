//! The doors to a person: a terminal, a page, or whatever else shows the open prompt.

use super::consent::{ConsentPolicy, Decision, Request};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};

/// The one queue of prompts, which any number of doors may watch and answer; the first answer
/// counts. Give a clone of it to [`HelperBuilder::consent`](crate::HelperBuilder::consent).
///
/// Where nobody watches, the answer is no.
#[derive(Clone, Debug)]
pub struct Doors(Arc<Hall>);

#[derive(Debug)]
struct Hall {
    shown: watch::Sender<Option<Prompt>>,
    waiting: Mutex<Option<Waiting>>,
    doors: AtomicUsize,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    prompt: Prompt,
    answer: oneshot::Sender<Decision>,
    tries: u8,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its number.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Help this time.
    Yes,
    /// Do not help.
    No,
    /// Help always; with the six digits that the leader's screen shows, which prove that nobody is
    /// in the middle.
    Always {
        /// The digits as they were typed; whatever else was typed does not count.
        code: String,
    },
    /// Never help this leader.
    Block,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replied {
    /// It is the answer.
    Taken,
    /// The code is not the one on the leader's screen; the prompt stays open.
    WrongCode,
    /// The code was wrong three times, which is a no.
    Refused,
    /// The prompt is not open any more.
    Closed,
}

/// How often a wrong code may be typed.
const TRIES: u8 = 3;

impl Default for Doors {
    fn default() -> Self {
        Self(Arc::new(Hall {
            shown: watch::Sender::new(None),
            waiting: Mutex::new(None),
            doors: AtomicUsize::new(0),
            next: AtomicU64::new(1),
        }))
    }
}

impl Doors {
    /// Opens a door; it counts until it is dropped.
    pub fn open(&self) -> Door {
        self.0.doors.fetch_add(1, Ordering::AcqRel);
        Door { hall: Arc::clone(&self.0), shown: self.0.shown.subscribe() }
    }

    /// Answers a prompt, through whichever door.
    pub fn answer(&self, prompt: u64, reply: &Reply) -> Replied {
        self.0.answer(prompt, reply)
    }

    async fn ask(&self, request: &Request) -> Decision {
        if self.0.doors.load(Ordering::Acquire) == 0 {
            return Decision::No;
        }
        let (answer, answered) = oneshot::channel();
        let prompt =
            Prompt { id: self.0.next.fetch_add(1, Ordering::Relaxed), request: request.clone() };
        // A prompt that is no longer wanted is taken away by dropping this.
        let _open = Open::show(&self.0, Waiting { prompt, answer, tries: 0 });
        answered.await.unwrap_or(Decision::No)
    }
}

impl ConsentPolicy for Doors {
    fn decide<'a>(
        &'a self,
        request: &'a Request,
    ) -> Pin<Box<dyn Future<Output = Decision> + Send + 'a>> {
        Box::pin(self.ask(request))
    }

    fn asks_a_person(&self) -> bool {
        true
    }
}

impl Hall {
    fn answer(&self, prompt: u64, reply: &Reply) -> Replied {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = waiting.as_mut().filter(|open| open.prompt.id == prompt) else {
            return Replied::Closed;
        };
        let decision = match reply {
            Reply::Yes => Decision::Yes,
            Reply::No => Decision::No,
            Reply::Block => Decision::Block,
            Reply::Always { code } if digits(code) == digits(&open.prompt.request.code) => {
                Decision::Always
            }
            Reply::Always { .. } => {
                open.tries += 1;
                if open.tries < TRIES {
                    return Replied::WrongCode;
                }
                Decision::No
            }
        };
        let refused = matches!(reply, Reply::Always { .. }) && decision == Decision::No;
        let told = waiting.take().is_some_and(|open| open.answer.send(decision).is_ok());
        drop(waiting);
        self.shown.send_replace(None);
        match (told, refused) {
            (true, true) => Replied::Refused,
            (true, false) => Replied::Taken,
            (false, _) => Replied::Closed,
        }
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// A prompt while it is wanted.
struct Open<'a> {
    hall: &'a Hall,
    id: u64,
}

impl<'a> Open<'a> {
    fn show(hall: &'a Hall, waiting: Waiting) -> Self {
        let prompt = waiting.prompt.clone();
        let id = prompt.id;
        *hall.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        hall.shown.send_replace(Some(prompt));
        Self { hall, id }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut waiting = self.hall.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.take_if(|open| open.prompt.id == self.id).is_some() {
            drop(waiting);
            self.hall.shown.send_replace(None);
        }
    }
}

/// A door to a person.
#[derive(Debug)]
pub struct Door {
    hall: Arc<Hall>,
    shown: watch::Receiver<Option<Prompt>>,
}

impl Door {
    /// Waits until another prompt is open, or none is. Cancel safe.
    pub async fn changed(&mut self) -> Option<Prompt> {
        // It fails only when the sender is gone, and this door holds it.
        let _ = self.shown.changed().await;
        self.shown.borrow_and_update().clone()
    }

    /// Answers a prompt.
    pub fn answer(&self, prompt: u64, reply: &Reply) -> Replied {
        self.hall.answer(prompt, reply)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.hall.doors.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            leader: "asha".into(),
            leader_id: "ab".repeat(32),
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 1,
        }
    }

    /// What is decided when a person replies like this, and what becomes of each reply.
    async fn replies(all: &[Reply]) -> (Decision, Vec<Replied>) {
        let doors = Doors::default();
        let mut door = doors.open();
        let asked = tokio::spawn({
            let doors = doors.clone();
            async move { doors.decide(&request()).await }
        });
        let prompt = door.changed().await.unwrap();
        let told = all.iter().map(|reply| door.answer(prompt.id, reply)).collect();
        (asked.await.unwrap(), told)
    }

    fn always(code: &str) -> Reply {
        Reply::Always { code: code.into() }
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let (decision, told) = replies(&[Reply::Yes, Reply::Block]).await;
        assert_eq!((decision, told), (Decision::Yes, vec![Replied::Taken, Replied::Closed]));
    }

    #[tokio::test]
    async fn always_takes_the_code_and_three_wrong_ones_are_a_no() {
        let (decision, told) = replies(&[always("418 208"), always(" 418207\n")]).await;
        assert_eq!((decision, told), (Decision::Always, vec![Replied::WrongCode, Replied::Taken]));
        let (decision, told) = replies(&[always(""), always("1"), always("000000")]).await;
        let wrong = Replied::WrongCode;
        assert_eq!((decision, told), (Decision::No, vec![wrong, wrong, Replied::Refused]));
    }

    #[tokio::test]
    async fn without_a_door_the_answer_is_no() {
        let doors = Doors::default();
        drop(doors.open());
        assert_eq!(doors.decide(&request()).await, Decision::No);
    }

    #[tokio::test]
    async fn a_prompt_that_is_no_longer_wanted_is_taken_away() {
        let doors = Doors::default();
        let mut door = doors.open();
        let asking = request();
        let mut asked = doors.decide(&asking);
        assert!(futures_poll(&mut asked).await);
        let prompt = door.changed().await.unwrap();
        drop(asked);
        assert_eq!(door.changed().await, None);
        assert_eq!(doors.answer(prompt.id, &Reply::Yes), Replied::Closed);
    }

    /// Polls once; says whether it is pending.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())
        })
        .await
    }
}
