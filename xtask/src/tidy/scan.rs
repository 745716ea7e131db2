//! Reading Rust text without compiling it: code without comments, strings and tests; the paths in it.
//!
//! A lexer, not a parser. It knows what it must to tell code from text: nested comments, raw
//! strings, lifetimes beside characters, `use` trees.

/// One file: its place in the repository, and what it holds.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// A path as it stands in code (`crate::load::spill`), `use` trees spelled out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    /// 1 for the first line.
    pub(crate) line: usize,
    /// It names a macro that is called: `println!`.
    pub(crate) called_macro: bool,
}

/// Returns the text with comments and the insides of strings and characters made blank.
/// Lines keep their numbers.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut blanker = Blanker { chars: &chars, at: 0, out: String::with_capacity(text.len()) };
    while blanker.step() {}
    blanker.out
}

struct Blanker<'t> {
    chars: &'t [char],
    at: usize,
    out: String,
}

impl Blanker<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn keep(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(c) = self.peek(0) {
                self.out.push(c);
                self.at += 1;
            }
        }
    }

    fn blank(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(c) = self.peek(0) {
                self.out.push(if c == '\n' { '\n' } else { ' ' });
                self.at += 1;
            }
        }
    }

    fn step(&mut self) -> bool {
        let Some(c) = self.peek(0) else { return false };
        match (c, self.peek(1)) {
            ('/', Some('/')) => {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.blank(1);
                }
            }
            ('/', Some('*')) => self.block_comment(),
            ('"', _) => self.string(),
            ('r' | 'b' | 'c', _) if !self.inside_word() && self.raw_string() => {}
            ('\'', Some(next)) => {
                // A lifetime has no closing quote right after its first character.
                if next == '\\' || self.peek(2) == Some('\'') {
                    self.character();
                } else {
                    self.keep(1);
                }
            }
            _ => self.keep(1),
        }
        true
    }

    fn inside_word(&self) -> bool {
        self.out.chars().last().is_some_and(is_word)
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (None, _) => return,
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.blank(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.blank(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.blank(1),
            }
        }
    }

    fn string(&mut self) {
        self.keep(1);
        loop {
            match self.peek(0) {
                None => return,
                Some('\\') => self.blank(2),
                Some('"') => return self.keep(1),
                Some(_) => self.blank(1),
            }
        }
    }

    /// Reads `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`; false if none begins here.
    fn raw_string(&mut self) -> bool {
        let mut ahead = usize::from(self.peek(0) != Some('r'));
        if self.peek(ahead) != Some('r') {
            return false;
        }
        ahead += 1;
        let mut hashes = 0;
        while self.peek(ahead + hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(ahead + hashes) != Some('"') {
            return false;
        }
        self.keep(ahead + hashes + 1);
        while self.peek(0).is_some() {
            let closed = self.peek(0) == Some('"')
                && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            if closed {
                self.keep(hashes + 1);
                return true;
            }
            self.blank(1);
        }
        true
    }

    fn character(&mut self) {
        self.keep(1);
        if self.peek(0) == Some('\\') {
            self.blank(2);
        } else {
            self.blank(1);
        }
        while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
            self.blank(1);
        }
        self.keep(1);
    }
}

/// Returns the code with every item behind `#[cfg(test)]` made blank.
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        out.push_str(before);
        let length = item_length(after);
        let (item, behind) = after.split_at_checked(length).unwrap_or((after, ""));
        out.extend(item.chars().filter(|&c| c == '\n'));
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The bytes up to the end of the item that begins here: its `;`, or its closing brace.
fn item_length(code: &str) -> usize {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            '{' => braces += 1,
            '}' if braces <= 1 => return at + 1,
            '}' => braces -= 1,
            ';' if braces == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Word(&'t str),
    Colons,
    Other(char),
}

/// Returns every path of a text that [`code()`] returned, single words included.
pub(crate) fn paths(code: &str) -> Vec<CodePath> {
    let tokens = tokens(code);
    let mut reader = PathReader { tokens: &tokens, at: 0, open: Vec::new(), found: Vec::new() };
    while reader.step() {}
    reader.found
}

struct PathReader<'t> {
    tokens: &'t [(Token<'t>, usize)],
    at: usize,
    /// The prefixes of the `use` groups that are open; an empty one for any other brace.
    open: Vec<Vec<String>>,
    found: Vec<CodePath>,
}

