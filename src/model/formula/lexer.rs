//! Numbers, names and signs of a formula.

use super::parser::Fault;

/// A piece of a formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    Name(&'a str),
    /// One of `+ - * / ^ ( ) ,`.
    Sign(char),
}

impl std::fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Number(value) => write!(f, "the number {value}"),
            Token::Name(name) => write!(f, "`{name}`"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

/// Goes through a formula from the left.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Whether the next piece is this sign.
    pub(super) fn sees(&mut self, sign: char) -> bool {
        self.skip_space();
        self.rest().starts_with(sign)
    }

    /// The next piece and where it starts, in bytes.
    ///
    /// # Errors
    /// At a character that begins no piece, and at a number that f64 cannot hold.
    pub(super) fn next(&mut self) -> Result<Option<(Token<'a>, usize)>, Fault> {
        self.skip_space();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '+' | '-' | '*' | '/' | '^' | '(' | ')' | ',' => {
                self.at += 1;
                Token::Sign(first)
            }
            '0'..='9' | '.' => Token::Number(self.number()?),
            'a'..='z' | 'A'..='Z' | '_' => Token::Name(self.take(|c| c.is_ascii_alphanumeric() || c == b'_')),
            other => {
                let shown = other.escape_debug();
                return Err(Fault::new(at, format!("unexpected character `{shown}`")).hint(meant_by(other)));
            }
        };
        Ok(Some((token, at)))
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let taken = self.rest().bytes().take_while(|c| belongs(*c)).count();
        let text = &self.rest()[..taken];
        self.at += taken;
        text
    }

    fn number(&mut self) -> Result<f64, Fault> {
        let start = self.at;
        let mut digits = self.take(|c| c.is_ascii_digit()).len();
        if self.rest().starts_with('.') {
            self.at += 1;
            digits += self.take(|c| c.is_ascii_digit()).len();
        }
        if digits == 0 {
            return Err(Fault::new(start, "a point without digits is not a number"));
        }
        let significant = self.text[start..self.at].bytes().any(|c| matches!(c, b'1'..=b'9'));
        // An exponent only where digits follow: `2e` is a number and a name.
        let tail = self.rest().strip_prefix(['e', 'E']).map(|tail| tail.strip_prefix(['+', '-']).unwrap_or(tail));
        if let Some(tail) = tail.filter(|tail| tail.starts_with(|c: char| c.is_ascii_digit())) {
            self.at = self.text.len() - tail.len();
            self.take(|c| c.is_ascii_digit());
        }
        match self.text[start..self.at].parse::<f64>() {
            Ok(value) if value.is_infinite() => {
                Err(Fault::new(start, "this number is too large, the limit is 1.8e308"))
            }
            Ok(0.0) if significant => Err(Fault::new(start, "this number is too small to be told from zero")),
            Ok(value) => Ok(value),
            Err(_) => Err(Fault::new(start, "this is not a number")),
        }
    }
}

fn meant_by(character: char) -> Option<&'static str> {
    Some(match character {
        '×' | '·' | '⋅' | '∗' => "write `*` to multiply",
        '÷' => "write `/` to divide",
        '−' | '–' | '—' => "write `-` for minus",
        '²' | '³' | '⁻' | '¹' => "write `^2` for a power",
        '[' | ']' | '{' | '}' => "group with `(` and `)`",
        '√' => "write `sqrt(…)`",
        'π' => "write `pi`",
        '=' => "a formula is only the right-hand side",
        '<' | '>' | '?' => "there are no conditions; `min`, `max` and `abs` may do",
        ';' => "arguments are separated by `,`",
        _ => return None,
    })
}
