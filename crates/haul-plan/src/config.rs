use std::time::Duration;

/// The planner's figures. The defaults are what simulation found to be flat optima: halving or
/// doubling any of them moves the result by about one per cent.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How much work of its lane a lease holds.
    pub lease_time: Duration,
    /// The smallest lease, in bytes, unless less is left.
    pub lease_min: u64,
    /// The largest lease, in bytes.
    pub lease_max: u64,
    /// The most that a worker of unknown rate is given per lease, in bytes.
    pub lease_first: u64,
    /// The least that is always worth stealing, in bytes; to a slow lane less is.
    pub steal_min: u64,
    /// How far ahead of running dry a worker looks for more, and what a request costs in time.
    pub request_gap: Duration,
    /// How much of the file may be requested twice, as a divisor of its size.
    pub duplicate_share: u64,
    /// The most that is kept free in front of the probe's open response, in bytes.
    pub open_reserve: u64,
    /// Silence after which a lease counts as never ending.
    pub suspect_after: Duration,
    /// Silence after which a lease is taken back.
    pub stalled_after: Duration,
    /// The first probation; it doubles up to `probation_max`.
    pub probation_min: Duration,
    /// The longest probation or pause after failures.
    pub probation_max: Duration,
    /// The first pause after a failure; it doubles up to `probation_max`.
    pub pause_min: Duration,
    /// Failures without a byte between them after which a worker is given up.
    pub failures_max: u32,
    /// Deliveries of bad data that end a worker's part.
    pub strikes_max: u32,
    /// How long a change of lanes is watched before its gain is judged.
    pub lane_trial: Duration,
    /// The gain that a doubling of lanes must bring.
    pub lane_gain: f64,
    /// The share of the fastest worker's rate below which one is released; zero keeps everybody.
    pub release_below: f64,
    /// How long a worker must have been below it.
    pub release_after: Duration,
    /// How long a worker rests to see what the others bring without it.
    pub gain_trial: Duration,
    /// How often the planner wants to be woken.
    pub tick: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lease_time: Duration::from_secs(2),
            lease_min: 64 << 10,
            lease_max: 16 << 20,
            lease_first: 1 << 20,
            steal_min: 64 << 10,
            request_gap: Duration::from_millis(50),
            duplicate_share: 100,
            open_reserve: 64 << 20,
            suspect_after: Duration::from_millis(1500),
            stalled_after: Duration::from_secs(3),
            probation_min: Duration::from_secs(2),
            probation_max: Duration::from_secs(30),
            pause_min: Duration::from_millis(200),
            failures_max: 10,
            strikes_max: 2,
            lane_trial: Duration::from_millis(1500),
            lane_gain: 1.15,
            release_below: 0.03,
            release_after: Duration::from_secs(5),
            gain_trial: Duration::from_secs(2),
            tick: Duration::from_millis(100),
        }
    }
}
