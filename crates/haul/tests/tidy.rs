//! The workspace keeps its own law: who may depend on whom, the same lints for all, one name for
//! folder and package, short files, and named exports.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Which crates of the workspace a crate may depend on.
#[derive(Clone, Copy)]
enum Arrows {
    To(&'static [&'static str]),
    Anywhere,
}

/// The table of docs/ARCHITECTURE.md; a crate that is not in it fails.
const ARROWS: [(&str, Arrows); 14] = [
    ("haul-span", Arrows::To(&[])),
    ("haul-wire", Arrows::To(&["haul-span"])),
    ("haul-plan", Arrows::To(&["haul-span"])),
    ("haul-scan", Arrows::To(&[])),
    ("haul-fetch", Arrows::To(&["haul-span"])),
    ("haul-store", Arrows::To(&["haul-span"])),
    ("haul-link", Arrows::To(&["haul-wire"])),
    ("haul", Arrows::To(BELOW_HAUL)),
    ("haul-web", Arrows::To(&["haul"])),
    ("haul-lab", Arrows::Anywhere),
    ("leader", Arrows::To(&["haul", "haul-web"])),
    ("helper", Arrows::To(&["haul", "haul-web"])),
    ("haul-examples", Arrows::To(&["haul", "haul-lab"])),
    ("haul-benches", Arrows::Anywhere),
];

const BELOW_HAUL: &[&str] =
    &["haul-fetch", "haul-link", "haul-plan", "haul-scan", "haul-span", "haul-store", "haul-wire"];

/// What tests of a crate may use besides; haul-lab is for the tests of all.
const ARROWS_OF_TESTS: [(&str, &str); 1] = [("haul-link", "haul-span")];

/// All that the pure crates take from elsewhere: no runtime, no socket, no clock.
const PURE: [(&str, &[&str]); 3] =
    [("haul-span", &[]), ("haul-wire", &["bytes", "postcard", "serde"]), ("haul-plan", &[])];

/// Packages that only some crates may use, by how their names begin.
const ONLY_IN: [(&str, &[&str]); 11] = [
    ("anyhow", &["leader", "helper", "haul-examples", "haul-benches"]),
    ("clap", &["leader", "helper", "haul-examples", "haul-lab"]),
    ("criterion", &["haul-benches"]),
    ("hyper", &["haul-fetch", "haul-web", "haul-lab"]),
    ("indicatif", &["leader", "helper", "haul-examples"]),
    ("mdns-sd", &["haul-link"]),
    ("pnet", &["haul-scan", "haul-lab"]),
    ("postcard", &["haul-wire", "haul-store"]),
    ("rustls", &["haul-fetch", "haul-link", "haul-lab"]),
    ("tokio-rustls", &["haul-fetch", "haul-link", "haul-lab"]),
    ("tracing-subscriber", &["leader", "helper", "haul-examples"]),
];

/// Crates that run without a runtime, also in their tests.
const SYNCHRONOUS: [&str; 4] = ["haul-span", "haul-wire", "haul-plan", "haul-store"];

/// The most lines that a source file has before its tests.
const LONGEST_FILE: usize = 400;

#[test]
fn every_dependency_within_the_workspace_is_one_that_the_table_allows() {
    let members = members();
    let names: Vec<&str> = members.iter().map(Member::name).collect();
    none(members.iter().flat_map(|member| {
        let inside = member.dependencies().filter(|dependency| names.contains(&dependency.name));
        let forbidden = inside.filter(|dependency| !is_allowed(member.name(), dependency));
        forbidden
            .map(|dependency| format!("{} may not depend on {}", member.name(), dependency.name))
    }));
}

#[test]
fn every_crate_has_its_place_in_the_table() {
    let unknown = |member: &&Member| arrows(member.name()).is_none();
    none(
        members()
            .iter()
            .filter(unknown)
            .map(|member| format!("{} is not in the table", member.name())),
    );
}

#[test]
fn the_pure_crates_take_nothing_that_could_do_io() {
    none(members().iter().flat_map(|member| {
        let allowed =
            PURE.iter().find(|(name, _)| *name == member.name()).map(|(_, allowed)| allowed);
        let used = member.dependencies().filter(|dependency| !dependency.for_tests);
        let outside = used.filter(|dependency| arrows(dependency.name).is_none());
        let forbidden = outside.filter(move |dependency| {
            allowed.is_some_and(|allowed| !allowed.contains(&dependency.name))
        });
        forbidden
            .map(|dependency| format!("{} is pure, and {} is not", member.name(), dependency.name))
    }));
}

#[test]
fn a_package_is_used_only_where_it_belongs() {
    none(members().iter().flat_map(|member| {
        let misplaced =
            member.dependencies().filter(|dependency| !belongs(dependency.name, member.name()));
        misplaced.map(|dependency| format!("{} is not for {}", dependency.name, member.name()))
    }));
}

#[test]
fn every_version_is_chosen_once_for_the_workspace() {
    none(members().iter().flat_map(|member| {
        let own = member.dependencies().filter(|dependency| !dependency.from_workspace);
        own.map(|dependency| format!("{} chooses its own {}", member.name(), dependency.name))
    }));
}

#[test]
fn every_crate_has_the_lints_of_the_workspace_or_says_why_not() {
    let root = read_manifest(&root());
    let common = root["workspace"]["lints"].as_table().unwrap().clone();
    none(members().iter().flat_map(|member| weaker_lints(member, &common)));
}

