use crate::name::FileName;
use crate::reply::Refusal;
use haul::{Failed, Happening, Url, Verified};
use hyper::StatusCode;
use serde::Serialize;

/// How many downloads may wait, run or pause at a time.
const MOST_OPEN: usize = 100;

/// How many are listed, those that ended included; the oldest of these goes first.
const MOST: usize = 200;

/// The downloads that the page was asked for, in that order: those to come, the one at work, and
/// what became of the others.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: Vec<Job>,
    made: u32,
}

/// What is to be downloaded, checked as far as that is possible without asking anybody.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) url: Url,
    pub(crate) name: FileName,
    pub(crate) checksum: Option<String>,
    pub(crate) limit: Option<haul::ByteRate>,
    pub(crate) allow_private: bool,
}

/// One download, as the page is told of it.
#[derive(Debug, Serialize)]
pub(crate) struct Job {
    id: u32,
    name: String,
    host: String,
    size: Option<u64>,
    stored: u64,
    state: State,
    #[serde(skip)]
    order: Order,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
enum State {
    Waiting,
    Working {
        #[serde(skip)]
        stop: Option<Stop>,
    },
    Paused,
    Cancelled,
    Done {
        seconds: f64,
        verified: Verified,
        speedup: f64,
    },
    Failed {
        code: u8,
        error: String,
        because: String,
    },
}

/// Why a download was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Pause,
    Cancel,
}

impl Queue {
    pub(crate) fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Whether any download on the list has this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.jobs.iter().any(|job| job.name == name)
    }

    pub(crate) fn add(&mut self, order: Order) -> Result<u32, Refusal> {
        if self.jobs.iter().filter(|job| job.is_open()).count() >= MOST_OPEN {
            return Err(conflict("too many downloads wait already", "wait for some to end"));
        }
        if self.saves_to(&order.name) {
            return Err(name_taken());
        }
        self.made += 1;
        self.jobs.push(Job::new(self.made, order));
        if self.jobs.len() > MOST {
            let oldest = self.jobs.iter().position(|job| !job.is_open());
            oldest.map(|oldest| self.jobs.remove(oldest));
        }
        Ok(self.made)
    }

    /// Sets the next that waits to work, if none works.
    pub(crate) fn begin_next(&mut self) -> Option<(u32, Order)> {
        if self.jobs.iter().any(|job| matches!(job.state, State::Working { .. })) {
            return None;
        }
        let job = self.jobs.iter_mut().find(|job| job.state == State::Waiting)?;
        job.state = State::Working { stop: None };
        Some((job.id, job.order.clone()))
    }

    /// Notes that a download is to stop. One that works does so later; says whether this is one.
    pub(crate) fn stop(&mut self, id: u32, why: Stop) -> Result<bool, Refusal> {
        let job = self.find(id)?;
        let state = match why {
            Stop::Pause => State::Paused,
            Stop::Cancel => State::Cancelled,
        };
        match &mut job.state {
            State::Working { stop } => {
                *stop = Some(why);
                Ok(true)
            }
            State::Waiting | State::Paused => {
                job.state = state;
                Ok(false)
            }
            _ => Err(conflict("this download has ended", "start another one")),
        }
    }

    /// Puts a download that stopped in the line again, with another URL of the same file if given.
    pub(crate) fn resume(&mut self, id: u32, url: Option<Url>) -> Result<(), Refusal> {
        let job = self.find(id)?;
        if !matches!(job.state, State::Paused | State::Cancelled | State::Failed { .. }) {
            return Err(conflict("this download has not stopped", "wait for its end, or pause it"));
        }
        let (was_open, name) = (job.is_open(), job.order.name.clone());
        if !was_open && self.saves_to(&name) {
            return Err(name_taken());
        }
        let job = self.find(id)?;
        if let Some(url) = url {
            job.set_url(url);
        }
        job.state = State::Waiting;
        Ok(())
    }

    /// Takes a download that has ended off the list; its file stays.
    pub(crate) fn forget(&mut self, id: u32) -> Result<(), Refusal> {
        if matches!(self.find(id)?.state, State::Waiting | State::Working { .. }) {
            return Err(conflict("this download has not ended", "cancel it first"));
        }
        self.jobs.retain(|job| job.id != id);
        Ok(())
    }

    /// Takes in what a download tells while it works.
    pub(crate) fn note(&mut self, id: u32, what: &Happening) {
        let Ok(job) = self.find(id) else { return };
        match what {
            Happening::Probed { size, .. } => job.size = *size,
            Happening::Progress { stored, .. } => job.stored = *stored,
            _ => {}
        }
    }

    /// Takes in how a download ended; says whether it did so by itself, and was not paused or
    /// cancelled.
    pub(crate) fn end(&mut self, id: u32, what: &Happening) -> bool {
        let Ok(job) = self.find(id) else { return false };
        match what {
            Happening::Done(report) => job.finish(report),
            Happening::Failed(failed) => job.fail(failed),
            _ => {}
        }
        matches!(job.state, State::Done { .. } | State::Failed { .. })
    }

    /// Whether an open download has this name.
    fn saves_to(&self, name: &FileName) -> bool {
        self.jobs.iter().any(|job| job.is_open() && job.order.name == *name)
    }

    fn find(&mut self, id: u32) -> Result<&mut Job, Refusal> {
        let found = self.jobs.iter_mut().find(|job| job.id == id);
        found.ok_or_else(|| conflict("there is no such download any more", "reload the page"))
    }
}

