//! From the elements of a feed in XML to the one shape.

use super::Flavour;
use super::date::rfc3339;
use super::element::{Element, Space};
use crate::core::json::Json;

/// A feed's own members.
pub(super) fn head(channel: &Element, flavour: Flavour) -> Json {
    let updated = channel
        .own(&["updated", "modified", "lastBuildDate", "pubDate"])
        .or_else(|| channel.first(Space::DublinCore, "date"));
    Json::object([
        ("title", Json::from(channel.own(&["title"]))),
        ("link", Json::from(link(channel, flavour))),
        ("updated", Json::from(updated.map(|date| rfc3339(&date)))),
    ])
}

/// An entry. One without an id of its own has its link for one, or its title.
pub(super) fn entry(entry: &Element, flavour: Flavour) -> Json {
    let title = markup(entry, "title");
    let link = link(entry, flavour);
    let id = match flavour {
        Flavour::Rss => entry.own(&["guid"]),
        Flavour::Rdf => entry.attribute("rdf:about").map(str::to_owned),
        Flavour::Atom => entry.own(&["id"]),
    };
    let published =
        entry.own(&["published", "issued", "created", "pubDate"]).or_else(|| entry.first(Space::DublinCore, "date"));
    let updated = entry.own(&["updated", "modified"]).or_else(|| entry.first(Space::DublinCore, "modified"));
    let content = match flavour {
        Flavour::Atom => markup(entry, "content"),
        Flavour::Rss | Flavour::Rdf => entry.first(Space::Content, "encoded"),
    };
    Json::object([
        ("id", Json::from(id.or_else(|| link.clone()).or_else(|| title.clone()))),
        ("title", Json::from(title)),
        ("link", Json::from(link)),
        ("published", Json::from(published.map(|date| rfc3339(&date)))),
        ("updated", Json::from(updated.map(|date| rfc3339(&date)))),
        ("summary", Json::from(markup(entry, "summary").or_else(|| entry.own(&["description"])))),
        ("content", Json::from(content)),
        ("authors", Json::array(authors(entry))),
        ("categories", Json::array(categories(entry, flavour))),
    ])
}

/// A text of Atom's (RFC 4287, section 3.1).
fn markup(entry: &Element, local: &str) -> Option<String> {
    entry.all(Space::Own, local).find_map(Element::value)
}

/// Where a person reads it: Atom's link without a relation, or with `alternate` (RFC 4287, section 4.2.7.2).
fn link(of: &Element, flavour: Flavour) -> Option<String> {
    let leads = |link: &&Element| matches!(link.attribute("rel"), None | Some("alternate" | ""));
    let own = match flavour {
        Flavour::Atom => of.all(Space::Own, "link").find(leads)?.attribute("href").map(str::to_owned),
        Flavour::Rss | Flavour::Rdf => of.own(&["link"]),
    };
    own.or_else(|| {
        let guid = of.all(Space::Own, "guid").find(|guid| guid.attribute("isPermaLink") != Some("false"))?;
        guid.value().filter(|guid| guid.starts_with("http"))
    })
}

/// The names of who wrote it; an address where there is no name.
fn authors(entry: &Element) -> Vec<String> {
    let own =
        entry.all(Space::Own, "author").filter_map(|author| author.own(&["name", "email"]).or_else(|| author.value()));
    own.chain(entry.all(Space::DublinCore, "creator").filter_map(Element::value)).collect()
}

fn categories(entry: &Element, flavour: Flavour) -> Vec<String> {
    let name = |category: &Element| match flavour {
        Flavour::Atom => category.attribute("term").map(str::to_owned),
        Flavour::Rss | Flavour::Rdf => category.value(),
    };
    let own = entry.all(Space::Own, "category").filter_map(name);
    own.chain(entry.all(Space::DublinCore, "subject").filter_map(Element::value)).collect()
}
