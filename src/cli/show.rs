//! How a poll's report looks to a person: request, outcome, items, differences, webhooks.
//!
//! Makes text only; whoever calls it prints it.

use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::value::RawValue;

use crate::cli::table::{clean, shown_key};
use crate::core::json::{Json, parse};
use crate::core::view::{PollEventView, PollReport, RequestView};

/// Events that are shown in full; the rest is counted.
const EVENTS_SHOWN: usize = 20;

/// Characters of one value that are shown.
const VALUE_CHARS_MAX: usize = 120;

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const STRONG: Style = Style::new().bold();

/// Paints, or doesn't.
#[derive(Clone, Copy)]
pub(super) struct Brush(pub(super) bool);

impl Brush {
    fn paint(self, style: Style, text: &str) -> String {
        match self.0 {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }
}

/// The report as text.
pub(super) fn poll_report(report: &PollReport, brush: Brush) -> String {
    let mut text = String::new();
    for request in &report.requests {
        line(&mut text, &request_line(request));
    }
    line(&mut text, &outcome_line(report, brush));
    for item in &report.sample {
        let body = cut(item.body.get());
        line(&mut text, &brush.paint(FAINT, &format!("  {}  {body}", clean(shown_key(&item.key)))));
    }
    let more = report.items.saturating_sub(report.sample.len() as u64);
    if more > 0 && !report.sample.is_empty() {
        line(&mut text, &brush.paint(FAINT, &format!("  … and {more} more")));
    }
    for event in report.events.iter().take(EVENTS_SHOWN) {
        text.push('\n');
        text.push_str(&event_block(event, brush));
    }
    let unseen = report.events_total.saturating_sub(EVENTS_SHOWN as u64);
    if unseen > 0 {
        line(&mut text, &format!("\n… and {unseen} more events (--json shows up to 1,000)"));
    }
    if let Some(held) = &report.held {
        line(&mut text, &format!("\n{}", brush.paint(CHANGED, &clean(&held.sentence(&report.job)))));
    }
    line(&mut text, &format!("\n{}", closing(report)));
    text.trim_end().to_owned()
}

fn request_line(request: &RequestView) -> String {
    let answer = match (request.status, request.no_token, request.token_status) {
        (Some(status), ..) => status.to_string(),
        (None, true, Some(status)) => format!("no token, for its endpoint answered {status}"),
        (None, true, None) => "no token".to_owned(),
        (None, false, _) => "no answer".to_owned(),
    };
    let scope = request.scope.as_ref().map_or_else(String::new, |scope| format!("  ({})", clean(scope)));
    format!("{} {}  {answer}, {} bytes, {} ms{scope}", request.method, request.url, request.bytes, request.took_ms)
}

fn outcome_line(report: &PollReport, brush: Brush) -> String {
    let outcome = match report.outcome.as_str() {
        "failed" | "partial" => brush.paint(REMOVED, &report.outcome),
        other => brush.paint(STRONG, other),
    };
    match &report.reason {
        Some(reason) => format!("{outcome}: {}", clean(reason)),
        None => {
            let silent = match report.silent {
                0 => String::new(),
                silent => format!(", {silent} kept silent"),
            };
            let (items, events) = (plural(report.items, "item"), plural(report.events_total, "event"));
            format!("{outcome}: {items}, {events}{silent}")
        }
    }
}

/// One event: its differences, and the webhook's body.
fn event_block(event: &PollEventView, brush: Brush) -> String {
    let (sign, style) = match event.change.as_str() {
        "created" | "restored" => ("+", ADDED),
        "deleted" => ("-", REMOVED),
        _ => ("~", CHANGED),
    };
    let receivers = match event.sinks.is_empty() {
        true => "no sink".to_owned(),
        false => event.sinks.join(", "),
    };
    let mut text = String::new();
    line(
        &mut text,
        &brush.paint(style, &format!("{sign} {} {}  to {receivers}", event.change, clean(shown_key(&event.key)))),
    );
    text.push_str(&differences(&event.body, brush));
    line(&mut text, &brush.paint(FAINT, &format!("  webhook-id: {}", event.id)));
    if event.bodies.len() < event.sinks.len() || event.sinks.is_empty() {
        line(&mut text, &brush.paint(FAINT, &format!("  {}", clean(event.body.get()))));
    }
    for other in &event.bodies {
        let body = match (&other.body, &other.reason) {
            (Some(body), _) => brush.paint(FAINT, &clean(body.get())),
            (None, reason) => brush.paint(REMOVED, reason.as_deref().unwrap_or("nothing to send")),
        };
        line(&mut text, &format!("  {}: {body}", brush.paint(FAINT, &other.sink)));
    }
    text
}

/// Each pointer that changed, from what to what.
fn differences(body: &RawValue, brush: Brush) -> String {
    let Ok(envelope) = parse(body.get().as_bytes()) else { return String::new() };
    let value = |side: &str, pointer: &str| envelope.get("data")?.get(side)?.pointer(pointer).map(Json::to_string);
    let changed = envelope.get("data").and_then(|data| data.get("changed")).and_then(Json::as_array);
    let mut text = String::new();
    for pointer in changed.into_iter().flatten().filter_map(Json::as_str).filter(|pointer| !pointer.is_empty()) {
        let before = value("before", pointer).map(|value| brush.paint(REMOVED, &cut(&value)));
        let after = value("after", pointer).map(|value| brush.paint(ADDED, &cut(&value)));
        let change = match (before, after) {
            (Some(before), Some(after)) => format!("{before} → {after}"),
            (Some(before), None) => format!("{before} is gone"),
            (None, Some(after)) => format!("{after} is new"),
            (None, None) => continue,
        };
        line(&mut text, &format!("    {}  {change}", clean(pointer)));
    }
    text
}

fn closing(report: &PollReport) -> String {
    let job = &report.job;
    match (report.outcome.as_str(), report.committed, report.baseline) {
        ("failed", ..) => "nothing was changed; the job will be tried again".to_owned(),
        (_, true, true) if report.held.as_ref().is_some_and(|held| held.baseline) => {
            "committed as a part of the baseline: it is one when a poll has read the rest".to_owned()
        }
        (_, true, true) if report.events_total == 0 => {
            "committed as the baseline: from now on differences are events".to_owned()
        }
        (_, true, _) => "committed".to_owned(),
        (_, false, true) if report.events_total == 0 => format!(
            "only a look: nothing was kept. This is the first poll, so it would become the baseline without a word \
             (first = \"emit\" sends each item); `doorbell poll {job} --commit` does it for real"
        ),
        (_, false, _) => {
            format!("only a look: nothing was kept or sent; `doorbell poll {job} --commit` does it for real")
        }
    }
}

fn plural(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A value that fits a line; nothing in it steers the terminal.
fn cut(text: &str) -> String {
    let text = clean(text);
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn an_update_shows_each_pointer_from_what_to_what() {
        let event = PollEventView {
            id: "evt_a".to_owned(),
            key: "7".to_owned(),
            change: "updated".to_owned(),
            sinks: vec!["crm".to_owned()],
            body: raw(r#"{"data":{"before":{"a":1.10},"after":{"a":2,"b":[]},"changed":["/a","/b"]}}"#),
            bodies: Vec::new(),
        };
        let text = event_block(&event, Brush(false));
        assert!(text.starts_with("~ updated 7  to crm\n    /a  1.10 → 2\n    /b  [] is new\n"), "{text}");
    }

    #[test]
    fn a_failed_poll_says_its_reason_and_that_nothing_changed() {
        let report = PollReport {
            job: "orders".to_owned(),
            committed: false,
            requests: Vec::new(),
            outcome: "failed".to_owned(),
            reason: Some("the name `x` does not resolve".to_owned()),
            failure: None,
            baseline: false,
            items: 0,
            silent: 0,
            held: None,
            sample: Vec::new(),
            events: Vec::new(),
            events_total: 0,
            took_ms: 3,
            recording: None,
            unrecorded: None,
        };
        let text = poll_report(&report, Brush(false));
        assert_eq!(text, "failed: the name `x` does not resolve\n\nnothing was changed; the job will be tried again");
    }
}
