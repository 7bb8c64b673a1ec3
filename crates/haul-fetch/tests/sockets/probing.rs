//! Probing: one request, kept.

use crate::origin::{Origin, Reply, client, drain, fetch, part, payload, reply, serve, span};
use haul_fetch::{Digest, Error, Fault, Framing, Kind, Probe, Validator};

async fn probe(origin: &Origin) -> Result<Probe, Error> {
    client().probe(&origin.url("/d/f.bin")).await
}

#[tokio::test]
async fn the_probe_is_one_request_whose_response_is_read_to_the_end() {
    let file = payload(300_000);
    let origin = Origin::of(file.clone()).await;
    let probe = probe(&origin).await.unwrap();
    assert_eq!((probe.source.length(), probe.source.ranges()), (Some(300_000), true));
    assert_eq!(probe.source.validator(), Some(Validator::ETag("\"v1\"".into())));
    let mut lane = probe.into_lane();
    assert_eq!(fetch(&mut lane, span(0, 100_000)).await.unwrap(), file[..100_000]);
    assert_eq!(fetch(&mut lane, span(100_000, 300_000)).await.unwrap(), file[100_000..]);
    let requests = origin.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].range(), Some((0, None)));
    assert_eq!(requests[0].header("accept-encoding"), Some("identity"));
}

#[tokio::test]
async fn an_origin_without_ranges_is_read_as_one_stream() {
    let file = payload(100_000);
    let sent = file.clone();
    let origin =
        Origin::new(move |_| reply("200 OK\nAccept-Ranges: bytes\nContent-Length: 100000", &sent))
            .await;
    let mut probe = probe(&origin).await.unwrap();
    assert_eq!((probe.source.length(), probe.source.ranges()), (Some(100_000), false));
    assert_eq!(probe.body.framing(), Framing::Length);
    let (bytes, error) = drain(&mut probe.body).await;
    assert!(bytes == file && error.is_none());
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn an_origin_without_ranges_serves_a_lane_from_its_start() {
    let file = payload(100_000);
    let sent = file.clone();
    let origin = Origin::new(move |_| reply("200 OK\nContent-Length: 100000", &sent)).await;
    let mut lane = probe(&origin).await.unwrap().into_lane();
    assert_eq!(fetch(&mut lane, span(0, 100_000)).await.unwrap(), file);
    assert_eq!(origin.requests().len(), 1);
    assert!(matches!(fetch(&mut lane, span(5, 9)).await, Err(Error::NoRange { .. })));
    assert_eq!(fetch(&mut lane, span(0, 9)).await.unwrap(), file[..9]);
}

#[tokio::test]
async fn an_empty_file_is_told_by_either_answer() {
    for head in ["416 No\nContent-Range: bytes */0\nContent-Length: 0", "200 OK\nContent-Length: 0"]
    {
        let origin = Origin::new(move |_| reply(head, b"")).await;
        let mut probe = probe(&origin).await.unwrap();
        assert_eq!(probe.source.length(), Some(0));
        let (bytes, error) = drain(&mut probe.body).await;
        assert!(bytes.is_empty() && error.is_none());
        assert_eq!(origin.requests().len(), 1, "{head}");
    }
}

#[tokio::test]
async fn a_file_of_one_byte_is_one_byte() {
    let origin = Origin::of(vec![7]).await;
    let mut lane = probe(&origin).await.unwrap().into_lane();
    assert_eq!(fetch(&mut lane, span(0, 1)).await.unwrap(), [7]);
}

#[tokio::test]
async fn a_garbled_part_is_asked_for_again_as_a_whole_file() {
    for head in [
        "206 P\nContent-Length: 9",
        "206 P\nContent-Length: 9\nContent-Range: bytes=0-8/9",
        "206 P\nContent-Length: 9\nContent-Range: bytes 0-8/*",
        "206 P\nContent-Length: 9\nContent-Range: bytes 1-8/9",
        "206 P\nContent-Length: 9\nContent-Range: bytes 0-8/9\nContent-Range: bytes 0-8/9",
        "206 P\nContent-Length: 9\nContent-Range: bytes 0-8/9\nContent-Encoding: gzip",
        "206 P\nContent-Length: 9\nContent-Type: multipart/byteranges; boundary=x",
        "416 No\nContent-Length: 9\nContent-Range: bytes */9",
        "400 No\nContent-Length: 9",
        "403 No\nContent-Length: 9",
    ] {
        let origin = Origin::new(move |request| match request.range() {
            Some(_) => reply(head, b"malformed"),
            None => reply("200 OK\nContent-Length: 5", b"whole"),
        })
        .await;
        let mut probe = probe(&origin).await.unwrap();
        assert_eq!((probe.source.length(), probe.source.ranges()), (Some(5), false), "{head}");
        assert_eq!(drain(&mut probe.body).await.0, b"whole");
        assert_eq!(origin.requests().len(), 2);
    }
}

#[tokio::test]
async fn a_part_that_stops_early_still_shows_the_length() {
    let file = payload(1000);
    let sent = file.clone();
    let origin = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        let end = last.map_or(1000, |last| last + 1).min(first + 300);
        part(&sent, first..end, &format!("Content-Range: bytes {first}-{}/1000", end - 1))
    })
    .await;
    let mut lane = probe(&origin).await.unwrap().into_lane();
    assert_eq!(fetch(&mut lane, span(0, 1000)).await.unwrap(), file);
    assert_eq!(origin.requests().len(), 4);
    assert!(origin.requests().iter().all(|request| request.connection == 0));
}

