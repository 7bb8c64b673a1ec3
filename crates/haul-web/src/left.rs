use crate::name::FileName;
use crate::queue::Order;
use crate::reply::Refusal;
use haul::{Home, LeftJob, Url};
use hyper::StatusCode;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A download that a former run left, as the page is told of it.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Left {
    id: String,
    name: String,
    /// Where it is, if that is not the page's folder, so that the page cannot go on with it.
    elsewhere: Option<PathBuf>,
    host: String,
    size: Option<u64>,
    stored: u64,
    /// When something was stored last, in seconds since 1970.
    when: u64,
    /// Whether somebody is at work on it.
    in_use: bool,
    /// Whether its address is known as a whole: what stood after a `?` is never kept.
    whole: bool,
}

/// What former runs left and no download of `known` is about, the most recent first.
pub(crate) fn all(home: &Home, folder: &Path, known: impl Fn(&str) -> bool) -> Vec<Left> {
    let jobs = home.left_jobs().unwrap_or_default().into_iter();
    let told = jobs.map(|job| told(&job, folder));
    told.filter(|left| left.elsewhere.is_some() || !known(&left.name)).take(MOST).collect()
}

/// The order that goes on with what was left, from another address if one is given.
pub(crate) fn order(
    home: &Home,
    folder: &Path,
    id: &str,
    url: Option<Url>,
) -> Result<Order, Refusal> {
    let jobs = home.left_jobs().map_err(|error| Refusal::from(&error))?;
    let job = jobs.into_iter().find(|job| job.id == id).ok_or_else(gone)?;
    let name = name_in(&job.path, folder).ok_or_else(elsewhere)?;
    let url = url.map_or_else(|| job.address(), Ok).map_err(|error| Refusal::from(&error))?;
    Ok(Order { url, name, checksum: job.checksum, limit: None, allow_private: false })
}

fn told(job: &LeftJob, folder: &Path) -> Left {
    let url: Option<Url> = job.url.parse().ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
    let name = job.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let elsewhere = name_in(&job.path, folder).is_none().then(|| job.path.clone());
    Left {
        id: job.id.clone(),
        name,
        elsewhere,
        host,
        size: job.length,
        stored: job.stored,
        when: job.when,
        in_use: job.in_use,
        whole: job.address().is_ok(),
    }
}

/// The name of a file that the page may save in its folder.
fn name_in(path: &Path, folder: &Path) -> Option<FileName> {
    let name = path.file_name()?.to_str()?;
    let parsed = FileName::parse(name).ok().filter(|parsed| parsed.as_str() == name);
    parsed.filter(|_| path.parent() == Some(folder))
}

fn gone() -> Refusal {
    let because = "there is nothing left of that download any more";
    Refusal::new(StatusCode::CONFLICT, because, "submit its link")
}

fn elsewhere() -> Refusal {
    let because = "it was to be saved in another folder than this page's";
    Refusal::new(StatusCode::CONFLICT, because, "go on with it by `leader resume`")
}

/// More are not told of, the oldest first.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_pages_own_folder_under_a_plain_name_is_gone_on_with() {
        let folder = Path::new("/home/asha/Downloads");
        let name = |path: &str| name_in(Path::new(path), folder).is_some();
        assert!(name("/home/asha/Downloads/image.iso"));
        for path in [
            "/home/asha/image.iso",
            "/home/asha/Downloads/sub/image.iso",
            "/home/asha/Downloads/../.ssh/x",
            "/home/asha/Downloads/.ssh",
            "/home/asha/Downloads/ x",
            "/",
        ] {
            assert!(!name(path), "{path}");
        }
    }
}
