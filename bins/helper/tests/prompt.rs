//! A person is asked before anything is fetched: who wants help, with a file from where, how
//! large; only a yes means yes, and nothing that a leader sends reaches the terminal raw.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haul::{Answer, ErrorKind, Event, Happening, Helpers, Home, Leader, Report};
use haul_lab::Payload;
use haul_lab::origin::{Origin, Resource};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes, but shorter than the 45 s after which silence is a no.
const PATIENCE: Duration = Duration::from_secs(30);

const QUESTION: &str = "Can you help in download? Yes/No";

#[test]
fn a_yes_helps_and_the_question_says_whom_with_what() {
    let mut person = Person::at_terminal();
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    for part in ["asha", "127.0.0.1", "(http)", "1.0 MiB"] {
        assert!(person.screen().contains(part), "no {part}: {}", person.screen());
    }
    person.types("yes\n");
    let (events, report) = job.ended();
    assert!(report.unwrap().workers[1].bytes > 0);
    let code = events.iter().find_map(code_of).unwrap();
    assert!(!person.screen().contains(&code), "it is for the leader's screen");
}

#[test]
fn the_code_of_the_leaders_screen_makes_it_known_and_helps() {
    let mut person = Person::at_terminal();
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    person.types("000 000\n");
    person.reads("that is not its code; 2 more tries are left");
    let code = job.code();
    person.types(&format!("{code}\n"));
    person.reads("asha is known from now on");
    assert!(job.ended().1.unwrap().workers[1].bytes > 0);
    let known = std::fs::read_to_string(person.home.path().join("known")).unwrap();
    assert!(known.starts_with("leader ") && known.ends_with(" asha\n"), "{known}");
}

#[test]
fn a_no_refuses() {
    let mut person = Person::at_terminal();
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    person.types("No\n");
    job.ends_refused();
}

#[test]
fn what_is_neither_yes_nor_no_is_asked_again() {
    let mut person = Person::at_terminal();
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    person.types("perhaps\n");
    person.reads("Type yes or no.");
    person.types("y\n");
    assert!(job.ended().1.unwrap().workers[1].bytes > 0);
}

#[test]
fn a_yes_that_was_typed_before_the_question_is_none() {
    let mut person = Person::at_terminal();
    person.types("yes\n");
    // The terminal has echoed it by then, and the program had it before any leader came.
    person.reads("yes");
    thread::sleep(Duration::from_millis(300));
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    person.types("n\n");
    job.ends_refused();
}

#[test]
fn where_nobody_can_answer_the_answer_is_no() {
    let person = Person::absent();
    let job = Job::start(&person, "asha");
    person.reads("nobody can answer here, so: no");
    job.ends_refused();
}

#[test]
fn silence_is_a_no() {
    let person = Person::at_terminal();
    let job = Job::start(&person, "asha");
    person.reads(QUESTION);
    job.ends_refused();
    assert!(person.screen().contains("nobody answered within 45 s"), "{}", person.screen());
}

#[test]
fn no_name_reaches_the_terminal_raw() {
    let mut person = Person::at_terminal();
    let hostile = "asha\u{1b}[2J\u{1b}]0;x\u{7}\u{202e}\r\nCan you help? y";
    let job = Job::start(&person, hostile);
    person.reads(QUESTION);
    person.types("no\n");
    job.ends_refused();
    let screen = person.screen();
    let harmless =
        |c: char| (!c.is_control() || c == '\n') && !('\u{202a}'..='\u{202e}').contains(&c);
    assert!(screen.replace("\r\n", "\n").chars().all(harmless), "{screen:?}");
    assert!(!screen.contains("\nCan you help? y"), "{screen:?}");
}

/// Whoever sits at a helper, and what that helper wrote.
struct Person {
    helper: Child,
    keyboard: Option<File>,
    screen: Arc<Mutex<Vec<u8>>>,
    home: TempDir,
}

