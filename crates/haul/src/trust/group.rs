use super::file;
use crate::{Error, ErrorKind, Home};
use haul_link::{Group, GroupKey};
use serde::Serialize;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the keys of this installation's group are kept: the file `group.key` of its home.
///
/// It has one key a line, 64 hexadecimal digits; lines that begin with `#` and empty ones say
/// nothing. The first key is the one that this machine proves itself with, the second one is
/// accepted too, and there are no more than two. A file that anybody but its owner may read or change
/// is refused. The environment goes before the file: `HAUL_GROUP_KEY` holds the keys themselves,
/// `HAUL_GROUP_KEY_FILE` names another file. No key is ever an argument of a program, where everybody on the machine sees it.
#[derive(Clone, Debug)]
pub struct GroupFile {
    home: Home,
}

/// What a key is used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyUse {
    /// Which key: 16 hexadecimal digits, told to everybody.
    pub id: String,
    /// Whether this machine proves itself with it; it is accepted all the same.
    pub first: bool,
}

impl GroupFile {
    /// The file of this home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// The group that this machine belongs to: by its environment or else by the file.
    pub fn group(&self) -> Result<Option<Group>, Error> {
        self.group_in_environment(|name| env::var_os(name))
    }

    fn group_in_environment(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Group>, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(keys) = set("HAUL_GROUP_KEY") {
            return group_in(&keys.to_string_lossy(), "HAUL_GROUP_KEY");
        }
        let Some(path) = set("HAUL_GROUP_KEY_FILE") else { return group_at(&self.path()) };
        let group = group_at(Path::new(&path))?;
        // Whoever names a file means to be in a group.
        let none = || unclear(&format!("there is no key in {}", Path::new(&path).display()));
        group.ok_or_else(none).map(Some)
    }

    /// Makes a key: the first one, or else one that is accepted from now on.
    pub fn make(&self) -> Result<KeyUse, Error> {
        self.join(GroupKey::fresh())
    }

    /// Takes in a key that another machine made: as the first one, or else as one that is accepted
    /// from now on.
    pub fn join(&self, key: GroupKey) -> Result<KeyUse, Error> {
        let id = id_of(&key);
        let kept = self.change(|group| match group {
            None => Ok(Some(Group { first: key, second: None })),
            Some(Group { second: Some(_), .. }) => Err(unclear("there are two keys already")),
            Some(Group { first, .. }) if first == key => Err(unclear("this key is there already")),
            Some(Group { first, .. }) => Ok(Some(Group { first, second: Some(key) })),
        })?;
        let first = kept.is_some_and(|group| id_of(&group.first) == id);
        Ok(KeyUse { id, first })
    }

    /// Proves this machine with the other one of its two keys from now on, and accepts both still.
    pub fn switch(&self) -> Result<(), Error> {
        self.change(|group| match group {
            Some(Group { first, second: Some(second) }) => {
                Ok(Some(Group { first: second, second: Some(first) }))
            }
            _ => Err(unclear("there are not two keys")),
        })?;
        Ok(())
    }

    /// Drops the key of this id; a machine without a key is in no group.
    pub fn drop(&self, id: &str) -> Result<(), Error> {
        self.change(|group| match group {
            Some(Group { first, second }) if id_of(&first) == id => {
                Ok(second.map(|first| Group { first, second: None }))
            }
            Some(Group { first, second: Some(second) }) if id_of(&second) == id => {
                Ok(Some(Group { first, second: None }))
            }
            _ => Err(unclear("there is no key of that id")),
        })?;
        Ok(())
    }

    /// The keys of the file.
    pub fn keys(&self) -> Result<Vec<(KeyUse, GroupKey)>, Error> {
        let keys = group_at(&self.path())?
            .map(|Group { first, second }| [(true, Some(first)), (false, second)]);
        let used = keys.into_iter().flatten().filter_map(|(first, key)| Some((first, key?)));
        Ok(used.map(|(first, key)| (KeyUse { id: id_of(&key), first }, key)).collect())
    }

    fn path(&self) -> PathBuf {
        self.home.folder().join("group.key")
    }

    /// Changes what the file says; what it says then.
    fn change(
        &self,
        how: impl FnOnce(Option<Group>) -> Result<Option<Group>, Error>,
    ) -> Result<Option<Group>, Error> {
        let _alone = file::lock(&self.home)?;
        let changed = how(group_at(&self.path())?)?;
        let keys = changed.iter().flat_map(|group| [Some(&group.first), group.second.as_ref()]);
        let lines = keys.flatten().map(|key| key.reveal() + "\n").collect::<String>();
        file::replace(&self.path(), &lines)?;
        Ok(changed)
    }
}

/// The group of the home, without which nobody who wants `only` the group can go on.
pub(crate) fn group_of(home: &Home, only: bool) -> Result<Option<Group>, Error> {
    let group = GroupFile::of(home).group()?;
    if only && group.is_none() {
        return Err(unclear("only the group is wanted, and this machine has no key of one"));
    }
    Ok(group)
}

fn group_at(path: &Path) -> Result<Option<Group>, Error> {
    group_in(&file::read_secret(path)?, &path.display().to_string())
}

