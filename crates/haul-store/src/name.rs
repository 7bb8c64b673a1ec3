use crate::target::{JOURNAL, LONGEST_EXTENSION, LONGEST_NAME, PART, first_bytes};

/// A file name that a stranger chose, made safe to use in a folder of one's own.
///
/// What is left names one plain, visible file in that folder on any common system, shows as what
/// it is, and has room for the suffixes of a store: the last segment of a path, without control
/// and direction characters, not hidden, no option of a command, no device, no stream, no file
/// that a desktop obeys, at most 240 bytes. `download` if nothing is left.
///
/// ```
/// assert_eq!(haul_store::safe_name("../../etc/passwd"), "passwd");
/// assert_eq!(haul_store::safe_name("NUL.txt"), "_NUL.txt");
/// assert_eq!(haul_store::safe_name(".."), "download");
/// ```
pub fn safe_name(wanted: &str) -> String {
    let segment = wanted.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = segment.chars().filter(|&c| shows(c)).map(plain).collect();
    let name = visible.trim_start_matches(is_bad_start).trim_end_matches(is_bad_end);
    let name = shorten(name);
    match name.as_str() {
        "" => "download".to_owned(),
        device if is_obeyed(device) => format!("_{device}"),
        // Next to a download of `x`, a finished file `x.haul` would be taken for its journal.
        suffixed if ends_as_ours(suffixed) => format!("{suffixed}_"),
        _ => name,
    }
}

/// Whether a character is seen where it stands and leaves its neighbours in place.
fn shows(c: char) -> bool {
    let bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let unseen = matches!(c, '\u{ad}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !bidi && !unseen
}

/// Characters that Windows forbids, of which `:` would open a stream, and blanks of all widths.
fn plain(c: char) -> char {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        blank if blank.is_whitespace() => ' ',
        other => other,
    }
}

fn is_bad_start(c: char) -> bool {
    matches!(c, '.' | '-' | '~' | ' ')
}

fn is_bad_end(c: char) -> bool {
    matches!(c, '.' | ' ')
}

/// Cuts the stem and keeps the extension, where that is one.
fn shorten(name: &str) -> String {
    if name.len() <= LONGEST_SAFE {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= LONGEST_EXTENSION { extension } else { "" };
    let stem = first_bytes(name, LONGEST_SAFE - extension.len());
    format!("{}{extension}", stem.trim_end_matches(is_bad_end))
}

/// Names that Windows takes for devices whatever their extension, and files that desktops obey.
fn is_obeyed(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default().trim_end_matches(' ');
    let numbered = |device| {
        let number = stem.strip_prefix(device).unwrap_or_default();
        matches!(number, "\u{b9}" | "\u{b2}" | "\u{b3}")
            || (number.len() == 1 && number.chars().all(|c| c.is_ascii_digit()))
    };
    matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$")
        || numbered("com")
        || numbered("lpt")
        || matches!(lower.as_str(), "desktop.ini" | "autorun.inf" | "thumbs.db")
}

fn ends_as_ours(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.ends_with(PART) || lower.ends_with(JOURNAL)
}

/// With room for what makes a name unlike the obeyed ones, and for a number in brackets.
const LONGEST_SAFE: usize = LONGEST_NAME - 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_become_plain_ones() {
        let cases = [
            ("a.iso", "a.iso"),
            ("Übung 1.pdf", "Übung 1.pdf"),
            ("../../etc/x", "x"),
            (r"C:\temp\x", "x"),
            ("/abs", "abs"),
            ("a/", "download"),
            ("", "download"),
            (".", "download"),
            ("..", "download"),
            (" . ", "download"),
            ("a\0b\n\u{1b}[31mc", "ab[31mc"),
            ("\u{202e}gpj.exe", "gpj.exe"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a. . ", "a"),
            ("file:stream", "file_stream"),
            ("con", "_con"),
            ("Aux.tar.gz", "_Aux.tar.gz"),
            ("com1.txt", "_com1.txt"),
            ("LPT\u{b9}", "_LPT\u{b9}"),
            ("com10", "com10"),
            ("console", "console"),
            ("Desktop.ini", "_Desktop.ini"),
            ("victim.iso.haul", "victim.iso.haul_"),
            ("victim.iso.PART", "victim.iso.PART_"),
        ];
        for (wanted, safe) in cases {
            assert_eq!(safe_name(wanted), safe, "{wanted:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let name = safe_name(&format!("{}.tar", "ü".repeat(200)));
        assert!(name.len() <= LONGEST_SAFE && name.ends_with("ü.tar"), "{name}");
    }

    proptest! {
        #[test]
        fn a_safe_name_is_one_plain_segment_and_stays_as_it_is(wanted in any::<String>()) {
            let name = safe_name(&wanted);
            prop_assert!(!name.is_empty() && name.len() < LONGEST_NAME);
            prop_assert!(!name.contains(['/', '\\', ':', '\0']));
            prop_assert!(!name.starts_with(['.', '-']) && !name.ends_with(['.', ' ']));
            prop_assert_eq!(safe_name(&name), name);
        }
    }
}
