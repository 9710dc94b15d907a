//! Go's syntax to that of the engine: only what decides whether there is a match, for nothing else is asked.
//!
//! So groups capture nothing, and lazy repetition is like any.

use std::fmt::Write as _;

use super::PatternError;

/// Go's limit for the copies that repetitions in repetitions make of the innermost.
const COPIES_MAX: u32 = 1000;

/// A class without any character: what stands for one that no text has.
const NOTHING: &str = "[a&&b]";

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

pub(super) fn translated(pattern: &str) -> Result<String, PatternError> {
    let mut translation = Translation {
        pattern,
        at: 0,
        out: String::with_capacity(pattern.len() + 16),
        groups: Vec::new(),
        group: Group::default(),
        names: Vec::new(),
        repeated: false,
    };
    while let Some(next) = translation.peek() {
        translation.step(next)?;
    }
    if translation.groups.is_empty() {
        Ok(translation.out)
    } else {
        Err(translation.error("a parenthesis is not closed", translation.at))
    }
}

/// What is known of the group at hand.
#[derive(Default, Clone, Copy)]
struct Group {
    flags: Flags,
    /// What a repetition would repeat.
    last: Last,
    /// The most copies of something that the finished parts of the group make.
    copies: u32,
}

#[derive(Default, Clone, Copy)]
enum Last {
    #[default]
    Nothing,
    /// A part, and the most copies that it makes of something.
    Part(u32),
    /// A change of flags, behind a part or not.
    Flags,
}

#[derive(Default, Clone, Copy)]
struct Flags {
    folds_case: bool,
    has_lines: bool,
    dot_is_all: bool,
}

struct Translation<'p> {
    pattern: &'p str,
    at: usize,
    out: String,
    /// The groups around the one at hand.
    groups: Vec<Group>,
    group: Group,
    names: Vec<&'p str>,
    /// Whether the part before was repeated: Go repeats nothing twice.
    repeated: bool,
}

