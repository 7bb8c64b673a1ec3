//! The arguments that say by which ways the file is fetched.

use haul::{Error, LeaderBuilder};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Ways {
    /// Read from this address of the same file too; may be given several times
    #[arg(long, value_name = "URL")]
    mirror: Vec<String>,

    /// Take what the address leads to for a Metalink, if it says that it is one
    #[arg(long)]
    pub(crate) metalink: bool,

    /// Go through this proxy: http, https, socks5 or socks5h, and not those of the environment;
    /// helpers go through none
    #[arg(
        long,
        value_name = "[SCHEME://][USER:PASSWORD@]HOST[:PORT]",
        conflicts_with = "no_proxy"
    )]
    proxy: Option<String>,

    /// Go through no proxy, whatever the environment says
    #[arg(long)]
    no_proxy: bool,

    /// Let servers on the internet lead to addresses of this machine and its networks, by redirects,
    /// mirrors, Metalinks and checksums; an address that you name yourself needs no leave
    #[arg(long)]
    allow_private: bool,

    /// Speak HTTP/2 with an origin that offers it; helpers speak HTTP/1.1
    #[arg(long)]
    http2: bool,

    /// Sign in with ~/.netrc, or the file that NETRC names; the download then runs without helpers
    #[arg(long)]
    netrc: bool,

    /// Sign in with this netrc file
    #[arg(long, value_name = "FILE")]
    netrc_file: Option<PathBuf>,

    /// Send this header to the origin, or those in a file with @FILE, one a line, or on standard
    /// input with @-; `HAUL_HEADERS` may hold such lines too. Secrets that are typed here are seen in
    /// the list of processes until haul has hidden them, those of a file or the environment never.
    /// They are not kept, and the download runs without helpers
    #[arg(
        short = 'H',
        long = "header",
        value_name = "NAME: VALUE|@FILE",
        value_parser = Header::parse
    )]
    headers: Vec<Header>,

    /// Send the cookies in this file, in Netscape's format; the download then runs without helpers
    #[arg(long, value_name = "FILE")]
    load_cookies: Option<PathBuf>,
}

/// The variable of the environment that holds headers, one a line.
const HEADERS: &str = "HAUL_HEADERS";

/// What the files and the environment say that hold secrets.
pub(crate) struct Secrets {
    netrc: Option<String>,
    cookies: Option<String>,
    headers: Vec<(String, String)>,
}

/// What `-H` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Header {
    Given(String, String),
    /// One a line, on standard input if it is `-`.
    File(PathBuf),
}

impl Header {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(file) = text.strip_prefix('@') {
            return Ok(Self::File(file.into()));
        }
        let (name, value) = header(text).ok_or("write it as `Name: value`, or as @FILE")?;
        Ok(Self::Given(name, value))
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.trim().to_owned(), value.trim().to_owned()))
}

/// The headers of a text that has one a line; no error tells what stands there.
fn headers(text: &str, place: &str) -> Result<Vec<(String, String)>, Error> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| {
        let unclear = || Error::usage(format!("{place}, line {number}: write `Name: value`"));
        header(line).ok_or_else(unclear)
    });
    read.collect()
}

impl Ways {
    /// A download that goes these ways.
    pub(crate) fn apply(
        &self,
        secrets: &Secrets,
        mut leader: LeaderBuilder,
    ) -> Result<LeaderBuilder, Error> {
        for mirror in &self.mirror {
            leader = leader.mirror(address(mirror)?);
        }
        leader = match &self.proxy {
            Some(proxy) => leader.proxy(proxy),
            None if self.no_proxy => leader,
            None => leader.proxies_from_env(),
        };
        if self.http2 {
            leader = leader.http2();
        }
        if self.allow_private {
            leader = leader.allow_private();
        }
        if let Some(text) = &secrets.netrc {
            leader = leader.netrc(text);
        }
        if let Some(text) = &secrets.cookies {
            leader = leader.cookies(text);
        }
        let headers = secrets.headers.iter();
        Ok(headers.fold(leader, |leader, (name, value)| leader.header(name, value)))
    }

    /// Reads the files that say who asks.
    pub(crate) fn secrets(&self) -> Result<Secrets, Error> {
        let netrc = self.netrc_path()?.map(|path| private(&path)).transpose()?;
        let cookies = self.load_cookies.as_deref().map(private).transpose()?;
        Ok(Secrets { netrc, cookies, headers: self.headers()? })
    }

    /// Whether standard input holds headers.
    pub(crate) fn read_input(&self) -> bool {
        let is_input = |header: &Header| *header == Header::File("-".into());
        self.headers.iter().any(is_input)
    }

    /// The headers of the environment, and then those of the arguments.
    fn headers(&self) -> Result<Vec<(String, String)>, Error> {
        let in_environment = env::var(HEADERS).unwrap_or_default();
        let mut all = headers(&in_environment, HEADERS)?;
        for given in &self.headers {
            match given {
                Header::Given(name, value) => all.push((name.clone(), value.clone())),
                Header::File(path) if path.as_os_str() == "-" => {
                    let text = io::read_to_string(io::stdin());
                    let text = text.map_err(|error| {
                        Error::usage(format!("the headers on standard input: {error}"))
                    })?;
                    all.extend(headers(&text, "standard input")?);
                }
                Header::File(path) => {
                    all.extend(headers(&private(path)?, &path.display().to_string())?);
                }
            }
        }
        Ok(all)
    }

    fn netrc_path(&self) -> Result<Option<PathBuf>, Error> {
        if self.netrc_file.is_some() || !self.netrc {
            return Ok(self.netrc_file.clone());
        }
        let named = env::var_os("NETRC").map(PathBuf::from);
        let at_home = || Some(env::home_dir()?.join(".netrc"));
        let path = named.or_else(at_home);
        path.map(Some).ok_or_else(|| Error::usage("there is no home folder with a .netrc in it"))
    }
}

/// An address that somebody typed.
pub(crate) fn address(text: &str) -> Result<haul::Url, Error> {
    text.parse().map_err(|error| {
        Error::usage(format!(
            "`{text}` is no address: {error}; one looks like https://example.org/file.iso"
        ))
    })
}

/// The text of a file that is nobody else's business, with a warning if others can read it.
fn private(path: &Path) -> Result<String, Error> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("{}: {error}", path.display())))?;
    if is_open_to_others(path) {
        let path = path.display();
        eprintln!("warning: others can read {path}; `chmod 600 {path}` keeps it to yourself");
    }
    Ok(text)
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_one_a_line_and_no_fault_tells_a_secret() {
        let read = headers("A: b\r\n\n  Authorization:Bearer x:y \n", "here").unwrap();
        let wanted = [("A", "b"), ("Authorization", "Bearer x:y")];
        assert_eq!(read, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let error = headers("A: b\nsesam\n", "here").unwrap_err();
        assert!(error.because().contains("line 2") && !error.because().contains("sesam"));
    }

    #[test]
    fn an_argument_is_a_header_or_names_a_file() {
        assert_eq!(Header::parse("@a: b"), Ok(Header::File("a: b".into())));
        assert_eq!(Header::parse(" A : b "), Ok(Header::Given("A".into(), "b".into())));
        Header::parse("sesam").unwrap_err();
    }
}
