//! The report of a download as one page: who delivered what, and when.

mod file;
mod picture;
mod story;

pub(crate) use file::{may_save, save};
pub(crate) use story::Story;

use crate::tell;
use haul::{Report, WorkerReport};
use std::fmt::Write;
use std::time::Duration;

/// What every report begins with, and nothing else does.
const BEGINNING: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"generator\" content=\"haul report\">";

/// The page: one file, its pictures inside it, and no script.
pub(crate) fn page(story: &Story, report: &Report, verdict: &str) -> String {
    let name = report.path.file_name().unwrap_or_default().to_string_lossy();
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "{BEGINNING}<meta name=\"viewport\" content=\"width=device-width\">\
         <title>{name}: haul</title><style>{STYLE}</style></head>\n<body>{looks}\
         <h1>{name}</h1><p>{verdict}</p>\n\
         <h2>Who delivered what</h2>{table}\n\
         <h2>Bytes per second, one on top of the other</h2>{rates}\
         <p>Up to {most}/s, over {time}. The dashed line is the own link alone: {alone}/s.</p>\n\
         <h2>Who delivered which part of the file when</h2>{spans}\
         <p>From left to right the time, from top to bottom the file.</p>\n\
         <h2>What happened</h2>{notes}\n\
         <p class=\"faint\">haul {version}</p></body></html>\n",
        name = escaped(&name),
        verdict = escaped(verdict),
        looks = picture::looks(),
        table = table(report),
        rates = picture::rates(story, report),
        most = tell::size(picture::most(story)),
        time = tell::time(Duration::from_secs_f64(report.seconds.max(0.0))),
        alone = tell::size(picture::alone(report)),
        spans = picture::spans(story, report),
        notes = notes(story),
        version = env!("CARGO_PKG_VERSION"),
    );
    page
}

/// What went otherwise than planned among it: who joined, left or refused, and what was retried.
fn notes(story: &Story) -> String {
    if story.notes.is_empty() {
        return "<p>Nothing out of the way.</p>".to_owned();
    }
    let line = |(at, text): &(Duration, String)| {
        format!("<li>{}: {}</li>", tell::time(*at), escaped(text))
    };
    format!("<ul>{}</ul>", story.notes.iter().map(line).collect::<String>())
}

fn table(report: &Report) -> String {
    let rows: String =
        report.workers.iter().enumerate().map(|(at, worker)| row(report, at, worker)).collect();
    format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"who delivered what\"><table><thead><tr><th scope=\"col\">who<th scope=\"col\">where<th scope=\"col\">delivered\
         <th scope=\"col\">share<th scope=\"col\">on average<th scope=\"col\">of no use</thead>\
         <tbody>{rows}</tbody></table></div>"
    )
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
fn row(report: &Report, at: usize, worker: &WorkerReport) -> String {
    let mean = (ratio(worker.bytes, 1) / report.seconds.max(1e-3)) as u64;
    format!(
        "<tr><td>{} {}<td>{}<td>{}<td>{:.1} %<td>{}/s<td>{}</tr>",
        picture::key(at),
        escaped(&worker.name),
        worker.address.map_or_else(String::new, |address| address.to_string()),
        tell::size(worker.bytes),
        100.0 * ratio(worker.bytes, report.bytes),
        tell::size(mean),
        tell::size(worker.wasted),
    )
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

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:2rem auto;padding:0 1rem;\
color:#171b20;background:#fff;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #8a929c}\
.wide{overflow-x:auto}.wide td,.wide th{overflow-wrap:normal}.wide td:nth-child(n+3){white-space:nowrap}\
svg.picture{display:block;width:100%;border:1px solid #8a929c;border-radius:.375rem}\
svg.key{width:.9rem;height:.9rem;vertical-align:-.1rem}svg.looks{position:absolute;width:0;height:0}\
.faint{color:#545d68;font-size:.875rem}\
@media(prefers-color-scheme:dark){body{color:#eceff2;background:#1b2025}.faint{color:#adb5be}}";

#[cfg(test)]
mod tests {
    use super::*;
    use haul::{Deliverer, Event, Happening, Stretch, Verified, WorkerProgress};

    fn report(name: &str) -> Report {
        let worker = WorkerReport {
            worker: 0,
            name: name.into(),
            address: None,
            bytes: 10,
            wasted: 0,
            spoiled: 0,
        };
        Report {
            v: 1,
            path: "a<b>.iso".into(),
            bytes: 10,
            seconds: 4.0,
            verified: Verified::Unverified,
            checks: None,
            workers: vec![worker],
            alone_seconds: 5.0,
            speedup: 1.0,
        }
    }

    fn story() -> Story {
        let mut story = Story::default();
        for at in 1..4_u16 {
            let own = WorkerProgress {
                worker: 0,
                name: "own link".into(),
                bytes: 3,
                rate: 5,
                lanes: 1,
                held: 0,
            };
            let done = Stretch { cells: at, by: Deliverer::Worker(0) };
            let rest = Stretch { cells: 10 - at, by: Deliverer::Missing };
            let (workers, map) = (vec![own], vec![done, rest]);
            let what = Happening::Progress { stored: 3, durable: 0, rate: 5, workers, map };
            story.note(&Event { at: Duration::from_secs(at.into()), what });
        }
        story
    }

    #[test]
    fn what_others_named_is_text_and_never_markup() {
        let mut story = Story::default();
        let text = "<script>alert(1)</script>".to_owned();
        story.note(&Event { at: Duration::ZERO, what: Happening::Note { text } });
        let page = page(&story, &report("\"><img src=x>"), "done & <well>");
        for markup in ["<script", "<img", "<well>", "a<b>"] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;script&gt;") && page.contains("done &amp; &lt;well&gt;"));
    }

    #[test]
    fn a_report_needs_nothing_but_itself() {
        let page = page(&story(), &report("own link"), "fine");
        for outside in ["http:", "https:", "src=", "href=", "@import", "<link", "<script"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_report_shows_shares_rates_spans_and_the_own_link_alone() {
        let page = page(&story(), &report("own link"), "fine");
        assert!(page.contains("100.0 %") && page.contains("<polygon fill=\"url(#w0)\""));
        assert!(page.contains("stroke-dasharray") && page.contains("the own link alone"));
        // Three pieces of one cell of eighteen units each, a quarter of the time wide.
        for y in ["0.0", "18.0", "36.0"] {
            let piece = format!("y=\"{y}\" width=\"180.0\" height=\"18.0\"");
            assert!(page.contains(&piece), "{piece}: {page}");
        }
    }
}
