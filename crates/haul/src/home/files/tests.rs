use super::*;
use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use tempfile::TempDir;

const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    metadata(path).unwrap().mode() & 0o7777
}

fn give(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_content_is_the_last_one_and_nothing_is_left_beside_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kept");
    replace(&path, b"old and longer").unwrap();
    replace(&path, b"new").unwrap().write_all(b"er").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"newer");
    fs::create_dir(folder.path().join("taken")).unwrap();
    replace(&folder.path().join("taken"), b"new").unwrap_err();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_is_its_owners_alone_from_its_beginning_and_is_mended_if_it_is_not() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kept");
    assert_eq!(read(&path).unwrap(), None);
    append(&path).unwrap().write_all(b"one ").unwrap();
    assert_eq!(mode(&path), 0o600);
    for open in [0o644, 0o664, 0o666] {
        give(&path, open);
        append(&path).unwrap().write_all(b"more ").unwrap();
        assert_eq!(mode(&path), 0o600);
        give(&path, open);
        assert!(read_text(&path).unwrap().unwrap().starts_with("one more "));
        assert_eq!(mode(&path), 0o600);
    }
    create(&path, b"another").unwrap_err();
}

#[test]
fn a_secret_that_others_may_read_or_change_is_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("key");
    create(&path, b"secret").unwrap();
    for open in [0o640, 0o604, 0o644, 0o620, 0o602, 0o666] {
        give(&path, open);
        let error = failed("it cannot be used", &path, &read_secret(&path).unwrap_err());
        assert!(error.remedy().unwrap().contains("chmod 600"), "{open:o}: {error}");
        assert_eq!(mode(&path), open, "it is not hidden that others may have read it");
    }
    give(&path, 0o400);
    assert_eq!(read_secret(&path).unwrap().unwrap(), b"secret");
}

#[test]
fn no_link_and_nothing_of_another_user_is_read_or_written_to() {
    let folder = TempDir::new().unwrap();
    let (path, victim) = (folder.path().join("kept"), folder.path().join("victim"));
    fs::write(&victim, "mine").unwrap();
    let is_refused = || {
        assert!(NotOwn::of(&read(&path).unwrap_err()).is_some());
        assert!(NotOwn::of(&read_secret(&path).unwrap_err()).is_some());
        assert!(NotOwn::of(&append(&path).unwrap_err()).is_some());
        fs::remove_file(&path).unwrap();
    };
    symlink(&victim, &path).unwrap();
    is_refused();
    fs::hard_link(&victim, &path).unwrap();
    is_refused();
    if rustix::process::geteuid().is_root() {
        fs::write(&path, "theirs").unwrap();
        std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
        is_refused();
    }
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn a_folder_is_made_for_its_owner_alone_and_one_of_hauls_is_closed_to_others() {
    let place = TempDir::new().unwrap();
    let home = place.path().join("deep/home");
    folder(&home, is_hauls).unwrap();
    assert_eq!(mode(&home), 0o700);
    for open in [0o755, 0o775, 0o777] {
        give(&home, open);
        folder(&home, is_hauls).unwrap();
        assert_eq!(mode(&home), 0o700, "an empty one");
    }
    fs::write(home.join("notes.txt"), "mine").unwrap();
    give(&home, 0o755);
    let error = failed("no home", &home.join("key"), &folder(&home, is_hauls).unwrap_err());
    assert!(error.remedy().unwrap().contains("HAUL_HOME"), "{error}");
    assert_eq!(mode(&home), 0o755, "a folder of the user's stays as it is");
    fs::write(home.join("key"), "").unwrap();
    folder(&home, is_hauls).unwrap();
    assert_eq!(mode(&home), 0o700);
    give(&home, 0o1777);
    folder(&home, is_hauls).unwrap_err();
}

#[test]
fn a_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        haul_lab::lan::skip_or_fail("only root can give a folder to another user");
        return;
    }
    let place = TempDir::new().unwrap();
    std::os::unix::fs::chown(place.path(), Some(NOBODY), None).unwrap();
    let error = folder(place.path(), is_hauls).unwrap_err();
    let error = failed("no home", &place.path().join("key"), &error);
    assert!(error.because().contains("another user"), "{error}");
    assert!(error.remedy().unwrap().contains("HAUL_HOME"));
}
