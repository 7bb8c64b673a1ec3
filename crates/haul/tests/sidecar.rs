//! A checksum that lies beside a file on an https origin is found, and holds.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test may panic")]

use haul::{Error, ErrorKind, Helpers, Home, Leader, Report, Verified};
use haul_lab::origin::{Origin, Resource, Shape};
use haul_lab::{Certificate, Payload, Rate};
use std::fs;
use tempfile::TempDir;

const SIZE: u64 = 3 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_verified_by_the_checksum_beside_it() {
    let hex = payload().sha256();
    for (place, text) in [
        ("/dir/file.bin.sha256", format!("{hex}\n")),
        ("/dir/SHA256SUMS", format!("{}  other.bin\n{hex}  file.bin\n", "0".repeat(64))),
    ] {
        let report = download(place, &text, true).await.unwrap();
        assert_eq!(report.verified, Verified::Sha256, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_one_beside_whose_checksum_it_lies_does_not_appear() {
    let error = download("/dir/file.bin.sha256", &"0".repeat(64), true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Checksum, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_anybody_on_the_way_could_have_written_is_not_read() {
    let report = download("/dir/file.bin.sha256", &"0".repeat(64), false).await.unwrap();
    assert_eq!(report.verified, Verified::Unverified);
}

fn payload() -> Payload {
    Payload::new(3, SIZE)
}

/// Downloads a file beside which this text lies.
async fn download(place: &str, text: &str, https: bool) -> Result<Report, Error> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("text"), text).unwrap();
    let origin = Origin::builder()
        .serve("/dir/file.bin", Resource::of(payload()))
        .serve(place, Resource::file(folder.path().join("text")).unwrap())
        .shape(Shape::by_peer(Rate::mbit(40)));
    let certificate = Certificate::for_names(["localhost", "127.0.0.1"]).unwrap();
    let roots = certificate.authority_pem().to_owned();
    let origin = if https { origin.tls(certificate) } else { origin };
    let origin = origin.start().unwrap();
    let leader = Leader::builder(origin.url("/dir/file.bin").parse().unwrap())
        .folder(folder.path())
        .home(Home::at(folder.path().join("home")))
        .helpers(Helpers::None)
        .extra_roots(roots);
    let report = leader.build().unwrap().run().await?;
    assert_eq!(payload().first_difference(&report.path).unwrap(), None);
    Ok(report)
}
