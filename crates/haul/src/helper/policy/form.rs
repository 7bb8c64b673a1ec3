//! A policy as a form: its fields one by one, and what is typed into them put back into the file.
//!
//! What is typed goes through the parser of the file, field by field first, so that a fault is
//! told where it was typed. In the file only what was changed changes: its comments stay.

mod edit;

use super::file::parse;
use super::watch::TEMPLATE;
use super::{PolicyError, PolicySource};
use crate::home::files::replace;
use crate::{Error, ErrorKind};
use edit::edited;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// One field of a policy, as a form shows it. Its values are bare texts, those of lists with one
/// entry a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyField {
    /// As the policy names it: `mode`, `limits.per_day`.
    pub name: String,
    /// What it says, in the words of the first policy file.
    pub about: String,
    /// What can be typed into it.
    #[serde(flatten)]
    pub shape: Shape,
    /// What holds where nothing is written.
    pub default: String,
    /// What is written in the owner's file.
    pub own: Option<String>,
    /// What the owner's organisation has set, which holds against the owner.
    pub managed: Option<String>,
    /// Whether something else, or something more, was said for this run.
    pub said: bool,
}

/// What can be typed into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "shape", rename_all = "lowercase")]
pub enum Shape {
    /// One of some words.
    Choice {
        /// The words.
        of: &'static [&'static str],
    },
    /// Entries, one a line.
    List,
    /// A whole number.
    Number,
    /// Nothing: it is changed in the file.
    Shown,
    /// A size, a rate, a percentage.
    Text,
}

/// Why what was typed into a form was not saved. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsaved {
    /// These fields cannot be so, each for its reason.
    Fields(BTreeMap<String, String>),
    /// The file could not be changed.
    File(Error),
}

impl From<PolicyError> for Unsaved {
    fn from(error: PolicyError) -> Self {
        Self::File(error.into())
    }
}

impl PolicySource {
    /// Every field, in the order of the first policy file, as the files say at this moment.
    pub fn form(&self) -> Result<Vec<PolicyField>, PolicyError> {
        let own = match self.own_text()? {
            Some((path, text)) => checked(path, &text)?,
            None => Table::new(),
        };
        let managed = match self.managed_text()? {
            (path, Some(text)) => checked(path, &text)?,
            (_, None) => Table::new(),
        };
        let said = self.said_fields();
        let mut fields = first_fields();
        for field in &mut fields {
            field.own = find(&own, &field.name).map(plain);
            field.managed = find(&managed, &field.name).map(plain);
            field.said = said.contains(&field.name.as_str());
        }
        Ok(fields)
    }

    /// Writes what was typed into these fields to the owner's file, if all of it can be so; an
    /// empty text takes the field away, so that its default holds. A running helper follows the
    /// file by itself.
    pub fn save(&self, typed: &BTreeMap<String, String>) -> Result<(), Unsaved> {
        let Some((path, mut text)) = self.own_text()? else { return Err(no_file()) };
        let fields = self.form()?;
        let mut values = Vec::new();
        let mut faults = BTreeMap::new();
        for (name, typed) in typed {
            match value_of(&fields, name, typed) {
                Ok(value) => values.push((name, value)),
                Err(because) => drop(faults.insert(name.clone(), because)),
            }
        }
        if !faults.is_empty() {
            return Err(Unsaved::Fields(faults));
        }
        for (name, value) in values {
            text = edited(&text, name, value.as_deref()).ok_or_else(|| unchangeable(path, name))?;
        }
        parse(path, &text)?;
        // A link stays one, and the file that it leads to is replaced.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        replace(&target, text.as_bytes()).map(drop).map_err(|error| unwritable(path, &error))
    }
}

/// What has to stand in the file for what was typed: a value of TOML, or nothing.
fn value_of(fields: &[PolicyField], name: &str, typed: &str) -> Result<Option<String>, String> {
    let field = fields.iter().find(|field| field.name == name);
    let field = field.ok_or_else(|| "there is no such field".to_owned())?;
    // Lists that only refuse are added to what the organisation refuses.
    if field.managed.is_some() && !ADDED.contains(&name) {
        return Err("it is managed by your organisation".to_owned());
    }
    let Some(value) = written(field.shape, typed) else {
        return Err("it is changed in the file".to_owned());
    };
    if typed.trim().is_empty() {
        return Ok(None);
    }
    let (table, key) = parts(name);
    let header = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
    let alone = format!("version = 1\n{header}{key} = {value}\n");
    let read = parse(Path::new(name), &alone).map_err(|error| error.because().to_owned());
    read.map(|_| Some(value))
}

