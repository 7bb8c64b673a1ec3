/// A file of the page, compiled in.
#[derive(Clone, Copy)]
pub(crate) struct Asset {
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
}

impl Asset {
    /// What stands under `path`. Nothing on the disk is ever served.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => {
                Self { kind: "text/html; charset=utf-8", text: include_str!("../pages/index.html") }
            }
            "/app.css" => {
                Self { kind: "text/css; charset=utf-8", text: include_str!("../pages/app.css") }
            }
            "/app.js" => Self {
                kind: "text/javascript; charset=utf-8",
                text: include_str!("../pages/app.js"),
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_no_inline_script_style_or_handler() {
        let html = Asset::at("/").unwrap().text;
        for inline in ["<style", "style=", "onclick", "onload", "javascript:", "http:", "https:"] {
            assert!(!html.contains(inline), "{inline}");
        }
        assert_eq!(html.matches("<script").count(), html.matches("<script src=\"").count());
    }

    #[test]
    fn the_script_shows_what_others_named_as_text_only() {
        let script = Asset::at("/app.js").unwrap().text;
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!script.contains(way), "{way}");
        }
    }

    #[test]
    fn the_page_weighs_less_than_150_kib() {
        let weight = |path| Asset::at(path).unwrap().text.len();
        assert!(["/", "/app.css", "/app.js"].map(weight).iter().sum::<usize>() < 150 << 10);
    }
}
