//! JSON as a sequence of tokens.
//!
//! Why our own and not `serde_json`: V8 nests the nodes of a heap profile as deep as the program's stack was, and each
//! node is two levels of JSON. `serde_json` recurses: it gives up at 128 levels, which is less than V8's own default depth of
//! 128 frames, or without that bound overflows the stack of whoever reads a hostile file. Here a level is a bit of a vector
//! with a limit, and nothing is held but the token at hand. Should the crate get a pull parser, this file can go.

use std::borrow::Cow;

use crate::limits::{LimitExceeded, at_most};

/// Why bytes are not JSON, or not of the shape that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The bytes end inside a value.
    Short,
    /// What is wrong where the reader stands.
    Bad(&'static str),
    /// Nested too deep.
    Limit(LimitExceeded),
}

/// A piece of JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    Key(Cow<'a, [u8]>),
    Text(Cow<'a, [u8]>),
    Number(&'a str),
    /// `true`, `false` or `null`, which no field of ours has.
    Word,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    /// A key, or the end of an object that has just begun.
    KeyOrEnd,
    /// A comma, or the end of what is open.
    CommaOrEnd,
}

/// Reads tokens one after the other.
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What is open; true for an object.
    open: Vec<bool>,
    depth_max: u64,
    expected: Expected,
}

impl<'a> Tokens<'a> {
    /// At the beginning of `bytes`, which may nest `depth_max` deep.
    pub(super) fn new(bytes: &'a [u8], depth_max: u64) -> Self {
        Self {
            bytes,
            at: 0,
            open: Vec::new(),
            depth_max,
            expected: Expected::Value,
        }
    }

