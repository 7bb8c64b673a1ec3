//! The name under which a file is saved, made safe on every platform. Every name that a stranger
//! chose goes through [`safe`].

use crate::codec::{latin1_or_utf8, percent_decode};
use hyper::HeaderMap;
use hyper::header::CONTENT_DISPOSITION;
use url::Url;

/// The name the origin gives (RFC 6266), else the last segment of the first of `urls` that has
/// one, else `download`.
pub(crate) fn file_name(headers: &HeaderMap, urls: &[&Url]) -> String {
    let field = headers.get(CONTENT_DISPOSITION).map(|value| latin1_or_utf8(value.as_bytes()));
    let given = field.and_then(|field| disposition_name(&field)).and_then(|name| safe(&name));
    given
        .or_else(|| urls.iter().find_map(|url| safe(&last_segment(url))))
        .unwrap_or_else(|| "download".to_owned())
}

/// The last path segment, decoded. A slash that was escaped does not start another segment, so
/// it is made harmless here rather than cut at.
fn last_segment(url: &Url) -> String {
    let segment = url.path_segments().and_then(|mut all| all.next_back()).unwrap_or_default();
    latin1_or_utf8(&percent_decode(segment)).replace(['/', '\\'], "_")
}

/// `filename*` before `filename` (RFC 6266 §4.3).
fn disposition_name(field: &str) -> Option<String> {
    let parameters = parameters(field);
    let find = |name: &str| parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    find("filename*")
        .and_then(|(_, value)| extended_value(value))
        .or_else(|| find("filename").map(|(_, value)| value.clone()))
}

/// The parameters after the disposition's type, each a token or a quoted string.
fn parameters(field: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = field.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((key, tail)) = rest.split_once('=') {
        let (value, tail) = parameter_value(tail.trim_start());
        found.push((key.trim_matches([' ', '\t', ';']).to_owned(), value));
        rest = tail.split_once(';').map_or("", |(_, rest)| rest);
    }
    found
}

fn parameter_value(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted_string(quoted);
    }
    let end = text.find(';').unwrap_or(text.len());
    (text[..end].trim_end().to_owned(), &text[end..])
}

/// What stands before the closing quote, and what follows it (RFC 9110 §5.6.4).
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// `charset'language'percent-encoded` (RFC 8187 §3.2).
fn extended_value(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent_decode(text);
    if charset.eq_ignore_ascii_case("utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case("iso-8859-1") {
        Some(bytes.into_iter().map(char::from).collect())
    } else {
        None
    }
}

/// The part of `name` after its last separator, without anything a file system, a terminal or haul
/// could take for something else; `None` if nothing is left.
pub(crate) fn safe(name: &str) -> Option<String> {
    let base = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = base.chars().filter(|c| !is_invisible(*c)).map(harmless).collect();
    let trimmed = plain.trim_start_matches(['.', '-', '~', ' ']).trim_end_matches(['.', ' ']);
    let short = shorten(trimmed);
    if short.is_empty() {
        None
    } else if is_reserved(&short) {
        Some(format!("_{short}"))
    } else if ends_as_unfinished(&short) {
        Some(format!("{short}_"))
    } else {
        Some(short)
    }
}

/// Control characters, and those that hide or reorder text.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Characters that some file system forbids become underscores; every white space a blank.
fn harmless(c: char) -> char {
    match c {
        '<' | '>' | ':' | '"' | '|' | '?' | '*' => '_',
        _ if c.is_whitespace() => ' ',
        _ => c,
    }
}

/// At most [`MAX_BYTES`], with the extension kept where it is one.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= MAX_EXTENSION { extension } else { "" };
    let room = MAX_BYTES - extension.len();
    let stem = (0..=room).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    let kept = format!("{}{extension}", name[..stem].trim_end_matches(['.', ' ']));
    kept.trim_end_matches(['.', ' ']).to_owned()
}

/// Names of devices on Windows, with any extension, and files that its shell acts upon.
fn is_reserved(name: &str) -> bool {
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    let numbered = |device: &str| {
        stem.strip_prefix(device).is_some_and(|n| {
            let mut digits = n.chars();
            digits.next().is_some_and(|d| d.is_ascii_digit() || "¹²³".contains(d))
                && digits.next().is_none()
        })
    };
    matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$")
        || matches!(lower.as_str(), "desktop.ini" | "autorun.inf" | "thumbs.db")
        || numbered("com")
        || numbered("lpt")
}

/// Beside a download of `x` a finished file `x.part` is in the way of what is not finished.
fn ends_as_unfinished(name: &str) -> bool {
    let lower = name.to_lowercase();
    UNFINISHED.iter().any(|suffix| lower.ends_with(suffix))
}

/// What haul's names for a part file and for its journal end in.
const UNFINISHED: [&str; 2] = [".part", ".haul"];

/// File systems allow 255 bytes; the rest is for suffixes such as `.part`.
const MAX_BYTES: usize = 240;

