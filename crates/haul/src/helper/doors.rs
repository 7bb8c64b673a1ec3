//! The doors to a person: a terminal, a page, or whatever else shows the open prompt.

use super::consent::{ConsentPolicy, Decision, Lasts, Request};
use super::gate::{DECISION, locked};
use crate::trust::{Trust, Unpaired};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// The one queue of prompts, which any number of doors may watch and answer; the first answer
/// counts. Give a clone of it to [`HelperBuilder::consent`](crate::HelperBuilder::consent).
///
/// Where nobody watches, the answer is no.
#[derive(Clone, Debug)]
pub struct Doors(Arc<Hall>);

#[derive(Debug)]
struct Hall {
    trust: Trust,
    shown: watch::Sender<Option<Prompt>>,
    waiting: Mutex<Option<Waiting>>,
    doors: AtomicUsize,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    prompt: Prompt,
    answer: oneshot::Sender<Decision>,
}

/// A question to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its number.
    pub id: u64,
    /// What is asked.
    pub request: Request,
    shown: Instant,
}

impl Prompt {
    /// How long the answer is still waited for; no answer is a no.
    pub fn left(&self) -> Duration {
        DECISION.saturating_sub(self.shown.elapsed())
    }
}

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Help, and do not ask again for so long.
    Yes {
        /// How long.
        lasts: Lasts,
    },
    /// Do not help.
    No,
    /// Help always; with the six digits that the leader's screen shows, which prove that nobody is
    /// in the middle. The leader becomes known.
    Always {
        /// The digits as they were typed.
        code: String,
    },
    /// Never help this leader.
    Block,
}

/// What became of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replied {
    /// It is the answer.
    Taken,
    /// The leader did not become known, for what its code is worth; the prompt stays open.
    Unpaired(Unpaired),
    /// The prompt is not open any more.
    Closed,
}

impl Doors {
    /// A queue without doors; leaders whose code is typed become known there.
    pub fn new(trust: Trust) -> Self {
        Self(Arc::new(Hall {
            trust,
            shown: watch::Sender::new(None),
            waiting: Mutex::new(None),
            doors: AtomicUsize::new(0),
            next: AtomicU64::new(1),
        }))
    }

    /// Opens a door; it counts until it is dropped.
    pub fn open(&self) -> Door {
        self.0.doors.fetch_add(1, Ordering::AcqRel);
        Door { hall: Arc::clone(&self.0), shown: self.0.shown.subscribe() }
    }

    /// Somebody who sees every prompt and is no door: nobody counts as reachable because of it.
    pub fn watch(&self) -> Onlooker {
        Onlooker(self.0.shown.subscribe())
    }

    /// Answers a prompt, through whichever door.
    pub fn answer(&self, prompt: u64, reply: &Reply) -> Replied {
        self.0.answer(prompt, reply)
    }

    async fn ask(&self, request: &Request) -> Decision {
        if !self.asks_a_person() {
            return Decision::No;
        }
        let (answer, answered) = oneshot::channel();
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        let prompt = Prompt { id, request: request.clone(), shown: Instant::now() };
        // A prompt that is no longer wanted is taken away by dropping this.
        let _open = Open::show(&self.0, Waiting { prompt, answer });
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

    fn may_agree(&self) -> bool {
        self.asks_a_person()
    }

    fn asks_a_person(&self) -> bool {
        self.0.doors.load(Ordering::Acquire) > 0
    }
}

impl Hall {
    fn answer(&self, prompt: u64, reply: &Reply) -> Replied {
        let mut waiting = locked(&self.waiting);
        let Some(open) = waiting.take_if(|open| open.prompt.id == prompt) else {
            return Replied::Closed;
        };
        let decision = match reply {
            Reply::Yes { lasts } => Decision::YesFor(*lasts),
            Reply::No => Decision::No,
            Reply::Block => Decision::Block,
            Reply::Always { code } => match self.trust.pair(&open.prompt.request, code) {
                Ok(_) => Decision::Yes,
                Err(unpaired) => {
                    *waiting = Some(open);
                    return Replied::Unpaired(unpaired);
                }
            },
        };
        let told = open.answer.send(decision).is_ok();
        drop(waiting);
        self.shown.send_replace(None);
        if told { Replied::Taken } else { Replied::Closed }
    }
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
        *locked(&hall.waiting) = Some(waiting);
        hall.shown.send_replace(Some(prompt));
        Self { hall, id }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut waiting = locked(&self.hall.waiting);
        if waiting.take_if(|open| open.prompt.id == self.id).is_some() {
            drop(waiting);
            self.hall.shown.send_replace(None);
        }
    }
}

