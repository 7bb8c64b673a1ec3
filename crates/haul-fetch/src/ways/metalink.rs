use super::mirrors::Mirror;
use crate::codec::hex_decode;
use crate::follow::is_web;
use crate::name::safe;
use crate::{AddressSpace, Digest, Error};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;
use url::Url;

/// What a Metalink 4 document says (RFC 5854): files, where each is, and how to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metalink {
    /// At least one.
    pub files: Vec<MetalinkFile>,
}

/// One file of a [`Metalink`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetalinkFile {
    /// What to call it: a single path component that is harmless on every platform. Folders in the
    /// document's name are left out.
    pub name: String,
    /// Its length in bytes.
    pub length: Option<u64>,
    /// The digests of the whole file that haul can check.
    pub digests: Vec<Digest>,
    /// The digests of its pieces.
    pub pieces: Option<Pieces>,
    /// Its `http` and `https` URLs, best first; maybe none.
    pub mirrors: Vec<Mirror>,
}

/// The SHA-256 of every piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// The length of all pieces but the last in bytes; never zero.
    pub length: u64,
    /// The digests in the order of the file.
    pub digests: Vec<[u8; 32]>,
}

impl Metalink {
    /// The same, as somebody in this space has sent it: its addresses lead to no narrower one.
    #[must_use]
    pub fn said_in(mut self, space: AddressSpace) -> Self {
        for file in &mut self.files {
            let mirrors = std::mem::take(&mut file.mirrors).into_iter();
            file.mirrors = mirrors.map(|mirror| mirror.said_in(space)).collect();
        }
        self
    }

    /// The media type of a document (RFC 5854 §7).
    pub const MEDIA_TYPE: &str = super::link::METALINK;

    /// The length of the longest document that is read, in bytes.
    pub const MOST: usize = 16 << 20;

