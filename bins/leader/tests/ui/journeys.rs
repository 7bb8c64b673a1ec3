//! What a user does on the page, from the link to the file.

use crate::stage::Stage;
use haul::Decision;
use haul_lab::Rate;
use std::net::IpAddr;

const OWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

#[test]
fn a_submitted_url_ends_as_the_right_file_with_everybody_shown() {
    let (yes, no) = (Decision::Yes, Decision::No);
    let Some(stage) = Stage::with(&[("asha", yes), ("ben", yes), ("chi", no)]) else {
        return;
    };
    let browser = &stage.browser;
    browser.find("#url").unwrap().fill(&stage.origin.url("/file.bin")).unwrap();
    browser.wait("document.querySelector('#answer').textContent.includes('6.0 MiB')").unwrap();
    let filled = "document.querySelector('#save-as').value + '.' + \
                  document.querySelector('#extension').value";
    assert_eq!(browser.run(&format!("return {filled};")).unwrap(), "file.bin");
    stage.click("#submit");
    stage.wait_phase("done");
    stage.is_exact("file.bin");

    let workers = stage.text("#workers");
    for name in ["own link", "asha", "ben"] {
        assert!(workers.contains(name), "{workers}");
    }
    assert!(stage.text("#machines").contains("chi"), "{}", stage.text("#machines"));
    assert!(stage.text("#machines").contains("does not help"));
    assert!(stage.text("#verdict").contains("times as fast as alone with the help of 2"));
    assert!(stage.text("#verdict").contains("Sampled"), "never more than was done");
    assert!(stage.text("#jobs").contains("6.0 MiB in"), "{}", stage.text("#jobs"));
    let strip = browser.run("return document.querySelectorAll('#strip rect').length;").unwrap();
    assert!(strip.as_u64() >= Some(3), "{strip}");
    let filled = "const of = (one) => one.getBoundingClientRect().width; return Math.round(100 * \
                  [...document.querySelectorAll('#strip rect')].reduce((sum, one) => sum + \
                  of(one), 0) / of(document.querySelector('#strip')));";
    assert!(browser.run(filled).unwrap().as_u64() >= Some(99), "the whole file is shown");
    let bands = browser.run("return document.querySelectorAll('#chart polygon').length;").unwrap();
    assert_eq!(bands, 3);
    browser.find("#chart .alone").unwrap();
}

#[test]
fn a_checksum_is_checked_and_the_verdict_says_so() {
    let Some(stage) = Stage::open() else { return };
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.browser.run("document.querySelector('details').open = true;").unwrap();
    stage.browser.find("#checksum").unwrap().fill(&stage.payload.sha256()).unwrap();
    stage.submit("/file.bin", "right", "bin");
    stage.wait_phase("done");
    assert!(stage.text("#verdict").contains("Verified by SHA-256."));
    stage.browser.find("#checksum").unwrap().fill(&"ab".repeat(32)).unwrap();
    stage.submit("/file.bin", "wrong", "bin");
    stage.wait_phase("failed");
    assert!(stage.text("#verdict").contains("Check the checksum."), "{}", stage.text("#verdict"));
    assert!(!stage.folder.path().join("wrong.bin").exists());
}

#[test]
fn a_download_pauses_and_goes_on_from_another_link_where_it_was() {
    let Some(stage) = Stage::open() else { return };
    stage.submit("/file.bin", "a", "bin");
    stage.wait_percent(60);
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.wait_phase("paused");
    assert!(stage.text("#jobs").contains("Paused at"), "{}", stage.text("#jobs"));
    assert!(!stage.folder.path().join("a.bin").exists());
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.click("#job-buttons [data-deed=link-1]");
    stage.browser.find("#link-1").unwrap().fill(&stage.origin.url("/mirror.bin")).unwrap();
    stage.browser.press("\u{e007}").unwrap();
    stage.wait_phase("done");
    stage.is_exact("a.bin");
    went_on(&stage);
}

/// What the own link brought in this run is what was missing, about 40 % of 6 MiB.
fn went_on(stage: &Stage) {
    let brought = stage.text("#workers td:last-child");
    let mib: f64 = brought.strip_suffix(" MiB").unwrap().parse().unwrap();
    assert!((0.5..3.0).contains(&mib), "{brought}");
    assert!(stage.text("#strip-text").contains("from before"), "{}", stage.text("#strip-text"));
}

#[test]
fn a_cancelled_download_lets_the_next_begin_and_can_be_resumed() {
    let Some(stage) = Stage::open() else { return };
    stage.submit("/file.bin", "a", "bin");
    stage.wait_percent(10);
    stage.submit("/file.bin", "b", "bin");
    stage.browser.wait("document.querySelector('#jobs').innerText.includes('Waits for')").unwrap();
    stage.click("#job-buttons [data-deed=cancel-1]");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'b.bin'").unwrap();
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.wait_phase("done");
    stage.is_exact("b.bin");
    stage.click("#jobs [data-deed=resume-1]");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'a.bin'").unwrap();
    stage.wait_phase("done");
    stage.is_exact("a.bin");
    stage.click("#jobs [data-deed=forget-1]");
    stage.browser.wait("!document.querySelector('#jobs').innerText.includes('a.bin')").unwrap();
    stage.is_exact("a.bin");
}