/// A longer ending is part of the name.
const MAX_EXTENSION: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(disposition: &str, url: &str) -> String {
        let mut headers = HeaderMap::new();
        if !disposition.is_empty() {
            let value = hyper::header::HeaderValue::from_bytes(disposition.as_bytes()).unwrap();
            headers.insert(CONTENT_DISPOSITION, value);
        }
        file_name(&headers, &[&Url::parse(url).unwrap()])
    }

    #[test]
    fn the_origin_names_the_file_and_the_extended_form_wins() {
        for (field, name) in [
            ("attachment; filename=a.iso", "a.iso"),
            ("attachment; filename=\"a b.iso\"; size=3", "a b.iso"),
            ("attachment; FileName = \"a\\\"b\\\\c.iso\"", "c.iso"),
            ("attachment; filename=\"a;b=c.iso\"", "a;b=c.iso"),
            ("attachment; filename=plain.iso; filename*=UTF-8''na%C3%AFve.iso", "naïve.iso"),
            ("attachment; filename*=utf-8'en'%e2%82%ac.iso; filename=plain.iso", "€.iso"),
            ("attachment; filename*=iso-8859-1''%A3.iso", "£.iso"),
            ("attachment; filename*=utf-8''%ff.iso; filename=plain.iso", "plain.iso"),
            ("attachment; filename*=koi8-r''x; filename=plain.iso", "plain.iso"),
            ("attachment; filename=\"smörgås.iso\"", "smörgås.iso"),
            ("inline", "f.bin"),
            ("attachment; filename=\"\"", "f.bin"),
            (";;;===", "f.bin"),
        ] {
            assert_eq!(named(field, "http://h/d/f.bin?x=/y"), name, "{field}");
        }
    }

    #[test]
    fn a_name_never_leaves_its_folder_and_never_means_a_device() {
        for (field, name) in [
            ("a; filename=\"../../etc/passwd\"", "passwd"),
            ("a; filename=\"C:\\\\windows\\\\x.exe\"", "x.exe"),
            ("a; filename=/abs", "abs"),
            ("a; filename=\"C:x\"", "C_x"),
            ("a; filename*=UTF-8''..%2F..%2Fx", "x"),
            ("a; filename*=UTF-8''%00a%0Ab%1b[2J", "ab[2J"),
            ("a; filename*=UTF-8''a%E2%80%AEfdp.exe", "afdp.exe"),
            ("a; filename=..", "f.bin"),
            ("a; filename=.", "f.bin"),
            ("a; filename=\"a/\"", "f.bin"),
            ("a; filename=.bashrc", "bashrc"),
            ("a; filename=-rf", "rf"),
            ("a; filename=\"x. . .\"", "x"),
            ("a; filename=CON", "_CON"),
            ("a; filename=nul.tar.gz", "_nul.tar.gz"),
            ("a; filename=\"aux .txt\"", "_aux .txt"),
            ("a; filename=com1.txt", "_com1.txt"),
            ("a; filename*=UTF-8''lpt%C2%B2", "_lpt²"),
            ("a; filename=com10", "com10"),
            ("a; filename=Desktop.INI", "_Desktop.INI"),
            ("a; filename=\"a<b>c|d?e*\"", "a_b_c_d_e_"),
            ("a; filename=~x", "x"),
            ("a; filename=Thumbs.db", "_Thumbs.db"),
            ("a; filename=victim.iso.haul", "victim.iso.haul_"),
            ("a; filename=victim.iso.PART", "victim.iso.PART_"),
            ("a; filename=part", "part"),
        ] {
            assert_eq!(named(field, "http://h/f.bin"), name, "{field}");
        }
    }

    #[test]
    fn the_url_names_the_file_where_the_origin_does_not() {
        for (url, name) in [
            ("http://h/a/b.iso", "b.iso"),
            ("http://h/a%20b.iso", "a b.iso"),
            ("http://h/a%2F..%2Fb", "a_.._b"),
            ("http://h/", "download"),
            ("http://h/a/", "download"),
            ("http://h/%2e%2e%2f", "_"),
        ] {
            assert_eq!(named("", url), name, "{url}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters_and_keeps_its_extension() {
        let name = named("", &format!("http://h/{}.tar.gz", "é".repeat(200)));
        assert!(name.len() <= MAX_BYTES && name.ends_with("é.gz"), "{name}");
        let dots = named("", &format!("http://h/a{}", ".".repeat(300)));
        assert_eq!(dots, "a");
    }

    proptest! {
        #[test]
        fn any_disposition_gives_a_safe_name(field in "[ -~\u{80}-\u{2fff}]{0,80}", whole: Vec<u8>) {
            for name in [named(&field, "http://h/"), file_name_of(&whole)] {
                prop_assert!(!name.is_empty() && name.len() <= 255);
                prop_assert!(!name.contains(['/', '\\', '\0', ':']) && name != "." && name != "..");
                prop_assert!(!name.chars().any(is_invisible));
                prop_assert_eq!(safe(&name), Some(name), "what is safe stays as it is");
            }
        }
    }

    fn file_name_of(bytes: &[u8]) -> String {
        let field = latin1_or_utf8(bytes);
        disposition_name(&field).and_then(|name| safe(&name)).unwrap_or_else(|| "download".into())
    }
}
