//! Answers to a request for a part.

use crate::origin::{Origin, Reply, client, fetch, lane, part, payload, reply, serve, span};
use haul_fetch::{Client, Error, Fault, Kind, Lane, Retry, Validator};

const LENGTH: usize = 1000;

/// What a lane makes of `head` in answer to a request for bytes 100 to 199 of 1000.
async fn answered(head: &'static str) -> Error {
    let origin = Origin::new(move |_| reply(head, &[1; 100])).await;
    let mut lane = lane(&client(), &origin, LENGTH);
    let error = fetch(&mut lane, span(100, 200)).await.expect_err(head);
    assert_eq!((lane.position(), lane.peer()), (100, None), "{head}");
    error
}

#[tokio::test]
async fn a_part_that_is_not_the_one_asked_for_is_refused_unread() {
    for range in ["bytes 0-99/1000", "bytes 101-200/1000", "bytes 99-199/1000", "bytes 100-1000/*"]
    {
        let head = format!("206 P\nContent-Length: 100\nContent-Range: {range}").leak();
        let error = answered(head).await;
        assert!(matches!(error, Error::Broken { fault: Fault::OtherPart, .. }), "{range}: {error}");
        assert_eq!((error.kind(), error.retry()), (Kind::Http, Retry::Elsewhere));
    }
}

#[tokio::test]
async fn a_content_range_that_cannot_be_read_is_refused() {
    for fields in [
        "X: y",
        "Content-Range: bytes=100-199/1000",
        "Content-Range: bytes 100-199",
        "Content-Range: bytes 199-100/1000",
        "Content-Range: bytes -100-199/1000",
        "Content-Range: bytes 100-199/100",
        "Content-Range: bytes 100-18446744073709551616/*",
        "Content-Range: bytes */1000",
        "Content-Range: bytes 100-199/1000\nContent-Range: bytes 100-199/1000",
        "Content-Range: bytes 100-199/1000, bytes 100-199/1000",
        "Content-Range: \u{fe}",
    ] {
        let head = format!("206 P\nContent-Length: 100\n{fields}").leak();
        let error = answered(head).await;
        let unread = matches!(error, Error::Broken { fault: Fault::ContentRange, .. });
        assert!(unread, "{fields}: {error}");
    }
}

#[tokio::test]
async fn a_part_of_an_encoded_form_or_of_several_parts_is_refused() {
    let error = answered(
        "206 P\nContent-Length: 100\nContent-Range: bytes 100-199/1000\nContent-Encoding: gzip",
    );
    assert!(matches!(error.await, Error::Broken { fault: Fault::Encoded, .. }));
    let error =
        answered("206 P\nContent-Length: 100\nContent-Type: Multipart/byteranges; boundary=x");
    assert!(matches!(error.await, Error::Broken { fault: Fault::Multipart, .. }));
}

#[tokio::test]
async fn another_total_is_another_file() {
    for head in [
        "206 P\nContent-Length: 100\nContent-Range: bytes 100-199/1001",
        "416 No\nContent-Length: 100\nContent-Range: bytes */50",
    ] {
        let error = answered(head).await;
        assert!(matches!(error, Error::Changed { what: "length", .. }), "{head}: {error}");
        assert_eq!(error.kind(), Kind::Changed);
    }
}

#[tokio::test]
async fn a_whole_file_in_answer_to_a_part_is_dropped_unread() {
    for head in ["200 OK\nContent-Length: 1000", "416 No\nContent-Range: bytes */1000"] {
        let error = answered(head).await;
        assert!(matches!(error, Error::NoRange { .. }), "{head}: {error}");
        assert!(matches!(error.retry(), Retry::After(_)));
    }
}

#[tokio::test]
async fn statuses_without_data_are_not_data() {
    for status in [201, 202, 203, 204, 226, 300, 304, 404, 429, 500, 503] {
        let error = answered(format!("{status} X\nContent-Length: 0").leak()).await;
        assert!(matches!(error, Error::Status { status: s, .. } if s == status), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_total_is_fine_where_the_length_is_known() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin =
        Origin::new(move |_| part(&sent, 100..200, "Content-Range: bytes 100-199/*")).await;
    let mut lane = lane(&client(), &origin, LENGTH);
    assert_eq!(fetch(&mut lane, span(100, 200)).await.unwrap(), file[100..200]);
}

#[tokio::test]
async fn a_part_that_reaches_too_far_is_cut_at_the_span() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin = Origin::new(move |request| {
        let (first, _) = request.range().unwrap();
        part(&sent, first..1000, &format!("Content-Range: bytes {first}-999/1000"))
    })
    .await;
    let mut lane = lane(&client(), &origin, LENGTH);
    assert_eq!(fetch(&mut lane, span(100, 200)).await.unwrap(), file[100..200]);
    assert_eq!(fetch(&mut lane, span(200, 300)).await.unwrap(), file[200..300]);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(fetch(&mut lane, span(50, 60)).await.unwrap(), file[50..60]);
    assert_eq!(origin.requests()[1].connection, 1);
}

#[tokio::test]
async fn a_body_longer_than_its_range_is_cut_and_its_connection_dropped() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        let range = format!("Content-Range: bytes {first}-{}/1000", last.unwrap());
        part(&sent, first..last.unwrap() + 50, &range)
    })
    .await;
    let mut lane = lane(&client(), &origin, LENGTH);
    for (at, start) in [100, 300, 0].into_iter().enumerate() {
        let bytes = fetch(&mut lane, span(start, start + 100)).await.unwrap();
        assert_eq!(bytes, file[start as usize..][..100]);
        assert_eq!(origin.requests()[at].connection, at);
    }
}

