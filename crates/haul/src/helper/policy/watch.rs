//! Where a policy comes from, and how a running helper follows its changes.

use super::file::{fields, parse};
use super::{Care, Mode, Policy, PolicyError, Rate};
use crate::home::files;
use crate::{ByteRate, Error, Home};
use haul_fetch::Cidr;
use std::fs;
use std::io::ErrorKind as IoErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Where a helper's policy comes from. Each layer covers those before it, field by field: safe
/// defaults, the owner's file, what was said for this run, and the organisation's file.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicySource {
    base: Policy,
    own: Option<OwnFile>,
    said: Said,
    managed: PathBuf,
}

#[derive(Clone, Debug)]
struct OwnFile {
    path: PathBuf,
    /// Whether it is an error that there is none.
    named: bool,
}

/// What was said for one run.
#[derive(Clone, Debug, Default)]
struct Said {
    mode: Option<Mode>,
    networks: Vec<Cidr>,
    rate: Option<ByteRate>,
}

/// Where an organisation puts its policy. No flag and no variable leads elsewhere, as whoever may
/// set those could then do without it.
const MANAGED: &str = "/etc/haul/policy.toml";

impl Default for PolicySource {
    fn default() -> Self {
        Self::fixed(Policy::default())
    }
}

impl PolicySource {
    /// This policy, under the organisation's.
    pub fn fixed(base: Policy) -> Self {
        Self { base, own: None, said: Said::default(), managed: MANAGED.into() }
    }

    /// The file `policy.toml` of haul's home, if there is one.
    pub fn of_home(home: &Home) -> Self {
        let own = OwnFile { path: own_file(home), named: false };
        Self { own: Some(own), ..Self::default() }
    }

