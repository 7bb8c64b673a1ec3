//! The pictures of a report, in SVG that needs nothing else.

use super::story::Story;
use super::{escaped, ratio};
use haul::Report;
use haul_web::Moment;
use std::fmt::Write;
use std::time::Duration;

/// Width of all pictures, and height of each, in their own units.
const WIDE: f64 = 720.0;
const HIGH: f64 = 180.0;

/// The looks of workers: colours with what is drawn on them, so that nobody needs to see colours.
/// They repeat after eight.
const LOOKS: [(&str, &str); 8] = [
    ("#1b6ca8", ""),
    ("#d9861a", "M-2 2L2-2M0 8L8 0M6 10L10 6"),
    ("#3a8a4a", "M4 2.4V5.6M2.4 4H5.6"),
    ("#b23a48", "M0 4H8"),
    ("#7c5c99", "M4 0V8"),
    ("#1f8f82", "M-2 6L2 10M0 0L8 8M6-2L10 2"),
    ("#8d6346", "M0 4H8M4 0V8"),
    ("#6a737c", "M0 0L8 8M8 0L0 8"),
];

/// The patterns that the pictures are filled with; they hold for the whole page.
pub(super) fn looks() -> String {
    let pattern = |(at, (colour, mark)): (usize, &(&str, &str))| {
        format!(
            "<pattern id=\"w{at}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">\
             <rect width=\"8\" height=\"8\" fill=\"{colour}\"/>\
             <path d=\"{mark}\" fill=\"none\" stroke=\"#fff\" stroke-opacity=\".7\" stroke-width=\"1.5\"/></pattern>"
        )
    };
    let patterns: String = LOOKS.iter().enumerate().map(pattern).collect();
    format!("<svg class=\"looks\" aria-hidden=\"true\"><defs>{patterns}</defs></svg>")
}

/// A small square in the look of the worker at this place of the report.
pub(super) fn key(at: usize) -> String {
    let look = look(at);
    format!(
        "<svg class=\"key\" viewBox=\"0 0 16 16\" aria-hidden=\"true\"><rect width=\"16\" height=\"16\" fill=\"{look}\"/></svg>"
    )
}

/// The rates of all workers over time, one band on top of the other, and a dashed line where the
/// own link alone would have been.
pub(super) fn rates(story: &Story, report: &Report) -> String {
    let most = most(story).max(alone(report));
    let bands = report.workers.iter().enumerate().map(|(at, worker)| {
        let points = band(story, worker.worker, report.seconds, most);
        polygon(&points, at, &worker.name)
    });
    let bands: String = bands.collect();
    let y = height(alone(report), most);
    let line = format!(
        "<line x1=\"0\" x2=\"{WIDE}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"currentColor\" stroke-width=\"2\" \
         stroke-dasharray=\"6 5\"><title>the own link alone</title></line>"
    );
    svg("rates over time", &(bands + &line))
}

/// Who delivered which part of the file when: time goes to the right, the file downwards.
pub(super) fn spans(story: &Story, report: &Report) -> String {
    let cell = HIGH / as_f64(story.cells().max(1));
    let pieces = story.pieces.iter().filter_map(|piece| {
        let at = report.workers.iter().position(|worker| worker.worker == piece.worker)?;
        let (from, to) = (across(piece.from, report.seconds), across(piece.to, report.seconds));
        let (y, high) = (cell * as_f64(piece.first), cell * as_f64(piece.cells));
        Some(format!(
            "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{high:.1}\" fill=\"{}\"/>",
            (to - from).max(1.0),
            look(at)
        ))
    });
    svg("who delivered which part of the file when", &pieces.collect::<String>())
}

/// The highest rate of all workers together, in bytes per second.
pub(super) fn most(story: &Story) -> u64 {
    story.past.moments().iter().map(|moment| total(moment, u32::MAX)).max().unwrap_or(0).max(1)
}

/// What the own link alone would have brought, in bytes per second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
pub(super) fn alone(report: &Report) -> u64 {
    (ratio(report.bytes, 1) / report.alone_seconds.max(1e-3)) as u64
}

/// The outline of one worker's band, which lies on those of lower number.
fn band(story: &Story, worker: u32, seconds: f64, most: u64) -> String {
    let point = |moment: &Moment, below: u32| {
        let y = height(total(moment, below), most);
        format!("{:.1},{y:.1} ", across(moment.at, seconds))
    };
    let top = story.past.moments().iter().map(|moment| point(moment, worker.saturating_add(1)));
    let bottom = story.past.moments().iter().rev().map(|moment| point(moment, worker));
    top.chain(bottom).collect()
}

/// The rates of all workers below this number, together.
fn total(moment: &Moment, below: u32) -> u64 {
    moment.rates.iter().filter(|(worker, _)| *worker < below).map(|(_, rate)| rate).sum()
}

fn polygon(points: &str, at: usize, name: &str) -> String {
    let mut polygon = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        polygon,
        "<polygon fill=\"{}\" points=\"{points}\"><title>{}</title></polygon>",
        look(at),
        escaped(name)
    );
    polygon
}

fn svg(label: &str, inside: &str) -> String {
    format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDE} {HIGH}\" role=\"img\" aria-label=\"{label}\">{inside}</svg>"
    )
}

fn look(at: usize) -> String {
    format!("url(#w{})", at % LOOKS.len())
}

fn across(at: Duration, seconds: f64) -> f64 {
    (at.as_secs_f64() / seconds.max(1e-3)).min(1.0) * WIDE
}

fn height(rate: u64, most: u64) -> f64 {
    HIGH * (1.0 - ratio(rate, most))
}

#[expect(clippy::cast_precision_loss, reason = "a picture has some hundred cells")]
const fn as_f64(cells: usize) -> f64 {
    cells as f64
}