#[tokio::test]
async fn bytes_after_a_body_never_enter_the_next_span() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin = Origin::new(move |request| {
        let (first, last) = request.range().unwrap();
        let body = &sent[first as usize..=last.unwrap() as usize];
        let head = format!(
            "HTTP/1.1 206 P\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/1000\r\n\r\n",
            body.len(),
            last.unwrap()
        );
        Reply::raw([head.as_bytes(), body, b"HTTP/1.1 200 OK\r\n\r\nexcess"].concat())
    })
    .await;
    let mut lane = lane(&client(), &origin, LENGTH);
    for start in [100, 300] {
        let bytes = fetch(&mut lane, span(start, start + 100)).await.unwrap();
        assert_eq!(bytes, file[start as usize..][..100]);
    }
}

#[tokio::test]
async fn a_body_shorter_than_its_range_is_an_error_after_its_bytes() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin =
        Origin::new(move |_| part(&sent, 100..150, "Content-Range: bytes 100-199/1000")).await;
    let mut lane = lane(&client(), &origin, LENGTH);
    lane.open(span(100, 200)).await.unwrap();
    assert_eq!(lane.next().await.unwrap().unwrap(), file[100..150]);
    let error = lane.next().await.unwrap_err();
    assert!(matches!(error, Error::Lost { at: 150, .. }), "{error}");
    assert_eq!(lane.position(), 150);
}

/// A lane on a file that was probed as version `"v1"` of Monday.
async fn probed(client: &Client, origin: &Origin) -> Lane {
    Lane::new(client.probe(&origin.url("/f.bin")).await.unwrap().source)
}

#[tokio::test]
async fn any_sign_of_another_version_is_a_change() {
    const MONDAY: &str = "Last-Modified: Mon, 05 Jan 2026 00:00:00 GMT";
    for (fields, what) in [
        ("ETag: \"v2\"\nLast-Modified: Mon, 05 Jan 2026 00:00:00 GMT", "ETag"),
        ("ETag: W/\"v2\"", "ETag"),
        ("ETag: \"v1\"\nLast-Modified: Tue, 06 Jan 2026 00:00:00 GMT", "Last-Modified"),
        ("X: y", "validator"),
    ] {
        let origin = Origin::new(move |request| {
            let (first, last) = request.range().unwrap();
            let range = format!("Content-Range: bytes {first}-{}/1000", last.unwrap_or(999));
            let fields =
                if request.number == 0 { &format!("ETag: \"v1\"\n{MONDAY}") } else { fields };
            reply(&format!("206 P\n{range}\n{fields}\nContent-Length: 100"), &[1; 100])
        })
        .await;
        let client = client();
        let error = fetch(&mut probed(&client, &origin).await, span(100, 200)).await.unwrap_err();
        assert!(matches!(error, Error::Changed { what: w, .. } if w == what), "{fields}: {error}");
    }
}

#[tokio::test]
async fn a_validator_from_elsewhere_is_held_to() {
    let file = payload(LENGTH);
    let sent = file.clone();
    let origin = Origin::new(move |request| serve(request, &sent)).await;
    let client = client();
    let url = origin.url("/");
    for (tag, same) in [("\"v1\"", true), ("\"v2\"", false)] {
        let validator = Validator::ETag(tag.into());
        let mut lane = Lane::new(client.source(&url, 1000, Some(&validator)).unwrap());
        let fetched = fetch(&mut lane, span(100, 200)).await;
        assert_eq!(fetched.is_ok(), same);
        if let Err(error) = fetched {
            assert!(matches!(error, Error::Changed { .. }));
        }
    }
}

#[tokio::test]
async fn offsets_beyond_four_gib_are_asked_for_and_checked_as_they_are() {
    let origin = Origin::new(|request| {
        let (first, last) = request.range().unwrap();
        let range = format!("bytes {first}-{}/{}", last.unwrap(), 5_u64 << 30);
        let head = format!("206 P\nContent-Length: 2\nContent-Range: {range}");
        reply(&head, &first.to_be_bytes()[2..4])
    })
    .await;
    let source = client().source(&origin.url("/"), 5 << 30, None).unwrap();
    let mut lane = Lane::new(source);
    for start in [(1 << 31) - 1, (1 << 32) - 1, 1 << 32, (5 << 30) - 2_u64] {
        let bytes = fetch(&mut lane, span(start, start + 2)).await.unwrap();
        assert_eq!(bytes, start.to_be_bytes()[2..4]);
    }
}
