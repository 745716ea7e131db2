//! A page: text is escaped where it comes in, so that no manifest can put markup on it.
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");

/// How many colours priorities have; the others share the last.
const COLOURS: usize = 5;

/// The heads of columns of numbers.
const NUMBERS: &[&str] = &["proxies", "workloads", "weight", "share"];

/// A page that grows.
#[derive(Debug)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn new(title: &str, lead: &str, sections: &[(&str, &str)]) -> Self {
        let (title, lead) = (escaped(title), escaped(lead));
        let links: String = sections
            .iter()
            .map(|(id, name)| format!("<a href=\"#{}\">{}</a>", escaped(id), escaped(name)))
            .collect();
        Self(format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\"><title>{title}</title>\n<style>\n{STYLE}</style>\
             </head>\n<body><header><div class=\"wrap\"><h1>{title}</h1><p class=\"lead\">{lead}</p>\
             <nav>{links}</nav></div></header>\n<main class=\"wrap\">\n"
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.push(
            "</main><footer class=\"wrap\">Computed from the manifests alone, as istiod and Envoy \
             would; nothing was asked of a cluster.</footer></body></html>\n",
        );
        self.0
    }

    pub(super) fn section(&mut self, id: &str, name: &str, lead: &str) {
        let markup = format!(
            "<h2 id=\"{}\">{}</h2>\n<p class=\"lead\">{}</p>\n",
            escaped(id),
            escaped(name),
            escaped(lead)
        );
        self.push(&markup);
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.push(&format!("<h3>{}</h3>\n", escaped(text)));
    }

    /// What there is none of.
    pub(super) fn nothing(&mut self, text: &str) {
        self.push(&format!("<div class=\"card nothing\">{}</div>\n", escaped(text)));
    }

    /// Numbers at a glance; a class colours one.
    pub(super) fn tiles(&mut self, tiles: &[(&str, usize, &str)]) {
        self.push("<div class=\"tiles\">");
        for (class, number, name) in tiles {
            let (class, name) = (escaped(class), escaped(name));
            self.push(&format!(
                "<div class=\"tile {class}\"><b>{number}</b><span>{name}</span></div>"
            ));
        }
        self.push("</div>\n");
    }

    /// A table that scrolls by itself where it is too wide.
    pub(super) fn table(&mut self, heads: &[&str], rows: &[Vec<Cell>]) {
        self.push("<div class=\"scroll\"><table><thead><tr>");
        for head in heads {
            let class = if NUMBERS.contains(head) { " class=\"n\"" } else { "" };
            self.push(&format!("<th{class}>{}</th>", escaped(head)));
        }
        self.push("</tr></thead><tbody>\n");
        for cells in rows {
            self.push("<tr>");
            for Cell { class, markup } in cells {
                self.push(&format!("<td class=\"{class}\">{markup}</td>"));
            }
            self.push("</tr>\n");
        }
        self.push("</tbody></table></div>\n");
    }

    pub(super) fn card(&mut self, inside: impl FnOnce(&mut Self)) {
        self.push("<div class=\"card\">");
        inside(self);
        self.push("</div>\n");
    }

    /// What is shown when its summary is clicked; `about` is said beside the name, `tags` stand on the
    /// right.
    pub(super) fn details(
        &mut self,
        (class, name, about): (&str, &str, &str),
        tags: &[Tag],
        inside: impl FnOnce(&mut Self),
    ) {
        let tags: String = tags.iter().map(|tag| tag.0.as_str()).collect();
        let markup = format!(
            "<details class=\"{}\"><summary><span class=\"name\">{}</span><span \
             class=\"grow\">{}</span>{tags}</summary>\n",
            escaped(class),
            escaped(name),
            escaped(about)
        );
        self.push(&markup);
        inside(self);
        self.push("</details>\n");
    }

    /// Names, in columns.
    pub(super) fn members(&mut self, names: &[String]) {
        self.push("<ul class=\"members\">");
        for name in names {
            self.push(&format!("<li><code>{}</code></li>", escaped(name)));
        }
        self.push("</ul>\n");
    }

    /// What the colours of priorities mean.
    pub(super) fn key(&mut self) {
        self.push("<div class=\"key\">");
        for (index, name) in
            ["priority 0, the nearest", "1", "2", "3", "4 and further"].iter().enumerate()
        {
            self.push(&format!("<span><i class=\"c{index}\"></i>{name}</span>"));
        }
        self.push("<span><i style=\"background:var(--none)\"></i>no answer</span></div>\n");
    }

    /// A drawing, as markup.
    pub(super) fn drawing(&mut self, markup: &str) {
        self.push("<div class=\"card map scroll\">");
        self.push(markup);
        self.push("</div>\n");
    }

    fn push(&mut self, markup: &str) {
        self.0.push_str(markup);
    }
}

