//! A machine whose owner's organisation has set rules. The program takes those from one place of the
//! machine only, so the page is served in this process here, with rules from elsewhere.

use crate::common::write_policy;
use crate::stage::Stage;
use haul::control::{Command, tell};
use haul::doors::Doors;
use haul::policy::PolicySource;
use haul::trust::Trust;
use haul::{Helper, HelperEvent, Home};
use haul_web::HelperPage;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use tempfile::TempDir;

const RULES: &str = "version = 1\nmode = \"known\"\n[hosts]\ndeny = [\"b.example\"]\n\
                     [limits]\nper_day = \"1G\"\n";

#[test]
fn what_the_organisation_has_set_is_shown_so_and_cannot_be_changed() {
    let Some(stage) = Stage::set() else { return };
    let folder = TempDir::new().unwrap();
    let home = Home::at(folder.path());
    write_policy(folder.path(), "always", "per_day = \"9G\"");
    let managed = folder.path().join("managed.toml");
    fs::write(&managed, RULES).unwrap();
    let source = PolicySource::of_home(&home).managed_from(managed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let doors = Doors::new(Trust::of(&home));
    let helper = Helper::builder()
        .policy(source.clone())
        .home(home.clone())
        .consent(doors.clone())
        .listen(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))
        .build()
        .unwrap();
    let mut serving = runtime.block_on(async { helper.start() });
    let heard = runtime.block_on(serving.next_event());
    assert!(matches!(heard, Some(HelperEvent::Listening { .. })), "{heard:?}");
    let page = HelperPage::builder(&doors, &home).policy(source).open();
    let page = runtime.block_on(page).unwrap();
    let link = page.link();
    runtime.spawn(page.serve(std::future::pending()));

    stage.browser.open(&link).unwrap();
    stage.is_ready();
    stage.shows("#facts", "hosts.deny, limits.per_day, mode");
    stage.browser.find("#rules summary").unwrap().click().unwrap();
    let locked = |field: &str| {
        let id = format!("#field-{field}");
        let script = format!(
            "const one = document.querySelector('{id}'); \
             return [one.disabled, one.value, one.parentElement.querySelector('.note')?.textContent];"
        );
        let told = stage.run(&script);
        (told[0] == true, told[1].as_str().unwrap().to_owned(), told[2].to_string())
    };
    for (field, value) in [("mode", "known"), ("limits-per-day", "1G")] {
        let (disabled, shown, note) = locked(field);
        assert!(disabled && note.contains("Managed by your organisation"), "{field}: {note}");
        assert_eq!(shown, value, "{field}");
    }
    let (disabled, _, note) = locked("hosts-deny");
    assert!(!disabled && note.contains("and added to: b.example"), "{note}");
    stage.type_into("hosts-deny", "a.example");
    stage.click("#save");
    stage.shows("#policy-said", "Saved");
    let text = fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert!(
        text.contains("deny = [\"a.example\"]") && text.contains("mode = \"always\""),
        "{text}"
    );
    assert_eq!(tell(&home, Command::Status).unwrap().per_day, 1 << 30);
    runtime.block_on(serving.stop()).unwrap();
}