#[tokio::test]
async fn statuses_without_data_are_errors_by_their_meaning() {
    for (status, kind) in [
        (404, Kind::NotFound),
        (410, Kind::NotFound),
        (401, Kind::SignIn),
        (403, Kind::SignIn),
        (407, Kind::SignIn),
        (429, Kind::Busy),
        (503, Kind::Busy),
        (204, Kind::Http),
        (205, Kind::Http),
        (300, Kind::Http),
        (304, Kind::Http),
        (418, Kind::Http),
    ] {
        let origin = Origin::new(move |_| {
            let length = if status == 204 || status == 304 { "" } else { "\nContent-Length: 0" };
            reply(&format!("{status} X{length}"), b"")
        })
        .await;
        let error = probe(&origin).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{status}: {error}");
        assert_eq!(error.host(), Some("127.0.0.1"));
    }
}

#[tokio::test]
async fn what_is_no_http_is_the_origins_fault() {
    for bytes in
        ["SSH-2.0-x\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 200 OK\r\na b: c\r\n\r\n"]
    {
        let origin = Origin::new(move |_| Reply::raw(bytes).close()).await;
        let error = probe(&origin).await.err().unwrap();
        assert!(matches!(error, Error::Broken { fault: Fault::Message, .. }), "{bytes}: {error}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let flood = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20));
    let origin = Origin::new(move |_| Reply::raw(flood.clone())).await;
    let error = crate::origin::soon(probe(&origin)).await.err().unwrap();
    assert!(matches!(error, Error::Broken { fault: Fault::Message, .. }), "{error}");
}

#[tokio::test]
async fn facts_come_from_the_head() {
    let origin = Origin::new(|_| {
        reply(
            "200 OK
             Content-Length: 0
             Content-Disposition: attachment; filename=\"../x.iso\"
             Content-Type: text/x; charset=y
             Last-Modified: Mon, 05 Jan 2026 00:00:00 GMT
             Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            b"",
        )
    })
    .await;
    let source = probe(&origin).await.unwrap().source;
    assert_eq!((source.name(), source.content_type()), ("x.iso", Some("text/x; charset=y")));
    assert_eq!(source.validator(), Some(Validator::Modified { seconds: 1_767_571_200, length: 0 }));
    assert!(matches!(source.digests(), [Digest::Sha256(_)]));
    assert_eq!(source.url(), &origin.url("/d/f.bin"));
}

#[tokio::test]
async fn the_name_comes_from_the_url_otherwise() {
    let origin = Origin::new(|request| serve(request, b"x")).await;
    assert_eq!(probe(&origin).await.unwrap().source.name(), "f.bin");
}
