//! The checksum that lies beside many a file: `FILE.sha256`, or a line of `SHA256SUMS`.

use super::builder::{LeaderBuilder, Settings};
use super::transfer::Telling;
use super::ways::whole;
use crate::checksum;
use crate::disk::Disk;
use haul_fetch::{Digest, Source};
use std::time::Duration;
use tokio::time::timeout;
use url::Url;

/// Nobody looks for the checksum of a smaller file, which is fetched again sooner than asked about.
const WORTH: u64 = 1 << 20;

/// How long an origin may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is made of a checksum that lies beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sidecar {
    Read,
    Ignored,
}

impl LeaderBuilder {
    /// Does not look beside the file for its checksum. By default, where nobody states a digest of
    /// a file that comes over https, `FILE.sha256` and `SHA256SUMS` of the same folder are read.
    pub fn no_sidecar(mut self) -> Self {
        self.sidecar = Sidecar::Ignored;
        self
    }
}

/// Looks beside the file for what its digest must be, and has it checked if that is stated.
///
/// Somebody who could change the file on its way could change what lies beside it too, so both have
/// to come over https.
pub(super) async fn look(settings: &Settings, telling: &Telling, source: &Source, disk: &Disk) {
    let large = source.length().is_some_and(|length| length >= WORTH);
    let ignored = settings.sidecar == Sidecar::Ignored;
    if ignored || !large || settings.url.scheme() != "https" || disk.knows_digest() {
        return;
    }
    for beside in places(&settings.url) {
        let read = timeout(PATIENCE, read(settings, &beside, source.name())).await;
        match read.unwrap_or(Ok(None)) {
            Ok(Some(digest)) => {
                telling.note(format!("{beside} states a SHA-256, which is checked at the end"));
                return disk.expect(digest).await;
            }
            Err(error @ haul_fetch::Error::Refused { .. }) => {
                telling.note(format!("{beside} is not read: {error}"));
            }
            Ok(None) | Err(_) => {}
        }
    }
}

/// Where checksums lie.
fn places(url: &Url) -> Vec<Url> {
    let Some(name) = last_segment(url) else { return Vec::new() };
    let files = [format!("./{name}.sha256"), "./SHA256SUMS".to_owned()];
    files.iter().filter_map(|file| url.join(file).ok()).collect()
}

fn last_segment(url: &Url) -> Option<&str> {
    url.path_segments()?.next_back().filter(|last| !last.is_empty())
}

/// The digest that is stated there of the file, by its name in the URL or that under which it is
/// saved.
async fn read(
    settings: &Settings,
    beside: &Url,
    saved: &str,
) -> Result<Option<Digest>, haul_fetch::Error> {
    let probe = settings.client.probe_led(settings.floor, beside, &[], None).await?;
    let is_safe = probe.source.final_url().scheme() == "https";
    let Some(text) = whole(probe).await.ok().filter(|_| is_safe) else { return Ok(None) };
    let Ok(text) = str::from_utf8(&text) else { return Ok(None) };
    let named = last_segment(&settings.url).and_then(|name| stated(text, name));
    Ok(named.or_else(|| stated(text, saved)))
}

/// The SHA-256 of the file called `name`, as `sha256sum` or BSD's `sha256` writes it, or a lone one.
fn stated(text: &str, name: &str) -> Option<Digest> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let of_name = lines.clone().find_map(|line| named(line, name));
    of_name.or_else(|| lines.next().filter(|_| lines.next().is_none()).and_then(sha256))
}

fn named(line: &str, name: &str) -> Option<Digest> {
    if let Some(rest) = line.strip_prefix("SHA256 (") {
        let (file, hex) = rest.rsplit_once(") = ")?;
        return sha256(hex).filter(|_| file == name);
    }
    let (hex, file) = line.split_once([' ', '\t'])?;
    let file = file.trim_start();
    let file = file.strip_prefix('*').unwrap_or(file);
    sha256(hex).filter(|_| file.strip_prefix("./").unwrap_or(file) == name)
}

fn sha256(hex: &str) -> Option<Digest> {
    checksum::parse(&format!("sha-256={hex}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_digest_is_read_in_each_of_the_usual_forms() {
        let hex = "ab".repeat(32);
        let other = "01".repeat(32);
        for text in [
            format!("{hex}  a b.iso\n"),
            format!("{other} *other.iso\n{hex} *a b.iso\n"),
            format!("{hex} ./a b.iso"),
            format!("\n SHA256 (a b.iso) = {hex}\n"),
            format!("{}\n", hex.to_uppercase()),
        ] {
            assert_eq!(stated(&text, "a b.iso"), Some(Digest::Sha256([0xab; 32])), "{text}");
        }
    }

    #[test]
    fn what_states_the_digest_of_no_or_another_file_states_nothing() {
        let hex = "ab".repeat(32);
        for text in [
            String::new(),
            format!("{hex}  other.iso"),
            format!("{hex}  a.iso.sig\n{hex}  folder/a.iso"),
            format!("{hex}\n{hex}\n"),
            format!("{}  a.iso", &hex[1..]),
            "<!doctype html><title>404</title>".to_owned(),
        ] {
            assert_eq!(stated(&text, "a.iso"), None, "{text}");
        }
    }

    #[test]
    fn checksums_lie_in_the_folder_of_the_file() {
        let told = |url: &str| {
            places(&url.parse().unwrap()).into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            told("https://a.test/b/x%20y.iso?mirror=1#top"),
            ["https://a.test/b/x%20y.iso.sha256", "https://a.test/b/SHA256SUMS"]
        );
        assert_eq!(told("https://a.test/b:1.iso")[0], "https://a.test/b:1.iso.sha256");
        assert_eq!(told("https://a.test/b/"), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(text: String, name: String) {
            stated(&text, &name);
            named(&text, &name);
        }
    }
}