/// A word in a frame, as markup.
#[derive(Debug)]
pub(super) struct Tag(String);

impl Tag {
    pub(super) fn new(class: &str, text: &str) -> Self {
        Self(format!("<span class=\"tag {}\">{}</span>", escaped(class), escaped(text)))
    }
}

/// A cell of a table, as markup.
#[derive(Debug)]
pub(super) struct Cell {
    class: &'static str,
    markup: String,
}

impl Cell {
    pub(super) fn text(text: &str) -> Self {
        Self { class: "", markup: escaped(text) }
    }

    /// A long text.
    pub(super) fn prose(text: &str) -> Self {
        Self { class: "wide", markup: escaped(text) }
    }

    /// A name, which is not broken.
    pub(super) fn name(text: &str) -> Self {
        Self { class: "k", markup: escaped(text) }
    }

    pub(super) fn code(text: &str) -> Self {
        Self { class: "", markup: format!("<code>{}</code>", escaped(text)) }
    }

    /// An address or a name of an object, which is not broken.
    pub(super) fn key(text: &str) -> Self {
        Self { class: "k", markup: format!("<code>{}</code>", escaped(text)) }
    }

    /// Names of places, one a line.
    pub(super) fn lines(texts: &[String]) -> Self {
        let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
        Self { class: "k", markup: texts.join("<br>") }
    }

    pub(super) fn number(text: &str) -> Self {
        Self { class: "n", markup: escaped(text) }
    }

    pub(super) fn tag(class: &str, text: &str) -> Self {
        Self { class: "k", markup: Tag::new(class, text).0 }
    }

    /// Loads of priorities as a bar with its numbers, in percent.
    pub(super) fn bar(loads: &[u32]) -> Self {
        let mut markup = "<div class=\"bar\">".to_owned();
        for (index, load) in loads.iter().enumerate().filter(|(_, load)| **load > 0) {
            let colour = index.min(COLOURS - 1);
            // Writing to a text cannot fail.
            let _ = write!(markup, "<span class=\"c{colour}\" style=\"width:{load}%\"></span>");
        }
        let numbers: Vec<String> = loads.iter().map(ToString::to_string).collect();
        let _ = write!(markup, "</div><div class=\"num\">{}</div>", numbers.join(" / "));
        Self { class: "", markup }
    }
}

pub(super) fn escaped(text: &str) -> String {
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
        let mut page = Page::new("<script>", "<i>", &[("\"x", "<u>")]);
        page.table(
            &["a"],
            &[vec![Cell::text("<b>&'"), Cell::code("<b>"), Cell::tag("\"x", "<b>")]],
        );
        page.details(("\"x", "<b>", "<b>"), &[Tag::new("\"x", "<b>")], |page| page.nothing("<b>"));
        let text = page.finish();
        for markup in ["<script>", "<b>", "<i>&", "<u>", "\"x\""] {
            assert!(!text.contains(markup), "{markup} in {text}");
        }
        assert!(text.contains("&lt;b&gt;&amp;&#39;") && text.contains("&quot;x"), "{text}");
    }
}
