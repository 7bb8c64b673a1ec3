use super::file;
use super::pairing::{Attempts, Unpaired};
use crate::helper::Request;
use crate::{Error, ErrorKind, Home};
use haul_link::{PeerId, resemble};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// How long a name may be, in characters.
const NAME_MOST: usize = 32;

/// The machines that this installation knows, kept in the file `known` of its home.
///
/// The file has one machine a line: `leader` or `helper`, which is what it is trusted as; its id,
/// 64 hexadecimal digits; when it was added, in seconds since 1970 in UTC; and the name that its
/// owner here gave it. Lines that begin with `#` and empty ones say nothing. It is replaced whole,
/// and only its owner may read it. Cheap to clone; clones share what was typed wrong.
#[derive(Clone, Debug)]
pub struct Trust {
    home: Home,
    attempts: Arc<Mutex<Attempts>>,
}

/// What a machine is trusted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It may be helped without a question.
    Leader,
    /// It is one of ours.
    Helper,
}

/// A machine that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Known {
    /// What it is trusted as.
    pub role: Role,
    /// The SHA-256 of its key: 64 hexadecimal digits.
    pub id: String,
    /// What it is called here, which need not be how it calls itself.
    pub name: String,
    /// When it was added, in seconds since 1970 in UTC.
    pub added: u64,
}

/// Who another machine is to this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Standing {
    /// Nobody that is known.
    Stranger,
    /// A stranger that goes by the name of a known machine, but has another key.
    Namesake,
    /// A machine that has proved to hold the group's key.
    Group,
    /// A machine whose key is known.
    Known {
        /// What it is called here.
        #[serde(rename = "known_as")]
        name: String,
    },
}

impl Standing {
    /// Whether it is known or of the group.
    pub const fn is_trusted(&self) -> bool {
        matches!(self, Self::Known { .. } | Self::Group)
    }
}

impl Trust {
    /// The machines that this home knows. Nothing is read before it is asked for.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone(), attempts: Arc::default() }
    }

    /// All of them, in the order in which they were added.
    pub fn list(&self) -> Result<Vec<Known>, Error> {
        let text = file::read(&self.path())?;
        Ok(text.lines().filter_map(parse).collect())
    }

    /// Gets to know a machine under a name that no other one has in this role.
    pub fn add(&self, role: Role, id: &str, name: &str) -> Result<Known, Error> {
        let id: PeerId = id.parse().map_err(|error| unclear(format!("`{id}`: {error}")))?;
        let name = plain_name(name)?;
        let added = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let known = Known { role, id: id.to_string(), name, added };
        self.change(|all| {
            all.retain(|other| other.role != role || other.id != known.id);
            is_free(all, &known)?;
            all.push(known.clone());
            Ok(known)
        })
    }

    /// Forgets the machine of this name or id, or whose id begins so.
    pub fn forget(&self, role: Role, who: &str) -> Result<Known, Error> {
        self.change(|all| {
            let at = find(all, role, who)?;
            Ok(all.remove(at))
        })
    }

    /// Calls the machine of this name or id another name from now on.
    pub fn rename(&self, role: Role, who: &str, name: &str) -> Result<Known, Error> {
        let name = plain_name(name)?;
        self.change(|all| {
            let at = find(all, role, who)?;
            let mut renamed = all.remove(at);
            renamed.name = name;
            is_free(all, &renamed)?;
            all.insert(at, renamed.clone());
            Ok(renamed)
        })
    }

    /// Gets to know the leader of a request, if what was typed is the code that its screen shows.
    ///
    /// After three wrong codes no code is taken for ten minutes, whoever asks, so that nobody in
    /// the middle gets more than three guesses in a million.
    pub fn pair(&self, request: &Request, typed: &str) -> Result<Known, Unpaired> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).attempt(
            Instant::now(),
            &request.code,
            typed,
        )?;
        self.add(Role::Leader, &request.leader_id, &request.leader)
            .or_else(|_| self.add(Role::Leader, &request.leader_id, &distinct(request)))
            .map_err(Unpaired::NotKept)
    }

    /// Whether a machine of this id is known. What cannot be read knows nobody.
    pub(crate) fn knows(&self, role: Role, id: PeerId) -> bool {
        let id = id.to_string();
        let all = self.list().unwrap_or_default();
        all.iter().any(|known| known.role == role && known.id == id)
    }

    /// Who the machine with this id, that gives itself this name, is. What cannot be read knows
    /// nobody.
    pub(crate) fn standing(&self, role: Role, id: PeerId, name: &str, group: bool) -> Standing {
        let all = self.list().unwrap_or_default();
        let mut fitting = all.into_iter().filter(|known| known.role == role);
        let id = id.to_string();
        let same = |known: &Known| known.id == id || resemble(&known.name, name);
        match fitting.by_ref().filter(same).max_by_key(|known| known.id == id) {
            Some(known) if known.id == id => Standing::Known { name: known.name },
            _ if group => Standing::Group,
            Some(_) => Standing::Namesake,
            None => Standing::Stranger,
        }
    }

    /// Whose trust it is.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    fn path(&self) -> std::path::PathBuf {
        self.home.folder().join("known")
    }

    fn change<T>(&self, how: impl FnOnce(&mut Vec<Known>) -> Result<T, Error>) -> Result<T, Error> {
        let _alone = file::lock(&self.home)?;
        let mut all = self.list()?;
        let made = how(&mut all)?;
        let lines = all.iter().map(line).collect::<String>();
        file::replace(&self.path(), &lines)?;
        Ok(made)
    }
}

