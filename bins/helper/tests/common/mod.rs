//! What every test of the program needs.

use std::path::Path;
use std::time::Duration;

/// Longer than anything here takes, but shorter than the 45 s after which silence is a no.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Writes a policy to a helper's home, under which nothing of the machine that the tests run on
/// counts. `fields` belong to `[limits]`.
pub(crate) fn write_policy(home: &Path, mode: &str, fields: &str) {
    let text = format!(
        "version = 1\nmode = \"{mode}\"\n[when]\nmetered = \"allow\"\nvpn = \"allow\"\n\
         unknown = \"allow\"\nbattery = \"0%\"\n[limits]\nrate_while_busy = \"unlimited\"\n{fields}\n"
    );
    std::fs::write(home.join("policy.toml"), text).unwrap();
}
