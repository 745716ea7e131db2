//! Paths as every policy sees them: normalized by the HTTP connection manager first.
use std::borrow::Cow;
use std::fmt;

/// How paths are normalized (`MeshConfig.pathNormalization`).
///
/// # Upstream
///
/// istio/istio `pilot/pkg/networking/core/listener_builder.go`; envoyproxy/envoy
/// `source/common/http/path_utility.cc`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every option")]
pub enum PathNormalization {
    /// Paths are left as they are.
    None,
    /// Dot segments are resolved, backslashes turned, unreserved characters decoded. Also `DEFAULT`.
    #[default]
    Base,
    /// `Base`, and runs of slashes become one.
    MergeSlashes,
    /// `MergeSlashes`, with escaped slashes and backslashes decoded before anything else.
    DecodeAndMergeSlashes,
}

/// What becomes of a path with an escaped slash or backslash (`%2F`, `%5C`, in either case of letters).
///
/// # Upstream
///
/// envoyproxy/envoy `source/common/http/conn_manager_utility.cc`
/// `ConnectionManagerUtility::maybeNormalizePath`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "generators act on every option")]
pub enum EscapedSlashes {
    /// They stay.
    KeepUnchanged,
    /// The proxy answers 400.
    RejectRequest,
    /// The proxy sends the client to the path without them; a gRPC client, which would not go, is answered 400.
    UnescapeAndRedirect,
    /// They are decoded before anything else.
    UnescapeAndForward,
}

/// What a proxy does to paths before any policy looks at them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_structs, reason = "callers set single fields over the default")]
pub struct PathOptions {
    /// How far paths are normalized.
    pub normalization: PathNormalization,
    /// Whether runs of slashes become one (`connectionSettings.httpMergeSlashes`); `None`: as
    /// `normalization` says.
    pub merge_slashes: Option<bool>,
    /// What becomes of escaped slashes (`connectionSettings.httpPathWithEscapedSlashesAction`); `None`: as
    /// `normalization` says.
    pub escaped_slashes: Option<EscapedSlashes>,
    /// Whether `.;a=b` and `..;a=b` are dot segments (true since the Envoy releases of 2026-09).
    pub dot_segments_with_parameters: bool,
    /// Whether rules on paths see what stands before the first `;` only: routes do so
    /// (`ignore_path_parameters_in_path_matching`, false in all that istiod generates).
    pub ignores_parameters: bool,
}

impl Default for PathOptions {
    fn default() -> Self {
        Self {
            normalization: PathNormalization::Base,
            merge_slashes: None,
            escaped_slashes: None,
            dot_segments_with_parameters: true,
            ignores_parameters: false,
        }
    }
}

impl PathOptions {
    /// Whether dot segments are resolved and characters made canonical.
    pub(crate) fn normalizes(self) -> bool {
        self.normalization != PathNormalization::None
    }

    /// Whether runs of slashes become one.
    pub(crate) fn merges_slashes(self) -> bool {
        use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
        self.merge_slashes.unwrap_or(match self.normalization {
            MergeSlashes | DecodeAndMergeSlashes => true,
            None | Base => false,
        })
    }

    /// What becomes of escaped slashes.
    pub(crate) fn escaped_slashes(self) -> EscapedSlashes {
        use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
        self.escaped_slashes.unwrap_or(match self.normalization {
            DecodeAndMergeSlashes => EscapedSlashes::UnescapeAndForward,
            None | Base | MergeSlashes => EscapedSlashes::KeepUnchanged,
        })
    }

    /// Whether the escape with these two digits is in no path that policies see. No path that is written as
    /// clients write has it then; what is decoded is not looked at again, so `%%361` comes out as `%61`.
    pub(crate) fn has_no_escape(self, digits: &str) -> bool {
        (self.escaped_slashes() != EscapedSlashes::KeepUnchanged && slash(digits).is_some())
            || (self.normalizes() && escaped(digits).is_some_and(is_unreserved))
    }
}

