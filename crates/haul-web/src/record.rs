use bytes::Bytes;
use haul::{Event, Happening};
use std::collections::VecDeque;
use std::fmt;

/// How many events of a job are kept, beside the first and the last progress.
const MOST: usize = 1000;

/// What the job at hand has told so far, as server-sent events.
///
/// Progress makes earlier progress worthless, so that only the last is kept. A job that tells more
/// than [`MOST`] other events loses the oldest. Numbers rise from job to job and never begin anew.
#[derive(Debug, Default)]
pub(crate) struct Record {
    told: VecDeque<Line>,
    last: u64,
}

#[derive(Debug)]
struct Line {
    id: u64,
    is_progress: bool,
    text: Bytes,
}

impl Record {
    /// Forgets the job before and tells that another begins.
    pub(crate) fn begin(&mut self, save_as: &str) {
        self.told.clear();
        let about = serde_json::json!({ "save_as": save_as });
        self.push(false, format_args!("event: begin\ndata: {about}\n"));
    }

    pub(crate) fn tell(&mut self, event: &Event) {
        let is_progress = matches!(event.what, Happening::Progress { .. });
        if is_progress && let Some(old) = self.told.iter().rposition(|line| line.is_progress) {
            self.told.remove(old);
        }
        // Events hold nothing that JSON cannot write; JSON in one line has no line breaks.
        let json = serde_json::to_string(event).unwrap_or_default();
        self.push(is_progress, format_args!("data: {json}\n"));
        if self.told.len() > MOST + 2 {
            let oldest = self.told.iter().skip(1).position(|line| !line.is_progress);
            oldest.and_then(|oldest| self.told.remove(oldest + 1));
        }
    }

    /// What was told after `seen`, and the number of the last of it.
    pub(crate) fn after(&self, seen: u64) -> (Vec<Bytes>, u64) {
        let from = self.told.partition_point(|line| line.id <= seen);
        (self.told.range(from..).map(|line| line.text.clone()).collect(), self.last)
    }

    fn push(&mut self, is_progress: bool, fields: fmt::Arguments<'_>) {
        self.last += 1;
        let text = format!("id: {}\n{fields}\n", self.last).into();
        self.told.push_back(Line { id: self.last, is_progress, text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn note(text: usize) -> Event {
        Event { at: Duration::ZERO, what: Happening::Note { text: text.to_string() } }
    }

    fn progress(stored: u64) -> Event {
        let what = Happening::Progress { stored, durable: 0, rate: 0, workers: Vec::new() };
        Event { at: Duration::ZERO, what }
    }

    fn texts(record: &Record, seen: u64) -> Vec<String> {
        let lines = record.after(seen).0;
        lines.into_iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
    }

    #[test]
    fn whoever_comes_back_hears_what_was_missed_and_no_more() {
        let mut record = Record::default();
        record.begin("a\nb");
        record.tell(&note(7));
        let begin = "id: 1\nevent: begin\ndata: {\"save_as\":\"a\\nb\"}\n\n";
        let told = "id: 2\ndata: {\"at\":0.0,\"event\":\"note\",\"text\":\"7\"}\n\n";
        assert_eq!(texts(&record, 0), [begin, told]);
        assert_eq!(texts(&record, 1), [told]);
        assert!(texts(&record, 2).is_empty());
        record.begin("c");
        assert_eq!(texts(&record, 1).len(), 1);
    }

    #[test]
    fn only_the_last_progress_is_kept() {
        let mut record = Record::default();
        record.begin("a");
        (0..100).for_each(|stored| record.tell(&progress(stored)));
        let kept = texts(&record, 0);
        assert_eq!(kept.len(), 2);
        assert!(kept[1].starts_with("id: 101\n") && kept[1].contains("\"stored\":99"));
    }

    #[test]
    fn a_talkative_job_keeps_its_beginning_its_progress_and_its_last_thousand_events() {
        let mut record = Record::default();
        record.begin("a");
        record.tell(&progress(1));
        (0..5000).for_each(|text| record.tell(&note(text)));
        let kept = texts(&record, 0);
        assert_eq!(kept.len(), MOST + 2);
        assert!(kept[0].contains("begin") && kept[1].contains("progress"));
        assert!(kept[2].contains("\"4000\"") && kept[MOST + 1].contains("\"4999\""));
    }
}
