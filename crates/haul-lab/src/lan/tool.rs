use crate::Error;
use std::process::{Command, Stdio};

/// Runs a program to its end; what it wrote to stdout, or an error with what it wrote to stderr.
pub(super) fn run(command: &mut Command) -> Result<String, Error> {
    let typed = typed(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(Error::io(format!("run `{typed}`")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        let (status, said) = (output.status, text(&output.stderr));
        Err(Error::Tool { command: typed, status, said })
    }
}

/// The command as one would type it.
pub(super) fn typed(command: &Command) -> String {
    let words = [command.get_program()].into_iter().chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
