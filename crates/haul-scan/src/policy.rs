use std::time::Duration;

/// How a network may be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How fast.
    pub pace: Pace,
    /// The most addresses that are looked at; of a larger network, those nearest to our own.
    ///
    /// By default the 1022 hosts of a /22. Without privileges never more than those.
    pub max_targets: usize,
    /// For how long late answers are still heard after the last question or the last machine found.
    pub linger: Linger,
}

/// For how long late answers are heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Linger {
    /// For 600 ms, as machines asleep on Wi-Fi hear broadcasts a few times a second; but only for
    /// 25 ms on a cable on which every answer came at once, to the first question.
    #[default]
    AsNeeded,
    /// For this long, whatever was heard.
    For(Duration),
}

/// How fast a network is scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At most 14 ARP requests in any second.
    ///
    /// Switches with ARP inspection close a port that sends more than 15 a second (Cisco's default
    /// for untrusted ports), and small devices may stumble. A /24 takes about 40 s.
    Gentle,
    /// From 4,000 requests a second up to 20,000, less as soon as a queue fills on the way.
    #[default]
    Normal,
    /// Up to 50,000 requests a second, less as soon as a queue fills on the way.
    Fast,
}

impl Default for Policy {
    fn default() -> Self {
        Self { pace: Pace::Normal, max_targets: 1022, linger: Linger::AsNeeded }
    }
}