impl<'p> Translation<'p> {
    fn rest(&self) -> &'p str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.rest().starts_with(text);
        if eaten {
            self.at += text.len();
        }
        eaten
    }

    fn error(&self, what: &'static str, at: usize) -> PatternError {
        PatternError::Syntax { what, at }
    }

    fn step(&mut self, next: char) -> Result<(), PatternError> {
        let begin = self.at;
        let repeated = std::mem::take(&mut self.repeated);
        self.at += next.len_utf8();
        match next {
            '(' if self.eat("?") => return self.special_group(begin),
            '(' => self.open(),
            '|' => {
                self.finish_part();
                self.group.last = Last::Nothing;
                self.out.push('|');
            }
            ')' => return self.close(begin),
            '^' | '$' | '.' => self.part(|out| out.push(next)),
            '[' => return self.class(),
            '*' | '+' | '?' => {
                self.eat("?");
                self.repeatable(begin, repeated)?;
                self.out.push(next);
                self.repeated = true;
            }
            '{' => return self.braces(begin, repeated),
            '\\' => return self.escape(begin),
            literal => self.literal(u32::from(literal)),
        }
        Ok(())
    }

    fn part(&mut self, write: impl FnOnce(&mut String)) {
        self.finish_part();
        write(&mut self.out);
        self.group.last = Last::Part(1);
    }

    fn finish_part(&mut self) {
        if let Last::Part(copies) = self.group.last {
            self.group.copies = self.group.copies.max(copies);
        }
    }

    fn literal(&mut self, code: u32) {
        self.part(|out| match char::from_u32(code) {
            None => out.push_str(NOTHING),
            Some(c) if c.is_ascii_alphanumeric() || !c.is_ascii() || matches!(c, '_' | ' ' | '<' | '>') => out.push(c),
            Some(_) => write_code(out, code),
        });
    }

    fn open(&mut self) {
        self.out.push_str("(?:");
        self.finish_part();
        self.groups.push(self.group);
        self.group = Group {
            flags: self.group.flags,
            ..Group::default()
        };
    }

    fn close(&mut self, begin: usize) -> Result<(), PatternError> {
        self.finish_part();
        let copies = self.group.copies.max(1);
        let around = self.groups.pop();
        self.group = around.ok_or_else(|| self.error("a parenthesis was never opened", begin))?;
        self.group.last = Last::Part(copies);
        self.out.push(')');
        Ok(())
    }

    /// What begins with `(?`.
    fn special_group(&mut self, begin: usize) -> Result<(), PatternError> {
        if self.eat("P<") || self.eat("<") {
            let (name, _) = self
                .rest()
                .split_once('>')
                .ok_or_else(|| self.error("a group's name has no end", begin))?;
            let is_name = !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
            if !is_name || self.names.contains(&name) {
                return Err(self.error("a group's name is no name or not the only one", begin));
            }
            self.names.push(name);
            self.at += name.len() + 1;
            self.open();
            return Ok(());
        }
        let (mut flags, mut turns_on, mut seen) = (self.group.flags, true, false);
        loop {
            let next = self.next();
            match next {
                Some('i') => flags.folds_case = turns_on,
                Some('m') => flags.has_lines = turns_on,
                Some('s') => flags.dot_is_all = turns_on,
                // Who wins among longer and shorter matches decides nothing here.
                Some('U') => {}
                Some('-') if turns_on => {
                    (turns_on, seen) = (false, false);
                    continue;
                }
                Some(':' | ')') if turns_on || seen => {}
                _ => return Err(self.error("what begins with (? is unknown", begin)),
            }
            seen = true;
            if next == Some(':') {
                self.open();
                self.set(flags);
                return Ok(());
            }
            if next == Some(')') {
                self.set(flags);
                self.finish_part();
                self.group.last = Last::Flags;
                return Ok(());
            }
        }
    }

    fn set(&mut self, flags: Flags) {
        self.group.flags = flags;
        let all = [('i', flags.folds_case), ('m', flags.has_lines), ('s', flags.dot_is_all)];
        let of = |wanted: bool| {
            all.into_iter()
                .filter(move |(_, on)| *on == wanted)
                .map(|(letter, _)| letter)
        };
        self.out.push_str("(?");
        self.out.extend(of(true));
        if of(false).next().is_some() {
            self.out.push('-');
        }
        self.out.extend(of(false));
        self.out.push(')');
    }

    fn repeatable(&self, begin: usize, repeated: bool) -> Result<u32, PatternError> {
        match self.group.last {
            _ if repeated => Err(self.error("a repetition is repeated", begin)),
            Last::Part(copies) => Ok(copies),
            Last::Nothing => Err(self.error("there is nothing to repeat", begin)),
            Last::Flags => Err(self.error("a repetition behind flags is not supported", begin)),
        }
    }

    /// `{2}`, `{2,}` and `{2,3}` repeat; any other brace is itself.
    fn braces(&mut self, begin: usize, repeated: bool) -> Result<(), PatternError> {
        let Some((min, max, len)) = counts(self.rest()) else {
            self.literal(u32::from('{'));
            return Ok(());
        };
        self.at += len;
        self.eat("?");
        let bad = || PatternError::Syntax {
            what: "a repetition has too large or crossed counts",
            at: begin,
        };
        let min = min.filter(|min| *min <= COPIES_MAX).ok_or_else(bad)?;
        let max = match max {
            Some(max) => Some(max.filter(|max| (min..=COPIES_MAX).contains(max)).ok_or_else(bad)?),
            None => None,
        };
        let inner = self.repeatable(begin, repeated)?;
        let copies = match max {
            Some(0) => 1,
            _ => inner.saturating_mul(max.unwrap_or(min).max(1)),
        };
        if max.unwrap_or(min) >= 2 && copies > COPIES_MAX {
            return Err(bad());
        }
        self.group.last = Last::Part(copies);
        self.repeated = true;
        // Writing to a string cannot fail.
        let _written = match max {
            Some(max) => write!(self.out, "{{{min},{max}}}"),
            None => write!(self.out, "{{{min},}}"),
        };
        Ok(())
    }

    fn escape(&mut self, begin: usize) -> Result<(), PatternError> {
        match self.peek() {
            Some('A') => self.part(|out| out.push_str(r"\A")),
            Some('z') => self.part(|out| out.push_str(r"\z")),
            Some('b') => self.part(|out| out.push_str(r"(?-u:\b)")),
            // Not within a character, where there is no word either: there, neither of Unicode's two is true.
            Some('B') => self.part(|out| out.push_str(r"(?:(?-u:\B)(?:\b|\B))")),
            Some('Q') => {
                self.at += 1;
                let (quoted, len) = match self.rest().split_once(r"\E") {
                    Some((quoted, _)) => (quoted, quoted.len() + 2),
                    None => (self.rest(), self.rest().len()),
                };
                quoted.chars().for_each(|c| self.literal(u32::from(c)));
                self.at += len;
                return Ok(());
            }
            Some('p' | 'P') => return Err(self.error("Unicode's categories and scripts are not supported", begin)),
            Some(letter) if perl_class(letter).is_some() => {
                let class = perl_class(letter).unwrap_or_default();
                self.part(|out| out.push_str(class));
            }
            _ => {
                let code = self.character_escape(begin)?;
                self.literal(code);
                return Ok(());
            }
        }
        self.at += 1;
        Ok(())
    }

    /// The character that is meant by what follows a backslash.
    fn character_escape(&mut self, begin: usize) -> Result<u32, PatternError> {
        let bad = PatternError::Syntax {
            what: "an escape is unknown",
            at: begin,
        };
        let Some(next) = self.next() else {
            return Err(bad);
        };
        let octal = |c: Option<char>| c.and_then(|c| c.to_digit(8));
        match next {
            '1'..='7' if octal(self.peek()).is_none() => Err(bad),
            '0'..='7' => {
                let mut code = octal(Some(next)).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = octal(self.peek()) else { break };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                Ok(code)
            }
            'x' => self.hexadecimal().ok_or(bad),
            'a' => Ok(0x07),
            'f' => Ok(0x0c),
            'n' => Ok(0x0a),
            'r' => Ok(0x0d),
            't' => Ok(0x09),
            'v' => Ok(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
            _ => Err(bad),
        }
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        if !self.eat("{") {
            let (high, low) = (self.next()?.to_digit(16)?, self.next()?.to_digit(16)?);
            return Some(high * 16 + low);
        }
        let (digits, _) = self.rest().split_once('}')?;
        self.at += digits.len() + 1;
        let mut code = (!digits.is_empty()).then_some(0_u32)?;
        for digit in digits.chars() {
            code = Some(code * 16 + digit.to_digit(16)?).filter(|code| *code <= u32::from(char::MAX))?;
        }
        Some(code)
    }

    fn class(&mut self) -> Result<(), PatternError> {
        let mut class = String::from("[");
        if self.eat("^") {
            class.push('^');
        }
        // An engine's class needs a member, and Go's may have none that a text can have.
        class.push_str(NOTHING);
        let mut is_first = true;
        while is_first || self.peek() != Some(']') {
            is_first = false;
            self.class_member(&mut class)?;
        }
        self.at += 1;
        class.push(']');
        self.part(|out| out.push_str(&class));
        Ok(())
    }

    fn class_member(&mut self, class: &mut String) -> Result<(), PatternError> {
        let begin = self.at;
        let rest = self.rest();
        if let Some(name) = rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]")) {
            let bare = name.0.strip_prefix('^').unwrap_or(name.0);
            if !POSIX_CLASSES.contains(&bare) {
                return Err(self.error("a class is unknown", begin));
            }
            self.at += name.0.len() + 4;
            let _written = write!(class, "[:{}:]", name.0);
            return Ok(());
        }
        if rest.starts_with(r"\p") || rest.starts_with(r"\P") {
            return Err(self.error("Unicode's categories and scripts are not supported", begin));
        }
        let letter = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        if let Some(perl) = letter.and_then(perl_class) {
            self.at += 2;
            class.push_str(perl);
            return Ok(());
        }
        let low = self.class_character()?;
        let mut high = low;
        if self.rest().starts_with('-') && self.rest().len() > 1 && !self.rest().starts_with("-]") {
            self.at += 1;
            high = self.class_character()?;
            if high < low {
                return Err(self.error("a range ends before it begins", begin));
            }
        }
        // Surrogates are characters for Go's parser, but no text has them.
        let low = if char::from_u32(low).is_some() { low } else { 0xe000 };
        let high = if char::from_u32(high).is_some() { high } else { 0xd7ff };
        if low <= high {
            write_code(class, low);
            class.push('-');
            write_code(class, high);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<u32, PatternError> {
        let begin = self.at;
        match self.next() {
            None => Err(self.error("a bracket is not closed", begin)),
            Some('\\') => self.character_escape(begin),
            Some(c) => Ok(u32::from(c)),
        }
    }
}

fn write_code(out: &mut String, code: u32) {
    let _written = write!(out, "\\x{{{code:x}}}");
}

/// Perl's classes hold only characters of ASCII.
fn perl_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0c\r ]",
        'S' => r"[^\t\n\x0c\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

/// The counts behind an opening brace, and how long they are with the closing one. A count that is too large is `None`;
/// so is a maximum that is not there, and where there is no repetition at all, everything.
fn counts(rest: &str) -> Option<(Option<u32>, Option<Option<u32>>, usize)> {
    let (inside, _) = rest.split_once('}')?;
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        let is_padded = digits.len() > 1 && digits.starts_with('0');
        (is_number && !is_padded).then(|| digits.parse().ok())
    };
    let (min, max) = match inside.split_once(',') {
        None => {
            let count = number(inside)?;
            (count, Some(count))
        }
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    Some((min, max, inside.len() + 1))
}