fn line(known: &Known) -> String {
    let Known { role, id, name, added } = known;
    let role = if *role == Role::Leader { "leader" } else { "helper" };
    format!("{role} {id} {added} {name}\n")
}

fn parse(line: &str) -> Option<Known> {
    let mut words = line.trim().splitn(4, ' ');
    let role = match words.next()? {
        "leader" => Role::Leader,
        "helper" => Role::Helper,
        _ => return None,
    };
    let id: PeerId = words.next()?.parse().ok()?;
    let added = words.next()?.parse().ok()?;
    Some(Known { role, id: id.to_string(), name: words.next()?.to_owned(), added })
}

/// The machine that is meant, which must be one only.
fn find(all: &[Known], role: Role, who: &str) -> Result<usize, Error> {
    let named = |known: &Known| known.name == who || known.id == who;
    let begun = |known: &Known| who.len() >= 8 && known.id.starts_with(who);
    let fitting: Vec<usize> = (0..all.len())
        .filter(|&at| all[at].role == role && (named(&all[at]) || begun(&all[at])))
        .collect();
    match fitting[..] {
        [one] => Ok(one),
        [] => Err(unclear(format!("nobody is known as `{who}`"))),
        _ => Err(unclear(format!("several machines are meant by `{who}`"))),
    }
}

fn is_free(all: &[Known], wanted: &Known) -> Result<(), Error> {
    let taken = |other: &&Known| other.role == wanted.role && resemble(&other.name, &wanted.name);
    match all.iter().find(taken) {
        Some(other) => {
            let short = &other.id[..8];
            Err(unclear(format!("{} is known already, with the id {short}…", other.name)))
        }
        None => Ok(()),
    }
}

/// A name for a leader whose own name is another's here.
fn distinct(request: &Request) -> String {
    let name: String = request.leader.chars().take(NAME_MOST - 9).collect();
    format!("{name} {}", &request.leader_id[..8])
}

fn plain_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let plain = |c: char| c.is_alphanumeric() || "-_. ".contains(c);
    let fits = (1..=NAME_MOST).contains(&name.chars().count()) && name.chars().all(plain);
    let fits = fits && name.chars().any(char::is_alphanumeric);
    fits.then(|| name.to_owned()).ok_or_else(|| {
        unclear(format!("a name is up to {NAME_MOST} letters, digits, spaces and - _ ."))
    })
}

