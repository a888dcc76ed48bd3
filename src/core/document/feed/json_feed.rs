//! JSON Feed (versions 1 and 1.1) in the one shape.

use super::date::rfc3339;
use super::{document, push_entry};
use crate::core::document::broken::Broken;
use crate::core::json::{self, Json};

pub(super) fn to_json(text: &str) -> Result<Vec<u8>, Broken> {
    let feed = json::parse(text.as_bytes())
        .map_err(|error| Broken::at(text.as_bytes(), error.at, format!("it begins as a JSON Feed, but {error}")))?;
    let Some(items) = feed.get("items").and_then(Json::as_array) else {
        return Err(Broken::whole("it is JSON, but no JSON Feed: it has no list `items`"));
    };
    let head = Json::object([
        ("title", text_of(&feed, "title")),
        ("link", text_of(&feed, "home_page_url")),
        ("updated", Json::Null),
    ]);
    let mut entries = Vec::new();
    for item in items {
        push_entry(&entry(item), &mut entries);
    }
    Ok(document(&head, &entries))
}

fn entry(item: &Json) -> Json {
    let link = first(item, &["url", "external_url"]);
    let date = |name| match text_of(item, name) {
        Json::String(date) => Json::from(rfc3339(&date)),
        other => other,
    };
    Json::object([
        ("id", first(item, &["id", "url", "external_url", "title"])),
        ("title", text_of(item, "title")),
        ("link", link),
        ("published", date("date_published")),
        ("updated", date("date_modified")),
        ("summary", text_of(item, "summary")),
        ("content", first(item, &["content_html", "content_text"])),
        ("authors", Json::array(authors(item))),
        ("categories", Json::array(list(item, "tags").filter_map(Json::as_str))),
    ])
}

/// Version 1.1 has a list of authors, version 1 has one.
fn authors(item: &Json) -> Vec<String> {
    let name = |author: &Json| first(author, &["name", "url"]).as_str().map(str::to_owned);
    list(item, "authors").chain(item.get("author")).filter_map(name).collect()
}

fn list<'a>(item: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    item.get(name).and_then(Json::as_array).unwrap_or_default().iter()
}

fn first(item: &Json, names: &[&str]) -> Json {
    names.iter().map(|name| text_of(item, name)).find(|value| !value.is_null()).unwrap_or_default()
}

/// A member that is a text; a number is taken as one (as ids often are).
fn text_of(item: &Json, name: &str) -> Json {
    match item.get(name) {
        Some(Json::String(text)) if !text.trim().is_empty() => Json::from(text.as_str()),
        Some(Json::Number(number)) => Json::from(number.as_str()),
        _ => Json::Null,
    }
}
