//! Bars on a terminal; lines where there is none.

use crate::tell;
use haul::trust::Standing;
use haul::{Answer, Event, Happening, WorkerProgress};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

/// How often progress is told where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// From how many hundredths of its time on a helper that waits for the way here is shown as such.
const HELD: u8 = 50;

pub(crate) struct Bars {
    all: MultiProgress,
    file: Option<ProgressBar>,
    workers: BTreeMap<u32, ProgressBar>,
    size: Option<u64>,
    terminal: bool,
    verbose: bool,
    told: Duration,
}

impl Bars {
    pub(crate) fn new(verbose: bool) -> Self {
        let terminal = stderr().is_terminal();
        let target =
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let all = MultiProgress::with_draw_target(target);
        Self {
            all,
            file: None,
            workers: BTreeMap::new(),
            size: None,
            terminal,
            verbose,
            told: Duration::ZERO,
        }
    }

    pub(crate) fn show(&mut self, event: &Event) {
        match &event.what {
            Happening::Probed { size, name, .. } => self.begin(*size, name),
            Happening::Progress { stored, rate, workers, .. } => {
                self.progress(event.at, *stored, *rate, workers);
            }
            Happening::Asked { interfaces, addresses } if *interfaces + *addresses == 0 => {
                self.say("no network to ask for help on");
            }
            Happening::Asked { .. } => self.say("asking the machines around for help"),
            Happening::Offered { name, code, standing, .. } => {
                self.say(&offered(name, code, standing));
            }
            Happening::Answered { name, answer, because, .. } => {
                if let Some(text) = answered(name, *answer, because.as_deref()) {
                    self.say(&text);
                }
            }
            Happening::Joined { name, address, .. } => {
                self.say(&format!("{name} ({}) helps", address.ip()));
            }
            Happening::Lost { worker, name, because } => {
                self.drop_bar(*worker);
                self.say(&format!("{name} is gone: {because}"));
            }
            Happening::Blamed { name, .. } => {
                self.say(&format!("{name} delivered bytes that are not those of the origin"));
            }
            Happening::Repaired { bytes } => {
                self.say(&format!("{} are fetched again", tell::size(*bytes)));
            }
            Happening::Note { text } => self.say(text),
            Happening::Nobody { causes } => self.say(&tell::nobody(causes)),
            Happening::Found { address, how } if self.verbose => {
                self.say(&format!("found {address} by {how}"));
            }
            _ => {}
        }
    }

    /// Takes the bars away.
    pub(crate) fn end(&mut self) {
        for bar in self.workers.values().chain(&self.file) {
            bar.finish_and_clear();
        }
        // Nothing is lost if a terminal cannot be cleared.
        let _ = self.all.clear();
    }

    fn begin(&mut self, size: Option<u64>, name: &str) {
        self.size = size;
        let known = size.map_or_else(|| "unknown size".to_owned(), tell::size);
        self.say(&format!("{name}: {known}"));
        let bar = self.all.add(ProgressBar::new(size.unwrap_or(0)));
        let template = if size.is_some() {
            "{bar:30} {percent:>3} %  {bytes} of {total_bytes}  {msg}"
        } else {
            "{bytes} so far  {msg}"
        };
        bar.set_style(style(template));
        self.file = Some(bar);
    }

    fn progress(&mut self, at: Duration, stored: u64, rate: u64, workers: &[WorkerProgress]) {
        let left = self.size.and_then(|size| time_left(size.saturating_sub(stored), rate));
        let speed = format!(
            "{}/s{}",
            tell::size(rate),
            left.map_or_else(String::new, |left| format!("  {left} left"))
        );
        if !self.terminal {
            if at >= self.told + EVERY {
                self.told = at;
                self.say(&format!("{} {speed}, {} at work", self.part(stored), workers.len()));
            }
            return;
        }
        if let Some(bar) = &self.file {
            bar.set_position(stored);
            bar.set_message(speed);
        }
        for worker in workers {
            self.show_worker(worker);
        }
    }

    fn part(&self, stored: u64) -> String {
        match self.size {
            Some(size) => format!("{} of {}", tell::size(stored), tell::size(size)),
            None => tell::size(stored),
        }
    }

    fn show_worker(&mut self, worker: &WorkerProgress) {
        let all = &self.all;
        let bar = self.workers.entry(worker.worker).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(0));
            bar.set_style(style("  {prefix:20} {msg}"));
            bar.set_prefix(worker.name.clone());
            bar
        });
        bar.set_message(at_work(worker));
    }

    fn drop_bar(&mut self, worker: u32) {
        if let Some(bar) = self.workers.remove(&worker) {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        if self.terminal {
            // A line above the bars; a terminal that cannot show it shows nothing else either.
            let _ = self.all.println(text);
        } else {
            eprintln!("{text}");
        }
    }
}

fn at_work(worker: &WorkerProgress) -> String {
    let (rate, bytes) = (tell::size(worker.rate), tell::size(worker.bytes));
    let lanes = if worker.lanes == 1 { "connection" } else { "connections" };
    let held = if worker.held >= HELD { ", held by the local network" } else { "" };
    format!("{rate:>11}/s  {bytes:>11}  {} {lanes}{held}", worker.lanes)
}

fn offered(name: &str, code: &str, standing: &Standing) -> String {
    let who = match standing {
        Standing::Namesake => ", which is NOT the one that you know (its key is another),",
        _ => "",
    };
    format!("{name}{who} is asked; to be helped by it always, have {code} typed there")
}

fn answered(name: &str, answer: Answer, because: Option<&str>) -> Option<String> {
    let text = match answer {
        Answer::Yes => return None,
        Answer::No => "cannot help",
        Answer::Busy => "helps somebody else",
        Answer::Later => "cannot help now",
    };
    Some(
        because.map_or_else(
            || format!("{name} {text}"),
            |because| format!("{name} {text}: {because}"),
        ),
    )
}

fn time_left(bytes: u64, rate: u64) -> Option<String> {
    bytes.checked_div(rate).map(|seconds| tell::time(Duration::from_secs(seconds)))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_that_waits_for_the_local_network_is_shown_as_such() {
        let name = "asha".to_owned();
        let mut worker =
            WorkerProgress { worker: 1, name, bytes: 2048, rate: 1024, lanes: 1, held: 49 };
        assert_eq!(at_work(&worker), "    1.0 KiB/s      2.0 KiB  1 connection");
        (worker.held, worker.lanes) = (50, 2);
        assert!(at_work(&worker).ends_with("2 connections, held by the local network"));
    }
}
