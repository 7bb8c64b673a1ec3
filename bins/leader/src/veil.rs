//! Secrets among the arguments are seen by everybody in the list of processes. A program that has
//! some starts itself again in its own process, with those blanked, and hands itself the arguments
//! over in its environment, which only its user can read.

use std::env;
use std::ffi::{OsStr, OsString};

/// The variable of the environment that holds the arguments as they were given.
pub(crate) const HANDED_OVER: &str = "HAUL_ARGUMENTS";

/// What a secret is shown as.
const BLANK: &str = "***";

/// Short options that take a value: what follows them in an argument is none.
const TAKE_VALUES: &str = "odij";

/// The arguments as they were given, beginning with the program's name.
pub(crate) fn arguments() -> Vec<OsString> {
    let given: Vec<OsString> = env::args_os().collect();
    let handed_over = env::var_os(HANDED_OVER).map(|text| platform::unpack(&text));
    // What a program around this one was handed over belongs to other arguments.
    if let Some(original) = handed_over.filter(|original| blanked(original) == given) {
        return original;
    }
    let shown = blanked(&given);
    if shown != given {
        platform::start_again(&shown, &given);
    }
    given
}

/// What an argument is for, as far as secrets go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    /// It may be an address, or an option.
    Anything,
    Header,
    Proxy,
}

/// The arguments with their secrets blanked: headers, and of addresses what stands before the host
/// and after a `?`.
fn blanked(given: &[OsString]) -> Vec<OsString> {
    let mut means = Means::Anything;
    let blank = |argument: &OsString| {
        let (shown, next) = shown(argument, means);
        means = next;
        shown
    };
    given.iter().map(blank).collect()
}

/// An argument without its secrets, and what the next one is for.
fn shown(argument: &OsStr, means: Means) -> (OsString, Means) {
    let text = argument.to_string_lossy();
    let (shown, next) = match means {
        Means::Header => (header(&text), Means::Anything),
        Means::Proxy => (proxy(&text), Means::Anything),
        Means::Anything => option(&text),
    };
    // What is not text stays as it is unless it has a secret.
    if shown == text { (argument.to_owned(), next) } else { (shown.into(), next) }
}

fn option(text: &str) -> (String, Means) {
    if let Some(value) = text.strip_prefix("--header=") {
        return (format!("--header={}", header(value)), Means::Anything);
    }
    if let Some(value) = text.strip_prefix("--proxy=") {
        return (format!("--proxy={}", proxy(value)), Means::Anything);
    }
    match text {
        "--header" => return (text.to_owned(), Means::Header),
        "--proxy" => return (text.to_owned(), Means::Proxy),
        _ => {}
    }
    match header_among_shorts(text) {
        Some((before, "")) => (before.to_owned(), Means::Header),
        Some((before, value)) => (format!("{before}{}", header(value)), Means::Anything),
        None => (url(text), Means::Anything),
    }
}

/// Splits `-qHVALUE` before its value.
fn header_among_shorts(text: &str) -> Option<(&str, &str)> {
    let shorts = text.strip_prefix('-').filter(|rest| !rest.starts_with('-'))?;
    let taking = shorts.find(|short| short == 'H' || TAKE_VALUES.contains(short))?;
    shorts[taking..].starts_with('H').then(|| text.split_at(taking + "-H".len()))
}

/// A file's name is no secret, nor is the name of a header.
fn header(text: &str) -> String {
    match text.strip_prefix('=').unwrap_or(text) {
        file if file.starts_with('@') => text.to_owned(),
        given => {
            given.split_once(':').map_or(BLANK.to_owned(), |(name, _)| format!("{name}: {BLANK}"))
        }
    }
}

fn proxy(text: &str) -> String {
    if text.contains("://") {
        return url(text);
    }
    text.rsplit_once('@').map_or(text.to_owned(), |(_, host)| format!("{BLANK}@{host}"))
}

fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, format!("?{BLANK}")),
        None => (rest, String::new()),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit_once('@');
    let host = host.map_or(authority.to_owned(), |(_, host)| format!("{BLANK}@{host}"));
    format!("{scheme}://{host}{path}{query}")
}