#[test]
fn a_folder_is_called_like_its_package() {
    let differs = |member: &&Member| {
        let folder = member.path.file_name().unwrap().to_str().unwrap().to_owned();
        member.name() != folder && member.name() != format!("haul-{folder}")
    };
    none(
        members()
            .iter()
            .filter(differs)
            .map(|member| format!("{} is in {:?}", member.name(), member.path)),
    );
}

#[test]
fn no_source_file_is_longer_than_400_lines_without_its_tests() {
    none(sources().filter_map(|(path, text)| {
        let lines = lines_before_tests(&text);
        (lines > LONGEST_FILE).then(|| format!("{} has {lines} lines", path.display()))
    }));
}

#[test]
fn every_export_is_named() {
    let all = |line: &&str| line.trim_start().starts_with("pub use ") && line.contains("::*");
    none(sources().flat_map(|(path, text)| {
        let globs: Vec<_> = text.lines().filter(all).map(str::to_owned).collect();
        globs.into_iter().map(move |line| format!("{}: {line}", path.display()))
    }));
}

/// A crate of the workspace.
struct Member {
    path: PathBuf,
    manifest: Table,
}

struct Dependency<'a> {
    name: &'a str,
    for_tests: bool,
    from_workspace: bool,
}

impl Member {
    fn name(&self) -> &str {
        self.manifest["package"]["name"].as_str().unwrap()
    }

    /// All dependencies, on every platform.
    fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let platforms = self.manifest.get("target").and_then(Value::as_table);
        let platforms = platforms.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        std::iter::once(&self.manifest).chain(platforms).flat_map(dependencies_in)
    }
}

fn dependencies_in(table: &Table) -> impl Iterator<Item = Dependency<'_>> {
    ["dependencies", "build-dependencies", "dev-dependencies"].into_iter().flat_map(|kind| {
        let listed = table.get(kind).and_then(Value::as_table).into_iter().flatten();
        listed.map(move |(name, how)| Dependency {
            name,
            for_tests: kind == "dev-dependencies",
            from_workspace: how.get("workspace").and_then(Value::as_bool).unwrap_or(false),
        })
    })
}

fn arrows(member: &str) -> Option<Arrows> {
    ARROWS.iter().find(|(name, _)| *name == member).map(|(_, arrows)| *arrows)
}

fn is_allowed(member: &str, dependency: &Dependency<'_>) -> bool {
    let of_tests =
        dependency.name == "haul-lab" || ARROWS_OF_TESTS.contains(&(member, dependency.name));
    match arrows(member) {
        Some(Arrows::To(allowed)) => {
            allowed.contains(&dependency.name) || (dependency.for_tests && of_tests)
        }
        Some(Arrows::Anywhere) => true,
        None => false,
    }
}

fn belongs(package: &str, member: &str) -> bool {
    let reserved = ONLY_IN.iter().find(|(start, _)| package.starts_with(start));
    let at_home = reserved.is_none_or(|(_, homes)| homes.contains(&member));
    at_home && (!package.starts_with("tokio") || !SYNCHRONOUS.contains(&member))
}

/// What a crate's own lints let pass that those of the workspace do not, or that it has its own
/// without a comment above them.
fn weaker_lints(member: &Member, common: &Table) -> Vec<String> {
    let own = member.manifest.get("lints").and_then(Value::as_table).cloned().unwrap_or_default();
    if own.get("workspace").and_then(Value::as_bool) == Some(true) {
        return Vec::new();
    }
    let text = fs::read_to_string(member.path.join("Cargo.toml")).unwrap();
    let above = text.split("\n[lints.").next().and_then(|text| text.lines().last());
    let unsaid = above.is_none_or(|line| !line.starts_with('#'));
    let unsaid = unsaid.then(|| format!("{} does not say why it has its own lints", member.name()));
    let lints = common.iter().flat_map(|(tool, lints)| {
        lints.as_table().unwrap().iter().map(move |(lint, level)| (tool, lint, level))
    });
    let dropped = lints.filter(|(tool, lint, level)| {
        level.as_str() != Some("allow")
            && own.get(*tool).and_then(|lints| lints.get(*lint)).is_none()
    });
    let dropped = dropped.map(|(tool, lint, _)| format!("{} lacks {tool} {lint}", member.name()));
    dropped.chain(unsaid).collect()
}

fn members() -> Vec<Member> {
    let manifest = read_manifest(&root());
    let paths = manifest["workspace"]["members"].as_array().unwrap();
    let paths = paths.iter().map(|path| root().join(path.as_str().unwrap()));
    paths.map(|path| Member { manifest: read_manifest(&path), path }).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read_manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Every source file that is not a test as a whole, and what it says.
fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    let files = members().into_iter().flat_map(|member| rust_files(&member.path));
    files.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    })
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let nested = |path: PathBuf| match path.is_dir() {
        true if ["target", "tests"].iter().any(|name| path.ends_with(name)) => Vec::new(),
        true => rust_files(&path),
        false if path.extension().is_some_and(|extension| extension == "rs") => vec![path],
        false => Vec::new(),
    };
    entries.flat_map(nested).collect()
}

fn lines_before_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_test = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|line| !line.starts_with('#'))
                .is_some_and(|line| line.contains("mod "))
    };
    (0..lines.len()).find(is_test).unwrap_or(lines.len())
}

/// Fails with all `offences`.
fn none(offences: impl Iterator<Item = String>) {
    let offences: Vec<String> = offences.collect();
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}
