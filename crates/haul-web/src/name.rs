/// The longest name that the usual file systems take, in bytes.
const LONGEST: usize = 255;

/// The bare name of a file, which cannot lead out of the folder that it is put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileName(String);

impl FileName {
    /// Reads what a user typed; says what is wrong with it otherwise.
    ///
    /// Hidden names are refused because programs read many of those as their settings.
    pub(crate) fn parse(typed: &str) -> Result<Self, &'static str> {
        let name = typed.trim();
        if name.is_empty() {
            Err("the name is empty")
        } else if name.len() > LONGEST {
            Err("the name is longer than 255 bytes")
        } else if name.contains(['/', '\\', ':']) {
            Err("the name names a folder or a drive")
        } else if name.chars().any(|c| c.is_control() || is_invisible(c)) {
            Err("the name holds characters that cannot be seen")
        } else if name.starts_with('.') {
            Err("the name begins with a dot")
        } else {
            Ok(Self(name.to_owned()))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters without a shape that make a name read otherwise than it is: those that turn the
/// direction of text (UAX #9), and those of no width that no language needs.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_taken_without_the_space_around_it() {
        for (typed, name) in
            [("image.iso", "image.iso"), (" a b.iso\n", "a b.iso"), ("ध्वनि..ogg", "ध्वनि..ogg")]
        {
            assert_eq!(FileName::parse(typed).unwrap().as_str(), name);
        }
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for typed in [
            "",
            " ",
            ".",
            "..",
            "../a",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "C:a",
            "a\0b",
            "a\nb",
            ".ssh",
            "photo\u{202e}gpj.exe",
            "a\u{200b}b",
        ] {
            assert!(FileName::parse(typed).is_err(), "{typed:?}");
        }
        assert!(FileName::parse(&"a".repeat(LONGEST + 1)).is_err());
    }
}
