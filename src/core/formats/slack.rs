//! A message for an incoming webhook of Slack: blocks, and a text for notifications.
//!
//! Values stand in code spans, where no markup counts, and the three control characters are escaped everywhere; no
//! text of a vendor can mention somebody or make a link.

use crate::core::formats::chat::{Message, Voice, units};
use crate::core::json::Json;

/// Characters of a section's text are at most 3,000; a line that says how many more there are must still fit.
const LINES_UNITS_MAX: usize = 2_900;

struct Slack;

impl Voice for Slack {
    fn plain(&self, text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    fn strong(&self, text: &str) -> String {
        // There is no way to escape an asterisk, so another one stands for it.
        format!("*{}*", self.plain(&text.replace('*', "∗")))
    }

    fn value(&self, text: &str) -> String {
        // There is no way to escape a backtick either.
        format!("`{}`", self.plain(&text.replace('`', "ˋ")))
    }
}

/// The text of a notification, without markup.
struct Notification;

impl Voice for Notification {
    fn plain(&self, text: &str) -> String {
        Slack.plain(text)
    }

    fn strong(&self, text: &str) -> String {
        Slack.plain(text)
    }

    fn value(&self, text: &str) -> String {
        Slack.plain(text)
    }
}

pub(super) fn message(message: &Message) -> Json {
    let mut blocks = vec![section(message.headline(&Slack))];
    let (mut lines, more) = message.fitting(LINES_UNITS_MAX, |line| line.text(&Slack), |line| units(line) + 1);
    lines.extend(more);
    if !lines.is_empty() {
        blocks.push(section(lines.join("\n")));
    }
    let origin = format!("{} · {}", message.origin(), message.at);
    blocks.push(Json::object([
        ("type", Json::from("context")),
        ("elements", Json::array([mrkdwn(Slack.plain(&origin))])),
    ]));
    Json::object([
        ("text", Json::from(message.headline(&Notification))),
        ("blocks", Json::Array(blocks)),
        ("unfurl_links", Json::from(false)),
        ("unfurl_media", Json::from(false)),
    ])
}

/// A sentence of our own under its type.
pub(super) fn sentence(kind: &str, reason: &str) -> Json {
    Json::object([("text", Json::from(format!("{}: {}", Slack.strong(kind), Slack.plain(reason))))])
}

fn section(text: String) -> Json {
    Json::object([("type", Json::from("section")), ("text", mrkdwn(text))])
}

/// `verbatim`: no name or address in the text becomes a link by itself.
fn mrkdwn(text: String) -> Json {
    Json::object([("type", Json::from("mrkdwn")), ("text", Json::from(text)), ("verbatim", Json::from(true))])
}
