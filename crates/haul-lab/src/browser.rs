//! Chromium without a window, driven over `WebDriver` (W3C Recommendation "`WebDriver`", 2018).
//!
//! Each [`Browser`] has a driver, a browser and a profile of its own, all of which end with it. It
//! finds no host by name, so that no page under test reaches past this machine unnoticed.

mod looks;
mod wire;

pub use looks::Looks;

use crate::Error;
use crate::lan::{Process, is_installed};
use rustix::process::geteuid;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything on a page may take to turn up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a page that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// The key under which `WebDriver` names an element (§11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running browser with one window at first.
#[derive(Debug)]
pub struct Browser {
    // Before the driver: ends the browser while somebody can still be told to.
    session: Session,
    _driver: Process,
    _profile: TempDir,
}

#[derive(Debug)]
struct Session {
    port: u16,
    path: String,
}

/// An element of the page, as long as the page keeps it.
#[derive(Debug)]
pub struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

/// Why there can be no browser here; `None` if all is well.
pub fn missing() -> Option<String> {
    let absent = ["chromium", "chromedriver"].into_iter().find(|program| !is_installed(program));
    absent.map(|program| format!("`{program}` is not installed"))
}

impl Browser {
    /// Starts one with an empty profile.
    pub fn start() -> Result<Self, Error> {
        let profile = TempDir::new().map_err(Error::io("make a profile"))?;
        let mut driver = Process::spawn(Command::new("chromedriver").arg("--port=0"))?;
        driver.wait_for(PATIENCE, |said, _| port(said).is_some())?;
        let port = port(&driver.stdout()).unwrap_or_default();
        let options = json!({ "args": arguments(profile.path()) });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
        }}});
        let made = wire::call(port, "POST", "/session", Some(&wanted))?;
        let id = made["sessionId"].as_str().unwrap_or_default();
        let session = Session { port, path: format!("/session/{id}") };
        Ok(Self { session, _driver: driver, _profile: profile })
    }

    /// Opens an address and waits until it is loaded.
    pub fn open(&self, address: &str) -> Result<(), Error> {
        self.session.post("/url", &json!({ "url": address })).map(drop)
    }

    /// Loads the page again.
    pub fn reload(&self) -> Result<(), Error> {
        self.session.post("/refresh", &json!({})).map(drop)
    }

    /// Runs a script in the page and gives what it returns. The page's own content policy does not
    /// hold for it.
    pub fn run(&self, script: &str) -> Result<Value, Error> {
        self.session.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs a script that ends by calling its last argument.
    pub fn run_async(&self, script: &str) -> Result<Value, Error> {
        self.session.post("/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression of the page's is true, and gives what it is then.
    pub fn wait(&self, expression: &str) -> Result<Value, Error> {
        let began = Instant::now();
        loop {
            let is = self.run(&format!("return ({expression});"))?;
            if !matches!(is, Value::Null | Value::Bool(false)) && is != "" && is != 0 {
                return Ok(is);
            }
            if began.elapsed() > PATIENCE {
                let said = format!("it never was: {}", self.text("body").unwrap_or_default());
                return Err(Error::Browser { asked: expression.to_owned(), said });
            }
            sleep(LOOK);
        }
    }

    /// Waits for an element that can be seen, by its CSS selector.
    pub fn find(&self, selector: &str) -> Result<Element<'_>, Error> {
        let quoted = json!(selector);
        self.wait(&format!(
            "document.querySelector({quoted})?.checkVisibility({{visibilityProperty: true}})"
        ))?;
        let found = json!({ "using": "css selector", "value": selector });
        let found = self.session.post("/element", &found)?;
        let id = found[ELEMENT].as_str().unwrap_or_default().to_owned();
        Ok(Element { browser: self, id })
    }

    /// The text of the first element that a selector names, as the page has it.
    pub fn text(&self, selector: &str) -> Result<String, Error> {
        let script =
            format!("return document.querySelector({})?.innerText ?? '';", json!(selector));
        Ok(self.run(&script)?.as_str().unwrap_or_default().to_owned())
    }

    /// Types into whatever has the focus; see the `WebDriver`'s table (§17.4.2) for other keys.
    pub fn press(&self, keys: &str) -> Result<(), Error> {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() }))
        });
        let strokes: Vec<Value> = strokes.collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.session.post("/actions", &json!({ "actions": [keyboard] })).map(drop)
    }

    /// Writes a picture of the whole page to a file, with the folders on the way to it.
    pub fn picture(&self, file: &Path) -> Result<(), Error> {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let taken = self.command("Page.captureScreenshot", &whole)?;
        let bytes = wire::from_base64(taken["data"].as_str().unwrap_or_default());
        let folder = file.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(file, bytes));
        written.map_err(Error::io(format!("write {}", file.display())))
    }

    /// Shows pages to somebody who prefers dark ones, or light ones, and no motion.
    pub fn prefer(&self, scheme: &str) -> Result<(), Error> {
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]});
        self.command("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// Gives the page so many CSS pixels.
    pub fn resize(&self, width: u32, height: u32) -> Result<(), Error> {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.command("Emulation.setDeviceMetricsOverride", &size).map(drop)
    }

    /// Opens another tab and turns to it; gives the tab that was there before.
    pub fn another_tab(&self) -> Result<Value, Error> {
        let before = self.session.get("/window")?;
        let made = self.session.post("/window/new", &json!({ "type": "tab" }))?;
        self.turn_to(&made["handle"])?;
        Ok(before)
    }

    /// Turns to a tab.
    pub fn turn_to(&self, tab: &Value) -> Result<(), Error> {
        self.session.post("/window", &json!({ "handle": tab })).map(drop)
    }

    /// A command of Chromium's own protocol, for what `WebDriver` has no words for.
    fn command(&self, name: &str, parameters: &Value) -> Result<Value, Error> {
        self.session.post("/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }
}

impl Element<'_> {
    /// Clicks it, as a pointer does: what covers it is in the way.
    pub fn click(&self) -> Result<(), Error> {
        self.browser.session.post(&self.path("click"), &json!({})).map(drop)
    }

    /// Replaces what is in it by what a keyboard types.
    pub fn fill(&self, text: &str) -> Result<(), Error> {
        self.browser.session.post(&self.path("clear"), &json!({}))?;
        self.browser.session.post(&self.path("value"), &json!({ "text": text })).map(drop)
    }

    fn path(&self, deed: &str) -> String {
        format!("/element/{}/{deed}", self.id)
    }
}

impl Session {
    fn get(&self, path: &str) -> Result<Value, Error> {
        wire::call(self.port, "GET", &format!("{}{path}", self.path), None)
    }

    fn post(&self, path: &str, value: &Value) -> Result<Value, Error> {
        wire::call(self.port, "POST", &format!("{}{path}", self.path), Some(value))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A browser that is gone already needs no ending.
        let _ = wire::call(self.port, "DELETE", &self.path, None);
    }
}

fn arguments(profile: &Path) -> Vec<String> {
    let fixed = [
        "--headless=new",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-sync",
        "--hide-scrollbars",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
        "--no-first-run",
        "--window-size=1000,900",
    ];
    let own = [format!("--user-data-dir={}", profile.display())];
    // Chromium's sandbox refuses root.
    let root = geteuid().is_root().then(|| "--no-sandbox".to_owned());
    fixed.into_iter().map(str::to_owned).chain(own).chain(root).collect()
}

/// The port that the driver says it listens on.
fn port(said: &str) -> Option<u16> {
    let (_, after) = said.split_once("started successfully on port ")?;
    after.split('.').next()?.parse().ok()
}