/// A path that a proxy does not serve: it answers 400, or sends the client elsewhere, before any policy is
/// asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RejectedPath {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Character,
    Slash,
    EscapedNul,
    EscapedSlash,
    Redirected,
}

impl RejectedPath {
    /// Returns whether the client is sent to the path without escaped slashes, unless it speaks gRPC.
    pub fn is_redirected(self) -> bool {
        self.kind == Kind::Redirected
    }

    /// Returns the status of the answer: 400, or 307 for a client that is sent elsewhere.
    pub fn status(self) -> u16 {
        if self.is_redirected() { 307 } else { 400 }
    }
}

impl fmt::Display for RejectedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Character => "path has a blank, a `#`, a control or a non-ASCII character",
            Kind::Slash => "path does not start with `/`",
            Kind::EscapedNul => "path has an escaped NUL character",
            Kind::EscapedSlash => "path has an escaped slash or backslash",
            Kind::Redirected => {
                "path has an escaped slash or backslash, and the client is sent to the one without"
            }
        })
    }
}

impl std::error::Error for RejectedPath {}

/// A normalized path with its query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NormalPath<'p> {
    text: Cow<'p, str>,
    // INVARIANT: the place of the first `?` in `text`, or its length; less where parameters are ignored.
    end: usize,
}

impl<'p> NormalPath<'p> {
    /// Normalizes the `:path` of a request; allocates only for a path that is not normal already.
    ///
    /// # Errors
    ///
    /// When the proxy would answer 400, or send the client elsewhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use mesh_authz::matcher::{NormalPath, PathOptions};
    /// let path = NormalPath::new("/public/%2E./admin?x=../y", PathOptions::default())?;
    /// assert_eq!(path.as_str(), "/admin?x=../y");
    /// # Ok::<(), mesh_authz::matcher::RejectedPath>(())
    /// ```
    pub fn new(raw: &'p str, options: PathOptions) -> Result<Self, RejectedPath> {
        let scan = Scan::of(raw.as_bytes(), options);
        if scan.found & REFUSED != 0 {
            return Err(RejectedPath { kind: Kind::Character });
        }
        if !raw.starts_with('/') {
            return Err(RejectedPath { kind: Kind::Slash });
        }
        let end = scan.end;
        let (path, query) = raw.split_at_checked(end).unwrap_or((raw, ""));
        if scan.is_normal(options) {
            return Ok(Self { text: Cow::Borrowed(raw), end }.for_rules(options));
        }
        let mut text = rewritten(path, options)?;
        let end = text.len();
        text.push_str(query);
        Ok(Self { text: Cow::Owned(text), end }.for_rules(options))
    }

    /// Ends where rules stop to look.
    fn for_rules(self, options: PathOptions) -> Self {
        let parameters = options.ignores_parameters.then(|| self.without_query().find(';'));
        Self { end: parameters.flatten().unwrap_or(self.end), ..self }
    }

    /// Returns the path with its query, as the header `:path` has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the path without its query, as rules on paths see it.
    pub fn without_query(&self) -> &str {
        self.text.get(..self.end).unwrap_or_default()
    }
}

/// What a byte is to normalization: a set of the bits below.
const CLASSES: [u8; 256] = classes();
/// No path may hold it.
const REFUSED: u8 = 1;
/// It is decoded, escaped or turned.
const REWRITTEN: u8 = 2;
const SLASH: u8 = 4;
const DOT: u8 = 8;
/// Where the query begins.
const QUERY: u8 = 64;
/// Of a pair: a slash and a slash.
const TWO_SLASHES: u8 = 16;
/// Of a pair: a slash and a dot.
const SLASH_AND_DOT: u8 = 32;

#[expect(clippy::indexing_slicing, reason = "evaluated when compiled: no index can be wrong later")]
const fn classes() -> [u8; 256] {
    let mut classes = [REFUSED; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        classes[byte] = 0;
        byte += 1;
    }
    classes[b'#' as usize] = REFUSED;
    let mut rest: &[u8] = b"%\\\"<>^`{|}";
    while let [byte, tail @ ..] = rest {
        classes[*byte as usize] = REWRITTEN;
        rest = tail;
    }
    classes[b'/' as usize] = SLASH;
    classes[b'.' as usize] = DOT;
    classes[b'?' as usize] = QUERY;
    classes
}

