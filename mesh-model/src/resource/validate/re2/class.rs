//! Classes of characters, and single characters that are escaped.
use super::{Fault, tail};

/// The names that stand in `[:NAME:]`.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The general categories of Unicode, in lower case and without separators.
const CATEGORIES: &str = "\
    any ascii assigned c casedletter cc cf closepunctuation cn cntrl co combiningmark \
    connectorpunctuation control cs currencysymbol dashpunctuation decimalnumber digit \
    enclosingmark finalpunctuation format initialpunctuation l lc letter letternumber \
    lineseparator ll lm lo lowercaseletter lt lu m mark mathsymbol mc me mn modifierletter \
    modifiersymbol n nd nl no nonspacingmark number openpunctuation other otherletter \
    othernumber otherpunctuation othersymbol p paragraphseparator pc pd pe pf pi po \
    privateuse ps punct punctuation s sc separator sk sm so spaceseparator spacingmark \
    surrogate symbol titlecaseletter unassigned uppercaseletter z zl zp zs";

/// The scripts of Unicode, in lower case and without separators.
const SCRIPTS: &str = "\
    adlam ahom anatolianhieroglyphs arabic armenian avestan balinese bamum bassavah batak \
    bengali bhaiksuki bopomofo brahmi braille buginese buhid canadianaboriginal carian \
    caucasianalbanian chakma cham cherokee chorasmian common coptic cuneiform cypriot \
    cyprominoan cyrillic deseret devanagari divesakuru dogra duployan egyptianhieroglyphs \
    elbasan elymaic ethiopic garay georgian glagolitic gothic grantha greek gujarati \
    gunjalagondi gurmukhi gurungkhema han hangul hanifirohingya hanunoo hatran hebrew \
    hiragana imperialaramaic inherited inscriptionalpahlavi inscriptionalparthian javanese \
    kaithi kannada katakana kawi kayahli kharoshthi khitansmallscript khmer khojki khudawadi \
    kiratrai lao latin lepcha limbu lineara linearb lisu lycian lydian mahajani makasar \
    malayalam mandaic manichaean marchen masaramgondi medefaidrin meeteimayek mendekikakui \
    meroiticcursive meroitichieroglyphs miao modi mongolian mro multani myanmar nabataean \
    nagmundari nandinagari newa newtailue nko nushu nyiakengpuachuehmong ogham olchiki \
    oldhungarian olditalic oldnortharabian oldpermic oldpersian oldsogdian oldsoutharabian \
    oldturkic olduyghur olonal oriya osage osmanya pahawhhmong palmyrene paucinhau phagspa \
    phoenician psalterpahlavi rejang runic samaritan saurashtra sharada shavian siddham \
    signwriting sinhala sogdian sorasompeng soyombo sundanese sunuwar sylotinagri syriac \
    tagalog tagbanwa taile taitham taiviet takri tamil tangsa tangut telugu thaana thai \
    tibetan tifinagh tirhuta todhri toto tulutigalari ugaritic vai vithkuqi wancho \
    warangciti yezidi yi zanabazarsquare";

/// Reads a class after its `[`; returns what is left after its `]`.
pub(super) fn bracketed(text: &str) -> Result<&str, Fault> {
    let mut rest = text.strip_prefix('^').unwrap_or(text);
    let mut is_first = true;
    loop {
        match rest.strip_prefix(']') {
            Some(rest) if !is_first => return Ok(rest),
            Some(_) | None => {}
        }
        is_first = false;
        rest = match item(rest)? {
            Some(remaining) => remaining,
            None => range(rest)?,
        };
    }
}

/// Reads an item that stands for several characters, if there is one.
fn item(text: &str) -> Result<Option<&str>, Fault> {
    if let Some((name, rest)) = text.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
        let name = name.strip_prefix('^').unwrap_or(name);
        return match NAMED.contains(&name) {
            true => Ok(Some(rest)),
            false => Err("a class has a name that does not exist"),
        };
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), Some('p' | 'P')) => unicode(text).map(Some),
        (Some('\\'), Some('d' | 'D' | 's' | 'S' | 'w' | 'W')) => Ok(Some(tail(text, 2))),
        _ => Ok(None),
    }
}

/// Reads a character or a range of them.
fn range(text: &str) -> Result<&str, Fault> {
    let (low, rest) = character(text)?;
    match rest.strip_prefix('-') {
        Some(high) if !high.is_empty() && !high.starts_with(']') => {
            let (high, rest) = character(high)?;
            if low <= high { Ok(rest) } else { Err("a range of characters is the wrong way round") }
        }
        Some(_) | None => Ok(rest),
    }
}

fn character(text: &str) -> Result<(u32, &str), Fault> {
    match text.chars().next() {
        None => Err("a class is not closed"),
        Some('\\') => escape(text),
        Some(c) => Ok((c.into(), tail(text, c.len_utf8()))),
    }
}

/// Reads an escaped character with its backslash; returns it and what is left.
pub(super) fn escape(text: &str) -> Result<(u32, &str), Fault> {
    const UNKNOWN: Fault = "RE2 does not know an escape";
    let after = tail(text, 1);
    let c = after.chars().next().ok_or("a backslash ends the expression")?;
    let rest = tail(after, c.len_utf8());
    match c {
        '0'..='7' => {
            let digits = after.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
            let digits = digits.count();
            if c != '0' && digits == 1 {
                return Err("RE2 has no back references");
            }
            let (digits, rest) = after.split_at_checked(digits).ok_or(UNKNOWN)?;
            Ok((u32::from_str_radix(digits, 8).map_err(|_| UNKNOWN)?, rest))
        }
        'x' => {
            let (digits, rest) = match rest.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or(UNKNOWN)?,
                None => rest.split_at_checked(2).ok_or(UNKNOWN)?,
            };
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = u32::from_str_radix(digits, 16).map_err(|_| UNKNOWN)?;
            if is_hex && number <= 0x10_FFFF { Ok((number, rest)) } else { Err(UNKNOWN) }
        }
        'a' => Ok((7, rest)),
        'f' => Ok((12, rest)),
        'n' => Ok((10, rest)),
        'r' => Ok((13, rest)),
        't' => Ok((9, rest)),
        'v' => Ok((11, rest)),
        _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((c.into(), rest)),
        _ => Err(UNKNOWN),
    }
}

/// Reads `\pX`, `\p{NAME}` and their opposites; returns what is left.
pub(super) fn unicode(text: &str) -> Result<&str, Fault> {
    const UNKNOWN: Fault = "a class of Unicode does not exist";
    let after = tail(text, 2);
    let (name, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or(UNKNOWN)?,
        None => {
            let c = after.chars().next().ok_or(UNKNOWN)?;
            after.split_at_checked(c.len_utf8()).ok_or(UNKNOWN)?
        }
    };
    let name = name.strip_prefix('^').unwrap_or(name);
    let mut name: String = name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
    name.make_ascii_lowercase();
    let mut known = CATEGORIES.split(' ').chain(SCRIPTS.split(' '));
    if known.any(|known| known == name) { Ok(rest) } else { Err(UNKNOWN) }
}
