//! Where the helpers of former jobs were, so that they are asked before everybody else.

use crate::Home;
use crate::home::files::{self, replace};
use haul_link::PeerId;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::task::spawn_blocking;
use tracing::warn;

/// How many are remembered.
const MOST: usize = 64;

/// The file `helpers` of a home: one machine a line, its id and where it hears asks, the one that
/// helped last first. A line that cannot be read is nobody. Nothing is trusted because of it.
pub(crate) struct Former(PathBuf);

impl Former {
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.folder().join("helpers"))
    }

    /// Where they hear asks.
    pub(crate) fn list(&self) -> Vec<SocketAddr> {
        read(&self.0).into_iter().map(|(_, address)| address).collect()
    }

    /// Remembers machines that have helped, each at its last address. Where that cannot be done
    /// they are only asked later the next time. When two jobs end at the same moment, the helpers
    /// of one may be forgotten.
    pub(crate) async fn note(self, helped: Vec<(PeerId, SocketAddr)>) {
        if helped.is_empty() {
            return;
        }
        let noted = spawn_blocking(move || {
            let lines: String = merged(helped, read(&self.0)).iter().map(line).collect();
            replace(&self.0, lines.as_bytes())
        });
        if let Ok(Err(error)) = noted.await {
            warn!(%error, "the helpers of this job cannot be remembered");
        }
    }
}

/// The new ones before the old ones that are neither the same machine nor at the same address.
fn merged(
    new: Vec<(PeerId, SocketAddr)>,
    old: Vec<(PeerId, SocketAddr)>,
) -> Vec<(PeerId, SocketAddr)> {
    let mut all: Vec<(PeerId, SocketAddr)> = Vec::new();
    for (peer, address) in new.into_iter().chain(old) {
        if !all.iter().any(|(other, at)| *other == peer || *at == address) {
            all.push((peer, address));
        }
    }
    all.truncate(MOST);
    all
}

fn read(path: &Path) -> Vec<(PeerId, SocketAddr)> {
    let text = files::read_text(path).ok().flatten().unwrap_or_default();
    text.lines().filter_map(parse).take(MOST).collect()
}

fn line((peer, address): &(PeerId, SocketAddr)) -> String {
    format!("{peer} {address}\n")
}

fn parse(line: &str) -> Option<(PeerId, SocketAddr)> {
    let (peer, address) = line.split_once(' ')?;
    Some((peer.parse().ok()?, address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haul_link::Identity;
    use std::fs;
    use tempfile::TempDir;

    fn at(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 4285))
    }

    #[tokio::test]
    async fn the_last_address_of_each_machine_is_kept_and_who_helped_last_comes_first() {
        let folder = TempDir::new().unwrap();
        let former = || Former::of(&Home::at(folder.path()));
        let [asha, ben, chi] = [(); 3].map(|()| Identity::ephemeral().id());
        assert_eq!(former().list(), []);
        former().note(vec![(asha, at(1)), (ben, at(2))]).await;
        former().note(vec![(ben, at(3))]).await;
        assert_eq!(former().list(), [at(3), at(1)]);
        former().note(vec![(chi, at(1))]).await;
        assert_eq!(former().list(), [at(1), at(3)], "asha has left the address to chi");
        former().note(Vec::new()).await;
        assert_eq!(former().list().len(), 2);
    }

    #[tokio::test]
    async fn the_list_has_an_end_and_a_broken_line_is_nobody() {
        let folder = TempDir::new().unwrap();
        let former = || Former::of(&Home::at(folder.path()));
        fs::write(folder.path().join("helpers"), "nobody\n\nab 10.0.0.1:1\n").unwrap();
        assert_eq!(former().list(), []);
        let many = (0..100).map(|last| (Identity::ephemeral().id(), at(last)));
        former().note(many.collect()).await;
        assert_eq!(former().list().len(), MOST);
    }
}