impl PathReader<'_> {
    fn token(&self, ahead: usize) -> Option<Token<'_>> {
        self.tokens.get(self.at + ahead).map(|(token, _)| *token)
    }

    fn step(&mut self) -> bool {
        let Some(&(token, line)) = self.tokens.get(self.at) else { return false };
        match token {
            Token::Word("as") => self.at += 2,
            Token::Word(_) => self.path(line),
            Token::Other('{') => {
                self.open.push(Vec::new());
                self.at += 1;
            }
            Token::Other('}') => {
                self.open.pop();
                self.at += 1;
            }
            Token::Other('*') if self.in_group() => {
                let mut segments = self.open.last().cloned().unwrap_or_default();
                segments.push("*".to_owned());
                self.found.push(CodePath { segments, line, called_macro: false });
                self.at += 1;
            }
            Token::Colons | Token::Other(_) => self.at += 1,
        }
        true
    }

    fn in_group(&self) -> bool {
        self.open.last().is_some_and(|prefix| !prefix.is_empty())
    }

    fn path(&mut self, line: usize) {
        let mut segments = self.open.last().cloned().unwrap_or_default();
        if let Some(Token::Word(word)) = self.token(0) {
            segments.push(word.to_owned());
        }
        self.at += 1;
        while self.token(0) == Some(Token::Colons) {
            match self.token(1) {
                Some(Token::Word(word)) => segments.push(word.to_owned()),
                Some(Token::Other('*')) => segments.push("*".to_owned()),
                Some(Token::Other('{')) => {
                    self.open.push(segments);
                    self.at += 2;
                    return;
                }
                _ => break,
            }
            self.at += 2;
        }
        let called_macro =
            self.token(0) == Some(Token::Other('!')) && self.token(1) != Some(Token::Other('='));
        self.found.push(CodePath { segments, line, called_macro });
    }
}

fn tokens(code: &str) -> Vec<(Token<'_>, usize)> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let length = if is_word(c) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            found.push((Token::Word(rest.get(..length).unwrap_or_default()), line));
            length
        } else if rest.starts_with("::") {
            found.push((Token::Colons, line));
            2
        } else {
            if c == '\n' {
                line += 1;
            } else if !c.is_whitespace() {
                found.push((Token::Other(c), line));
            }
            c.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_paths(text: &str, expected: &[&str]) {
        let found: Vec<String> = paths(&without_tests(&code(text)))
            .iter()
            .filter(|path| path.segments.len() > 1)
            .map(|path| format!("{}:{}", path.segments.join("::"), path.line))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        check_paths(
            "// a::b\n/* a::b /* c::d */ e::f */\nlet x = \"a::b \\\" c::d\"; let y = r#\"a::b\"#; let z = '\\''; f::g();",
            &["f::g:3"],
        );
        check_paths("fn f<'a>(x: &'a str) -> crate::b::C { x }", &["crate::b::C:1"]);
        check_paths("let bar = b\"a::b\"; let q = '\"'; a::c();", &["a::c:1"]);
    }

    #[test]
    fn use_trees_are_spelled_out() {
        check_paths(
            "use std::{\n    fs,\n    net::{IpAddr, TcpStream as S},\n    io::*,\n};\nfn f() { g() }",
            &["std::fs:2", "std::net::IpAddr:3", "std::net::TcpStream:3", "std::io::*:4"],
        );
        check_paths("use crate::a::{self, b};", &["crate::a::self:1", "crate::a::b:1"]);
    }

    #[test]
    fn items_behind_cfg_test_are_left_out() {
        check_paths(
            "use a::b;\n#[cfg(test)]\nmod tests {\n  use c::d; fn f() { e::f() }\n}\nuse g::h;\n#[cfg(test)]\nuse i::j;\nuse k::l;",
            &["a::b:1", "g::h:6", "k::l:9"],
        );
    }

    #[test]
    fn a_called_macro_is_told_from_a_comparison() {
        let found = paths("todo!(); if a != b {}");
        let macros: Vec<_> = found
            .iter()
            .filter(|path| path.called_macro)
            .map(|path| path.segments.join("::"))
            .collect();
        assert_eq!(macros, ["todo"]);
    }
}
