//! Texts, numbers and the three words of JSON.
use std::borrow::Cow;

use super::{Objects, Result};
use crate::manifest::Value;
use crate::manifest::document::{Fault, limits};

impl<'t> Objects<'t> {
    pub(super) fn word(&mut self) -> Result<Value> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words =
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        for (word, value) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("expected a value"))
    }

    pub(super) fn number(&mut self) -> Result<Value> {
        let place = self.place();
        let start = self.at;
        let is_negative = self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return Err(self.fault("expected a digit"));
        }
        let mut is_whole = true;
        if self.take(b'.') {
            is_whole = false;
            if self.digits() == 0 {
                return Err(self.fault("expected a digit"));
            }
        }
        if self.take(b'e') || self.take(b'E') {
            is_whole = false;
            if !self.take(b'+') {
                self.take(b'-');
            }
            if self.digits() == 0 {
                return Err(self.fault("expected a digit"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        // `-0` is a number that only a float has.
        if is_whole
            && let Ok(number) = text.parse::<i128>()
            && !(is_negative && number == 0)
        {
            return Ok(Value::Integer(number));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Value::Float(number)),
            Ok(_) | Err(_) => {
                let message = "the number is too large";
                Err(Fault::new("YAML-NUMBER", place, message, "write a smaller one"))
            }
        }
    }

    /// Passes over digits; how many there are.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    /// Reads a text in quotes.
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>> {
        let place = self.place();
        self.at += 1;
        let mut string = Cow::Borrowed(self.plain()?);
        loop {
            if string.len() > self.limits.scalar_bytes {
                return Err(limits::scalar_bytes(self.limits, place));
            }
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escaped()?;
                    string.to_mut().push(character);
                    let plain = self.plain()?;
                    string.to_mut().push_str(plain);
                }
                Some(_) | None => return Err(self.fault("expected `\"`")),
            }
        }
    }

    /// Passes over characters that stand for themselves.
    fn plain(&mut self) -> Result<&'t str> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_special = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ';
        let length = rest.bytes().position(is_special).unwrap_or(rest.len());
        self.at += length;
        Ok(rest.get(..length).unwrap_or_default())
    }

    /// Reads what follows a backslash.
    fn escaped(&mut self) -> Result<char> {
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            Some(_) | None => return Err(self.fault("expected an escape such as `\\n`")),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads the digits of `\u`, and a second such escape where two make one character.
    fn unicode(&mut self) -> Result<char> {
        let first = self.hex()?;
        let code = if matches!(first, 0xd800..=0xdbff) {
            if !(self.take(b'\\') && self.take(b'u')) {
                return Err(self.fault("expected the second half of a character"));
            }
            let second = self.hex()?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400);
            low.map(|low| 0x10000 + ((first - 0xd800) << 10) + low)
        } else {
            Some(first)
        };
        match code.and_then(char::from_u32) {
            Some(character) => Ok(character),
            None => Err(self.fault("expected a whole character")),
        }
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut code = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return Err(self.fault("expected four digits"));
            };
            code = code * 16 + value;
        }
        if digits.len() < 4 {
            return Err(self.fault("expected four digits"));
        }
        self.at += 4;
        Ok(code)
    }
}