impl Job {
    fn new(id: u32, order: Order) -> Self {
        let (name, host) = (order.name.as_str().to_owned(), host(&order.url));
        Self { id, name, host, size: None, stored: 0, state: State::Waiting, order }
    }

    /// Whether it may still write to its file.
    const fn is_open(&self) -> bool {
        matches!(self.state, State::Waiting | State::Working { .. } | State::Paused)
    }

    fn set_url(&mut self, url: Url) {
        self.host = host(&url);
        self.order.url = url;
    }

    fn finish(&mut self, report: &haul::Report) {
        let haul::Report { bytes, seconds, verified, speedup, .. } = *report;
        (self.size, self.stored) = (Some(bytes), bytes);
        self.state = State::Done { seconds, verified, speedup };
    }

    fn fail(&mut self, failed: &Failed) {
        let stop = if let State::Working { stop } = self.state { stop } else { None };
        let Failed { code, error, because, .. } = failed.clone();
        self.state = match stop {
            Some(Stop::Pause) if code == haul::ErrorKind::Interrupted.code() => State::Paused,
            Some(Stop::Cancel) => State::Cancelled,
            _ => State::Failed { code, error, because },
        };
    }
}

fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn name_taken() -> Refusal {
    let because = "another download is to be saved under that name";
    conflict(because, "give this one another name, or wait for the other to end")
}

fn conflict(because: &str, remedy: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, because, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(name: &str) -> Order {
        let name = FileName::parse(name).unwrap();
        let url = "https://example.org/file".parse().unwrap();
        Order { url, name, checksum: None, limit: None, allow_private: false }
    }

    fn interrupted() -> Happening {
        let (v, code) = (1, 7);
        let (error, because, r#try) = (String::new(), String::new(), String::new());
        Happening::Failed(Failed { v, code, error, because, r#try })
    }

    #[test]
    fn downloads_run_one_after_another_in_the_order_of_asking() {
        let mut queue = Queue::default();
        let (one, two) = (queue.add(order("a")).unwrap(), queue.add(order("b")).unwrap());
        assert_eq!(queue.begin_next().unwrap().0, one);
        assert!(queue.begin_next().is_none());
        assert!(queue.end(one, &interrupted()), "nobody stopped it");
        assert_eq!(queue.begin_next().unwrap().0, two);
    }

    #[test]
    fn a_paused_download_waits_again_when_resumed_and_takes_the_new_url() {
        let mut queue = Queue::default();
        let id = queue.add(order("a")).unwrap();
        queue.begin_next();
        assert!(queue.resume(id, None).is_err());
        assert!(queue.stop(id, Stop::Pause).unwrap());
        assert!(!queue.end(id, &interrupted()), "somebody paused it");
        assert_eq!(queue.jobs()[0].state, State::Paused);
        queue.resume(id, Some("https://mirror.example/x".parse().unwrap())).unwrap();
        let (again, order) = queue.begin_next().unwrap();
        assert_eq!((again, order.url.host_str()), (id, Some("mirror.example")));
    }

    #[test]
    fn one_name_is_saved_to_by_one_open_download() {
        let mut queue = Queue::default();
        let id = queue.add(order("a")).unwrap();
        assert!(queue.add(order("a")).is_err());
        assert!(!queue.stop(id, Stop::Cancel).unwrap());
        assert!(queue.add(order("a")).is_ok());
    }

    #[test]
    fn the_list_is_bounded_and_keeps_what_is_open() {
        let mut queue = Queue::default();
        for at in 0..MOST_OPEN {
            queue.add(order(&format!("open {at}"))).unwrap();
        }
        assert!(queue.add(order("one more")).is_err());
        for at in 0..1000 {
            let first = queue.jobs().iter().find(|job| job.is_open()).unwrap().id;
            queue.stop(first, Stop::Cancel).unwrap();
            queue.add(order(&format!("later {at}"))).unwrap();
        }
        assert_eq!(queue.jobs().len(), MOST);
        assert_eq!(queue.jobs().iter().filter(|job| job.is_open()).count(), MOST_OPEN);
    }

    #[test]
    fn what_works_or_waits_is_not_forgotten() {
        let mut queue = Queue::default();
        let id = queue.add(order("a")).unwrap();
        assert!(queue.forget(id).is_err());
        queue.stop(id, Stop::Cancel).unwrap();
        queue.forget(id).unwrap();
        assert!(queue.jobs().is_empty() && queue.forget(id).is_err());
    }
}
