use crate::Error;
use crate::codec::base64_encode;
use hyper::header::HeaderValue;
use std::fmt;

/// Users and passwords by host, from a netrc file.
///
/// `Debug` shows neither.
#[derive(Clone, Default)]
pub struct Netrc(Vec<Machine>);

#[derive(Clone, Default)]
struct Machine {
    /// Nothing for `default`, which is every host.
    host: Option<String>,
    login: Option<String>,
    password: Option<String>,
}

impl Netrc {
    /// Reads the file's text: `machine HOST`, `default`, `login NAME`, `password TEXT` and
    /// `account TEXT`, parted by white space; quoted texts with backslashes, comments and macros
    /// as curl reads them. Words that it does not know are passed over.
    ///
    /// Fails on a text whose quotes do not close and on a word that lacks what must follow it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut words = Words { rest: text };
        let mut machines: Vec<Machine> = Vec::new();
        while let Some(word) = words.next()? {
            match word.as_str() {
                "machine" => {
                    machines
                        .push(Machine { host: Some(words.value(&word)?), ..Machine::default() });
                }
                "default" => machines.push(Machine::default()),
                "macdef" => words.skip_macro(),
                "login" | "password" | "account" => {
                    let value = words.value(&word)?;
                    if let Some(machine) = machines.last_mut() {
                        machine.note(&word, value);
                    }
                }
                _ => {}
            }
        }
        Ok(Self(machines))
    }

    /// What a server is told (RFC 7617) on behalf of the first entry for `host`, and for `user` if
    /// one is given.
    pub(crate) fn authorization(&self, host: &str, user: &str) -> Option<HeaderValue> {
        let machine = self.0.iter().find(|machine| machine.fits(host, user))?;
        let login = machine.login.as_deref().unwrap_or(user);
        let pair = format!("{login}:{}", machine.password.as_deref()?);
        let mut value =
            HeaderValue::from_str(&format!("Basic {}", base64_encode(pair.as_bytes()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Machine {
    fn note(&mut self, word: &str, value: String) {
        match word {
            "login" => self.login = Some(value),
            "password" => self.password = Some(value),
            _ => {}
        }
    }

    fn fits(&self, host: &str, user: &str) -> bool {
        let login = self.login.as_deref();
        let user_fits = user.is_empty() || login.is_none_or(|login| login == user);
        let host_fits = self.host.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(host));
        host_fits && user_fits && self.password.is_some()
    }
}

struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Result<Option<String>, Error> {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.chars().next() {
                None => return Ok(None),
                Some('#') => self.skip_line(),
                Some('"') => return self.quoted().map(Some),
                Some(_) => break,
            }
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(Some(word.to_owned()))
    }

    /// What follows `word`, which may begin with a `#`: passwords do.
    fn value(&mut self, word: &str) -> Result<String, Error> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('#') {
            let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(value.to_owned());
        }
        self.next()?.ok_or_else(|| unfit(format!("nothing follows its last `{word}`")))
    }

    fn quoted(&mut self) -> Result<String, Error> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(value);
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| unescaped(escaped))),
                _ => value.push(character),
            }
        }
        Err(unfit("a quotation mark in it is never closed".to_owned()))
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        let mut rest = self.rest;
        while let Some((_, tail)) = rest.split_once('\n') {
            rest = tail;
            if tail.split('\n').next().is_some_and(|line| line.trim().is_empty()) {
                break;
            }
        }
        self.rest = if rest.contains('\n') { rest } else { "" };
    }
}

fn unescaped(character: char) -> char {
    match character {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        other => other,
    }
}

fn unfit(why: String) -> Error {
    Error::Input { what: "netrc file", why }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(text: &str, host: &str, user: &str) -> Option<String> {
        let value = Netrc::parse(text).unwrap().authorization(host, user)?;
        let coded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        Some(String::from_utf8(crate::codec::base64_decode(&coded).unwrap()).unwrap())
    }

    const FILE: &str = "# mine\nmachine a.org login me password p#1 # not this\n\
        machine b.org\n\tlogin \"two words\"\n\taccount x\n\tpassword \"q\\\"\\\\\"\n\
        macdef init\nmachine evil login x password y\n\n\
        machine a.org login you password #2\ndefault login anonymous password mail@here\n";

    #[test]
    fn the_first_entry_for_the_host_and_user_is_taken() {
        for (host, user, expected) in [
            ("a.org", "", "me:p#1"),
            ("A.ORG", "me", "me:p#1"),
            ("a.org", "you", "you:#2"),
            ("b.org", "", "two words:q\"\\"),
            ("evil", "", "anonymous:mail@here"),
            ("sub.a.org", "", "anonymous:mail@here"),
        ] {
            assert_eq!(pair(FILE, host, user).as_deref(), Some(expected), "{host} {user}");
        }
        assert_eq!(pair(FILE, "a.org", "somebody"), None);
    }

    #[test]
    fn nobody_is_signed_in_without_an_entry_or_a_password() {
        for text in ["", "login a password b", "machine h login a", "machine other password x"] {
            assert_eq!(pair(text, "h", ""), None, "{text}");
        }
    }

    #[test]
    fn a_broken_file_is_told_without_its_secrets() {
        for text in ["machine", "machine h password", "machine h login \"open secret"] {
            let told = Netrc::parse(text).unwrap_err().to_string();
            assert!(told.contains("netrc") && !told.contains("secret"), "{told}");
        }
        assert_eq!(format!("{:?}", Netrc::parse(FILE).unwrap()), "Netrc(4 entries)");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(
            text in "(machine |default |login |password |macdef |#|\"|\\\\|\n|é| |a){0,20}",
        ) {
            if let Ok(netrc) = Netrc::parse(&text) {
                netrc.authorization("a", "");
            }
        }
    }
}
