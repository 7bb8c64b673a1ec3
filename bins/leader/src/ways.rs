//! The arguments that say by which ways the file is fetched.

use haul::{Error, LeaderBuilder};
use std::path::{Path, PathBuf};
use std::{env, fs};

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

    /// Send the cookies in this file, in Netscape's format; the download then runs without helpers
    #[arg(long, value_name = "FILE")]
    load_cookies: Option<PathBuf>,
}

/// What the files say that hold secrets.
pub(crate) struct Secrets {
    netrc: Option<String>,
    cookies: Option<String>,
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
        Ok(leader)
    }

    /// Reads the files that say who asks.
    pub(crate) fn secrets(&self) -> Result<Secrets, Error> {
        let netrc = self.netrc_path()?.map(|path| private(&path)).transpose()?;
        let cookies = self.load_cookies.as_deref().map(private).transpose()?;
        Ok(Secrets { netrc, cookies })
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