fn unclear(because: String) -> Error {
    Error::new(ErrorKind::Usage, "the known machines stay as they were", because)
        .with_remedy("see what `trust list` says, and name a machine as it is written there")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn book() -> (TempDir, Trust) {
        let folder = TempDir::new().unwrap();
        let trust = Trust::of(&Home::at(folder.path().join("home")));
        (folder, trust)
    }

    fn id(byte: u8) -> String {
        PeerId([byte; 32]).to_string()
    }

    fn request(name: &str, byte: u8) -> Request {
        Request {
            leader: name.into(),
            leader_id: id(byte),
            standing: Standing::Stranger,
            code: "418 207".into(),
            scheme: "https",
            host: "example.org".into(),
            size: 1,
        }
    }

    #[test]
    fn what_was_added_renamed_and_forgotten_is_found_again() {
        let (_folder, trust) = book();
        assert_eq!(trust.list().unwrap(), []);
        trust.add(Role::Leader, &id(1), "Asha's laptop").unwrap_err();
        trust.add(Role::Leader, &id(1), "asha").unwrap();
        trust.add(Role::Helper, &id(1), "asha").unwrap();
        trust.add(Role::Leader, &id(2), "ben").unwrap();
        assert_eq!(trust.rename(Role::Leader, "ben", "Büro 3").unwrap().id, id(2));
        trust.rename(Role::Leader, &id(2)[..8], "ASHA").unwrap_err();
        assert_eq!(trust.forget(Role::Leader, &id(1)).unwrap().name, "asha");
        trust.forget(Role::Leader, "asha").unwrap_err();
        let left: Vec<_> =
            trust.list().unwrap().into_iter().map(|known| (known.role, known.name)).collect();
        assert_eq!(left, [(Role::Helper, "asha".into()), (Role::Leader, "Büro 3".into())]);
    }

    #[test]
    fn a_known_name_with_another_key_is_a_namesake_and_never_known() {
        let (_folder, trust) = book();
        trust.add(Role::Leader, &id(1), "asha").unwrap();
        let standing = |byte: u8, name: &str, group| {
            trust.standing(Role::Leader, PeerId([byte; 32]), name, group)
        };
        assert_eq!(standing(1, "whoever", false), Standing::Known { name: "asha".into() });
        for like in ["Asha.", "аshа", "as\u{3164}ha", "àsha", "ａｓｈａ"] {
            assert_eq!(standing(2, like, false), Standing::Namesake, "{like}");
        }
        assert_eq!(standing(2, "ben", false), Standing::Stranger);
        assert_eq!(standing(2, "asha", true), Standing::Group);
        let as_helper = trust.standing(Role::Helper, PeerId([1; 32]), "asha", false);
        assert_eq!(as_helper, Standing::Stranger, "known as a leader only");
    }

    #[test]
    fn the_leaders_code_makes_it_known_and_another_does_not() {
        let (_folder, trust) = book();
        let wrong = trust.pair(&request("asha", 1), "418208").unwrap_err();
        assert!(matches!(wrong, Unpaired::Wrong { left: 2 }), "{wrong}");
        assert_eq!(trust.pair(&request("asha", 1), " 418-207\n").unwrap().name, "asha");
        let second = trust.pair(&request("asha", 2), "418207").unwrap();
        assert_eq!(second.name, "asha 02020202", "the name was another's");
    }

    #[test]
    fn three_wrong_codes_close_pairing_for_everybody() {
        let (_folder, trust) = book();
        for byte in 1..=3 {
            trust.pair(&request("asha", byte), "000000").unwrap_err();
        }
        let closed = trust.clone().pair(&request("ben", 9), "418207").unwrap_err();
        assert!(matches!(closed, Unpaired::Closed { .. }), "{closed}");
        assert_eq!(trust.list().unwrap(), []);
    }

    #[test]
    #[cfg(unix)]
    fn only_its_owner_may_read_the_book_and_a_broken_line_is_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, trust) = book();
        trust.add(Role::Leader, &id(1), "asha").unwrap();
        let path = folder.path().join("home/known");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("# mine\n\nleader 00 1 ben\nfriend {text}{text}")).unwrap();
        assert_eq!(trust.list().unwrap().len(), 1);
    }
}