    /// Where the reader stands.
    pub(super) fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The next token; commas and colons are none.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        let mut byte = self.skip_space()?;
        if self.expected == Expected::CommaOrEnd && byte == b',' {
            self.at += 1;
            byte = self.skip_space()?;
            if self.open.last() == Some(&true) {
                return self.key(byte);
            }
            self.expected = Expected::Value;
        }
        match (byte, self.expected) {
            (b'}', Expected::KeyOrEnd | Expected::CommaOrEnd) => self.close(true),
            (b']', Expected::ValueOrEnd | Expected::CommaOrEnd) => self.close(false),
            (_, Expected::KeyOrEnd) => self.key(byte),
            (_, Expected::CommaOrEnd) => Err(Fault::Bad("a comma is missing")),
            (_, Expected::Value | Expected::ValueOrEnd) => self.value(byte),
        }
    }

    /// The next token, which must begin an object.
    pub(super) fn object(&mut self) -> Result<(), Fault> {
        expect(self.next()? == Token::ObjectBegin, "an object is expected")
    }

    /// The next token, which must begin an array.
    pub(super) fn array(&mut self) -> Result<(), Fault> {
        expect(self.next()? == Token::ArrayBegin, "an array is expected")
    }

    /// The next key of the object at hand; `None` at its end.
    pub(super) fn key_or_end(&mut self) -> Result<Option<Cow<'a, [u8]>>, Fault> {
        let token = self.next()?;
        if let Token::Key(key) = token {
            return Ok(Some(key));
        }
        expect(token == Token::ObjectEnd, "a key is expected").map(|()| None)
    }

    /// The next token, which must be a text.
    pub(super) fn text(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        let Token::Text(text) = self.next()? else {
            return Err(Fault::Bad("a text is expected"));
        };
        Ok(text)
    }

    /// The next token, which must be a number; a fraction is rounded.
    pub(super) fn number(&mut self) -> Result<i64, Fault> {
        let number = self.number_or_end()?;
        number.ok_or(Fault::Bad("a number is expected"))
    }

    /// The next number of the array at hand; `None` at its end.
    pub(super) fn number_or_end(&mut self) -> Result<Option<i64>, Fault> {
        let token = self.next()?;
        if let Token::Number(number) = token {
            return whole(number).map(Some);
        }
        expect(token == Token::ArrayEnd, "a number is expected").map(|()| None)
    }

    /// Whether another object begins in the array at hand, or the array ends.
    pub(super) fn object_or_end(&mut self) -> Result<bool, Fault> {
        let token = self.next()?;
        let begins = token == Token::ObjectBegin;
        expect(begins || token == Token::ArrayEnd, "an object is expected").map(|()| begins)
    }

    /// Passes over the next value, whatever it holds.
    pub(super) fn skip(&mut self) -> Result<(), Fault> {
        let depth = self.open.len();
        loop {
            self.next()?;
            if self.open.len() <= depth {
                return Ok(());
            }
        }
    }

    /// Fails unless nothing but white space is left.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.skip_space() {
            Err(Fault::Short) => Ok(()),
            _ => Err(Fault::Bad("something follows the end")),
        }
    }

    fn skip_space(&mut self) -> Result<u8, Fault> {
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Ok(byte);
            }
            self.at += 1;
        }
    }

    fn close(&mut self, is_object: bool) -> Result<Token<'a>, Fault> {
        if self.open.pop() != Some(is_object) {
            return Err(Fault::Bad("the wrong bracket closes"));
        }
        self.at += 1;
        self.expected = Expected::CommaOrEnd;
        Ok(if is_object { Token::ObjectEnd } else { Token::ArrayEnd })
    }

    fn key(&mut self, byte: u8) -> Result<Token<'a>, Fault> {
        if byte != b'"' {
            return Err(Fault::Bad("a key is expected"));
        }
        let key = self.string()?;
        if self.skip_space()? != b':' {
            return Err(Fault::Bad("a colon is missing"));
        }
        self.at += 1;
        self.expected = Expected::Value;
        Ok(Token::Key(key))
    }

    fn value(&mut self, byte: u8) -> Result<Token<'a>, Fault> {
        let (token, expected) = match byte {
            b'{' => (Token::ObjectBegin, Expected::KeyOrEnd),
            b'[' => (Token::ArrayBegin, Expected::ValueOrEnd),
            b'"' => (Token::Text(self.string()?), Expected::CommaOrEnd),
            b'-' | b'0'..=b'9' => (self.digits()?, Expected::CommaOrEnd),
            b't' => (self.word(b"true")?, Expected::CommaOrEnd),
            b'f' => (self.word(b"false")?, Expected::CommaOrEnd),
            b'n' => (self.word(b"null")?, Expected::CommaOrEnd),
            _ => return Err(Fault::Bad("a value is expected")),
        };
        if matches!(token, Token::ObjectBegin | Token::ArrayBegin) {
            at_most(self.open.len() as u64 + 1, self.depth_max, "levels of JSON").map_err(Fault::Limit)?;
            self.open.push(token == Token::ObjectBegin);
            self.at += 1;
        }
        self.expected = expected;
        Ok(token)
    }

    fn word(&mut self, word: &[u8]) -> Result<Token<'a>, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(word) {
            self.at += word.len();
            Ok(Token::Word)
        } else if word.starts_with(rest) {
            Err(Fault::Short)
        } else {
            Err(Fault::Bad("a value is expected"))
        }
    }

    fn digits(&mut self) -> Result<Token<'a>, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        // Where the bytes end more digits may follow: nothing of ours is a number alone.
        let len = rest.iter().position(|byte| !is_part(byte)).ok_or(Fault::Short)?;
        let digits = std::str::from_utf8(rest.get(..len).unwrap_or_default()).unwrap_or_default();
        self.at += len;
        Ok(Token::Number(digits))
    }

    /// A string in quotes, as it stands when it has no escapes.
    fn string(&mut self) -> Result<Cow<'a, [u8]>, Fault> {
        self.at += 1;
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let plain = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\'))
            .ok_or(Fault::Short)?;
        let text = rest.get(..plain).unwrap_or_default();
        self.at += plain;
        if rest.get(plain) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut text = text.to_vec();
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
            self.at += 1;
            match byte {
                b'"' => return Ok(Cow::Owned(text)),
                b'\\' => self.escape(&mut text)?,
                byte => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let byte = *self.bytes.get(self.at).ok_or(Fault::Short)?;
        self.at += 1;
        text.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let unit = self.unit()?;
                let is_pair = (0xd800..0xdc00).contains(&unit)
                    && self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(b"\\u"));
                let units = if is_pair {
                    self.at += 2;
                    vec![unit, self.unit()?]
                } else {
                    vec![unit]
                };
                // Half a pair is no character: V8 writes what the program's own names hold.
                text.extend_from_slice(String::from_utf16_lossy(&units).as_bytes());
                return Ok(());
            }
            _ => return Err(Fault::Bad("an escape is not known")),
        });
        Ok(())
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, Fault> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(Fault::Short)?;
        self.at += 4;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Fault::Bad("an escape is not known"));
        }
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        u16::from_str_radix(digits, 16).map_err(|_| Fault::Bad("an escape is not known"))
    }
}

