use super::Leader;
use crate::Error;

/// What the origin says of a file before any of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The name that the origin gives it.
    pub name: String,
    /// Its length in bytes, if the origin tells.
    pub size: Option<u64>,
    /// Whether the origin serves parts of it, without which nobody can help.
    pub ranges: bool,
}

impl Leader {
    /// Asks the origin what the file is, and fetches none of it; nobody else is asked for anything.
    pub async fn probe(&self) -> Result<Probed, Error> {
        let source = self.job.probe().await?.source;
        Ok(Probed {
            name: source.name().to_owned(),
            size: source.length(),
            ranges: source.ranges(),
        })
    }
}
