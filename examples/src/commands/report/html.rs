//! A page: text is escaped where it comes in, so that no manifest can put markup on it.
use std::fmt::Write as _;

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:76em;padding:0 1em;color:#222}\
h1{font-size:1.6em}h2{margin-top:2em;border-bottom:1px solid #ccc}h3{margin-bottom:.3em}\
table{border-collapse:collapse;margin:.4em 0 1em}td,th{padding:.15em .8em .15em 0;text-align:left;vertical-align:top}\
th{color:#666;font-weight:600}tr.error td:first-child{color:#b00020}tr.warning td:first-child{color:#9a6700}\
.bar{display:flex;width:24em;height:1em;background:#eee}.bar span{display:block;height:1em}\
details{margin:.3em 0}summary{cursor:pointer}code{font-size:.95em}";

/// Colours of priorities, from the nearest on.
const COLOURS: [&str; 5] = ["#2e7d32", "#9e9d24", "#ef6c00", "#c62828", "#6a1b9a"];

/// A page that grows.
#[derive(Debug)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escaped(title);
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</body></html>\n");
        self.0
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.push(&format!("<h2>{}</h2>\n", escaped(text)));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.push(&format!("<p>{}</p>\n", escaped(text)));
    }

    /// A table; each row with the class that colours it, `""` for none.
    pub(super) fn table(&mut self, heads: &[&str], rows: &[(&str, Vec<Cell>)]) {
        self.push("<table><tr>");
        for head in heads {
            self.push(&format!("<th>{}</th>", escaped(head)));
        }
        self.push("</tr>\n");
        for (class, cells) in rows {
            self.push(&format!("<tr class=\"{}\">", escaped(class)));
            for cell in cells {
                self.push(&format!("<td>{}</td>", cell.0));
            }
            self.push("</tr>\n");
        }
        self.push("</table>\n");
    }

    /// What is shown when its summary is clicked.
    pub(super) fn details(&mut self, summary: &str, inside: impl FnOnce(&mut Self)) {
        self.push(&format!("<details><summary>{}</summary>\n", escaped(summary)));
        inside(self);
        self.push("</details>\n");
    }

    fn push(&mut self, markup: &str) {
        self.0.push_str(markup);
    }
}

/// A cell of a table, as markup.
#[derive(Debug)]
pub(super) struct Cell(String);

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self(escaped(text))
    }

    /// Shares of priorities as a bar, in percent.
    pub(super) fn bar(loads: &[u32]) -> Self {
        let mut markup = "<div class=\"bar\">".to_owned();
        for (load, colour) in loads.iter().zip(COLOURS.iter().cycle()) {
            // Writing to a text cannot fail.
            let _ = write!(markup, "<span style=\"width:{load}%;background:{colour}\"></span>");
        }
        markup.push_str("</div>");
        Self(markup)
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut page = Page::new("<script>");
        page.table(&["a"], &[("\"x", vec![Cell::text("<b>&'")])]);
        let text = page.finish();
        assert!(!text.contains("<script>") && !text.contains("<b>"), "{text}");
        assert!(text.contains("&lt;b&gt;&amp;&#39;") && text.contains("&quot;x"), "{text}");
    }
}
