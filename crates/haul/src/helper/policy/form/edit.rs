//! Changing one field of a policy's text and nothing else of it.

use super::{TEMPLATE, parts};
use std::ops::Range;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// The text with this value in that field, or without the field; `None` where it is written in a
/// way that this does not know, and would come out otherwise.
pub(super) fn edited(text: &str, name: &str, value: Option<&str>) -> Option<String> {
    let place = place_of(text, name);
    let changed = match (place, value) {
        (Some(place), Some(value)) => spliced(text, place.value, value),
        (Some(place), None) => spliced(text, place.line, &first_line(name)),
        (None, Some(value)) => inserted(text, name, value),
        (None, None) => text.to_owned(),
    };
    (changed.parse::<Table>().ok()? == wanted(text, name, value)?).then_some(changed)
}

/// Where a field stands: its value, and the whole of its lines.
struct Place {
    value: Range<usize>,
    line: Range<usize>,
}

fn place_of(text: &str, name: &str) -> Option<Place> {
    let file = DeTable::parse(text).ok()?;
    let (table, key) = parts(name);
    let at = |table: &DeTable<'_>, key: &str| {
        let (key, value) = table.get_key_value(key)?;
        Some((key.span().start, value.span()))
    };
    let (start, value) = if table.is_empty() {
        at(file.get_ref(), key)?
    } else {
        match file.get_ref().get(table).map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => at(table, key)?,
            _ => return None,
        }
    };
    let begins = text[..start].rfind('\n').map_or(0, |end| end + 1);
    let ends = text[value.end..].find('\n').map_or(text.len(), |end| value.end + end);
    Some(Place { value, line: begins..ends })
}

/// Writes the field where the first file has it as a comment, or else at the head of its table, or
/// else in a table of its own at the end.
fn inserted(text: &str, name: &str, value: &str) -> String {
    let (table, key) = parts(name);
    let line = format!("{key} = {value}");
    let Some(section) = section(text, table) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{gap}\n[{table}]\n{line}\n");
    };
    let start = format!("#{key} = ");
    match lines(text, &section).find(|range| text[range.clone()].starts_with(&start)) {
        Some(comment) => spliced(text, comment, &line),
        None => spliced(text, section.start..section.start, &format!("{line}\n")),
    }
}

/// What belongs to a table: from below its header to the next one. The table without a name is what
/// stands before them all.
fn section(text: &str, table: &str) -> Option<Range<usize>> {
    let header = format!("[{table}]");
    let whole = 0..text.len();
    let start = if table.is_empty() {
        0
    } else {
        let line = lines(text, &whole).find(|line| text[line.clone()].starts_with(&header))?;
        (line.end + 1).min(text.len())
    };
    let rest = start..text.len();
    let end = lines(text, &rest).find(|line| text[line.clone()].starts_with('['));
    Some(start..end.map_or(text.len(), |line| line.start))
}

/// The lines of a part, without their ends.
fn lines<'a>(text: &'a str, part: &Range<usize>) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut start = part.start;
    text[part.clone()].split('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end + 1;
        range
    })
}

fn spliced(text: &str, at: Range<usize>, new: &str) -> String {
    [&text[..at.start], new, &text[at.end..]].concat()
}

/// The field as the first file has it, at its default and as a comment.
fn first_line(name: &str) -> String {
    let (table, key) = parts(name);
    let start = format!("#{key} = ");
    let found = section(TEMPLATE, table).and_then(|section| {
        lines(TEMPLATE, &section).map(|line| &TEMPLATE[line]).find(|line| line.starts_with(&start))
    });
    found.unwrap_or_default().to_owned()
}

/// What the changed text has to say.
fn wanted(text: &str, name: &str, value: Option<&str>) -> Option<Table> {
    let (table, key) = parts(name);
    let mut file: Table = text.parse().ok()?;
    let fields = if table.is_empty() {
        &mut file
    } else {
        let fields = file.entry(table).or_insert_with(|| Value::Table(Table::new()));
        fields.as_table_mut()?
    };
    match value {
        Some(value) => {
            let mut alone: Table = format!("value = {value}").parse().ok()?;
            fields.insert(key.to_owned(), alone.remove("value")?);
        }
        None => drop(fields.remove(key)),
    }
    Some(file)
}
