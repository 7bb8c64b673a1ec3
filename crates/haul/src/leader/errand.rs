//! What a leader wants of the machines that it talks to.

use super::proof_quota::{Challenger, ProofQuota};
use super::roll_call::Attendance;
use haul_fetch::{Lane, Source};
use haul_span::Span;
use haul_wire::{JobFacts, Offer, Scheme, SizeClass};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// The most that a helper may ask the leader to read for it at a time, in bytes.
const CHALLENGE_MOST: u64 = 64 << 10;

/// How many parts of the file may be read for helpers at a time: more would only get into each
/// other's way on a slow link.
const PROOFS: usize = 6;

/// How many helpers a leader can use.
const WANTED: u8 = u8::MAX;

/// What machines are asked for.
pub(crate) enum Errand {
    /// Help with a download.
    Work(Arc<Work>),
    /// Whether they would help; what they say goes here.
    RollCall(mpsc::UnboundedSender<Attendance>),
}

impl Errand {
    /// What asks say of the size.
    pub(crate) fn size(&self) -> SizeClass {
        match self {
            Self::Work(work) => SizeClass::of(work.offer.size),
            Self::RollCall(_) => SizeClass::Unknown,
        }
    }

    /// What asks say of how many are wanted.
    pub(crate) const fn wanted(&self) -> u8 {
        match self {
            Self::Work(_) => WANTED,
            Self::RollCall(_) => 0,
        }
    }
}

/// A download that helpers take part in.
pub(crate) struct Work {
    source: Source,
    /// Whose turn it is to be shown that this leader can read the file.
    proving: Semaphore,
    pub(crate) proofs: Arc<ProofQuota>,
    pub(crate) offer: Offer,
    pub(crate) job: JobFacts,
}

impl Work {
    /// A download of `length` bytes from this source.
    pub(crate) fn of(source: &Source, length: u64, proofs: Arc<ProofQuota>) -> Self {
        Self {
            offer: offer(source, length),
            job: JobFacts {
                url: without_fragment(source),
                length,
                validator: source.validator().map(|validator| validator.to_string()),
            },
            source: source.clone(),
            proving: Semaphore::new(PROOFS),
            proofs,
        }
    }

    /// Whether this is a part of the file that a helper may challenge for.
    pub(crate) const fn may_be_read(&self, span: Span) -> bool {
        span.len() <= CHALLENGE_MOST && span.end() <= self.offer.size
    }

    /// Reads a part of the file over the own link and digests it, once the quota has room for that.
    pub(crate) async fn prove(&self, by: Challenger, span: Span) -> Result<[u8; 32], String> {
        if !self.may_be_read(span) {
            return Err("it challenged for more than a challenge may".into());
        }
        let admitted = self.proofs.admit(by, span.len()).await;
        let _turn = self.proving.acquire().await;
        let _answering = self.proofs.begin(admitted);
        let mut digest = Sha256::new();
        let mut lane = Lane::new(self.source.clone());
        lane.open(span).await.map_err(|error| error.to_string())?;
        while let Some(piece) = lane.next().await.map_err(|error| error.to_string())? {
            digest.update(&piece);
        }
        Ok(digest.finalize().into())
    }
}

fn offer(source: &Source, length: u64) -> Offer {
    let url = source.url();
    let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port_or_known_default().unwrap_or_default();
    Offer { scheme, host, port, size: length, share: length }
}

fn without_fragment(source: &Source) -> String {
    let mut url = source.url().clone();
    url.set_fragment(None);
    url.into()
}