    /// Reads a document. What it says in elements that haul does not know is passed over, and no
    /// entity but XML's own five is known.
    ///
    /// Fails on what is no XML, no Metalink 4, or has no file.
    pub fn parse(document: &[u8]) -> Result<Self, Error> {
        if document.len() > Self::MOST {
            return Err(unfit("it is longer than 16 MiB"));
        }
        let text = std::str::from_utf8(document).map_err(|_| unfit("it is not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut parser = Parser::default();
        loop {
            let event = reader.read_event().map_err(|error| unfit(&error.to_string()))?;
            match event {
                Event::Start(start) => parser.open(&start)?,
                Event::Empty(start) => {
                    parser.open(&start)?;
                    parser.close();
                }
                Event::End(_) => parser.close(),
                Event::Text(text) => parser.text.push_str(&text),
                Event::CData(text) => parser.text.push_str(&text),
                Event::GeneralRef(entity) => parser.text.push(character(&entity)?),
                Event::Eof => return parser.finish(),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }
}

#[derive(Default)]
struct Parser {
    /// The elements that are open, outermost first.
    path: Vec<Element>,
    /// What stands in the innermost one.
    text: String,
    files: Vec<MetalinkFile>,
}

/// An element that is open, with the attributes that count.
struct Element {
    name: String,
    kind: Option<String>,
    length: Option<u64>,
    priority: Option<u32>,
}

impl Parser {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        let name = start.local_name().as_ref().to_owned();
        if self.path.is_empty() {
            check_root(&name, start)?;
        }
        if self.path.len() >= DEEPEST {
            return Err(unfit("its elements are nested too deep"));
        }
        let value = |key: &str| attribute(start, key);
        if self.is_at(&["metalink"]) && name == "file" {
            let name = value("name").and_then(|name| safe(&name)).unwrap_or_default();
            self.files.push(MetalinkFile { name, ..MetalinkFile::default() });
        }
        let length = value("length").and_then(|length| length.parse().ok());
        let priority = value("priority").and_then(|priority| priority.parse().ok());
        let element = Element { kind: value("type"), length, priority, name };
        if self.is_at(&["metalink", "file"]) && element.name == "pieces" {
            self.open_pieces(&element);
        }
        self.path.push(element);
        self.text.clear();
        Ok(())
    }

    fn open_pieces(&mut self, element: &Element) {
        let length = element.length.filter(|&length| length > 0);
        let known = element.kind.as_deref() == Some("sha-256");
        if let (Some(file), Some(length), true) = (self.files.last_mut(), length, known) {
            file.pieces = Some(Pieces { length, digests: Vec::new() });
        }
    }

    fn close(&mut self) {
        let Some(element) = self.path.pop() else { return };
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        if self.is_at(&["metalink", "file"]) {
            self.take(&element, text);
        } else if self.is_at(&["metalink", "file", "pieces"]) && element.name == "hash" {
            self.take_piece(text);
        }
    }

    /// An element of a file.
    fn take(&mut self, element: &Element, text: &str) {
        let Some(file) = self.files.last_mut() else { return };
        match element.name.as_str() {
            "size" => file.length = text.parse().ok(),
            "hash" => {
                let kind = element.kind.as_deref().unwrap_or_default();
                file.digests.extend(hex_decode(text).and_then(|bytes| Digest::of(kind, bytes)));
            }
            "url" => {
                let url = text.parse().ok().filter(|url: &Url| is_web(url));
                let priority = element.priority.unwrap_or(LAST).clamp(1, LAST);
                file.mirrors.extend(url.map(|url| Mirror::announced(url, priority)));
            }
            _ => {}
        }
    }

    fn take_piece(&mut self, text: &str) {
        let known =
            self.path.last().is_some_and(|pieces| pieces.kind.as_deref() == Some("sha-256"));
        let digest = hex_decode(text).and_then(|bytes| bytes.try_into().ok());
        let pieces = self.files.last_mut().and_then(|file| file.pieces.as_mut());
        if let (Some(pieces), Some(digest), true) = (pieces, digest, known) {
            pieces.digests.push(digest);
        }
    }

    fn is_at(&self, path: &[&str]) -> bool {
        self.path.iter().map(|element| element.name.as_str()).eq(path.iter().copied())
    }

    fn finish(mut self) -> Result<Metalink, Error> {
        if !self.path.is_empty() {
            return Err(unfit("it is cut short"));
        }
        for file in &mut self.files {
            file.mirrors.sort_by_key(|mirror| mirror.priority);
            let (length, pieces) = (file.length, file.pieces.take());
            file.pieces = pieces.filter(|pieces| length.is_some_and(|all| pieces.cover(all)));
        }
        if self.files.is_empty() {
            Err(unfit("it names no file"))
        } else {
            Ok(Metalink { files: self.files })
        }
    }
}

impl Pieces {
    /// Whether these are all pieces of a file of that length.
    fn cover(&self, length: u64) -> bool {
        length.div_ceil(self.length) == self.digests.len() as u64
    }
}

/// The document must be of version 4: version 3 has the same names in other places.
fn check_root(name: &str, start: &BytesStart<'_>) -> Result<(), Error> {
    let spaces = start.attributes().flatten();
    let is_four = spaces.into_iter().any(|space| space.value.as_ref() == NAMESPACE);
    match (name, is_four) {
        ("metalink", true) => Ok(()),
        ("metalink", false) => Err(unfit("it is not of version 4")),
        _ => Err(unfit("it is another kind of document")),
    }
}

fn attribute(start: &BytesStart<'_>, key: &str) -> Option<String> {
    let attribute = start.try_get_attribute(key).ok()??;
    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

/// The character that a reference stands for.
fn character(entity: &BytesRef<'_>) -> Result<char, Error> {
    if let Some(character) = entity.resolve_char_ref().map_err(|error| unfit(&error.to_string()))? {
        return Ok(character);
    }
    match &**entity {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(unfit("it has an entity that is not XML's own")),
    }
}

fn unfit(why: &str) -> Error {
    Error::Input { what: "Metalink", why: why.to_owned() }
}

/// RFC 5854 §4.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:metalink";

/// A known element is never deeper than four.
const DEEPEST: usize = 32;

/// RFC 5854 §4.2.16.1.
const LAST: u32 = 999_999;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn document(files: &str) -> String {
        format!("<?xml version=\"1.0\"?>\n<metalink xmlns=\"{NAMESPACE}\">{files}</metalink>")
    }

    fn parse(files: &str) -> MetalinkFile {
        Metalink::parse(document(files).as_bytes()).unwrap().files.remove(0)
    }

    #[test]
    fn a_file_has_its_name_length_digests_pieces_and_urls() {
        let (a, b) = ("ab".repeat(32), "CD".repeat(32));
        let file = parse(&format!(
            "<published>2026-01-01T00:00:00Z</published><file name=\"dir/../f.iso\">\n\
             <size> 5 </size><identity>x</identity>\n\
             <hash type=\"md5\">00</hash><hash type=\"sha-256\">{a}</hash>\n\
             <pieces length=\"3\" type=\"sha-256\"><hash>{a}</hash><hash>{b}</hash></pieces>\n\
             <url priority=\"2\">http://b/f?x=1&amp;y=&#x32;</url><url>https://c/f</url>\n\
             <url location=\"de\" priority=\"1\"><![CDATA[http://a/f]]></url>\n\
             <url>ftp://d/f</url><metaurl mediatype=\"torrent\">http://e/f.torrent</metaurl></file>"
        ));
        assert_eq!((file.name.as_str(), file.length), ("f.iso", Some(5)));
        assert_eq!(file.digests, [Digest::Sha256([0xab; 32])]);
        let pieces = Pieces { length: 3, digests: vec![[0xab; 32], [0xcd; 32]] };
        assert_eq!(file.pieces, Some(pieces));
        let urls: Vec<_> = file.mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
        assert_eq!(urls, ["http://a/f", "http://b/f?x=1&y=2", "https://c/f"]);
    }

    #[test]
    fn pieces_that_do_not_cover_the_file_are_left_out() {
        let a = "ab".repeat(32);
        for pieces in [
            format!("<pieces length=\"0\" type=\"sha-256\"><hash>{a}</hash></pieces>"),
            format!("<pieces length=\"4\" type=\"sha-256\"><hash>{a}</hash></pieces>"),
            format!("<pieces length=\"5\" type=\"sha-1\"><hash>{a}</hash></pieces>"),
            "<pieces length=\"5\" type=\"sha-256\"><hash>ab</hash></pieces>".to_owned(),
        ] {
            assert_eq!(
                parse(&format!("<file name=\"f\"><size>5</size>{pieces}</file>")).pieces,
                None
            );
        }
    }

    #[test]
    fn what_is_no_metalink_of_version_4_is_told_as_such() {
        let bomb = "<!DOCTYPE m [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>";
        for (text, why) in [
            (String::new(), "no file"),
            ("<html></html>".to_owned(), "another kind"),
            ("<metalink xmlns=\"http://www.metalinker.org/\"/>".to_owned(), "version 4"),
            (document(""), "no file"),
            (document("<file name=\"x\">").replace("</metalink>", ""), "cut short"),
            (document("<file></wrong>"), "Metalink"),
            (document(&"<a>".repeat(40)), "deep"),
            (bomb.to_owned() + &document("<file name=\"x\"><url>&b;</url></file>"), "entity"),
        ] {
            let told = Metalink::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(why), "{text}: {told}");
        }
        assert!(Metalink::parse(&[0xff]).is_err());
    }

    proptest! {
        #[test]
        fn no_document_makes_the_parser_panic(
            inner in "(<file|<url|<size|<hash|<pieces|>|/>|</file>|</url>| name=\"a\"| length=\"1\"|&#|x;|&amp;|<!|]|é){0,30}",
        ) {
            let _ = Metalink::parse(document(&inner).as_bytes());
            let _ = Metalink::parse(inner.as_bytes());
        }
    }
}
