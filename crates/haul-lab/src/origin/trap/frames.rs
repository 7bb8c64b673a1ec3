//! A hostile origin that speaks HTTP/2 (RFC 9113): the same conducts, a stream for each request.

use super::reply::{Reply, Step, Then};
use super::talk::{Caller, Pace};
use crate::Payload;
use crate::origin::ledger::Seen;
use bytes::Bytes;
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use haul_span::Span;
use hyper::{Request, Response};
use std::future::{pending, poll_fn};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// Answers requests until the client is gone or sent away.
pub(super) async fn talk<S>(caller: Arc<Caller>, stream: S, streams: u32) -> Result<(), h2::Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = server::Builder::new();
    let mut connection = builder.max_concurrent_streams(streams).handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, mut respond) = accepted?;
        let asked = caller.asked(seen(&caller, &request));
        let reply = caller.reply(&asked);
        match reply.then {
            Then::Dismiss(reason) => connection.abrupt_shutdown(reason),
            Then::Refuse(reason) => respond.send_reset(reason),
            _ => drop(tokio::spawn(answer(Arc::clone(&caller), respond, reply))),
        }
    }
    Ok(())
}

fn seen(caller: &Caller, request: &Request<RecvStream>) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = request.headers().iter();
    Seen {
        peer: caller.peer(),
        method: request.method().to_string(),
        target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        headers: headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        status: 0,
    }
}

/// A client that is gone is its own right.
async fn answer(caller: Arc<Caller>, mut respond: SendResponse<Bytes>, reply: Reply) {
    let Ok(mut stream) = respond.send_response(head(&reply), false) else { return };
    for step in &reply.body {
        if send(&caller, &mut stream, step).await.is_err() {
            return;
        }
    }
    match reply.then {
        Then::Break(reason) => stream.send_reset(reason),
        Then::Reset | Then::Gone => stream.send_reset(Reason::INTERNAL_ERROR),
        Then::Hang | Then::HangInHead => pending().await,
        _ => drop(stream.send_data(Bytes::new(), true)),
    }
}

/// The head; what HTTP/2 has no place for is left out.
fn head(reply: &Reply) -> Response<()> {
    let mut response = Response::new(());
    let status = reply.status.split(' ').next().and_then(|code| code.parse().ok());
    *response.status_mut() = status.unwrap_or_default();
    let fields = reply.fields.iter().filter(|(name, _)| name != "Transfer-Encoding");
    let parsed = fields.filter_map(|(name, value)| {
        Some((name.parse::<hyper::header::HeaderName>().ok()?, value.parse().ok()?))
    });
    response.headers_mut().extend(parsed.map(|(name, value)| (Some(name), value)));
    response
}

async fn send(caller: &Caller, stream: &mut SendStream<Bytes>, step: &Step) -> io::Result<()> {
    match step {
        Step::Bytes(bytes) => push(stream, bytes.clone()).await,
        Step::File(payload, span) => {
            send_file(caller, stream, *payload, *span, caller.rate()).await
        }
        Step::Crawl(payload, span, rate) => send_file(caller, stream, *payload, *span, *rate).await,
    }
}

async fn send_file(
    caller: &Caller,
    stream: &mut SendStream<Bytes>,
    payload: Payload,
    span: Span,
    rate: u64,
) -> io::Result<()> {
    let mut pace = Pace::of(span, rate);
    while let Some(piece) = pace.next().await {
        push(stream, payload.bytes(piece)).await?;
        caller.sent(piece.len());
    }
    Ok(())
}

/// Sends bytes as the windows allow.
async fn push(stream: &mut SendStream<Bytes>, bytes: Vec<u8>) -> io::Result<()> {
    let mut rest = Bytes::from(bytes);
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let room = poll_fn(|context| stream.poll_capacity(context)).await;
        let room = room.unwrap_or(Err(Reason::CANCEL.into())).map_err(io::Error::other)?;
        let piece = rest.split_to(room.min(rest.len()));
        stream.send_data(piece, false).map_err(io::Error::other)?;
    }
    Ok(())
}
