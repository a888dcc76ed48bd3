//! JSON whose strings are templates: what it renders to is JSON by construction, whatever the values hold.
//!
//! Templates stand in values only, never in the names of members.

use super::{Names, Side, Text};
use crate::core::json::Json;
use crate::core::secret::Masked;

/// A JSON tree whose strings are templates.
#[derive(Clone, Debug)]
pub enum JsonTemplate {
    /// A string. One whole expression keeps its type; one that yields none leaves its member out.
    Text(Text),
    /// Any other scalar.
    Literal(Json),
    /// An array. An element that yields none is null, so that the others keep their places.
    Array(Vec<JsonTemplate>),
    /// An object.
    Object(Vec<(String, JsonTemplate)>),
}

impl JsonTemplate {
    /// Renders; members that are one whole expression yielding none are left out. The error is a sentence.
    pub fn render(&self, names: &Names<'_>) -> Result<Masked, String> {
        let plain = self.value(names, Side::Sent)?.unwrap_or_default().to_string();
        if !self.hides() {
            return Ok(Masked::open(plain));
        }
        let shown = self.value(names, Side::Shown).map(|value| value.unwrap_or_default().to_string());
        Ok(Masked::new(plain, shown.unwrap_or_else(|_| "***".to_owned())))
    }

    /// True when a secret stands in it.
    pub fn hides(&self) -> bool {
        match self {
            Self::Text(text) => text.hides(),
            Self::Literal(_) => false,
            Self::Array(elements) => elements.iter().any(Self::hides),
            Self::Object(members) => members.iter().any(|(_, member)| member.hides()),
        }
    }

    /// As it was written, as JSON: templates as strings, secrets as their references.
    pub fn source(&self) -> Json {
        match self {
            Self::Text(text) => Json::String(text.source().to_owned()),
            Self::Literal(value) => value.clone(),
            Self::Array(elements) => Json::Array(elements.iter().map(Self::source).collect()),
            Self::Object(members) => {
                Json::Object(members.iter().map(|(name, member)| (name.clone(), member.source())).collect())
            }
        }
    }

    fn value(&self, names: &Names<'_>, side: Side) -> Result<Option<Json>, String> {
        match self {
            Self::Text(text) => text.value(names, side),
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Array(elements) => {
                let elements = elements.iter().map(|element| Ok(element.value(names, side)?.unwrap_or_default()));
                elements.collect::<Result<_, String>>().map(|elements| Some(Json::Array(elements)))
            }
            Self::Object(members) => {
                let mut kept = Vec::with_capacity(members.len());
                for (name, member) in members {
                    if let Some(value) = member.value(names, side)? {
                        kept.push((name.clone(), value));
                    }
                }
                Ok(Some(Json::Object(kept)))
            }
        }
    }
}
