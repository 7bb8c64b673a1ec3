use crate::common::Ran;
use haul_lab::lan::skip_or_fail;
use haul_lab::peers;
use std::path::Path;

/// How many golden entries the page has: every kind of frame, and the ask.
const ENTRIES: usize = 26;

#[test]
fn golden_bytes_of_the_page_are_read_and_written_again_by_somebody_else() {
    if let Some(reason) = peers::missing() {
        return skip_or_fail(&reason);
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md");
    let ran = Ran::of(&mut peers::command(&["golden", page.to_str().unwrap()]));
    assert!(ran.status.success(), "{}", ran.stderr);
    assert_eq!(peers::events(&ran.stdout, "golden").len(), ENTRIES, "{}", ran.stdout);
}
