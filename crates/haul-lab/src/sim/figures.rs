use super::{Promise, Report, Scenario, run};
use std::fmt;

/// A scenario's figures over many seeds: what it is measured by, its promise says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    promise: Promise,
    /// The mean over all seeds.
    pub mean: f64,
    /// What nine of ten seeds reach.
    pub p10: f64,
    /// The worst seed's.
    pub worst: f64,
    /// The most that a seed fetched for nothing, as a share of the file.
    pub waste: f64,
}

impl Figures {
    /// Plays a scenario with the seeds 1 to `seeds`, of which there must be one at least.
    pub fn of(scenario: &Scenario, seeds: u64) -> Self {
        let (mut scores, waste): (Vec<f64>, Vec<f64>) = (1..=seeds.max(1))
            .map(|seed| {
                let report = run(scenario, seed);
                (score(scenario, seed, &report), report.waste())
            })
            .unzip();
        scores.sort_by(f64::total_cmp);
        Self {
            promise: scenario.promise,
            mean: scores.iter().sum::<f64>() / scores.len() as f64,
            p10: scores[scores.len() / 10],
            worst: scores[0],
            waste: waste.into_iter().fold(0.0, f64::max),
        }
    }

    /// Whether the scenario's promise was kept.
    pub fn kept(&self) -> bool {
        match self.promise {
            Promise::Efficiency(least) => self.mean >= least,
            Promise::Alone(most) => self.worst >= 1.0 / most,
        }
    }
}

/// The efficiency, or how many times as fast as alone it was.
fn score(scenario: &Scenario, seed: u64, report: &Report) -> f64 {
    match (scenario.promise, report.took) {
        (Promise::Efficiency(_), _) | (_, None) => report.efficiency(),
        (Promise::Alone(_), Some(took)) => {
            let alone = run(&scenario.clone().alone(), seed).took.unwrap_or_default();
            alone.as_secs_f64() / took.as_secs_f64()
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, p10, worst, waste, .. } = self;
        write!(f, "{mean:.3}  {p10:.3}  {worst:.3}  {:6.2} %", 100.0 * waste)
    }
}