/// What a look at each byte of a path finds.
struct Scan {
    /// The bits of all bytes and pairs of the path, and whether its query holds a refused one.
    found: u8,
    /// Where the query begins.
    end: usize,
}

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(REFUSED)
}

impl Scan {
    fn of(raw: &[u8], options: PathOptions) -> Self {
        // Most paths hold letters, digits and single slashes: one quick pass tells.
        let (eights, rest) = raw.as_chunks::<8>();
        let (mut found, mut end) = (0, None);
        for (at, eight) in eights.iter().enumerate() {
            let [a, b, c, d, e, f, g, h] = eight.map(class);
            found |= a | b | c | d | e | f | g | h;
            if end.is_none() && found & QUERY != 0 {
                end = Some(at * 8);
            }
        }
        found = rest.iter().fold(found, |found, byte| found | class(*byte));
        if found & !(SLASH | QUERY) != 0 {
            return Self::closely(raw);
        }
        let end = match found & QUERY {
            0 => raw.len(),
            _ => {
                let start = end.unwrap_or(raw.len() - rest.len());
                let after = raw.get(start..).unwrap_or_default();
                after.iter().position(|byte| *byte == b'?').map_or(raw.len(), |at| start + at)
            }
        };
        if options.merges_slashes() { Self::closely(raw) } else { Self { found: 0, end } }
    }

    fn closely(raw: &[u8]) -> Self {
        let mut found = 0;
        let mut previous = 0;
        let mut end = raw.len();
        for (at, byte) in raw.iter().enumerate() {
            if *byte == b'?' {
                end = at;
                break;
            }
            let class = class(*byte);
            // After a slash the bits of a slash and of a dot become those of the pairs.
            let pair = if previous == SLASH { class & (SLASH | DOT) } else { 0 };
            found |= class | (pair << 2);
            previous = class;
        }
        for byte in raw.get(end..).unwrap_or_default() {
            found |= class(*byte) & REFUSED;
        }
        Self { found, end }
    }

    /// Returns whether nothing of the path would be rewritten.
    fn is_normal(&self, options: PathOptions) -> bool {
        let mut rewritten = 0;
        if options.normalizes() {
            rewritten |= REWRITTEN | SLASH_AND_DOT;
        }
        if options.merges_slashes() {
            rewritten |= TWO_SLASHES;
        }
        if options.escaped_slashes() != EscapedSlashes::KeepUnchanged {
            // An escape is among what normalization rewrites.
            rewritten |= REWRITTEN;
        }
        self.found & rewritten == 0
    }
}

/// Decodes slashes, then normalizes, then merges slashes, each if it is asked for.
fn rewritten(path: &str, options: PathOptions) -> Result<String, RejectedPath> {
    let decoded = match options.escaped_slashes() {
        EscapedSlashes::KeepUnchanged => Cow::Borrowed(path),
        EscapedSlashes::RejectRequest
        | EscapedSlashes::UnescapeAndRedirect
        | EscapedSlashes::UnescapeAndForward => Cow::Owned(decode_slashes(path)),
    };
    let is_decoded = *decoded != *path;
    if is_decoded && options.escaped_slashes() == EscapedSlashes::RejectRequest {
        return Err(RejectedPath { kind: Kind::EscapedSlash });
    }
    let resolved = if options.normalizes() {
        resolve_dots(&canonical_characters(&decoded)?, options)
    } else {
        decoded.into_owned()
    };
    if is_decoded && options.escaped_slashes() == EscapedSlashes::UnescapeAndRedirect {
        return Err(RejectedPath { kind: Kind::Redirected });
    }
    Ok(if options.merges_slashes() { merge_slashes(resolved) } else { resolved })
}

/// `%2F` to `/` and `%5C` to `\`.
fn decode_slashes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let slash = after.get(..2).and_then(slash);
        out.push(slash.unwrap_or('%'));
        rest = slash.and_then(|_| after.get(2..)).unwrap_or(after);
    }
    out.push_str(rest);
    out
}

