//! The names that machines give themselves: anything, until it is made safe to show.

use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

/// How long a name in a hello may be, in bytes.
const NAME_BYTES: usize = 64;

/// How many characters of another machine's name are kept.
const NAME_MOST: usize = 32;

/// The own name, cut to what a hello carries. Making it safe is the work of whoever shows it.
pub(crate) fn short_name(name: &str) -> String {
    let ends = |(at, c): &(usize, char)| at + c.len_utf8();
    name.char_indices().take_while(|c| ends(c) <= NAME_BYTES).map(|(_, c)| c).collect()
}

/// What is left of a stranger's name that can be shown without harm.
pub(crate) fn safe_name(name: &str) -> String {
    let plain = |c: &char| (c.is_alphanumeric() && has_shape(*c)) || "-_. ".contains(*c);
    let safe: String = name.chars().filter(plain).take(NAME_MOST).collect();
    let safe = safe.trim();
    if safe.is_empty() { "unnamed".to_owned() } else { safe.to_owned() }
}

/// Whether people would take one name for the other: the letters and digits look alike (UTS #39
/// §4), whatever their case, their accents, and what stands between them.
pub fn resemble(one: &str, other: &str) -> bool {
    let [as_shown, in_lower_case] = looks(other);
    looks(one).iter().any(|look| *look == as_shown || *look == in_lower_case)
}

/// What a name looks like as it is shown, and in lower case: a capital may look like another letter
/// than its small one does, as I and l.
fn looks(name: &str) -> [String; 2] {
    [look(name), look(&name.to_lowercase())]
}

fn look(name: &str) -> String {
    let counts = |c: &char| c.is_alphanumeric() && !is_combining_mark(*c);
    let bare: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    skeleton(&bare).filter(counts).flat_map(char::to_lowercase).collect()
}

/// Whether a letter shows at all: some that stand for nothing are letters by their category.
fn has_shape(letter: char) -> bool {
    skeleton(letter.encode_utf8(&mut [0; 4])).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_reach_a_terminal_or_a_page() {
        assert_eq!(safe_name("asha's \u{202e}pc\u{1b}[31m"), "ashas pc31m");
        assert_eq!(safe_name("<script>"), "script");
        assert_eq!(safe_name("\u{7}\u{200b}"), "unnamed");
        assert_eq!(safe_name(&"x".repeat(10_000)).len(), NAME_MOST);
        assert_eq!(safe_name("Büro-3.lan"), "Büro-3.lan");
        assert_eq!(safe_name("अशोक"), "अशोक".replace('\u{94d}', ""), "marks that are letters stay");
    }

    #[test]
    fn letters_without_a_shape_are_not_kept() {
        for shapeless in ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{34f}', '\u{200d}'] {
            assert_eq!(safe_name(&format!("as{shapeless}ha")), "asha", "{shapeless:?}");
            assert_eq!(safe_name(&shapeless.to_string()), "unnamed", "{shapeless:?}");
        }
    }

    #[test]
    fn a_hello_carries_at_most_64_bytes_of_whole_characters() {
        assert_eq!(short_name("asha\u{202e}"), "asha\u{202e}");
        assert_eq!(short_name(&"ü".repeat(40)), "ü".repeat(32));
        assert_eq!(short_name(&format!("x{}", "ü".repeat(40))).len(), 63);
    }

    #[test]
    fn names_that_people_take_for_one_another_resemble() {
        for (name, like) in [
            ("asha", "Asha."),
            ("asha", "аshа"),
            ("asha", "as\u{3164}ha"),
            ("asha", "as\u{200d}ha"),
            ("asha", "asha\u{345}"),
            ("asha", "àshá"),
            ("asha", "a\u{300}sha"),
            ("asha", "ａｓｈａ"),
            ("asha", "𝐚𝐬𝐡𝐚"),
            ("Ilse", "llse"),
            ("Ilse", "1lse"),
            ("omar", "0mar"),
            ("OMAR", "0mar"),
            ("Маша", "маша"),
            ("marta", "rnarta"),
        ] {
            assert!(resemble(name, like) && resemble(like, name), "{name} {like}");
        }
        for (name, other) in [("asha", "ashi"), ("pc1", "pc2"), ("ben", "bea"), ("Маша", "Миша")]
        {
            assert!(!resemble(name, other), "{name} {other}");
        }
    }
}
