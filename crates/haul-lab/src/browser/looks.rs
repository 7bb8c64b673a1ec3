use super::Browser;
use crate::Error;
use crate::lan::skip_or_fail;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{env, fs};

const SCHEMES: [&str; 2] = ["light", "dark"];

/// Looks at pages as people see them, in light and in dark, wide and narrow: leaves pictures, and
/// checks the rules of accessibility of axe-core.
#[derive(Debug)]
pub struct Looks {
    axe: Option<String>,
    pictures: PathBuf,
}

impl Looks {
    /// Leaves pictures in `pages` of this `target` folder. The script of axe-core, which is no part
    /// of the repository, is in `axe` there, or where `HAUL_AXE` says.
    pub fn new(target: &Path) -> Self {
        let usual = target.join("axe/package/axe.min.js");
        let file = env::var_os("HAUL_AXE").map_or(usual, Into::into);
        let axe = fs::read_to_string(&file).ok();
        if axe.is_none() {
            let get = "npm pack axe-core@4.14.1 && tar xzf axe-core-4.14.1.tgz package/axe.min.js";
            skip_or_fail(&format!("{} is not there: in its folder, {get}", file.display()));
        }
        Self { axe, pictures: target.join("pages") }
    }

    /// Takes the pictures of a state of the page, and checks it.
    ///
    /// # Panics
    ///
    /// If axe-core finds a serious or critical violation.
    pub fn at(&self, browser: &Browser, name: &str) -> Result<(), Error> {
        for scheme in SCHEMES {
            browser.prefer(scheme)?;
            for (width, size) in [(1000, ""), (320, "-narrow")] {
                browser.resize(width, 900)?;
                let picture = format!("{name}-{scheme}{size}.png");
                browser.picture(&self.pictures.join(picture))?;
            }
            let found = self.violations(browser)?;
            assert!(found.is_empty(), "{name} in {scheme}: {found:#?}");
        }
        browser.resize(1000, 900)
    }

    fn violations(&self, browser: &Browser) -> Result<Vec<Value>, Error> {
        let Some(axe) = &self.axe else { return Ok(Vec::new()) };
        let script = format!(
            "{axe};\nconst done = arguments[arguments.length - 1];\n\
             axe.run().then((found) => done(found.violations), (error) => done([String(error)]));"
        );
        let found = browser.run_async(&script)?;
        let is_serious =
            |one: &&Value| !matches!(one["impact"].as_str(), Some("minor" | "moderate"));
        Ok(found.as_array().into_iter().flatten().filter(is_serious).cloned().collect())
    }
}
