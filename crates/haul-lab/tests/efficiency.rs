//! The planner comes close to the sum of the links, whatever the links do.
//!
//! `efficiency.txt` shows how close, so that a change of the planner is a change of figures that
//! a reader sees; `EFFICIENCY=write cargo test -p haul-lab --test efficiency` writes it anew.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul_lab::sim::{Figures, Promise, Scenario, run};
use haul_plan::{Cause, Output};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, thread};

/// How many seeds a figure is taken over.
const SEEDS: u64 = 10;

const HEAD: &str = "\
# T*/T, where T* is when the sum of all links could have brought the file; where the promise is
# about being alone, how many times as fast as alone. Over 10 seeds: mean, what 9 of 10 reach,
# the worst, and the most that was fetched for nothing.

scenario            promise        mean    p10  worst     waste
";

#[test]
fn every_scenario_keeps_its_promise() {
    let broken: Vec<_> = rows().iter().filter(|(_, _, figures)| !figures.kept()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn at_most_one_hundredth_is_fetched_for_nothing() {
    for (name, _, figures) in rows() {
        assert!(figures.waste <= 0.01, "{name}: {}", figures.waste);
    }
}

#[test]
fn the_table_shows_the_figures() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/efficiency.txt");
    let mut table = HEAD.to_owned();
    for (name, promise, figures) in rows() {
        writeln!(table, "{name:18}  {:12}  {figures}", promise.to_string()).unwrap();
    }
    if env::var_os("EFFICIENCY").is_some_and(|what| what == "write") {
        fs::write(&file, &table).unwrap();
    }
    assert_eq!(table, fs::read_to_string(&file).unwrap(), "EFFICIENCY=write accepts the new one");
}

#[test]
fn every_byte_is_stored_once_and_no_sooner_than_the_links_could_bring_it() {
    for file in files() {
        let scenario = Scenario::read(&file).unwrap();
        let report = run(&scenario, 1);
        let brought: u64 = report.parts.iter().map(|part| part.bytes).sum();
        assert_eq!(brought, scenario.size(), "{}", file.display());
        assert!(report.efficiency() <= 1.0, "{}: {report}", file.display());
    }
}

#[test]
fn helpers_behind_the_leaders_uplink_are_released_and_nobody_else() {
    let names =
        [("shared-uplink", 3), ("256m-redrawn", 0), ("256m-wander", 0), ("1g-serve-others", 0)];
    for (name, sharing) in names {
        let scenario = Scenario::read(&Scenario::folder().join(format!("{name}.toml"))).unwrap();
        for seed in 1..=SEEDS {
            let report = run(&scenario, seed);
            let outputs = report.outputs.iter().map(|(_, output)| output);
            let released = outputs.filter(|output| is_release_for_sharing(output)).count();
            assert_eq!(released, sharing, "{name}, seed {seed}: {report}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_download() {
    let scenario = Scenario::read(&Scenario::folder().join("256m-wander-faults.toml")).unwrap();
    let outputs = |seed| run(&scenario, seed).outputs;
    assert_eq!(outputs(7), outputs(7));
    assert_ne!(outputs(7), outputs(8));
}

fn is_release_for_sharing(output: &Output) -> bool {
    matches!(output, Output::Release { cause: Cause::Shares { gain, .. }, .. } if *gain < 0.1)
}

/// Every scenario's figures, played once for all tests, on all processors.
fn rows() -> &'static [(String, Promise, Figures)] {
    static ROWS: OnceLock<Vec<(String, Promise, Figures)>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let files = files();
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let play =
            |first| files.iter().skip(first).step_by(workers).map(|file| row(file)).collect();
        let mut rows: Vec<_> = thread::scope(|scope| {
            let players: Vec<_> =
                (0..workers).map(|first| scope.spawn(move || -> Vec<_> { play(first) })).collect();
            players.into_iter().flat_map(|player| player.join().unwrap()).collect()
        });
        rows.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        rows
    })
}

fn row(file: &Path) -> (String, Promise, Figures) {
    let scenario = Scenario::read(file).unwrap();
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    (name, scenario.promise, Figures::of(&scenario, SEEDS))
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(Scenario::folder()).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
