//! Where the narrowest place is, by what the page has heard.

use crate::stage::Stage;
use serde_json::{Value, json};

const MBIT: u64 = 125_000;

#[test]
fn a_local_network_that_holds_the_helpers_back_is_named() {
    let Some(stage) = Stage::open() else { return };
    let told = |workers: &[Worker]| limit(&stage, &progress(workers, 0));
    let network = "Your local network";
    assert!(told(&[(8, 0), (4, 90), (4, 70)]).starts_with(network));
    // The fast one is heard more than the slow one.
    assert!(told(&[(8, 0), (8, 60), (1, 0)]).starts_with(network));
    assert!(told(&[(8, 0), (8, 20), (1, 100)]).starts_with("Your own link"));
    assert!(told(&[(8, 0), (8, 0)]).starts_with("Your own link"));
    assert!(told(&[(8, 0), (0, 100)]).starts_with("Not known"));
}

#[test]
fn a_slow_disk_is_not_taken_for_the_local_network() {
    let Some(stage) = Stage::open() else { return };
    let told = |waiting| limit(&stage, &progress(&[(8, 0), (8, 100)], waiting));
    assert!(told(16 << 20).starts_with("This machine's disk"));
    assert!(told(7 << 20).starts_with("Your local network"), "so much always waits");
}

/// What a worker brings, in Mbit/s, and how much of its time is held.
type Worker = (u64, u8);

/// Ten seconds of a download, of which so many bytes are not durable; the own link comes first.
fn progress(workers: &[Worker], waiting: u64) -> Vec<Value> {
    let workers: Vec<Value> = (0..)
        .zip(workers)
        .map(|(worker, &(rate, held)): (u32, _)| {
            let name = format!("worker {worker}");
            json!({"worker": worker, "name": name, "bytes": 0, "rate": rate * MBIT, "lanes": 1, "held": held})
        })
        .collect();
    let joined = json!({"event": "joined", "at": 0.5, "worker": 1, "name": "worker 1", "address": "10.77.0.11:4285", "code": "123 456"});
    let rest = (1..=40).map(|quarter| {
        let at = f64::from(quarter) / 4.0;
        json!({"event": "progress", "at": at, "stored": waiting, "durable": 0, "rate": 16 * MBIT, "workers": workers, "map": []})
    });
    [joined].into_iter().chain(rest).collect()
}

/// What the page says after these events.
fn limit(stage: &Stage, events: &[Value]) -> String {
    let script = format!(
        "const done = arguments[arguments.length - 1];
         import('/job.js').then(({{ blank, take, limit }}) => {{
           const job = blank({{ job: 1, save_as: 'a' }});
           for (const event of {}) take(job, event);
           done(limit(job));
         }});",
        json!(events)
    );
    stage.browser.run_async(&script).unwrap().as_str().unwrap().to_owned()
}