impl Person {
    /// Somebody at a terminal.
    fn at_terminal() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let side = || File::options().read(true).write(true).open(&name).unwrap();
        let master = File::from(master);
        Self::run(side().into(), side().into(), master.try_clone().unwrap(), Some(master))
    }

    /// Nobody: there is nothing to read.
    fn absent() -> Self {
        let (screen, errors) = std::io::pipe().unwrap();
        Self::run(Stdio::null(), errors.into(), screen, None)
    }

    /// Runs `helper run --accept ask` and waits until it hears asks.
    fn run(
        input: Stdio,
        errors: Stdio,
        screen: impl Read + Send + 'static,
        keyboard: Option<File>,
    ) -> Self {
        let home = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_helper"));
        command.args(["run", "--allow-net", "127.0.0.0/8", "--listen", "127.0.0.1:0"]);
        command.env("HAUL_HOME", home.path()).stdin(input).stdout(Stdio::null()).stderr(errors);
        let helper = command.spawn().unwrap();
        // The command holds the terminal's other side open.
        drop(command);
        let person = Self { helper, keyboard, screen: watch(screen), home };
        person.reads("Ctrl-C to stop");
        person
    }

    /// Where the helper hears asks.
    fn address(&self) -> String {
        let screen = self.screen();
        let rest = screen.split("waiting for asks on ").nth(1).unwrap();
        rest.split(';').next().unwrap().to_owned()
    }

    fn types(&mut self, text: &str) {
        self.keyboard.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until this is on the screen.
    fn reads(&self, text: &str) {
        let began = Instant::now();
        while !self.screen().contains(text) {
            assert!(began.elapsed() < PATIENCE, "no {text:?}: {}", self.screen());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that was written so far.
    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        // Both fail only for a helper that has ended already.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}

/// Keeps what is written, until nobody can write any more.
fn watch(mut screen: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&kept);
    thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(read @ 1..) = screen.read(&mut bytes) {
            into.lock().unwrap().extend_from_slice(&bytes[..read]);
        }
    });
    kept
}

/// A download of 1 MiB that does not begin before a helper says yes.
struct Job {
    thread: thread::JoinHandle<(Vec<Event>, Result<Report, haul::Error>)>,
    /// The code, once it is on the leader's screen.
    code: mpsc::Receiver<String>,
}

impl Job {
    /// Starts one that asks this person, under this name.
    fn start(person: &Person, name: &str) -> Self {
        let (name, helper) = (name.to_owned(), person.address());
        let (shows, code) = mpsc::channel();
        let thread = thread::spawn(move || {
            tokio::runtime::Runtime::new().unwrap().block_on(run(name, helper, shows))
        });
        Self { thread, code }
    }

    /// What the leader's screen shows.
    fn code(&self) -> String {
        self.code.recv_timeout(PATIENCE).unwrap()
    }

    fn ended(self) -> (Vec<Event>, Result<Report, haul::Error>) {
        self.thread.join().unwrap()
    }

    /// Waits until it ended because nobody helps.
    fn ends_refused(self) {
        let (events, report) = self.ended();
        assert_eq!(report.unwrap_err().kind(), ErrorKind::TooFewHelpers);
        let no =
            |event: &Event| matches!(event.what, Happening::Answered { answer: Answer::No, .. });
        assert!(events.iter().any(no), "{events:?}");
    }
}

fn code_of(event: &Event) -> Option<String> {
    match &event.what {
        Happening::Offered { code, .. } => Some(code.clone()),
        _ => None,
    }
}

async fn run(
    name: String,
    helper: String,
    shows: mpsc::Sender<String>,
) -> (Vec<Event>, Result<Report, haul::Error>) {
    let folder = TempDir::new().unwrap();
    let payload = Resource::of(Payload::new(23, 1 << 20));
    let origin = Origin::builder().serve("/file.bin", payload).start().unwrap();
    let leader = Leader::builder(origin.url("/file.bin").parse().unwrap())
        .helpers(Helpers::only([helper]))
        .min_helpers(1)
        .home(Home::at(folder.path().join("home")))
        .folder(folder.path())
        .name(name);
    let mut transfer = leader.build().unwrap().start();
    let mut events = Vec::new();
    while let Some(event) = transfer.next_event().await {
        // Most tests do not look at it.
        let _ = code_of(&event).map(|code| shows.send(code));
        events.push(event);
    }
    (events, transfer.finish().await)
}
