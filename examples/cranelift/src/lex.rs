// SPDX-License-Identifier: Apache-2.0
//! Source text to tokens, and errors that show where in the source they are.

use std::fmt::Write;

pub struct Source {
    pub name: String,
    pub text: String,
}

/// Something that is wrong at a byte of the source.
#[derive(Debug)]
pub struct Error {
    pub at: usize,
    pub message: String,
}

pub fn error<T>(at: usize, message: impl Into<String>) -> Result<T, Error> {
    Err(Error { at, message: message.into() })
}

impl Source {
    /// The text of a file, without the mark of its byte order that some editors put first.
    pub fn new(name: &str, bytes: Vec<u8>) -> Result<Source, String> {
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(bytes);
        let name = name.into();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name, text }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Err(Source { name, text }.render(&Error { at, message: "expected text in UTF-8".into() }))
            }
        }
    }

    pub fn line(&self, at: usize) -> u32 {
        self.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() as u32 + 1
    }

    /// `file:line:column: message`, the line, and a mark under the place.
    pub fn render(&self, error: &Error) -> String {
        let start = self.text[..error.at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[start..].lines().next().unwrap_or("");
        let before = &self.text[start..error.at];
        let mut shown = String::new();
        let (number, column) = (self.line(error.at), before.chars().count() + 1);
        let _ = writeln!(shown, "{}:{number}:{column}: {}", self.name, error.message);
        let _ = writeln!(shown, "    {line}");
        let indent: String = before.chars().map(|char| if char == '\t' { '\t' } else { ' ' }).collect();
        let _ = write!(shown, "    {indent}^");
        shown
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Name,
    Number,
    /// A keyword or a punctuation mark: told apart by its text.
    Sign,
    End,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub at: usize,
}

impl Token<'_> {
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::End => "the end of the file".into(),
            _ => format!("`{}`", self.text),
        }
    }
}

const KEYWORDS: [&str; 16] = [
    "async", "fn", "iter", "let", "if", "else", "while", "for", "in", "return", "yield", "await", "spawn", "scope",
    "try", "finally",
];
/// Longer ones first, so that the first that fits is the right one.
const SIGNS: [&str; 23] = [
    "<=", ">=", "==", "!=", "&&", "||", "+", "-", "*", "/", "%", "<", ">", "=", "!", "(", ")", "{", "}", ",", ";", ".",
    "|",
];

pub fn lex(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    while let Some(char) = text[at..].chars().next() {
        let rest = &text[at..];
        if char.is_whitespace() {
            at += char.len_utf8();
            continue;
        }
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = if is_word(char) {
            let length = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
            let word = &rest[..length];
            if !char.is_ascii_digit() {
                (if KEYWORDS.contains(&word) { Kind::Sign } else { Kind::Name }, length)
            } else if word.bytes().all(|byte| byte.is_ascii_digit()) {
                (Kind::Number, length)
            } else {
                return error(at, format!("expected a decimal number, found `{word}`"));
            }
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Kind::Sign, sign.len())
        } else {
            return error(at, format!("expected a name, a number or an operator, found `{}`", char.escape_debug()));
        };
        tokens.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
    tokens.push(Token { kind: Kind::End, text: "", at });
    Ok(tokens)
}
