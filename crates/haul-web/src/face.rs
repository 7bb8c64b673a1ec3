use crate::asset::Asset;
use crate::reply::{Body, Refusal};
use crate::stream::Replay;
use hyper::Response;
use hyper::body::Incoming;
use tokio::sync::watch;

/// What a page is besides being guarded: what it shows and what it does.
pub(crate) trait Face: Send + Sync + 'static {
    /// Where it may be told to change something, or to ask somebody.
    const CHANGES: &'static [&'static str];

    /// What its events are kept in.
    type Record: Replay;

    /// A file of the page, which anybody may read.
    fn asset(path: &str) -> Option<Asset>;

    /// How things are, at the paths where that may be asked.
    fn show(&self, path: &str) -> Option<Response<Body>>;

    /// Does what the body says, at a path of [`Self::CHANGES`].
    fn change(
        &self,
        path: &str,
        body: Incoming,
    ) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send;

    /// What has happened so far, and what happens next.
    fn record(&self) -> watch::Receiver<Self::Record>;
}
