//! As much XML as workbooks are made of: tags, attributes, text, the five named entities and numbered ones.

/// A piece of a document.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<'a> {
    /// `<name …>` or `<name …/>`; prefixes of names are left out.
    Start { name: &'a str, attributes: &'a str, empty: bool },
    /// `</name>`
    End(&'a str),
    /// Text between tags, entities and all.
    Text(&'a str),
}

/// Walks a document from its start.
pub(super) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Pieces<'a> {
    pub fn of(text: &'a str) -> Self {
        Self { rest: text }
    }
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let Some(inside) = self.rest.strip_prefix('<') else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                self.rest = rest;
                return Some(Piece::Text(text));
            };
            if let Some(text) = inside.strip_prefix("![CDATA[") {
                let end = text.find("]]>")?;
                self.rest = &text[end + 3..];
                return Some(Piece::Text(&text[..end]));
            }
            let closing = if inside.starts_with("!--") { "-->" } else { ">" };
            let end = inside.find(closing)?;
            let tag = &inside[..end];
            self.rest = &inside[end + closing.len()..];
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Piece::End(local(name.trim())));
            }
            let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
            let (name, attributes) = tag.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((tag, ""));
            return Some(Piece::Start { name: local(name), attributes, empty });
        }
    }
}

/// The value of an attribute, by its name without prefix.
pub(super) fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after) = after[1..].split_once(quote)?;
        if local(name.trim()) == wanted {
            return Some(text(value));
        }
        rest = after;
    }
}

/// Text with its entities resolved.
pub(super) fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        out += before;
        let Some((entity, after_entity)) = after.split_once(';').filter(|(entity, _)| entity.len() <= 10) else {
            out.push('&');
            rest = after;
            continue;
        };
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let character = match entity {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match entity.strip_prefix('#') {
                Some(code) => code.strip_prefix('x').map_or_else(|| number(code, 10), |code| number(code, 16)),
                None => None,
            },
        };
        match character {
            Some(character) => out.push(character),
            None => out += &format!("&{entity};"),
        }
        rest = after_entity;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_texts_and_entities_are_told_apart() {
        let pieces: Vec<Piece<'_>> =
            Pieces::of("<?xml?><!-- <no> --><x:c r=\"A1\" t='s'><v>1 &lt; 2</v></x:c><e/>").collect();
        assert_eq!(pieces.len(), 6);
        assert_eq!(pieces[0], Piece::Start { name: "c", attributes: "r=\"A1\" t='s'", empty: false });
        assert_eq!(pieces[2], Piece::Text("1 &lt; 2"));
        assert_eq!(pieces[4], Piece::End("c"));
        assert_eq!(pieces[5], Piece::Start { name: "e", attributes: "", empty: true });
        assert_eq!(attribute("r=\"A1\" t='s'", "t").as_deref(), Some("s"));
        assert_eq!(attribute("r:id=\"x\"", "id").as_deref(), Some("x"));
        assert_eq!(attribute("r=\"A1\"", "t"), None);
        assert_eq!(text("a &lt;&#181;&#xB5;&amp;&unknown; & b"), "a <µµ&&unknown; & b");
    }
}
