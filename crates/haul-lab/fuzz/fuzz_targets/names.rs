//! Every name that an origin gives is one safe path component.

#![no_main]

use haul_fetch::fuzzing::file_name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &str)| {
    let name = file_name(input.0, input.1);
    assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
    assert!(!matches!(name.as_str(), "." | "..") && !name.starts_with(['.', '-']), "{name:?}");
    assert!(!name.contains(['/', '\\', ':']) && !name.chars().any(char::is_control), "{name:?}");
});
