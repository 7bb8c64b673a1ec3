//! Mirrors and descriptions in `Link` fields (RFC 8288, RFC 6249).

use super::mirrors::Mirror;
use crate::follow::is_web;
use hyper::HeaderMap;
use hyper::header::LINK;
use url::Url;

/// What the `Link` fields of a response say of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// `rel=duplicate`, the preferred first, then by priority.
    pub(crate) mirrors: Vec<Mirror>,
    /// `rel=describedby` with the type of Metalink 4.
    pub(crate) metalink: Option<Url>,
}

impl Links {
    pub(crate) fn of(headers: &HeaderMap, base: &Url) -> Self {
        let fields = headers.get_all(LINK).iter().filter_map(|field| field.to_str().ok());
        Self::parse(&fields.collect::<Vec<_>>().join(","), base)
    }

    /// Reads the value of a `Link` field of a response from `base`. What cannot be read is passed
    /// over.
    pub fn parse(field: &str, base: &Url) -> Self {
        let mut found = Self::default();
        let links = links(field);
        for link in links.iter().take(MOST) {
            let fits = |url: &Url| is_web(url) && !is_downgrade(base, url);
            let Some(url) = base.join(link.target).ok().filter(fits) else { continue };
            if link.is("duplicate") {
                found.mirrors.push(Mirror::announced(url, link.priority()));
            } else if link.is("describedby") && link.value("type") == Some(METALINK) {
                found.metalink.get_or_insert(url);
            }
        }
        found.mirrors.sort_by_key(|mirror| mirror.priority);
        found
    }
}

/// Whether a server would lead its client from `https` to `http`.
fn is_downgrade(from: &Url, to: &Url) -> bool {
    from.scheme() == "https" && to.scheme() == "http"
}

/// One link and its parameters.
struct Link<'a> {
    target: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Link<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let find = |(key, _): &&(&str, &str)| key.eq_ignore_ascii_case(name);
        self.parameters.iter().find(find).map(|(_, value)| *value)
    }

    fn is(&self, relation: &str) -> bool {
        let mut relations = self.value("rel").unwrap_or_default().split_ascii_whitespace();
        relations.any(|own| own.eq_ignore_ascii_case(relation))
    }

    /// RFC 6249 §3.1, §3.3: `pri` from 1 to 999999; `pref` marks what goes before all others.
    fn priority(&self) -> u32 {
        let stated = self.value("pri").and_then(|pri| pri.parse().ok());
        let priority = stated.filter(|pri| (1..=LAST).contains(pri)).unwrap_or(LAST);
        if self.value("pref").is_some() { 1 } else { priority + 1 }
    }
}

/// The links of a field (RFC 8288 §3), up to the first that is malformed.
fn links(mut rest: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let target = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let Some((target, mut tail)) = target else { return links };
        let mut parameters = Vec::new();
        while let Some(more) = tail.trim_start().strip_prefix(';') {
            let (parameter, after) = parameter(more);
            parameters.push(parameter);
            tail = after;
        }
        links.push(Link { target: target.trim(), parameters });
        rest = tail;
    }
}

/// `name`, `name=token` or `name="text"`, and what follows it.
fn parameter(text: &str) -> ((&str, &str), &str) {
    let end = text.find([';', ',', '=']).unwrap_or(text.len());
    let (name, rest) = (text[..end].trim(), &text[end..]);
    let Some(value) = rest.strip_prefix('=').map(str::trim_start) else {
        return ((name, ""), rest);
    };
    if let Some((quoted, after)) = value.strip_prefix('"').and_then(|text| text.split_once('"')) {
        return ((name, quoted), after);
    }
    let end = value.find([';', ',']).unwrap_or(value.len());
    ((name, value[..end].trim()), &value[end..])
}

/// RFC 5854 §7.
pub(crate) const METALINK: &str = "application/metalink4+xml";

/// The last priority there is.
const LAST: u32 = 999_999;

/// How many links are looked at.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(field: &str) -> (Vec<String>, Option<String>) {
        from("http://h/d/f.iso", field)
    }

    fn from(base: &str, field: &str) -> (Vec<String>, Option<String>) {
        let links = Links::parse(field, &base.parse().unwrap());
        let mirrors = links.mirrors.iter().map(|mirror| mirror.url.to_string()).collect();
        (mirrors, links.metalink.map(Into::into))
    }

    #[test]
    fn duplicates_come_by_preference_and_priority() {
        let field = "<http://c/f>; rel=duplicate, <http://b/f>;rel=\"x Duplicate\";pri=9; geo=de,\
            <http://a/f>; rel=duplicate; pri=2, </f2>; REL=duplicate; pref, <ftp://e/f>; rel=duplicate,\
            <http://d/f>; rel=next, <f.iso.meta4>; rel=describedby; type=\"application/metalink4+xml\",\
            <f.asc>; rel=describedby; type=\"application/pgp-signature\"";
        let (mirrors, metalink) = parsed(field);
        assert_eq!(mirrors, ["http://h/f2", "http://a/f", "http://b/f", "http://c/f"]);
        assert_eq!(metalink.as_deref(), Some("http://h/d/f.iso.meta4"));
    }

    #[test]
    fn commas_and_semicolons_inside_a_link_are_its_own() {
        let (mirrors, _) = parsed(
            "<http://a/f;x,y>; title=\"a;b,<c>\"; rel=duplicate,<http://b/f> ; rel = duplicate",
        );
        assert_eq!(mirrors, ["http://a/f;x,y", "http://b/f"]);
        for malformed in ["", "<", "<a", "a", "<http://a/f", ";;;", "<http://a/f>; rel=\"duplicate"]
        {
            assert_eq!(parsed(malformed).0.len(), 0, "{malformed}");
        }
    }

    #[test]
    fn a_secure_origin_leads_to_secure_mirrors_only() {
        let field = "<http://a/f>; rel=duplicate, <https://b/f>; rel=duplicate, <c>; rel=duplicate";
        assert_eq!(from("https://h/f", field).0, ["https://b/f", "https://h/c"]);
    }

    proptest! {
        #[test]
        fn no_field_makes_the_parser_panic(field in "(<|>|;|,|=|\"|rel=duplicate|pri=|http://a/| |é){0,30}") {
            parsed(&field);
        }
    }
}
