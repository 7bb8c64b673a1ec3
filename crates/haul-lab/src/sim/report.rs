use haul_plan::Output;
use std::fmt;
use std::time::Duration;

/// What came of a simulated download.
#[derive(Clone, Debug)]
pub struct Report {
    /// When the last byte came, or `None` if it never did.
    pub took: Option<Duration>,
    /// When the sum of all links could have brought the file.
    pub ideal: Duration,
    /// Length of the file, in bytes.
    pub size: u64,
    /// Bytes that came over some link and were of no use.
    pub wasted: u64,
    /// What each machine did, the leader's own first.
    pub parts: Vec<Part>,
    /// Everything that the planner said, and when.
    pub outputs: Vec<(Duration, Output)>,
}

/// What one machine did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Bytes of the file that it brought.
    pub bytes: u64,
    /// Bytes that it fetched for nothing.
    pub wasted: u64,
}

impl Report {
    /// The ideal time over the time it took: 0, for never, to 1.
    pub fn efficiency(&self) -> f64 {
        self.took.map_or(0.0, |took| self.ideal.as_secs_f64() / took.as_secs_f64())
    }

    /// Bytes of no use as a share of the file.
    pub fn waste(&self) -> f64 {
        self.wasted as f64 / self.size as f64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.took {
            Some(took) => write!(f, "took {:.2} s", took.as_secs_f64())?,
            None => write!(f, "never ended")?,
        }
        let ideal = self.ideal.as_secs_f64();
        let (efficiency, waste) = (self.efficiency(), 100.0 * self.waste());
        writeln!(f, ", ideal {ideal:.2} s, efficiency {efficiency:.3}, {waste:.2} % wasted")?;
        for (number, part) in self.parts.iter().enumerate() {
            writeln!(f, "worker {number}: {} bytes, {} wasted", part.bytes, part.wasted)?;
        }
        Ok(())
    }
}
