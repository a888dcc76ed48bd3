//! A message for a webhook of Discord: a line, and an embed with what changed.
//!
//! Everything that could be markup is escaped, and nobody is mentioned whatever a text holds.

use crate::core::diff::Change;
use crate::core::formats::chat::{Message, Voice, units};
use crate::core::json::Json;

/// An embed's description holds 4,096 characters, and an embed 6,000 in all.
const LINES_UNITS_MAX: usize = 4_000;

struct Discord;

impl Voice for Discord {
    fn plain(&self, text: &str) -> String {
        escape(text)
    }

    fn strong(&self, text: &str) -> String {
        format!("**{}**", escape(text))
    }

    fn value(&self, text: &str) -> String {
        escape(text)
    }
}

/// A backslash before a sign makes it text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '@') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

pub(super) fn message(message: &Message) -> Json {
    let (mut lines, more) = message.fitting(LINES_UNITS_MAX, |line| line.text(&Discord), |line| units(line) + 1);
    lines.extend(more);
    let mut embed = Vec::new();
    if !lines.is_empty() {
        embed.push(("description", Json::from(lines.join("\n"))));
    }
    embed.push(("color", Json::from(colour(message.change))));
    embed.push(("footer", Json::object([("text", Json::from(message.origin()))])));
    embed.push(("timestamp", Json::from(message.at.to_string())));
    Json::object([
        ("content", Json::from(message.headline(&Discord))),
        ("embeds", Json::array([Json::object(embed)])),
        ("allowed_mentions", Json::object([("parse", Json::Array(Vec::new()))])),
    ])
}

/// A sentence of our own under its type. Content holds 2,000 characters.
pub(super) fn sentence(kind: &str, reason: &str) -> Json {
    let reason: String = reason.chars().take(900).collect();
    Json::object([
        ("content", Json::from(format!("{}: {}", Discord.strong(kind), Discord.plain(&reason)))),
        ("allowed_mentions", Json::object([("parse", Json::Array(Vec::new()))])),
    ])
}

/// The bar beside the embed: green for what came, blue for what changed, red for what went.
fn colour(change: Change) -> u64 {
    match change {
        Change::Created | Change::Restored => 0x2E_A0_43,
        Change::Updated => 0x1F_6F_EB,
        Change::Deleted => 0xDA_36_33,
    }
}
