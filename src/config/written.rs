//! A string of the config in its spellings: as it is meant, as it is written, and as it may be shown.
//!
//! Holds secrets, so it has no `Debug`.

use crate::config::secrets::Piece;
use crate::core::secret::Masked;
use crate::core::template::Part;

/// A string whose references have been resolved.
#[derive(Clone)]
pub(crate) struct Written {
    pieces: Vec<Piece>,
}

impl Written {
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces }
    }

    /// Text without references.
    pub(crate) fn plain(text: &str) -> Self {
        Self { pieces: vec![Piece::Plain(text.to_owned())] }
    }

    /// With its secrets in it: for use, not for showing.
    pub(crate) fn resolved(&self) -> String {
        self.map(str::to_owned, |value, _| value.to_owned())
    }

    /// As it is written, its references unresolved: what fingerprints are made of, and what may be shown.
    pub(crate) fn spelled(&self) -> String {
        self.map(|text| text.replace("${", "$${"), |_, reference| format!("${{{reference}}}"))
    }

    /// For sending, and with each secret as `***` for showing.
    pub(crate) fn masked(&self) -> Masked {
        Masked::new(self.resolved(), self.map(str::to_owned, |_, _| "***".to_owned()))
    }

    /// With each template as `x`: to see whether the rest makes sense.
    pub(crate) fn probe(&self) -> String {
        self.map(without_templates, |value, _| value.to_owned())
    }

    /// As source of a template: what a secret holds stands in it as a literal, so that it can't be template syntax.
    pub(crate) fn template_source(&self) -> String {
        self.map(str::to_owned, |value, _| {
            if value.contains('{') { format!("{{{{ {} }}}}", literal(value)) } else { value.to_owned() }
        })
    }

    /// Does it hold a secret?
    pub(crate) fn hides(&self) -> bool {
        self.references().next().is_some()
    }

    /// Its references, such as `env:TOKEN`.
    pub(crate) fn references(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Plain(_) => None,
            Piece::Secret { reference, .. } => Some(reference.as_str()),
        })
    }

    /// For [`crate::core::template::Text`].
    pub(crate) fn parts(&self) -> Vec<Part> {
        let part = |piece: &Piece| match piece {
            Piece::Plain(text) => Part::Plain(text.clone()),
            Piece::Secret { value, reference } => Part::Secret { value: value.clone(), reference: reference.clone() },
        };
        self.pieces.iter().map(part).collect()
    }

    /// This, one slash, and `url`.
    pub(crate) fn join(&self, url: &Self) -> Self {
        let mut pieces = self.pieces.clone();
        while let Some(piece) = pieces.pop() {
            let trimmed = trim(&piece, |text| text.trim_end_matches('/'));
            if !is_empty(&trimmed) {
                pieces.push(trimmed);
                break;
            }
        }
        let mut tail =
            url.pieces.iter().skip_while(|piece| is_empty(&trim(piece, |text| text.trim_start_matches('/'))));
        if let Some(first) = tail.next() {
            pieces.push(Piece::Plain("/".to_owned()));
            pieces.push(trim(first, |text| text.trim_start_matches('/')));
            pieces.extend(tail.cloned());
            return Self { pieces: merge(pieces) };
        }
        // `url = "/"` asks for the slash; `url = ""` for the prefix as it is written.
        let slash = url.pieces.iter().any(|piece| !is_empty(piece));
        if slash {
            pieces.push(Piece::Plain("/".to_owned()));
            return Self { pieces: merge(pieces) };
        }
        self.clone()
    }

    fn map(&self, plain: impl Fn(&str) -> String, secret: impl Fn(&str, &str) -> String) -> String {
        let spell = |piece: &Piece| match piece {
            Piece::Plain(text) => plain(text),
            Piece::Secret { value, reference } => secret(value.expose(), reference),
        };
        self.pieces.iter().map(spell).collect()
    }
}

/// Neighbouring plain pieces as one, so that a template is never torn.
fn merge(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut merged: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (merged.last_mut(), piece) {
            (Some(Piece::Plain(before)), Piece::Plain(text)) => before.push_str(&text),
            (_, piece) => merged.push(piece),
        }
    }
    merged
}

fn trim(piece: &Piece, trim: impl Fn(&str) -> &str) -> Piece {
    match piece {
        Piece::Plain(text) => Piece::Plain(trim(text).to_owned()),
        Piece::Secret { value, reference } => Piece::Secret {
            value: crate::core::secret::Secret::new(trim(value.expose())),
            reference: reference.clone(),
        },
    }
}

fn is_empty(piece: &Piece) -> bool {
    match piece {
        Piece::Plain(text) => text.is_empty(),
        Piece::Secret { value, .. } => value.expose().is_empty(),
    }
}

fn without_templates(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let Some(end) = rest[at..].find("}}") else { break };
        out.push_str(&rest[..at]);
        out.push('x');
        rest = &rest[at + end + 2..];
    }
    out.push_str(rest);
    out
}

/// A string literal of the template language.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::secret::Secret;

    #[test]
    fn exactly_one_slash_stands_between_the_prefix_and_the_url() {
        for (base, url, joined) in [
            ("https://a/v2/", "orders", "https://a/v2/orders"),
            ("https://a/v2", "orders", "https://a/v2/orders"),
            ("https://a/v2//", "//orders/", "https://a/v2/orders/"),
            ("https://a/v2/", "?page=1", "https://a/v2/?page=1"),
            ("https://a/v2/", "", "https://a/v2/"),
            ("https://a/v2", "/", "https://a/v2/"),
        ] {
            assert_eq!(Written::plain(base).join(&Written::plain(url)).resolved(), joined);
        }
    }

    #[test]
    fn a_secret_is_joined_too_and_shown_as_its_reference() {
        let secret = Piece::Secret { value: Secret::new("https://a/"), reference: "env:BASE".to_owned() };
        let joined = Written::new(vec![secret]).join(&Written::plain("/{{ job }}"));
        assert_eq!(joined.resolved(), "https://a/{{ job }}");
        assert_eq!(joined.spelled(), "${env:BASE}/{{ job }}");
        assert_eq!(joined.masked().shown(), "***/{{ job }}");
        assert_eq!(joined.probe(), "https://a/x");
    }

    #[test]
    fn a_secret_can_not_become_template_syntax() {
        let secret = Piece::Secret { value: Secret::new("{{ \"a\\b\" }}"), reference: "env:X".to_owned() };
        assert_eq!(Written::new(vec![secret]).template_source(), r#"{{ "{{ \"a\\b\" }}" }}"#);
    }
}
