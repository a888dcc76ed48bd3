//! A message for a workflow of Microsoft Teams ("when a webhook request is received"): an Adaptive Card.
//!
//! Everything that a card would read as markup is escaped.

use crate::core::formats::chat::{Line, Message, Voice};
use crate::core::json::Json;

/// Bytes of the list of what changed. A message may have 28 KB, and nobody says of which encoding: in UTF-16 these
/// are twice as many.
const FACTS_BYTES_MAX: usize = 12_000;

struct Teams;

impl Voice for Teams {
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

/// A backslash before a sign makes it text (CommonMark 0.31.2, section 2.4). Signs that count only at the beginning of
/// a line are left alone anywhere else, so that numbers and dates stay as they are.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    for (at, letter) in text.char_indices() {
        let opens_list = match letter {
            '-' | '+' | '#' | '=' => at == 0,
            '.' => at == digits && digits > 0 && text[at + 1..].starts_with(' '),
            _ => false,
        };
        if opens_list || matches!(letter, '\\' | '*' | '_' | '~' | '`' | '<' | '>' | '[' | ']') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

pub(super) fn message(message: &Message) -> Json {
    let (facts, more) = message.fitting(FACTS_BYTES_MAX, fact, Json::written_len);
    let mut body = vec![block(message.headline(&Teams), [("size", Json::from("Medium"))])];
    if !facts.is_empty() {
        body.push(Json::object([("type", Json::from("FactSet")), ("facts", Json::Array(facts))]));
    }
    body.extend(more.map(|more| block(more, [])));
    let origin = format!("{} · {}", message.origin(), message.at);
    body.push(block(escape(&origin), [("size", Json::from("Small")), ("isSubtle", Json::from(true))]));
    card(body)
}

/// A sentence of our own under its type.
pub(super) fn sentence(kind: &str, reason: &str) -> Json {
    card(vec![block(Teams.strong(kind), [("size", Json::from("Medium"))]), block(escape(reason), [])])
}

fn card(body: Vec<Json>) -> Json {
    let card = Json::object([
        ("$schema", Json::from("http://adaptivecards.io/schemas/adaptive-card.json")),
        ("type", Json::from("AdaptiveCard")),
        ("version", Json::from("1.4")),
        ("body", Json::Array(body)),
    ]);
    let attachment = Json::object([
        ("contentType", Json::from("application/vnd.microsoft.card.adaptive")),
        ("contentUrl", Json::Null),
        ("content", card),
    ]);
    Json::object([("type", Json::from("message")), ("attachments", Json::array([attachment]))])
}

fn fact(line: &Line) -> Json {
    Json::object([("title", Json::from(escape(&line.place))), ("value", Json::from(line.what(&Teams)))])
}

fn block<const N: usize>(text: String, looks: [(&str, Json); N]) -> Json {
    let members = [("type", Json::from("TextBlock")), ("text", Json::from(text)), ("wrap", Json::from(true))];
    Json::object(members.into_iter().chain(looks))
}