#[cfg(unix)]
mod platform {
    use super::HANDED_OVER;
    use std::env;
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Becomes this program anew, shown with these arguments. Returns only if that cannot be done.
    pub(super) fn start_again(shown: &[OsString], given: &[OsString]) {
        let [name, arguments @ ..] = shown else { return };
        let Ok(program) = env::current_exe() else { return warn("it is not known where it is") };
        let mut again = Command::new(program);
        again.arg0(name).args(arguments).env(HANDED_OVER, pack(given));
        warn(&again.exec().to_string());
    }

    fn warn(because: &str) {
        eprintln!(
            "warning: others on this machine can see the secrets among the arguments: {because}"
        );
    }

    /// The arguments one a line; no line break stays one within an argument.
    pub(super) fn pack(arguments: &[OsString]) -> OsString {
        let mut packed = Vec::new();
        for argument in arguments {
            for &byte in argument.as_bytes() {
                match byte {
                    b'\n' => packed.extend(b"\\n"),
                    b'\\' => packed.extend(b"\\\\"),
                    other => packed.push(other),
                }
            }
            packed.push(b'\n');
        }
        OsString::from_vec(packed)
    }

    pub(super) fn unpack(packed: &OsStr) -> Vec<OsString> {
        let lines = packed.as_bytes().strip_suffix(b"\n").unwrap_or_default();
        lines.split(|&byte| byte == b'\n').map(argument).collect()
    }

    fn argument(line: &[u8]) -> OsString {
        let mut bytes = line.iter();
        let mut argument = Vec::new();
        while let Some(&byte) = bytes.next() {
            match (byte, byte == b'\\') {
                (_, true) => argument
                    .extend(bytes.next().map(|&byte| if byte == b'n' { b'\n' } else { byte })),
                (other, false) => argument.push(other),
            }
        }
        OsString::from_vec(argument)
    }
}

#[cfg(not(unix))]
mod platform {
    use std::ffi::{OsStr, OsString};

    pub(super) fn start_again(_: &[OsString], _: &[OsString]) {}

    pub(super) fn unpack(_: &OsStr) -> Vec<OsString> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        blanked(&words).into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn every_way_to_write_a_secret_is_blanked() {
        for (given, shown) in [
            (&["-H", "A: sesam"][..], &["-H", "A: ***"][..]),
            (&["-HA:sesam"], &["-HA: ***"]),
            (&["-H=A:sesam"], &["-HA: ***"]),
            (&["-cqH", "sesam"], &["-cqH", "***"]),
            (&["-qHA: sesam"], &["-qHA: ***"]),
            (&["--header", "A: sesam"], &["--header", "A: ***"]),
            (&["--header=A: sesam"], &["--header=A: ***"]),
            (&["https://me:sesam@h:1/p#f"], &["https://***@h:1/p#f"]),
            (&["--mirror=http://me@h/p?token=sesam"], &["--mirror=http://***@h/p?***"]),
            (&["--url", "http://h?sesam"], &["--url", "http://h?***"]),
            (&["http://me:p@sesam@h/"], &["http://***@h/"]),
            (&["--proxy", "me:sesam@h:1"], &["--proxy", "***@h:1"]),
            (&["--proxy=socks5://me:sesam@h:1"], &["--proxy=socks5://***@h:1"]),
        ] {
            assert_eq!(blank(given), shown);
            assert_eq!(blank(shown), shown, "what is blank stays so");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_is() {
        let plain = [
            "leader",
            "get",
            "https://h/p",
            "-H",
            "@file",
            "-oHello",
            "-dHome",
            "--header=@-",
            "-q",
            "--proxy",
            "http://h:1",
            "--helpers",
            "10.0.0.1:4285",
            "-vv",
            "-",
            "",
        ];
        assert_eq!(blank(&plain), plain);
    }

    #[test]
    #[cfg(unix)]
    fn arguments_come_back_as_they_were_handed_over() {
        use std::os::unix::ffi::OsStringExt;
        let odd = [&b""[..], b"\n", b"\\n\\\n", b"\\", b"\xff\xfe", b"plain"];
        for first in 0..odd.len() {
            for end in first + 1..=odd.len() {
                let given = odd[first..end].iter().map(|word| OsString::from_vec(word.to_vec()));
                let given: Vec<OsString> = given.collect();
                assert_eq!(platform::unpack(&platform::pack(&given)), given);
            }
        }
    }
}
