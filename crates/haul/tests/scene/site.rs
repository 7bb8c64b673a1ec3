//! A web server of one file that is here, or elsewhere.

use haul::Url;
use haul_lab::Payload;
use haul_span::Span;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// The length of the file.
pub(crate) const SIZE: u64 = 2 << 20;

/// The file.
pub(crate) fn payload() -> Payload {
    Payload::new(7, SIZE)
}

/// A file that not everybody may read.
pub(crate) fn licensed() -> Payload {
    Payload::new(9, SIZE)
}

/// A web server that has the file, or says where it is.
pub(crate) struct Site(TcpListener);

/// What a site answers.
pub(crate) enum Reply {
    /// The part of this file that was asked for.
    Part(Payload),
    /// A shorter part than was asked for: so many bytes.
    Short(Payload, u64),
    /// That it is there.
    Led(String),
    /// That it is nowhere.
    Gone,
}

impl Site {
    pub(crate) fn bind(last: u8) -> Self {
        Self(TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), 0)).unwrap())
    }

    pub(crate) fn url(&self) -> Url {
        self.url_of("/file.bin")
    }

    pub(crate) fn url_of(&self, target: &str) -> Url {
        format!("http://{}{target}", self.0.local_addr().unwrap()).parse().unwrap()
    }

    /// Serves until the process ends; from the answer of each number on it leads there.
    pub(crate) fn serve(self, leads: Vec<(usize, String)>) {
        self.answer(move |nth, _| {
            let to = leads.iter().rev().find(|(from, _)| *from <= nth);
            to.map_or(Reply::Part(payload()), |(_, to)| Reply::Led(to.clone()))
        });
    }

    /// Serves until the process ends: `reply` says what the request of each number for a path and
    /// query gets.
    pub(crate) fn answer(self, reply: impl Fn(usize, &str) -> Reply + Send + 'static) {
        thread::spawn(move || {
            for (nth, stream) in self.0.incoming().map_while(Result::ok).enumerate() {
                // Whoever leaves early wants no answer.
                let _ = answer(stream, |target| reply(nth, target));
            }
        });
    }
}

fn answer(mut stream: TcpStream, reply: impl FnOnce(&str) -> Reply) -> io::Result<()> {
    let (target, span) = wanted(&stream)?;
    let (payload, most) = match reply(&target) {
        Reply::Part(payload) => (payload, u64::MAX),
        Reply::Short(payload, most) => (payload, most),
        Reply::Led(to) => return empty(stream, &format!("302 Found\r\nLocation: {to}")),
        Reply::Gone => return empty(stream, "404 Not Found"),
    };
    let span = span.first(most).unwrap();
    write!(
        stream,
        "HTTP/1.1 206 Partial Content\r\nConnection: close\r\nContent-Length: {}\r\n\
         ETag: \"7\"\r\nContent-Range: bytes {}-{}/{SIZE}\r\n\r\n",
        span.len(),
        span.start(),
        span.last()
    )?;
    stream.write_all(&payload.bytes(span))
}

fn empty(mut stream: TcpStream, status: &str) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
}

/// What is asked for, and which part of it.
fn wanted(stream: &TcpStream) -> io::Result<(String, Span)> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = lines.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned);
    let range = lines.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let (start, last) = line.strip_prefix("range: bytes=")?.split_once('-')?;
        Span::new(start.parse().ok()?, last.parse::<u64>().ok()? + 1)
    });
    target.zip(range).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