fn expect(is_met: bool, what: &'static str) -> Result<(), Fault> {
    if is_met { Ok(()) } else { Err(Fault::Bad(what)) }
}

/// A number of JSON as a whole one.
fn whole(number: &str) -> Result<i64, Fault> {
    if let Ok(whole) = number.parse() {
        return Ok(whole);
    }
    match number.parse::<f64>() {
        // Casting saturates: what is beyond 64 bits is as large as can be said.
        Ok(float) if float.is_finite() => Ok(float.round() as i64),
        _ => Err(Fault::Bad("a number is expected")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, Fault> {
        let mut tokens = Tokens::new(text.as_bytes(), 8);
        let mut read = Vec::new();
        loop {
            read.push(match tokens.next()? {
                Token::Key(key) => format!("{}:", String::from_utf8_lossy(&key)),
                Token::Text(text) => format!("'{}'", String::from_utf8_lossy(&text)),
                Token::Number(number) => number.to_owned(),
                Token::ObjectBegin => "{".to_owned(),
                Token::ObjectEnd => "}".to_owned(),
                Token::ArrayBegin => "[".to_owned(),
                Token::ArrayEnd => "]".to_owned(),
                Token::Word => "word".to_owned(),
            });
            if tokens.open.is_empty() {
                return tokens.end().map(|()| read);
            }
        }
    }

    #[test]
    fn what_is_json_is_read() {
        let text = "{\"a\" : [1, -2.5e3,true,null , {}], \"b\\\"\\u00e4\\ud83d\\ude00\":\"\", \"c\":[] }\n";
        let tokens = [
            "{",
            "a:",
            "[",
            "1",
            "-2.5e3",
            "word",
            "word",
            "{",
            "}",
            "]",
            "b\"ä😀:",
            "''",
            "c:",
            "[",
            "]",
            "}",
        ];
        assert_eq!(read(text).unwrap(), tokens);
        assert_eq!(read("\"\\ud800\"").unwrap(), ["'\u{fffd}'"]);
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "[1 2]",
            "[1,]",
            "{\"a\":1,}",
            "{,}",
            "[}",
            "{]",
            "{1:2}",
            "[tru]",
            "[\"\\x\"]",
            "1 1 ",
            "[\"\\u12g4\"]",
            "]",
            "[+1]",
        ] {
            assert!(matches!(read(text), Err(Fault::Bad(_))), "{text}: {:?}", read(text));
        }
        for text in [
            "", "{", "{\"a\"", "{\"a\":", "[1,", "\"abc", "[fal", "[\"\\u12", "[\"\\",
        ] {
            assert_eq!(read(text), Err(Fault::Short), "{text}");
        }
        assert!(matches!(read("[[[[[[[[[1]]]]]]]]]"), Err(Fault::Limit(_))));
    }

    #[test]
    fn a_value_is_skipped_whatever_it_holds() {
        let mut tokens = Tokens::new(b"[{\"a\":[1,{\"b\":[]}]}, 7, \"x\"]", 8);
        tokens.array().unwrap();
        tokens.skip().unwrap();
        assert_eq!(tokens.number(), Ok(7));
        tokens.skip().unwrap();
        assert_eq!(tokens.next(), Ok(Token::ArrayEnd));
    }

    #[test]
    fn numbers_are_whole() {
        for (text, number) in [
            ("12", 12),
            ("-1.5", -2),
            ("1e3", 1000),
            ("1e300", i64::MAX),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(whole(text), Ok(number));
        }
        assert!(whole("1-2").is_err() && whole("-").is_err() && whole("1e999").is_err());
    }
}