    /// This file, which must be there.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { own: Some(OwnFile { path: path.into(), named: true }), ..Self::default() }
    }

    /// Decides about unknown leaders like this, whatever the owner's file says. With
    /// [`Mode::Always`] nobody is asked where something about the machine cannot be told.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.said.mode = Some(mode);
        self
    }

    /// Opens this network beside those that the file opens.
    pub fn allow_net(mut self, network: Cidr) -> Self {
        self.said.networks.push(network);
        self
    }

    /// Is no faster than this, whatever the file says.
    pub fn limit_rate(mut self, rate: ByteRate) -> Self {
        self.said.rate = Some(rate);
        self
    }

    /// Takes the organisation's policy from here, for programs that an organisation runs
    /// otherwise and for tests.
    pub fn managed_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.managed = path.into();
        self
    }

    /// Writes the file that explains every field to haul's home, unless there is a policy.
    pub fn write_template(home: &Home) -> Result<(), Error> {
        let path = own_file(home);
        let made = home.make().and_then(|()| files::create(&path, TEMPLATE.as_bytes()));
        match made {
            Err(error) if error.kind() != IoErrorKind::AlreadyExists => {
                let what = "the policy's first file could not be written";
                Err(files::failed(what, &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// The file of the owner's that is read, if one is.
    pub fn path(&self) -> Option<&Path> {
        self.own.as_ref().map(|own| own.path.as_path())
    }

    /// The owner's file, and the text that it has or would begin with; none if there is no file to
    /// this policy.
    pub(super) fn own_text(&self) -> Result<Option<(&Path, String)>, PolicyError> {
        let Some(OwnFile { path, named }) = &self.own else { return Ok(None) };
        let text = read_file(path, *named)?;
        Ok(Some((path, text.unwrap_or_else(|| TEMPLATE.to_owned()))))
    }

    /// The organisation's file, and its text if there is one.
    pub(super) fn managed_text(&self) -> Result<(&Path, Option<String>), PolicyError> {
        Ok((&self.managed, read_file(&self.managed, false)?))
    }

    /// The fields about which something else was said for this run.
    pub(super) fn said_fields(&self) -> Vec<&'static str> {
        let Said { mode, networks, rate } = &self.said;
        let said = [
            (mode.is_some(), "mode"),
            (!networks.is_empty(), "networks.allow"),
            (rate.is_some(), "limits.rate"),
        ];
        said.into_iter().filter(|(said, _)| *said).map(|(_, name)| name).collect()
    }

    fn read(&self) -> Result<InForce, PolicyError> {
        let mut policy = self.base.clone();
        if let Some(OwnFile { path, named }) = &self.own
            && let Some(text) = read_file(path, *named)?
        {
            parse(path, &text)?.lay_over(&mut policy);
        }
        self.said.lay_over(&mut policy);
        let mut managed = Vec::new();
        if let Some(text) = read_file(&self.managed, false)? {
            parse(&self.managed, &text)?.lay_over(&mut policy);
            managed = fields(&text);
        }
        Ok(InForce { policy, managed })
    }
}

impl Said {
    fn lay_over(&self, policy: &mut Policy) {
        policy.mode = self.mode.unwrap_or(policy.mode);
        // Whoever says so for one run wants help to be given with nobody there to be asked.
        if self.mode == Some(Mode::Always) && policy.unknown == Care::Ask {
            policy.unknown = Care::Allow;
        }
        policy.networks.extend(&self.networks);
        if let Some(said) = self.rate {
            policy.rate = narrowed(policy.rate, said);
        }
    }
}

/// The slower of the two, as far as that can be told beforehand.
fn narrowed(written: Rate, said: ByteRate) -> Rate {
    match written {
        Rate::Fixed(rate) if rate.bytes_per_second() < said.bytes_per_second() => written,
        Rate::Fixed(_) | Rate::Part(_) | Rate::Unlimited => Rate::Fixed(said),
    }
}

/// A policy, and which of its fields the organisation has set.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) policy: Policy,
    pub(crate) managed: Vec<String>,
}

/// The policy of a running helper: the last good one.
#[derive(Debug)]
pub(crate) struct Policies {
    source: PolicySource,
    in_force: Arc<InForce>,
    /// The files as they were read, and as they were last seen.
    read: [Stamp; 2],
    seen: [Stamp; 2],
    error: Option<PolicyError>,
}

/// What tells one version of a file from another; none without a file.
type Stamp = Option<(SystemTime, u64)>;

impl Policies {
    pub(crate) fn open(source: PolicySource) -> Result<Self, PolicyError> {
        let read = source.stamps();
        let in_force = Arc::new(source.read()?);
        Ok(Self { source, in_force, read, seen: read, error: None })
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force)
    }

    /// Why the newest version of the files is not in force.
    pub(crate) fn error(&self) -> Option<&PolicyError> {
        self.error.as_ref()
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.source.path()
    }

    /// Looks whether the files have changed, and reads them once they rest: what changed since the
    /// last look may be half written. `None` if there is nothing new.
    pub(crate) fn look(&mut self) -> Option<Result<(), PolicyError>> {
        let now = self.source.stamps();
        let rests = std::mem::replace(&mut self.seen, now) == now;
        if now == self.read || !rests {
            return None;
        }
        self.read = now;
        match self.source.reread() {
            Ok(in_force) => self.in_force = Arc::new(in_force),
            Err(error) => {
                self.error = Some(error.clone());
                return Some(Err(error));
            }
        }
        self.error = None;
        Some(Ok(()))
    }
}

impl PolicySource {
    fn stamps(&self) -> [Stamp; 2] {
        [self.path().and_then(stamp), stamp(&self.managed)]
    }

    /// Reads the files again; an owner's file that is gone is an error while the helper runs, as
    /// editors take a file away for a moment.
    fn reread(&self) -> Result<InForce, PolicyError> {
        let mut source = self.clone();
        if let Some(own) = &mut source.own {
            own.named = true;
        }
        source.read()
    }
}

fn own_file(home: &Home) -> PathBuf {
    home.folder().join("policy.toml")
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// The text of a file; none if there is no file and none is demanded.
fn read_file(path: &Path, demanded: bool) -> Result<Option<String>, PolicyError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > LARGEST => {
            return Err(PolicyError::unreadable(path, "it is larger than 1 MiB"));
        }
        _ => {}
    }
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == IoErrorKind::NotFound && !demanded => Ok(None),
        Err(error) => Err(PolicyError::unreadable(path, error)),
    }
}

/// No policy is longer, in bytes.
const LARGEST: u64 = 1 << 20;

/// The first policy file: every field, explained, at its default.
pub(super) const TEMPLATE: &str = include_str!("template.toml");

#[cfg(test)]
mod tests;
