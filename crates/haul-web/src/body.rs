use crate::reply::Refusal;
use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;

/// The longest body that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// How long a body may take to come in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a body of JSON, within bounds of length and time.
pub(crate) async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    let too_long =
        || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "it is too long", "send less than 16 KiB");
    // A length that is told and too long needs no reading.
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    let body = timeout(PATIENCE, Limited::new(body, LONGEST).collect()).await;
    let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "it came in too slowly", "try again");
    let bytes = body.map_err(slow)?.map_err(|_| too_long())?.to_bytes();
    serde_json::from_slice(&bytes).map_err(|error| {
        let because = format!("its body cannot be read: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, &because, "reload the page")
    })
}
