use crate::past::Past;
use crate::stream::Replay;
use bytes::Bytes;
use haul::{Event, Happening};
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;

/// How many events of a job are kept, beside its first and what only the last counts of.
const MOST: usize = 1000;

/// How many moments the chart of who comes late shows.
const MOMENTS: usize = 240;

/// What the page has to know, as server-sent events: the downloads, and what the one at hand has
/// told so far.
///
/// A list of downloads makes earlier lists worthless, and progress earlier progress, so that only
/// the last of each is kept. A job that tells more than [`MOST`] other events loses the oldest.
/// Numbers rise from job to job and never begin anew.
#[derive(Debug, Default)]
pub(crate) struct Record {
    told: VecDeque<Line>,
    past: Past<MOMENTS>,
    last: u64,
}

#[derive(Debug)]
struct Line {
    id: u64,
    kind: Kind,
    text: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Jobs,
    Left,
    Begin,
    Progress,
    Other,
}

impl Record {
    /// Tells how all downloads stand.
    pub(crate) fn list(&mut self, jobs: &impl Serialize) {
        // Lists are plain records, which JSON can always write.
        let json = serde_json::to_string(jobs).unwrap_or_default();
        self.push(Kind::Jobs, format_args!("event: jobs\ndata: {json}\n"));
    }

    /// Tells what former runs left.
    pub(crate) fn left(&mut self, jobs: &impl Serialize) {
        let json = serde_json::to_string(jobs).unwrap_or_default();
        self.push(Kind::Left, format_args!("event: left\ndata: {json}\n"));
    }

    /// Forgets the job before and tells that another begins.
    pub(crate) fn begin(&mut self, job: u32, save_as: &str) {
        self.told.retain(|line| matches!(line.kind, Kind::Jobs | Kind::Left));
        self.past = Past::default();
        let about = serde_json::json!({ "job": job, "save_as": save_as });
        self.push(Kind::Begin, format_args!("event: begin\ndata: {about}\n"));
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        let mut kind = Kind::Other;
        if let Happening::Progress { workers, .. } = &event.what {
            kind = Kind::Progress;
            self.past.note(event.at, workers);
        }
        // Events hold nothing that JSON cannot write; JSON in one line has no line breaks.
        let json = serde_json::to_string(event).unwrap_or_default();
        self.push(kind, format_args!("data: {json}\n"));
    }

    fn push(&mut self, kind: Kind, fields: fmt::Arguments<'_>) {
        let only_last = matches!(kind, Kind::Jobs | Kind::Left | Kind::Progress);
        if only_last && let Some(old) = self.told.iter().rposition(|line| line.kind == kind) {
            self.told.remove(old);
        }
        self.last += 1;
        let text = format!("id: {}\n{fields}\n", self.last).into();
        self.told.push_back(Line { id: self.last, kind, text });
        if self.told.len() > MOST + 4 {
            let oldest = self.told.iter().position(|line| line.kind == Kind::Other);
            oldest.and_then(|oldest| self.told.remove(oldest));
        }
    }
}

impl Replay for Record {
    /// Whoever has not heard of the job at hand also hears how it went so far.
    fn after(&self, seen: u64) -> (Vec<Bytes>, u64) {
        let from = self.told.partition_point(|line| line.id <= seen);
        let mut told = Vec::new();
        for line in self.told.range(from..) {
            told.push(line.text.clone());
            if line.kind == Kind::Begin && !self.past.moments().is_empty() {
                told.push(format!("event: past\ndata: {}\n\n", self.past.to_json()).into());
            }
        }
        (told, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul::WorkerProgress;
    use std::time::Duration;

    fn note(text: usize) -> Event {
        Event { at: Duration::ZERO, what: Happening::Note { text: text.to_string() } }
    }

    fn progress(stored: u64) -> Event {
        let (durable, rate, map) = (0, stored, Vec::new());
        let own = WorkerProgress {
            worker: 0,
            name: "own link".into(),
            bytes: 0,
            rate,
            lanes: 1,
            held: 0,
        };
        let what = Happening::Progress { stored, durable, rate, workers: vec![own], map };
        Event { at: Duration::from_secs(stored), what }
    }

    fn texts(record: &Record, seen: u64) -> Vec<String> {
        let lines = record.after(seen).0;
        lines.into_iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn whoever_comes_back_hears_what_was_missed_and_no_more() {
        let mut record = Record::default();
        record.begin(1, "a\nb");
        record.tell(&note(7));
        let begin = "id: 1\nevent: begin\ndata: {\"job\":1,\"save_as\":\"a\\nb\"}\n\n";
        let told = "id: 2\ndata: {\"at\":0.0,\"event\":\"note\",\"text\":\"7\"}\n\n";
        assert_eq!(texts(&record, 0), [begin, told]);
        assert_eq!(texts(&record, 1), [told]);
        assert!(texts(&record, 2).is_empty());
        record.begin(2, "c");
        assert_eq!(texts(&record, 1).len(), 1);
    }

    #[test]
    fn only_the_last_progress_and_the_last_list_are_kept() {
        let mut record = Record::default();
        record.list(&[1, 2]);
        record.begin(1, "a");
        record.list(&[3]);
        (0..100).for_each(|stored| record.tell(&progress(stored)));
        let kept = texts(&record, 3);
        assert_eq!(kept.len(), 1);
        assert!(kept[0].starts_with("id: 103\n") && kept[0].contains("\"stored\":99"));
        assert!(texts(&record, 2)[0].contains("event: jobs\ndata: [3]"));
    }

    #[test]
    fn whoever_comes_late_hears_once_how_it_went_so_far() {
        let mut record = Record::default();
        record.begin(1, "a");
        (0..3).for_each(|stored| record.tell(&progress(stored)));
        let late = texts(&record, 0);
        assert!(late[1].contains("event: past\ndata: [[0.0,[[0,0]]],[1.0,[[0,1]]]"), "{late:?}");
        assert_eq!(texts(&record, 1).len(), 1);
    }

    #[test]
    fn a_talkative_job_keeps_its_beginning_its_progress_and_its_last_thousand_events() {
        let mut record = Record::default();
        record.list(&[1]);
        record.left(&[1]);
        record.begin(1, "a");
        record.tell(&progress(1));
        (0..5000).for_each(|text| record.tell(&note(text)));
        let kept = texts(&record, 0);
        assert_eq!(kept.len(), MOST + 5);
        assert!(kept[0].contains("jobs") && kept[1].contains("left"));
        assert!(kept[2].contains("begin") && kept[3].contains("past"));
        assert!(kept[5].contains("\"4000\"") && kept[MOST + 4].contains("\"4999\""));
    }
}
