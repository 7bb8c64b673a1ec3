use crate::Error;
use hyper::header::HeaderValue;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};
use url::{Host, Url};

/// Cookies that were saved by a browser or by curl. None is taken from a server.
///
/// `Debug` shows none of them.
#[derive(Clone, Default)]
pub struct Cookies(Vec<Cookie>);

#[derive(Clone)]
struct Cookie {
    /// In lower case, without a leading dot.
    domain: String,
    /// Names below the domain get it too.
    below: bool,
    path: String,
    secure: bool,
    /// Seconds since 1970; nothing for the end of a session that haul cannot know of.
    expires: Option<u64>,
    name: String,
    value: String,
}

impl Cookies {
    /// Reads Netscape's format: a line per cookie with its domain, whether names below it get it,
    /// its path, whether it is for `https` only, its end in seconds since 1970, its name and its
    /// value, with tabs between them.
    ///
    /// Fails on a line that is none of this, an empty line or a comment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !is_comment(line));
        let cookies = lines.map(|(number, line)| {
            Cookie::parse(line).ok_or_else(|| Error::Input {
                what: "cookies file",
                why: format!("line {number} is not of Netscape's format"),
            })
        });
        Ok(Self(cookies.collect::<Result<_, _>>()?))
    }

    /// The cookies for a request (RFC 6265 §5.4): longer paths come first.
    pub(crate) fn header(&self, url: &Url, now: SystemTime) -> Option<HeaderValue> {
        let mut fit: Vec<&Cookie> = self.0.iter().filter(|cookie| cookie.fits(url, now)).collect();
        fit.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = fit.iter().map(|cookie| cookie.pair()).collect();
        let mut value = HeaderValue::from_str(&pairs.join("; ")).ok()?;
        value.set_sensitive(true);
        (!pairs.is_empty()).then_some(value)
    }
}

/// Cookies that scripts may not see stand behind what looks like a comment.
const HTTP_ONLY: &str = "#HttpOnly_";

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || (line.starts_with('#') && !line.starts_with(HTTP_ONLY))
}

impl Cookie {
    fn parse(line: &str) -> Option<Self> {
        let line = line.strip_prefix(HTTP_ONLY).unwrap_or(line);
        let mut fields = line.split('\t');
        let domain = fields.next()?.trim();
        let below = flag(fields.next()?)?;
        let path = fields.next()?.to_owned();
        let secure = flag(fields.next()?)?;
        let expires: u64 = fields.next()?.trim().parse().ok()?;
        let name = fields.next()?.to_owned();
        // Some programs leave out an empty value.
        let value = fields.next().unwrap_or_default().trim_end().to_owned();
        let domain = domain.strip_prefix('.').unwrap_or(domain).to_lowercase();
        let fine = !domain.is_empty() && path.starts_with('/') && fields.next().is_none();
        let expires = (expires != 0).then_some(expires);
        fine.then_some(Self { domain, below, path, secure, expires, name, value })
    }

    fn fits(&self, url: &Url, now: SystemTime) -> bool {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.fits_host(url)
            && self.fits_path(url.path())
            && (!self.secure || url.scheme() == "https")
            && self.expires.is_none_or(|end| seconds < end)
    }

    /// RFC 6265 §5.1.3; an address has nothing below it.
    fn fits_host(&self, url: &Url) -> bool {
        let same = url.host_str().is_some_and(|host| host == self.domain);
        let Some(Host::Domain(host)) = url.host() else { return same };
        let above = host.strip_suffix(&self.domain);
        same || (self.below && above.is_some_and(|above| above.ends_with('.')))
    }

    /// RFC 6265 §5.1.4.
    fn fits_path(&self, path: &str) -> bool {
        path.strip_prefix(&self.path).is_some_and(|below| {
            below.is_empty() || self.path.ends_with('/') || below.starts_with('/')
        })
    }

    fn pair(&self) -> String {
        if self.name.is_empty() {
            self.value.clone()
        } else {
            format!("{}={}", self.name, self.value)
        }
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        yes if yes.eq_ignore_ascii_case("true") => Some(true),
        no if no.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookies({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const FILE: &str = "# Netscape HTTP Cookie File\n\n\
        .example.org\tTRUE\t/\tFALSE\t0\tall\t1\n\
        example.org\tFALSE\t/\tFALSE\t0\tonly\t2\r\n\
        #HttpOnly_.example.org\tTRUE\t/deep\tTRUE\t2000\tsafe\tx=y z\n\
        10.0.0.1\tTRUE\t/\tFALSE\t0\tip\t\n\
        .example.org\tTRUE\t/\tFALSE\t1000\told\t3\n";

    fn sent(url: &str, now: u64) -> String {
        let now = UNIX_EPOCH + Duration::from_secs(now);
        let header = Cookies::parse(FILE).unwrap().header(&url.parse().unwrap(), now);
        header.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_goes_where_its_domain_path_and_scheme_are() {
        for (url, cookies) in [
            ("http://example.org/", "all=1; only=2"),
            ("http://EXAMPLE.org./", ""),
            ("http://a.example.org/", "all=1"),
            ("http://badexample.org/", ""),
            ("http://org/", ""),
            ("https://example.org/deep", "safe=x=y z; all=1; only=2"),
            ("https://example.org/deep/er", "safe=x=y z; all=1; only=2"),
            ("https://example.org/deeper", "all=1; only=2"),
            ("http://example.org/deep", "all=1; only=2"),
            ("http://10.0.0.1/", "ip="),
            ("http://110.0.0.1/", ""),
        ] {
            assert_eq!(sent(url, 1500), cookies, "{url}");
        }
    }

    #[test]
    fn a_cookie_ends_when_it_says() {
        assert_eq!(sent("http://a.example.org/", 999), "all=1; old=3");
        assert_eq!(sent("http://a.example.org/", 1000), "all=1");
        assert_eq!(sent("https://a.example.org/deep", 2000), "all=1");
    }

    #[test]
    fn a_line_of_another_kind_is_told_by_its_number() {
        for line in ["a", "a\tTRUE\t/", "a\tYES\t/\tFALSE\t0\tn\tv", "a\tTRUE\t/\tFALSE\tx\tn\tv"] {
            let told = Cookies::parse(&format!("# c\n\n{line}\n")).unwrap_err().to_string();
            assert!(told.contains("line 3"), "{told}");
        }
        let smuggled = "h\tTRUE\t/\tFALSE\t0\tn\tv\u{b}\u{1}";
        let cookies = Cookies::parse(smuggled).unwrap();
        assert_eq!(cookies.header(&"http://h/".parse().unwrap(), UNIX_EPOCH), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(\t|TRUE|FALSE|/|#HttpOnly_|0|\n|é|a){0,30}") {
            if let Ok(cookies) = Cookies::parse(&text) {
                cookies.header(&"http://a/".parse().unwrap(), UNIX_EPOCH);
            }
        }
    }
}
