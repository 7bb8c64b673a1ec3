//! What owners have said yes to: the file `grants` of haul's home.

mod book;

pub(crate) use book::{JobId, Key};

use super::book::{Known, Role, Trust};
use super::file;
use crate::helper::policy::{Cares, DAY, Moment};
use crate::helper::{Lasts, Request};
use crate::home::files;
use crate::{Error, ErrorKind, Home};
use book::Book;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How long a yes lasts that does not say more, in seconds.
const TWO_HOURS: i64 = 2 * 3600;

/// A person's yes, for as long as it lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The name that the leader gave itself.
    pub leader: String,
    /// The leader's id: 64 hexadecimal digits.
    pub leader_id: String,
    /// What it covers.
    #[serde(flatten)]
    pub covers: Covers,
    /// When it was given, in seconds since 1970-01-01 00:00 UTC.
    pub made: i64,
    /// When it ends, in the same seconds.
    pub until: i64,
    /// How often help was given under it.
    pub files: u64,
    /// Bytes that were received under it.
    pub bytes: u64,
    /// What called for a person when it was given.
    #[serde(skip)]
    pub(crate) cares: Cares,
}

/// What a yes covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "covers", rename_all = "lowercase")]
pub enum Covers {
    /// All that its leader asks for.
    All,
    /// One file, as far as the owner was told which.
    File {
        /// `http` or `https`.
        scheme: String,
        /// The host that it comes from.
        host: String,
        /// Its length, in bytes.
        size: u64,
    },
}

impl Covers {
    /// The file that a request is about.
    pub(crate) fn file(request: &Request) -> Self {
        let Request { scheme, host, size, .. } = request;
        Self::File { scheme: (*scheme).to_owned(), host: host.clone(), size: *size }
    }
}

/// What a yes is sought for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sought<'a> {
    /// This file.
    File(&'a Covers),
    /// A leader that names no file.
    NoFile,
    /// A leader that has named a file before.
    SomeFile,
}

impl Sought<'_> {
    /// Whether a yes that covers this is one.
    fn is_in(self, covers: &Covers) -> bool {
        match self {
            _ if *covers == Covers::All => true,
            Self::File(file) => file == covers,
            Self::NoFile => false,
            Self::SomeFile => true,
        }
    }
}

impl Grant {
    /// A yes to this request that begins now.
    pub(crate) fn to(request: &Request, lasts: Lasts, cares: Cares, now: Moment) -> Self {
        let (covers, seconds) = match lasts {
            Lasts::File => (Covers::file(request), TWO_HOURS),
            Lasts::TwoHours => (Covers::All, TWO_HOURS),
            Lasts::Today => (Covers::All, DAY - now.local().rem_euclid(DAY)),
        };
        Self {
            leader: request.leader.chars().filter(|c| !c.is_control()).collect(),
            leader_id: request.leader_id.clone(),
            covers,
            made: now.unix,
            until: now.unix.saturating_add(seconds),
            files: 0,
            bytes: 0,
            cares,
        }
    }

    /// Until when it holds, as the clock on the wall shows it.
    pub(crate) fn said(&self, offset: i32) -> String {
        let minute = Moment { unix: self.until, offset }.minute();
        let until = match minute {
            0 => "midnight".to_owned(),
            _ => format!("{:02}:{:02}", minute / 60, minute % 60),
        };
        match self.covers {
            Covers::All => format!("granted until {until}"),
            Covers::File { .. } => format!("this file is granted until {until}"),
        }
    }
}

/// What a leader had that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// As what it was known, if it was.
    pub known: Option<Known>,
    /// What was granted to it.
    pub granted: Vec<Grant>,
}

/// The file, which is the truth: it is read whenever somebody asks, and replaced whole.
#[derive(Clone, Debug)]
pub(crate) struct Grants(Home);

impl Grants {
    pub(crate) fn of(home: &Home) -> Self {
        Self(home.clone())
    }

    /// What it says. What cannot be read says nothing.
    pub(crate) fn read(&self) -> Book {
        let read = self.try_read();
        read.inspect_err(|error| tracing::warn!(%error, "no yes of before counts"))
            .unwrap_or_default()
    }

    fn try_read(&self) -> Result<Book, Error> {
        let path = self.path();
        let bytes = files::read(&path).map_err(|error| file::failed(&path, &error))?;
        Ok(Book::parse(&bytes.unwrap_or_default()))
    }

    /// Changes what it says; nothing is written where that changes nothing.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut Book) -> T) -> Result<T, Error> {
        let _alone = file::lock(&self.0)?;
        let before = self.try_read()?;
        let mut book = before.clone();
        let made = how(&mut book);
        if book != before {
            file::replace(&self.path(), &book.to_string())?;
        }
        Ok(made)
    }

    fn path(&self) -> PathBuf {
        self.0.folder().join("grants")
    }
}