/// Sees what is asked, and answers nothing.
#[derive(Debug)]
pub struct Onlooker(watch::Receiver<Option<Prompt>>);

impl Onlooker {
    /// Waits until another prompt opens; `None` when nobody can ask any more. Cancel safe.
    pub async fn next(&mut self) -> Option<Prompt> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(prompt) = self.0.borrow_and_update().clone() {
                return Some(prompt);
            }
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
    use crate::Home;
    use crate::trust::{Role, Standing};
    use tempfile::TempDir;

    fn request() -> Request {
        Request {
            leader: "asha".into(),
            leader_id: "ab".repeat(32),
            standing: Standing::Stranger,
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 1,
        }
    }

    fn doors() -> (TempDir, Doors) {
        let folder = TempDir::new().unwrap();
        let doors = Doors::new(Trust::of(&Home::at(folder.path())));
        (folder, doors)
    }

    fn asked(doors: &Doors) -> tokio::task::JoinHandle<Decision> {
        let doors = doors.clone();
        tokio::spawn(async move { doors.decide(&request()).await })
    }

    #[tokio::test]
    async fn the_first_answer_counts() {
        let (_folder, doors) = doors();
        let mut door = doors.open();
        let asked = asked(&doors);
        let prompt = door.changed().await.unwrap();
        let yes = Reply::Yes { lasts: Lasts::Today };
        assert_eq!(door.answer(prompt.id, &yes), Replied::Taken);
        assert_eq!(doors.answer(prompt.id, &Reply::Block), Replied::Closed);
        let said = Decision::YesFor(Lasts::Today);
        assert_eq!((asked.await.unwrap(), door.changed().await), (said, None));
    }

    #[tokio::test]
    async fn always_takes_the_code_of_the_leaders_screen_and_makes_it_known() {
        let (folder, doors) = doors();
        let mut door = doors.open();
        let asked = asked(&doors);
        let prompt = door.changed().await.unwrap();
        let always = |code: &str| door.answer(prompt.id, &Reply::Always { code: code.into() });
        assert_eq!(always("418 208"), Replied::Unpaired(Unpaired::Wrong { left: 2 }));
        assert_eq!(always("418207\n"), Replied::Taken);
        assert_eq!(asked.await.unwrap(), Decision::Yes);
        let known = Trust::of(&Home::at(folder.path())).list().unwrap();
        assert_eq!((known[0].role, known[0].id.clone()), (Role::Leader, "ab".repeat(32)));
    }

    #[tokio::test]
    async fn without_a_door_the_answer_is_no() {
        let (_folder, doors) = doors();
        drop(doors.open());
        assert_eq!(doors.decide(&request()).await, Decision::No);
    }

    #[tokio::test]
    async fn an_onlooker_sees_what_is_asked_and_makes_nobody_reachable() {
        let (_folder, doors) = doors();
        let mut onlooker = doors.watch();
        assert!(!doors.asks_a_person());
        let door = doors.open();
        let asked = asked(&doors);
        let prompt = onlooker.next().await.unwrap();
        assert!(prompt.left() > Duration::from_secs(40));
        door.answer(prompt.id, &Reply::No);
        assert_eq!(asked.await.unwrap(), Decision::No);
        drop((door, doors));
        assert_eq!(onlooker.next().await, None);
    }

    #[tokio::test]
    async fn a_prompt_that_is_no_longer_wanted_is_taken_away() {
        let (_folder, doors) = doors();
        let mut door = doors.open();
        let asked = asked(&doors);
        let prompt = door.changed().await.unwrap();
        asked.abort();
        assert_eq!(door.changed().await, None);
        assert_eq!(doors.answer(prompt.id, &Reply::No), Replied::Closed);
    }
}
