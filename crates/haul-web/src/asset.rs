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

/// All of them, each under its path. Nothing on the disk is ever served.
const ASSETS: [(&str, Asset); 10] = [
    ("/", Asset { kind: HTML, text: include_str!("../pages/index.html") }),
    ("/page.css", Asset { kind: CSS, text: include_str!("../pages/page.css") }),
    ("/page.js", Asset { kind: JS, text: include_str!("../pages/page.js") }),
    ("/program.js", Asset { kind: JS, text: include_str!("../pages/program.js") }),
    ("/words.js", Asset { kind: JS, text: include_str!("../pages/words.js") }),
    ("/job.js", Asset { kind: JS, text: include_str!("../pages/job.js") }),
    ("/draw.js", Asset { kind: JS, text: include_str!("../pages/draw.js") }),
    ("/form.js", Asset { kind: JS, text: include_str!("../pages/form.js") }),
    ("/list.js", Asset { kind: JS, text: include_str!("../pages/list.js") }),
    ("/icon.svg", Asset { kind: SVG, text: include_str!("../pages/icon.svg") }),
];

impl Asset {
    /// What stands under `path`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        ASSETS.iter().find(|(known, _)| *known == path).map(|(_, asset)| *asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str) -> impl Iterator<Item = &'static str> {
        ASSETS.iter().filter(move |(_, asset)| asset.kind == kind).map(|(_, asset)| asset.text)
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
        for (path, asset) in ASSETS {
            let text = asset.text.replace("http://www.w3.org/2000/svg", "");
            for foreign in
                ["src=\"http", "href=\"http", "from \"http", "url(http", "@import", "//cdn"]
            {
                assert!(!text.contains(foreign), "{path}: {foreign}");
            }
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_there_and_every_file_is_named() {
        let named = |path: &str| ASSETS.iter().any(|(_, asset)| asset.text.contains(path));
        for (path, _) in &ASSETS[1..] {
            assert!(named(&format!("\"{path}\"")), "{path}");
        }
        let links = ASSETS.iter().flat_map(|(_, asset)| asset.text.split('"'));
        let files =
            links.filter(|link| link.starts_with('/') && link.contains('.') && !link.contains(' '));
        for path in files {
            assert!(Asset::at(path).is_some(), "{path}");
        }
    }

    #[test]
    fn the_page_weighs_less_than_150_kib() {
        assert!(ASSETS.iter().map(|(_, asset)| asset.text.len()).sum::<usize>() < 150 << 10);
    }
}