impl Trust {
    /// The yeses to leaders that hold at this moment, in the order in which they were given.
    pub fn granted(&self) -> Result<Vec<Grant>, Error> {
        let now = jiff::Timestamp::now().as_second();
        let book = Grants::of(self.home()).try_read()?;
        Ok(book.holding(now).cloned().collect())
    }

    /// Takes back every yes to the leader of this name or id, or whose id begins so. A helper that
    /// runs ends what is under way because of it within a second, or at once if it is told
    /// [`Review`](crate::control::Command::Review).
    pub fn take_back(&self, who: &str) -> Result<Vec<Grant>, Error> {
        self.take_back_from(&self.granted_to(who)?)
    }

    /// Forgets the leader of this name, as it is known or as it calls itself, or of this id, or
    /// whose id begins so, and takes back every yes to it, as [`Self::take_back`] does. An error is
    /// of either; what could be undone is undone.
    pub fn forget_leader(&self, who: &str) -> Result<Forgotten, Error> {
        let (id, known) = match self.forget(Role::Leader, who) {
            Ok(known) => (known.id.clone(), Some(known)),
            Err(unknown) => {
                // Whoever is not known by this name may be granted something by it.
                let is_usage = |error: &Error| error.kind() == ErrorKind::Usage;
                let granted = self.granted_to(who);
                let id = granted.map_err(|error| if is_usage(&error) { unknown } else { error })?;
                (id, None)
            }
        };
        let granted = self.take_back_from(&id)?;
        let is_known = |one: &Known| one.role == Role::Leader && one.id == id;
        let known = match known {
            None if self.list()?.iter().any(is_known) => Some(self.forget(Role::Leader, &id)?),
            known => known,
        };
        Ok(Forgotten { known, granted })
    }

    /// The id of the leader that something is granted to.
    fn granted_to(&self, who: &str) -> Result<String, Error> {
        let granted = self.granted()?;
        let named = granted.iter().map(|grant| (&*grant.leader, &*grant.leader_id));
        super::one_of(named, who, "nothing is granted to").map(ToOwned::to_owned)
    }

    fn take_back_from(&self, leader_id: &str) -> Result<Vec<Grant>, Error> {
        Grants::of(self.home()).change(|book| book.take_back(|grant| grant.leader_id == leader_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Standing;
    use std::fs;
    use tempfile::TempDir;

    fn id(byte: &str) -> String {
        byte.repeat(32)
    }

    /// Trust in which a leader is known as Büro 3 and has been granted something as asha, and a
    /// stranger called ben has been, too.
    fn trust() -> (TempDir, Trust) {
        let folder = TempDir::new().unwrap();
        let trust = Trust::of(&Home::at(folder.path().join("home")));
        trust.add(Role::Leader, &id("01"), "Büro 3").unwrap();
        let now = Moment { unix: jiff::Timestamp::now().as_second(), offset: 0 };
        for (leader, byte) in [("asha", "01"), ("ben", "02")] {
            let request = Request {
                leader: leader.into(),
                leader_id: id(byte),
                standing: Standing::Stranger,
                code: "418 207".into(),
                scheme: "https",
                host: "a.test".into(),
                size: 7,
            };
            let grant = Grant::to(&request, Lasts::TwoHours, Cares::default(), now);
            Grants::of(trust.home()).change(|book| book.give(grant)).unwrap();
        }
        (folder, trust)
    }

    #[test]
    fn trust_forgets_a_leader_and_every_yes_to_it_by_whichever_name() {
        for who in ["Büro 3", "asha", &id("01"), &id("01")[..8]] {
            let (_folder, trust) = trust();
            let forgotten = trust.forget_leader(who).unwrap();
            assert_eq!(forgotten.known.unwrap().name, "Büro 3", "{who}");
            assert_eq!(forgotten.granted[0].leader, "asha", "{who}");
            assert_eq!(trust.list().unwrap(), [], "{who}");
            assert_eq!(trust.granted().unwrap().len(), 1, "{who}");
        }
        let (_folder, trust) = trust();
        assert_eq!(trust.forget_leader("ben").unwrap().known, None);
        assert!(trust.forget_leader("chi").unwrap_err().because().contains("known as `chi`"));
    }

    #[test]
    fn trust_says_when_the_yeses_to_a_leader_could_not_be_taken_back() {
        let (_folder, trust) = trust();
        let path = Grants::of(trust.home()).path();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = trust.forget_leader("Büro 3").unwrap_err();
        assert_ne!(error.kind(), ErrorKind::Usage, "{error}");
        assert_eq!(trust.list().unwrap(), [], "it is forgotten all the same");
    }
}