/// The slash or backslash that two digits of an escape stand for.
fn slash(digits: &str) -> Option<char> {
    match digits {
        "2F" | "2f" => Some('/'),
        "5C" | "5c" => Some('\\'),
        _ => None,
    }
}

/// Turns backslashes, decodes unreserved characters once and escapes what a path may not hold.
fn canonical_characters(path: &str) -> Result<String, RejectedPath> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => out.push('/'),
            '"' | '<' | '>' | '^' | '`' | '{' | '|' | '}' => {
                out.push_str(&format!("%{:02X}", u32::from(character)));
            }
            '%' => match rest.as_str().get(..2).and_then(escaped) {
                Some(0) => return Err(RejectedPath { kind: Kind::EscapedNul }),
                Some(byte) if is_unreserved(byte) => {
                    out.push(char::from(byte));
                    rest.by_ref().take(2).for_each(drop);
                }
                // Any other escape stays as it is, byte for byte.
                Some(_) | None => out.push('%'),
            },
            _ => out.push(character),
        }
    }
    Ok(out)
}

/// The byte that two hexadecimal digits stand for.
fn escaped(digits: &str) -> Option<u8> {
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u8::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Removes `.` and resolves `..`; where one is last the path ends in a slash.
fn resolve_dots(path: &str, options: PathOptions) -> String {
    let mut out = String::with_capacity(path.len());
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let name = match segment.split_once(';') {
            Some((name, _)) if options.dot_segments_with_parameters => name,
            _ => segment,
        };
        if name == ".." {
            out.truncate(out.rfind('/').unwrap_or(0));
        } else if name != "." {
            out.push('/');
            out.push_str(segment);
            continue;
        }
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    out
}

/// Makes runs of slashes one; `//` alone stays, as in Envoy.
fn merge_slashes(path: String) -> String {
    if !path.contains("//") {
        return path;
    }
    let mut out = String::with_capacity(path.len());
    out.push('/');
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if out.len() > 1 {
            out.push('/');
        }
        out.push_str(segment);
    }
    if path.ends_with('/') {
        out.push('/');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(normalization: PathNormalization, raw: &str, expected: &str) {
        let options = PathOptions { normalization, ..PathOptions::default() };
        let got = NormalPath::new(raw, options).map(|path| path.as_str().to_owned());
        assert_eq!(got.as_deref().unwrap_or("400"), expected, "{raw}");
    }

    #[test]
    fn dots_are_resolved_after_decoding() {
        check(PathNormalization::Base, "/app/%2E./admin", "/admin");
        check(PathNormalization::Base, "/app//..", "/app/");
        check(PathNormalization::Base, "/a/..", "/");
        check(PathNormalization::Base, "/..;/admin", "/admin");
        check(PathNormalization::None, "/a/../b", "/a/../b");
    }

    #[test]
    fn an_old_proxy_keeps_dot_segments_with_parameters() {
        let options = PathOptions { dot_segments_with_parameters: false, ..PathOptions::default() };
        assert_eq!(NormalPath::new("/a/..;/b", options).unwrap().as_str(), "/a/..;/b");
    }

    #[test]
    fn two_slashes_alone_are_never_merged() {
        check(PathNormalization::MergeSlashes, "//", "//");
        check(PathNormalization::MergeSlashes, "///a", "/a");
    }

    #[test]
    fn what_a_proxy_does_not_serve_is_refused() {
        for raw in ["a", "", "*", "/a b", "/a#b", "/\u{e9}", "/%00", "/a?\u{1}"] {
            check(PathNormalization::Base, raw, "400");
        }
        check(PathNormalization::None, "/%00", "/%00");
    }

    /// Checks what is made of a path whose escaped slashes and runs of slashes are treated on their own.
    fn check_apart(options: PathOptions, raw: &str, expected: &str) {
        let got = NormalPath::new(raw, options).map(|path| path.as_str().to_owned());
        let got = got.unwrap_or_else(|rejected| rejected.status().to_string());
        assert_eq!(got, expected, "{raw} {options:?}");
    }

    #[test]
    fn slashes_are_merged_and_decoded_as_settings_of_connections_say() {
        use EscapedSlashes::{
            KeepUnchanged, RejectRequest, UnescapeAndForward, UnescapeAndRedirect,
        };
        let of = |normalization, merge_slashes, escaped_slashes| PathOptions {
            normalization,
            merge_slashes,
            escaped_slashes,
            ..PathOptions::default()
        };
        let (none, base) = (PathNormalization::None, PathNormalization::Base);
        let decodes = PathNormalization::DecodeAndMergeSlashes;
        check_apart(of(base, Some(true), None), "/a//b%2Fc", "/a/b%2Fc");
        check_apart(of(none, Some(true), None), "/a//./b", "/a/./b");
        check_apart(of(decodes, Some(false), None), "/a//b%2F%2fc", "/a//b//c");
        check_apart(of(decodes, None, Some(KeepUnchanged)), "/a//b%2Fc", "/a/b%2Fc");
        check_apart(of(base, None, Some(UnescapeAndForward)), "/a%5C..%2fb?%2F", "/b?%2F");
        check_apart(of(none, None, Some(UnescapeAndForward)), "/a%5C..%2fb%61", "/a\\../b%61");
        for (action, status) in [(RejectRequest, "400"), (UnescapeAndRedirect, "307")] {
            for normalization in [none, base, decodes] {
                for raw in ["/a%2Fb", "/a%5cb", "/%2f%2e"] {
                    check_apart(of(normalization, None, Some(action)), raw, status);
                }
                check_apart(of(normalization, None, Some(action)), "/a/b?%2F", "/a/b?%2F");
                check_apart(of(normalization, None, Some(action)), "/%252F", "/%252F");
            }
        }
        // What cannot be made canonical is refused before anybody is sent to it.
        check_apart(of(base, None, Some(UnescapeAndRedirect)), "/a%2Fb%00", "400");
    }

    fn options() -> impl Strategy<Value = PathOptions> {
        let normalization = prop_oneof![
            Just(PathNormalization::None),
            Just(PathNormalization::Base),
            Just(PathNormalization::MergeSlashes),
            Just(PathNormalization::DecodeAndMergeSlashes),
        ];
        let escaped = prop_oneof![
            Just(None),
            Just(Some(EscapedSlashes::KeepUnchanged)),
            Just(Some(EscapedSlashes::RejectRequest)),
            Just(Some(EscapedSlashes::UnescapeAndRedirect)),
            Just(Some(EscapedSlashes::UnescapeAndForward)),
        ];
        let merges = proptest::option::of(any::<bool>());
        (normalization, merges, escaped).prop_map(
            |(normalization, merge_slashes, escaped_slashes)| PathOptions {
                normalization,
                merge_slashes,
                escaped_slashes,
                ..PathOptions::default()
            },
        )
    }

    proptest! {
        #[test]
        fn the_quick_look_at_a_path_finds_what_the_close_one_does(
            raw in "[a-z0-9/]{0,20}[a-z0-9/?.#% ]{0,20}", options in options(),
        ) {
            let quick = Scan::of(raw.as_bytes(), options);
            let close = Scan::closely(raw.as_bytes());
            prop_assert_eq!(quick.end, close.end);
            prop_assert_eq!(quick.found & REFUSED, close.found & REFUSED);
            prop_assert_eq!(quick.is_normal(options), close.is_normal(options));
        }
    }

    proptest! {
        /// The quick look decides only whether to allocate.
        #[test]
        fn a_normal_path_would_be_rewritten_to_itself(
            (path, options) in ("/[/.;a%2eF\\\\{]{0,9}", options()),
        ) {
            if Scan::of(path.as_bytes(), options).is_normal(options) {
                prop_assert_eq!(rewritten(&path, options).unwrap(), path);
            }
        }

        #[test]
        fn no_text_panics(path in ".{0,20}", options in options()) {
            let _ = NormalPath::new(&path, options);
        }
    }
}