/// What was typed as a value of TOML; none for a field that takes nothing.
fn written(shape: Shape, typed: &str) -> Option<String> {
    let typed = typed.trim();
    let is_number = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
    match shape {
        Shape::Shown => None,
        Shape::Number if is_number => Some(typed.to_owned()),
        Shape::List => {
            let entries = typed.lines().map(str::trim).filter(|entry| !entry.is_empty());
            Some(format!("[{}]", entries.map(quoted).collect::<Vec<_>>().join(", ")))
        }
        _ => Some(quoted(typed)),
    }
}

/// As a basic string of TOML, all of whose escapes JSON has too.
fn quoted(text: &str) -> String {
    // A string can always be written.
    serde_json::to_string(text).unwrap_or_default()
}

/// A value of TOML as a bare text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::Array(entries) => entries.iter().map(plain).collect::<Vec<_>>().join("\n"),
        Value::Table(fields) => fields.values().map(plain).collect::<Vec<_>>().join(" "),
        Value::Float(number) => number.to_string(),
        Value::Datetime(moment) => moment.to_string(),
    }
}

/// The text as a table, if it is a policy.
fn checked(path: &Path, text: &str) -> Result<Table, PolicyError> {
    parse(path, text)?;
    Ok(text.parse().unwrap_or_default())
}

/// Every field with what the first file says of it.
fn first_fields() -> Vec<PolicyField> {
    let (mut table, mut about, mut fields) = (String::new(), Vec::new(), Vec::new());
    let mut told = false;
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut table);
        } else if let Some(words) = line.strip_prefix("# ") {
            // Fields that follow each other share the words above them.
            if std::mem::take(&mut told) {
                about.clear();
            }
            about.push(words);
        } else if let Some((key, value)) =
            line.strip_prefix('#').and_then(|it| it.split_once(" = "))
        {
            let dot = if table.is_empty() { "" } else { "." };
            fields.push(first_field(format!("{table}{dot}{key}"), &about, value));
            told = true;
        } else {
            about.clear();
        }
    }
    fields
}

fn first_field(name: String, about: &[&str], value: &str) -> PolicyField {
    let value: Table = format!("value = {value}").parse().unwrap_or_default();
    let value = value.get("value");
    let choices = CHOICES.iter().find(|(field, _)| *field == name);
    let shape = match (choices, value) {
        (Some((_, of)), _) => Shape::Choice { of },
        _ if name == "leaders.known" => Shape::Shown,
        (None, Some(Value::Array(_))) => Shape::List,
        (None, Some(Value::Integer(_))) => Shape::Number,
        _ => Shape::Text,
    };
    let default = value.map(plain).unwrap_or_default();
    let (about, own, managed) = (about.join(" "), None, None);
    PolicyField { name, about, shape, default, own, managed, said: false }
}

fn find<'a>(file: &'a Table, name: &str) -> Option<&'a Value> {
    let (table, key) = parts(name);
    if table.is_empty() { file.get(key) } else { file.get(table)?.get(key) }
}

/// The table of a field, empty for none, and its key.
fn parts(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or(("", name))
}

fn no_file() -> Unsaved {
    let because = "it was given to this helper by the program that runs it";
    Unsaved::File(Error::new(ErrorKind::Usage, "the policy has no file", because))
}

fn unchangeable(path: &Path, name: &str) -> Unsaved {
    let because = format!("`{name}` is written there in a way that only a person can change");
    let error = Error::new(ErrorKind::Usage, "the policy was not changed", because);
    Unsaved::File(error.with_remedy(format!("change {} in an editor", path.display())))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Unsaved {
    let because = format!("{}: {error}", path.display());
    let error = Error::new(ErrorKind::Disk, "the policy was not changed", because);
    Unsaved::File(error.with_remedy("make the file, and the folder that it is in, writable"))
}

/// Fields to which the owner adds, whatever the organisation has set.
const ADDED: [&str; 2] = ["leaders.blocked", "hosts.deny"];

const CARE: &[&str] = &["never", "ask", "allow"];

/// The words that fields of words take.
const CHOICES: [(&str, &[&str]); 4] = [
    ("mode", &["ask", "known", "always", "never"]),
    ("when.metered", CARE),
    ("when.vpn", CARE),
    ("when.unknown", CARE),
];

#[cfg(test)]
mod tests;
