/// A file of the page, compiled in.
#[derive(Clone, Copy)]
pub(crate) struct Asset {
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files of a page, each under its path, its HTML first. Nothing on the disk is ever served.
type Files = [(&'static str, Asset)];

/// What both pages have.
const SHARED: &Files = &[
    ("/page.css", Asset { kind: CSS, text: include_str!("../pages/page.css") }),
    ("/entry.js", Asset { kind: JS, text: include_str!("../pages/entry.js") }),
    ("/program.js", Asset { kind: JS, text: include_str!("../pages/program.js") }),
    ("/words.js", Asset { kind: JS, text: include_str!("../pages/words.js") }),
    ("/icon.svg", Asset { kind: SVG, text: include_str!("../pages/icon.svg") }),
];

const LEADER: &Files = &[
    ("/", Asset { kind: HTML, text: include_str!("../pages/index.html") }),
    ("/page.js", Asset { kind: JS, text: include_str!("../pages/page.js") }),
    ("/job.js", Asset { kind: JS, text: include_str!("../pages/job.js") }),
    ("/draw.js", Asset { kind: JS, text: include_str!("../pages/draw.js") }),
    ("/form.js", Asset { kind: JS, text: include_str!("../pages/form.js") }),
    ("/list.js", Asset { kind: JS, text: include_str!("../pages/list.js") }),
    ("/left.js", Asset { kind: JS, text: include_str!("../pages/left.js") }),
];

const HELPER: &Files = &[
    ("/", Asset { kind: HTML, text: include_str!("../pages/helper.html") }),
    ("/helper.js", Asset { kind: JS, text: include_str!("../pages/helper.js") }),
    ("/ask.js", Asset { kind: JS, text: include_str!("../pages/ask.js") }),
    ("/lending.js", Asset { kind: JS, text: include_str!("../pages/lending.js") }),
    ("/trust.js", Asset { kind: JS, text: include_str!("../pages/trust.js") }),
    ("/policy.js", Asset { kind: JS, text: include_str!("../pages/policy.js") }),
];

impl Asset {
    /// What stands under `path` of the leader's page.
    pub(crate) fn of_leader(path: &str) -> Option<Self> {
        find(LEADER, path)
    }

    /// What stands under `path` of the helper's page.
    pub(crate) fn of_helper(path: &str) -> Option<Self> {
        find(HELPER, path)
    }
}

fn find(page: &Files, path: &str) -> Option<Asset> {
    page.iter().chain(SHARED).find(|(known, _)| *known == path).map(|(_, asset)| *asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGES: [&Files; 2] = [LEADER, HELPER];

    fn files(page: &Files) -> impl Iterator<Item = &(&'static str, Asset)> {
        page.iter().chain(SHARED)
    }

    fn of(kind: &str) -> impl Iterator<Item = &'static str> {
        let all = LEADER.iter().chain(HELPER).chain(SHARED);
        all.filter(move |(_, asset)| asset.kind == kind).map(|(_, asset)| asset.text)
    }

    #[test]
    fn the_page_has_no_inline_script_style_or_handler() {
        let is_inline = |attribute: &str| {
            attribute.starts_with("style=")
                || (attribute.starts_with("on") && attribute.contains('='))
        };
        for html in of(HTML) {
            assert!(!html.contains("<style") && !html.contains("javascript:"));
            assert_eq!(html.matches("<script").count(), html.matches("<script src=\"/").count());
            let attributes = html.split('<').flat_map(|tag| tag.split_whitespace().skip(1));
            assert_eq!(attributes.filter(|attribute| is_inline(attribute)).count(), 0);
        }
    }

    #[test]
    fn the_scripts_show_what_others_named_as_text_only() {
        for script in of(JS) {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "srcdoc",
                "DOMParser",
                "setHTML",
            ] {
                assert!(!script.contains(way), "{way}");
            }
        }
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for (path, asset) in LEADER.iter().chain(HELPER).chain(SHARED) {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for foreign in
                ["src=\"http", "href=\"http", "from \"http", "url(http", "@import", "//cdn"]
            {
                assert!(!text.contains(foreign), "{path}: {foreign}");
            }
        }
    }

    #[test]
    fn every_file_that_a_page_names_is_there_and_every_file_is_named() {
        for page in PAGES {
            let named = |path: &str| files(page).any(|(_, asset)| asset.text.contains(path));
            for (path, _) in files(page).skip(1) {
                assert!(named(&format!("\"{path}\"")), "{path}");
            }
            let links = files(page).flat_map(|(_, asset)| asset.text.split('"'));
            let is_file =
                |link: &&str| link.starts_with('/') && link.contains('.') && !link.contains(' ');
            for path in links.filter(is_file) {
                assert!(find(page, path).is_some(), "{path}");
            }
        }
    }

    #[test]
    fn every_page_weighs_less_than_150_kib() {
        for page in PAGES {
            assert!(files(page).map(|(_, asset)| asset.text.len()).sum::<usize>() < 150 << 10);
        }
    }
}
