//! A client that sends exactly what it is told to, as a browser or as an attacker.

use haul::doors::Doors;
use haul::policy::PolicySource;
use haul::trust::Trust;
use haul::{Event, Helpers, Home, Leader, LeaderBuilder};
use haul_web::{HelperPage, LeaderPage, Links};
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A page that is served until this is dropped, and the folder that it saves in.
pub struct Served {
    pub address: SocketAddr,
    pub link: String,
    pub links: Links,
    pub folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    pub async fn new() -> Self {
        Self::telling(|_| {}).await
    }

    /// The same page, which tells the end of every download.
    pub async fn telling(on_end: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self::made(on_end, |leader| leader).await
    }

    /// The same page, whose downloads go through this proxy.
    pub async fn through(proxy: SocketAddr) -> Self {
        Self::made(|_| {}, move |leader| leader.proxy(proxy.to_string())).await
    }

    async fn made(
        on_end: impl Fn(&Event) + Send + Sync + 'static,
        more: impl Fn(LeaderBuilder) -> LeaderBuilder + Send + Sync + 'static,
    ) -> Self {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path().join(".home"));
        let page = LeaderPage::builder(folder.path())
            .home(home.clone())
            .template(move |url| {
                more(Leader::builder(url).home(home.clone()).helpers(Helpers::None).no_scan())
            })
            .on_end(on_end)
            .open()
            .await
            .unwrap();
        let (address, link, links) = (page.address(), page.link(), page.links());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(page.serve(async { drop(stopped.await) }));
        Self { address, link, links, folder, stop, task }
    }

    /// The page of a helper, which asks at these doors, and whose home is the folder.
    pub async fn helper() -> (Self, Doors) {
        let folder = TempDir::new().unwrap();
        let home = Home::at(folder.path());
        PolicySource::write_template(&home).unwrap();
        let doors = Doors::new(Trust::of(&home));
        let page = HelperPage::builder(&doors, &home).open().await.unwrap();
        let (address, link, links) = (page.address(), page.link(), page.links());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(page.serve(async { drop(stopped.await) }));
        (Self { address, link, links, folder, stop, task }, doors)
    }

    /// Stops the page, waits until it has ended, and gives the folder.
    pub async fn end(self) -> TempDir {
        drop(self.stop);
        self.task.await.unwrap();
        self.folder
    }

    pub fn token(&self) -> &str {
        self.link.split_once("#t=").unwrap().1
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The fields that the page's own script sends with a change.
    pub fn own(&self) -> Vec<(&'static str, String)> {
        vec![
            ("Host", self.address.to_string()),
            ("Origin", format!("http://{}", self.address)),
            ("Sec-Fetch-Site", "same-origin".to_owned()),
            ("Content-Type", "application/json".to_owned()),
            ("X-Haul-Key", String::new()),
        ]
    }

    /// Opens the link and gives what it is exchanged for.
    pub async fn enter(&self) -> Session {
        let body = format!(r#"{{"token":"{}"}}"#, self.token());
        let answer = self.send("POST", "/api/session", &self.own(), &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer.field("set-cookie").unwrap().to_owned();
        for bound in ["; HttpOnly", "; SameSite=Strict", "; Path=/api"] {
            assert!(cookie.contains(bound), "{cookie}");
        }
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let key = answer.body.split('"').nth(3).unwrap().to_owned();
        Session { cookie, key }
    }

    /// The fields of the page's own script once it is in.
    pub fn inside(&self, session: &Session) -> Vec<(&'static str, String)> {
        with(with(self.own(), "Cookie", &session.cookie), "X-Haul-Key", &session.key)
    }

    /// What the page's script sends once it is in.
    pub async fn post(&self, path: &str, session: &Session, body: &str) -> Answer {
        self.send("POST", path, &self.inside(session), body).await
    }

    pub async fn send(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, String)],
        body: &str,
    ) -> Answer {
        let mut fields = fields.to_vec();
        if method != "GET" && !fields.iter().any(|(name, _)| *name == "Content-Length") {
            fields.push(("Content-Length", body.len().to_string()));
        }
        self.raw((head(method, target, &fields) + body).as_bytes()).await
    }

    pub async fn raw(&self, request: &[u8]) -> Answer {
        Answer::parse(&String::from_utf8(self.bytes(request).await).unwrap())
    }

    /// What comes back until the connection ends, even if it is cut.
    pub async fn bytes(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // Whoever refuses a request before its end may reset the connection after the answer.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

/// What a browser has once it was let in.
pub struct Session {
    pub cookie: String,
    pub key: String,
}

/// The head of a request after which the connection is closed.
pub fn head(method: &str, target: &str, fields: &[(&str, String)]) -> String {
    let lines: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n{}\r\n", lines.concat())
}

/// `fields` with one of them replaced, or added.
pub fn with<'a>(
    fields: Vec<(&'a str, String)>,
    name: &'a str,
    value: &str,
) -> Vec<(&'a str, String)> {
    let mut fields = without(fields, name);
    fields.push((name, value.to_owned()));
    fields
}

pub fn without<'a>(mut fields: Vec<(&'a str, String)>, name: &str) -> Vec<(&'a str, String)> {
    fields.retain(|(other, _)| *other != name);
    fields
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_ascii_lowercase(), value.to_owned())
        };
        Self { status, fields: lines.map(field).collect(), body: body.to_owned() }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}
