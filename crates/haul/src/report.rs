use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;

/// How a job ended well.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Version of this record.
    pub v: u8,
    /// Where the file is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// From the start of the job to its end.
    pub seconds: f64,
    /// What was checked.
    pub verified: Verified,
    /// How much of what helpers brought was compared with the origin; nothing where a digest
    /// decided, or where nobody helped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
    /// Who delivered what; the first is the own link.
    pub workers: Vec<WorkerReport>,
    /// How long the own link alone would have taken, at the rate it had.
    pub alone_seconds: f64,
    /// How many times faster that makes this job.
    pub speedup: f64,
}

/// How much was compared of what helpers brought: samples at random places, fetched once more over
/// the own link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Checks {
    /// How many samples were equal to what the origin sends.
    pub samples: u64,
    /// How many bytes these were.
    pub bytes: u64,
    /// How many bytes of the file helpers brought, all of which the samples stand for.
    pub of: u64,
}

/// What a worker did for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerReport {
    /// Its number in the job; 0 is the own link.
    pub worker: u32,
    /// Its name.
    pub name: String,
    /// Where it is; nothing for the own link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Bytes that it delivered and that are in the file.
    pub bytes: u64,
    /// Bytes that it delivered and that were of no use.
    pub wasted: u64,
    /// Bytes that it delivered and that were wrong, or of the same hand as wrong ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub spoiled: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
const fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// How sure it is that the file is the right one; never more than was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verified {
    /// The whole file has the SHA-256 that the user or the origin states.
    #[serde(rename = "sha-256")]
    Sha256,
    /// The whole file has the SHA-512 that the user or the origin states.
    #[serde(rename = "sha-512")]
    Sha512,
    /// The length and the version are right, and samples of what every helper delivered, in
    /// proportion to it, are what the origin sends; nobody states a digest.
    #[serde(rename = "sampled")]
    Sampled,
    /// The length and the version are right; nobody states a digest.
    #[serde(rename = "unverified")]
    Unverified,
    /// One stream, the end of which the origin does not mark: even the length is unverified.
    #[serde(rename = "length-unverified")]
    LengthUnverified,
}
