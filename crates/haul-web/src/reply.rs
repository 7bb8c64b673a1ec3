use crate::asset::Asset;
use bytes::Bytes;
use haul::Failed;
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;

/// A whole text, or a stream of events.
pub(crate) type Body = Either<Full<Bytes>, Channel<Bytes>>;

/// What every answer tells the browser about how little it may do.
const GUARDS: [(HeaderName, HeaderValue); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Why a request was not followed: a status, and the three fields of an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    told: Told,
}

#[derive(Debug, Serialize)]
struct Told {
    /// The exit code of an error of the library, by which the page finds its own remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    error: String,
    because: String,
    r#try: String,
    /// What is wrong with single fields of a form, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, because: &str, remedy: &str) -> Self {
        let error = "the request was refused".to_owned();
        let (because, r#try) = (because.to_owned(), remedy.to_owned());
        let fields = BTreeMap::new();
        Self { status, told: Told { code: None, error, because, r#try, fields } }
    }

    /// A form that cannot be as it is.
    pub(crate) fn of_fields(fields: BTreeMap<String, String>) -> Self {
        let (because, remedy) = ("some fields cannot be so", "correct the fields that say why");
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, because, remedy);
        refusal.told.fields = fields;
        refusal
    }

    pub(crate) fn forbidden(because: &str) -> Self {
        let remedy = "open the link that the program printed when it started";
        Self::new(StatusCode::FORBIDDEN, because, remedy)
    }
}

/// What the library will not do, such as a download that cannot begin as it was asked for.
impl From<&haul::Error> for Refusal {
    fn from(error: &haul::Error) -> Self {
        let Failed { code, error, because, r#try, .. } = Failed::from(error);
        let told = Told { code: Some(code), error, because, r#try, fields: BTreeMap::new() };
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, told }
    }
}

impl From<Refusal> for Response<Body> {
    fn from(Refusal { status, told }: Refusal) -> Self {
        let mut reply = json(status, &told);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        reply
    }
}

pub(crate) fn asset(asset: Asset) -> Response<Body> {
    of(StatusCode::OK, asset.kind, Either::Left(Full::from(asset.text)))
}

pub(crate) fn events(stream: Channel<Bytes>) -> Response<Body> {
    of(StatusCode::OK, "text/event-stream", Either::Right(stream))
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // What is told here are plain records, which JSON can always write.
    let text = serde_json::to_vec(value).unwrap_or_default();
    of(status, "application/json", Either::Left(Full::from(text)))
}

/// The answer to a change that was made, or has begun.
pub(crate) fn done() -> Response<Body> {
    json(StatusCode::ACCEPTED, &serde_json::json!({}))
}

/// The answer that hands out both secrets of a session.
pub(crate) fn entered(cookie: HeaderValue, key: &str) -> Response<Body> {
    let mut reply = json(StatusCode::OK, &serde_json::json!({ "key": key }));
    reply.headers_mut().insert(SET_COOKIE, cookie);
    reply
}

/// Puts on an answer what every answer carries.
pub(crate) fn guarded(mut reply: Response<Body>) -> Response<Body> {
    reply.headers_mut().extend(GUARDS);
    reply
}

fn of(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
