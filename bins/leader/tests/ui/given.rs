//! `leader get --ui`: one download that is on the page from its beginning.

use crate::stage::Stage;
use haul_lab::Rate;
use std::net::IpAddr;

const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn a_download_of_the_command_line_is_on_the_page_and_ends_as_the_right_file() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    let (url, checksum) =
        (stage.origin.url("/file.bin"), format!("sha-256={}", stage.payload.sha256()));
    stage.get(&[&url, "--output", "given.bin", "--checksum", &checksum]);
    stage.browser.wait("document.querySelector('#job-name').innerText === 'given.bin'").unwrap();
    stage.wait_percent(10);
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.wait_phase("paused");
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.click("#job-buttons [data-deed=resume-1]");
    stage.wait_phase("done");
    assert!(stage.text("#verdict").contains("Verified by SHA-256."), "{}", stage.text("#verdict"));
    stage.is_exact("given.bin");
    let (told, code) = stage.end();
    assert!(told.trim_end().ends_with("given.bin"), "{told}");
    assert_eq!(code, Some(0));
}

#[test]
fn without_a_name_the_file_has_the_origin_s_and_an_interrupt_leaves_it_resumable() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    let url = stage.origin.url("/file.bin");
    stage.get(&[&url]);
    stage.browser.wait("document.querySelector('#job-name').innerText === 'file.bin'").unwrap();
    stage.wait_percent(10);
    assert_eq!(stage.end().1, Some(7));
    assert!(!stage.folder.path().join("file.bin").exists());
}

#[test]
fn a_download_that_fails_is_told_on_the_page_and_by_the_program_s_end() {
    let Some(mut stage) = Stage::set(&[]) else { return };
    stage.stop();
    let url = stage.origin.url("/nothing.bin");
    stage.get(&[&url, "-o", "gone.bin"]);
    stage.wait_phase("failed");
    assert!(stage.text("#verdict").contains("no such file"), "{}", stage.text("#verdict"));
    assert_eq!(stage.end().1, Some(3));
}
