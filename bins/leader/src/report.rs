//! The report of a download as one page: who delivered what, and when.

use crate::tell;
use haul::{Event, Happening, Report, WorkerProgress};
use std::fmt::Write;
use std::time::Duration;

/// Colours that differ in brightness too, for those who do not see them; they repeat after eight.
const COLOURS: [&str; 8] =
    ["#1b6ca8", "#e08e0b", "#3a7d44", "#b23a48", "#6d597a", "#2a9d8f", "#8d6346", "#495057"];

/// Width and height of the chart, in its own units.
const WIDE: f64 = 720.0;
const HIGH: f64 = 180.0;

/// What a download told, kept for its report.
#[derive(Default)]
pub(crate) struct Story {
    progress: Vec<(Duration, Vec<WorkerProgress>)>,
    notes: Vec<(Duration, String)>,
}

impl Story {
    pub(crate) fn note(&mut self, event: &Event) {
        let text = match &event.what {
            Happening::Progress { workers, .. } => {
                return self.progress.push((event.at, workers.clone()));
            }
            Happening::Joined { name, address, .. } => format!("{name} ({}) joined", address.ip()),
            Happening::Lost { name, because, .. } => format!("{name} left: {because}"),
            Happening::Repaired { bytes } => format!("{} were fetched again", tell::size(*bytes)),
            Happening::Note { text } => text.clone(),
            _ => return,
        };
        self.notes.push((event.at, text));
    }

    /// The page: one file, its pictures inside it, and no script.
    pub(crate) fn page(&self, report: &Report, verdict: &str) -> String {
        let name = report.path.file_name().unwrap_or_default().to_string_lossy();
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>{name}: haul</title><style>{STYLE}</style>\
             <h1>{name}</h1><p>{verdict}</p>\
             <h2>Who delivered what</h2>{table}\
             <h2>Bytes per second, all together</h2>{chart}\
             <h2>What happened</h2><ul>{notes}</ul></html>\n",
            name = escaped(&name),
            verdict = escaped(verdict),
            table = table(report),
            chart = self.chart(report),
            notes = self.notes(),
        );
        page
    }

    fn notes(&self) -> String {
        let line = |(at, text): &(Duration, String)| {
            format!("<li>{}: {}</li>", tell::time(*at), escaped(text))
        };
        self.notes.iter().map(line).collect()
    }

    /// The rates of all workers over time, stacked: one band each.
    fn chart(&self, report: &Report) -> String {
        let total =
            |workers: &[WorkerProgress]| workers.iter().map(|worker| worker.rate).sum::<u64>();
        let most =
            self.progress.iter().map(|(_, workers)| total(workers)).max().unwrap_or(0).max(1);
        let bands = report.workers.iter().enumerate().map(|(at, worker)| {
            let points = self.band(worker.worker, report.seconds, most);
            format!(
                "<polygon fill=\"{}\" points=\"{points}\"><title>{}</title></polygon>",
                colour(at),
                escaped(&worker.name)
            )
        });
        let bands: String = bands.collect();
        format!(
            "<svg viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" aria-label=\"rates over time\">{bands}</svg>\
             <p>up to {}/s, over {}</p>",
            tell::size(most),
            tell::time(Duration::from_secs_f64(report.seconds.max(0.0)))
        )
    }

    /// The outline of one worker's band, which lies on those of lower number.
    fn band(&self, id: u32, seconds: f64, most: u64) -> String {
        let x = |at: &Duration| (at.as_secs_f64() / seconds.max(1e-3)).min(1.0) * WIDE;
        let y = |rate: u64| HIGH * (1.0 - ratio(rate, most));
        let below = |workers: &[WorkerProgress], top: bool| {
            let under =
                workers.iter().filter(|worker| worker.worker < id || (top && worker.worker == id));
            under.map(|worker| worker.rate).sum()
        };
        let edge =
            |top: bool| self.progress.iter().map(move |(at, workers)| (at, below(workers, top)));
        let mut points = String::new();
        for (at, rate) in edge(true).chain(edge(false).rev()) {
            let _ = write!(points, "{:.1},{:.1} ", x(at), y(rate));
        }
        points
    }
}

fn table(report: &Report) -> String {
    let row = |(at, worker): (usize, &haul::WorkerReport)| {
        format!(
            "<tr><td><svg class=\"key\" viewBox=\"0 0 1 1\"><rect width=\"1\" height=\"1\" fill=\"{}\"/></svg> {}\
             <td>{}<td>{}<td>{:.1} %<td>{}</tr>",
            colour(at),
            escaped(&worker.name),
            worker.address.map_or_else(String::new, |address| address.to_string()),
            tell::size(worker.bytes),
            100.0 * ratio(worker.bytes, report.bytes),
            tell::size(worker.wasted),
        )
    };
    let rows: String = report.workers.iter().enumerate().map(row).collect();
    format!("<table><tr><th>who<th>where<th>delivered<th>share<th>of no use</tr>{rows}</table>")
}

fn colour(at: usize) -> &'static str {
    COLOURS[at % COLOURS.len()]
}

#[expect(clippy::cast_precision_loss, reason = "a picture shows three digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Text as a page may hold it, whoever chose it.
fn escaped(text: &str) -> String {
    let entity = |c: char| match c {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        other => other.to_string(),
    };
    text.chars().map(entity).collect()
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .5rem;\
border-bottom:1px solid #ccc}svg{width:100%}svg.key{width:.8rem;height:.8rem}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}}";

#[cfg(test)]
mod tests {
    use super::*;
    use haul::{Verified, WorkerReport};

    fn report(name: &str) -> Report {
        let worker =
            WorkerReport { worker: 0, name: name.into(), address: None, bytes: 10, wasted: 0 };
        Report {
            v: 1,
            path: "a<b>.iso".into(),
            bytes: 10,
            seconds: 2.0,
            verified: Verified::Unverified,
            workers: vec![worker],
            alone_seconds: 2.0,
            speedup: 1.0,
        }
    }

    #[test]
    fn what_others_named_is_text_and_never_markup() {
        let mut story = Story::default();
        let text = "<script>alert(1)</script>".to_owned();
        story.note(&Event { at: Duration::ZERO, what: Happening::Note { text } });
        let page = story.page(&report("\"><img src=x>"), "done & <well>");
        for markup in ["<script", "<img", "<well>", "a<b>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("done &amp; &lt;well&gt;"));
    }

    #[test]
    fn a_report_needs_nothing_but_itself() {
        let mut story = Story::default();
        for at in 1..4 {
            let own =
                WorkerProgress { worker: 0, name: "own link".into(), bytes: 3, rate: 5, lanes: 1 };
            let what = Happening::Progress { stored: 3, durable: 0, rate: 5, workers: vec![own] };
            story.note(&Event { at: Duration::from_secs(at), what });
        }
        let page = story.page(&report("own link"), "fine");
        assert!(page.contains("<polygon") && page.contains("100.0 %"));
        for outside in ["http:", "https:", "src=", "@import", "<link", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