/// The keys in a text, one a line or separated by spaces or commas.
fn group_in(text: &str, place: &str) -> Result<Option<Group>, Error> {
    let said = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = said.flat_map(|line| line.split([' ', ',', '\t'])).filter(|word| !word.is_empty());
    let keys: Result<Vec<GroupKey>, _> = words.map(|word| word.trim().parse()).collect();
    let mut keys = keys.map_err(|error| unclear(&format!("{place}: {error}")))?.into_iter();
    let Some(first) = keys.next() else { return Ok(None) };
    let second = keys.next();
    if keys.next().is_some() {
        return Err(unclear(&format!("{place} holds more than two keys")));
    }
    Ok(Some(Group { first, second }))
}

/// The minute that asks are marked with, counted from 1970 in UTC.
pub(crate) fn minute() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 60
}

fn id_of(key: &GroupKey) -> String {
    format!("{:016x}", u64::from_be_bytes(key.id()))
}

fn unclear(because: &str) -> Error {
    Error::new(ErrorKind::Usage, "the group's key cannot be used", because)
        .with_remedy("see what `group show` says; `group new` makes a key, `group join` reads one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn file() -> (TempDir, GroupFile) {
        let folder = TempDir::new().unwrap();
        let file = GroupFile::of(&Home::at(folder.path().join("home")));
        (folder, file)
    }

    #[test]
    fn a_key_is_replaced_in_three_steps() {
        let (_folder, file) = file();
        assert_eq!(group_at(&file.path()).unwrap(), None);
        let old = file.make().unwrap();
        let new = file.make().unwrap();
        assert!(old.first && !new.first);
        file.make().unwrap_err();
        file.switch().unwrap();
        let ids = |keys: Vec<(KeyUse, GroupKey)>| -> Vec<String> {
            keys.into_iter().map(|(key, _)| key.id).collect()
        };
        assert_eq!(ids(file.keys().unwrap()), [new.id.clone(), old.id.clone()]);
        file.drop(&old.id).unwrap();
        assert_eq!(file.keys().unwrap()[0].0, KeyUse { id: new.id.clone(), first: true });
        file.switch().unwrap_err();
        file.drop(&new.id).unwrap();
        assert_eq!(file.keys().unwrap(), []);
    }

    #[test]
    fn a_key_joins_another_machine_as_it_was_revealed() {
        let ((_one, here), (_other, there)) = (file(), file());
        here.make().unwrap();
        let key = here.keys().unwrap()[0].1.reveal();
        there.join(key.parse().unwrap()).unwrap();
        there.join(key.parse().unwrap()).unwrap_err();
        assert_eq!(group_at(&here.path()).unwrap(), group_at(&there.path()).unwrap());
    }

    #[test]
    fn keys_are_read_from_a_line_as_from_a_file_and_nothing_else_is_a_key() {
        let [one, other] = [GroupKey::fresh(), GroupKey::fresh()];
        let both = format!("# ours\n{},{}\n", one.reveal(), other.reveal());
        let group = Group { first: one, second: Some(other) };
        assert_eq!(group_in(&both, "here").unwrap(), Some(group));
        assert_eq!(group_in(" \n# none\n", "here").unwrap(), None);
        group_in("secret", "here").unwrap_err();
        group_in(&both.replace('#', &"0".repeat(64)), "here").unwrap_err();
    }

    #[test]
    fn the_environment_goes_before_the_file_and_the_key_itself_before_a_name() {
        let (folder, file) = file();
        let id = |set: &[(&str, String)]| {
            let variable = |name: &str| {
                let (_, value) = set.iter().find(|(set, _)| *set == name)?;
                Some(OsString::from(value))
            };
            file.group_in_environment(variable).map(|group| group.map(|group| id_of(&group.first)))
        };
        let own = file.make().unwrap().id;
        let [one, other] = [GroupKey::fresh(), GroupKey::fresh()];
        let path = folder.path().join("elsewhere");
        file::replace(&path, &other.reveal()).unwrap();
        let key = ("HAUL_GROUP_KEY", one.reveal());
        let named = ("HAUL_GROUP_KEY_FILE", path.display().to_string());
        assert_eq!(id(&[key.clone(), named.clone()]).unwrap(), Some(id_of(&one)));
        assert_eq!(id(&[named]).unwrap(), Some(id_of(&other)));
        assert_eq!(id(&[("HAUL_GROUP_KEY", String::new())]).unwrap(), Some(own));
        let missing = folder.path().join("missing").display().to_string();
        let error = id(&[("HAUL_GROUP_KEY_FILE", missing)]).unwrap_err();
        assert!(error.because().contains("missing"), "who names a file has a key: {error}");
        assert!(
            !id(&[("HAUL_GROUP_KEY", "00ff".into())]).unwrap_err().to_string().contains("00ff")
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_key_that_others_may_read_or_change_is_refused_with_the_remedy() {
        use std::fs::{Permissions, metadata, set_permissions};
        use std::os::unix::fs::PermissionsExt;
        let (_folder, file) = file();
        file.make().unwrap();
        let path = file.path();
        assert_eq!(metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620, 0o602, 0o644] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = group_at(&path).unwrap_err();
            assert!(error.remedy().unwrap().contains("chmod 600"), "{mode:o}: {error}");
        }
        set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert!(group_at(&path).unwrap().is_some());
    }
}