#[test]
fn a_page_finds_its_program_again_after_a_restart_and_goes_on_where_it_was() {
    let Some(mut stage) = Stage::open() else { return };
    stage.submit("/file.bin", "a", "bin");
    stage.wait_percent(60);
    let port = stage.stop();
    stage.browser.find("#away").unwrap();
    assert!(stage.text("#away").contains("tries again by itself"), "{}", stage.text("#away"));
    stage.start(port);
    stage.browser.find("#link").unwrap().fill(&stage.link).unwrap();
    stage.browser.press("\u{e007}").unwrap();
    stage.browser.wait("document.querySelector('#away').hidden").unwrap();
    stage.browser.wait("document.querySelector('#answer').innerText.includes('Submit')").unwrap();
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.click("#submit");
    stage.wait_phase("done");
    stage.is_exact("a.bin");
    went_on(&stage);
}

#[test]
fn a_connection_that_broke_is_taken_up_again_without_a_word() {
    let Some(stage) = Stage::open() else { return };
    stage.submit("/file.bin", "a", "bin");
    stage.wait_percent(10);
    let told = stage.text("#job-name");
    stage.browser.reload().unwrap();
    stage.wait_percent(20);
    assert_eq!(stage.text("#job-name"), told);
    let moments = "document.querySelector('#chart polygon')?.getAttribute('points').split(' ')";
    let known = stage.browser.wait(&format!("({moments} ?? []).length >= 8")).unwrap();
    assert_eq!(known, true, "the chart begins where the download began");
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.wait_phase("done");
    stage.is_exact("a.bin");
}

#[test]
fn two_tabs_show_and_steer_the_same_download() {
    let Some(stage) = Stage::open() else { return };
    let browser = &stage.browser;
    stage.submit("/file.bin", "a", "bin");
    stage.wait_percent(10);
    let first = browser.another_tab().unwrap();
    browser.open(stage.address()).unwrap();
    stage.wait_percent(12);
    stage.click("#job-buttons [data-deed=pause-1]");
    stage.wait_phase("paused");
    browser.turn_to(&first).unwrap();
    stage.wait_phase("paused");
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.click("#job-buttons [data-deed=resume-1]");
    stage.wait_phase("done");
    stage.is_exact("a.bin");
}

#[test]
fn a_browser_without_the_link_is_told_what_to_do_and_nothing_else() {
    let Some(stage) = Stage::set(&[]) else { return };
    stage.browser.open(stage.address()).unwrap();
    stage.browser.find("#link-form").unwrap();
    assert!(stage.text("#away").contains("needs the program's link"));
    assert!(stage.text("#folder").is_empty());
    stage.browser.find("#link").unwrap().fill("http://127.0.0.1:1/").unwrap();
    stage.browser.press("\u{e007}").unwrap();
    stage.browser.wait("document.querySelector('#away').innerText.includes('not a link')").unwrap();
    stage.browser.open(&stage.link).unwrap();
    stage.browser.wait("document.querySelector('#folder').textContent").unwrap();
}

#[test]
fn names_full_of_markup_are_shown_as_text() {
    let evil = "<img src=x onerror=hit()>";
    let Some(stage) = Stage::with(&[(evil, Decision::Yes)]) else { return };
    let name = "<script>hit()<script> \"'&amp; <b>x";
    stage.submit("/file.bin", name, "b<i>n");
    stage.wait_phase("done");
    let shown = [stage.text("#job-name"), stage.text("#jobs"), stage.text("#verdict")];
    for text in shown {
        assert!(text.contains(&format!("{name}.b<i>n")), "{text}");
    }
    // What is left of it is what a machine's name may hold.
    assert!(stage.text("#workers").contains("img srcx"), "{}", stage.text("#workers"));
    let made = "return document.querySelectorAll('main img, main script, main b, main i').length;";
    assert_eq!(stage.browser.run(made).unwrap(), 0);
    stage.is_exact(&format!("{name}.b<i>n"));
}

#[test]
fn what_goes_wrong_is_told_in_words_of_the_page() {
    let Some(stage) = Stage::open() else { return };
    let said = |selector: &str| {
        let text = stage.text(selector);
        let flag = text.split_whitespace().find(|word| word.starts_with('-') && word.len() > 1);
        assert!(flag.is_none() && !text.contains("leader get"), "{text}");
        text
    };
    stage.submit("/nothing.bin", "a", "bin");
    stage.wait_phase("failed");
    assert!(said("#verdict").contains("no such file"), "{}", said("#verdict"));
    std::fs::write(stage.folder.path().join("there.bin"), "mine").unwrap();
    stage.submit("/file.bin", "there", "bin");
    stage.browser.wait("document.querySelector('#job-name').innerText === 'there.bin'").unwrap();
    stage.wait_phase("failed");
    assert!(said("#verdict").contains("another name"), "{}", said("#verdict"));
    stage.submit("/file.bin", "../a", "bin");
    stage.browser.find("#refused").unwrap();
    assert!(said("#refused").contains("names a folder"), "{}", said("#refused"));
    assert_eq!(std::fs::read(stage.folder.path().join("there.bin")).unwrap(), b"mine");
}

#[test]
fn a_file_in_one_piece_is_told_to_be_the_server_s_limit() {
    let Some(stage) = Stage::open() else { return };
    stage.browser.find("#url").unwrap().fill(&stage.origin.url("/whole.bin")).unwrap();
    stage.browser.wait("document.querySelector('#answer').innerText.includes('nobody')").unwrap();
    stage.click("#submit");
    stage.wait_percent(10);
    assert!(stage.text("#limit-text").contains("The server"), "{}", stage.text("#limit-text"));
    stage.origin.set_rate(OWN, Rate::mbit(800));
    stage.wait_phase("done");
    stage.is_exact("whole.bin");
}
