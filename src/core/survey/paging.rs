//! How a vendor says that there is more: by a link, a token, a flag, or numbers to count with.
//!
//! The surest sign counts: a link that can be followed needs no guess at the name of a parameter.

use super::key::KeyFinding;
use super::{Seen, bare, step};
use crate::core::json::Json;

/// How deep the answer is looked at for what is about its pages.
const DEPTH_MAX: usize = 6;

/// Headers that hold the URL of the next page.
const NEXT_HEADERS: &[&str] = &["next-page", "x-next-page", "x-next", "x-next-url"];

/// Names of the URL of the next page.
const NEXT_URLS: &[&str] = &[
    "next",
    "nexturl",
    "nextlink",
    "nextpage",
    "nextpageurl",
    "nextpagelink",
    "nexthref",
    "nextrecordsurl",
    "odatanextlink",
    "nexturi",
    "hydranext",
];

/// Names of the token of the next page, and the parameter that takes it: as it is called in words, and as one word.
const TOKENS: &[(&str, &str, &str)] = &[
    ("nextcursor", "cursor", "cursor"),
    ("nextpagetoken", "page_token", "pageToken"),
    ("nexttoken", "next_token", "nextToken"),
    ("pagetoken", "page_token", "pageToken"),
    ("continuationtoken", "continuation_token", "continuationToken"),
    ("nextcontinuationtoken", "continuation_token", "continuationToken"),
    ("nextoffset", "offset", "offset"),
    ("aftercursor", "after", "after"),
    ("scrollid", "scroll_id", "scrollId"),
    ("bookmark", "bookmark", "bookmark"),
    ("offset", "offset", "offset"),
    ("next", "cursor", "cursor"),
    ("nextpage", "page", "page"),
];

/// Flags that say whether there is more.
const MORE: &[&str] = &["hasmore", "more", "hasnext", "hasnextpage", "hasmoreitems", "moreitemsincollection"];

/// Numbers that say how many items there are in all.
const TOTALS: &[&str] = &[
    "total",
    "totalcount",
    "totalitems",
    "totalresults",
    "totalrecords",
    "totalsize",
    "totalelements",
    "count",
    "odatacount",
    "recordcount",
    "hydratotalitems",
];

const OFFSETS: &[&str] = &["offset", "startat", "skip", "start", "from", "startindex"];
const SIZES: &[&str] = &["limit", "maxresults", "perpage", "pagesize", "size", "top", "itemsperpage", "count"];
const PAGES: &[&str] = &["page", "currentpage", "pagenumber", "pageindex", "pageno", "p"];
const LAST_PAGES: &[&str] = &["totalpages", "lastpage", "pages", "pagecount", "numpages", "nbpages"];

/// Lists of exactly so many items are pages more often than not.
const ROUND: &[usize] = &[10, 15, 20, 25, 30, 50, 100, 200, 250, 500, 1000];

/// A value under `[job.NAME.pages]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Text.
    Text(String),
    /// A whole number.
    Whole(u64),
}

/// How the next page is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// The keys of `[job.NAME.pages]`, in their order; none where there only is a suspicion.
    pub settings: Vec<(&'static str, Setting)>,
    /// Parameters of the URL's query that these keys take over.
    pub replaces: Vec<String>,
    /// Where the number of all items stands.
    pub total: Option<String>,
    /// The reason.
    pub why: String,
}

pub(super) fn find(seen: &Seen<'_>, count: usize, key: &KeyFinding) -> Option<Pages> {
    let about = About::of(seen);
    let found = link(seen)
        .or_else(|| next_header(seen))
        .or_else(|| about.graphql())
        .or_else(|| about.next_url())
        .or_else(|| about.token())
        .or_else(|| about.last_key(key))
        .or_else(|| about.offset(count))
        .or_else(|| about.page(count));
    match found {
        Some(pages) => Some(Pages { total: about.total(count), ..pages }),
        None if ROUND.contains(&count) => Some(Pages {
            why: format!("exactly {count} items and no sign of a next page: look into the vendor's documentation"),
            ..Pages::default()
        }),
        None => None,
    }
}

fn pages(settings: Vec<(&'static str, Setting)>, why: impl Into<String>) -> Pages {
    Pages { settings, why: why.into(), ..Pages::default() }
}

fn text(text: impl Into<String>) -> Setting {
    Setting::Text(text.into())
}

fn link(seen: &Seen<'_>) -> Option<Pages> {
    let mut links = seen.headers.iter().filter(|(name, _)| name == "link").map(|(_, value)| value.to_lowercase());
    let has_next = |link: String| {
        link.split(';').any(|part| {
            let value = part.trim().strip_prefix("rel=").unwrap_or_default();
            let value = value.split(',').next().unwrap_or_default().trim().trim_matches('"');
            value.split_whitespace().any(|word| word == "next")
        })
    };
    links
        .any(has_next)
        .then(|| pages(vec![("style", text("link"))], "the answer has a `Link` header with rel=\"next\""))
}

fn next_header(seen: &Seen<'_>) -> Option<Pages> {
    let (name, value) = NEXT_HEADERS.iter().find_map(|name| Some((*name, seen.header(name)?)))?;
    let spelled = spell_header(name);
    if is_url(value) {
        let why = format!("the answer's header `{spelled}` holds the next page's URL");
        return Some(pages(vec![("style", text("next_url")), ("at", text(format!("header:{spelled}")))], why));
    }
    value.trim().parse::<u64>().ok()?;
    let why = format!("the answer's header `{spelled}` holds the next page's number");
    let mut found = pages(vec![("style", text("page")), ("param", text("page")), ("start", Setting::Whole(1))], why);
    found.replaces.push("page".to_owned());
    Some(found)
}

/// `next-page` is `Next-Page`.
fn spell_header(name: &str) -> String {
    let upper = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('-').map(upper).collect::<Vec<_>>().join("-")
}

fn is_url(text: &str) -> bool {
    ["http://", "https://", "/", "?"].iter().any(|start| text.starts_with(start))
}

/// What of an answer is not the list, but about it.
struct About<'a> {
    seen: &'a Seen<'a>,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    path: String,
    name: &'a str,
    parent: String,
    value: &'a Json,
}

impl<'a> About<'a> {
    fn of(seen: &'a Seen<'a>) -> Self {
        let mut fields = Vec::new();
        gather(seen.document, "$", "", 1, &mut fields);
        Self { seen, fields }
    }

    /// The first field of one of these names, the names in their order.
    fn named(&self, names: &[&str], fits: impl Fn(&Field<'a>) -> bool) -> Option<&Field<'a>> {
        names.iter().find_map(|name| self.fields.iter().find(|field| bare(field.name) == *name && fits(field)))
    }

    fn number(&self, names: &[&str]) -> Option<(&Field<'a>, u64)> {
        let field =
            self.named(names, |field| field.value.as_number().is_some_and(|number| number.as_u64().is_some()))?;
        Some((field, field.value.as_number()?.as_u64()?))
    }

    /// A GraphQL connection goes on through the variables of the request's body, which no GET has.
    fn graphql(&self) -> Option<Pages> {
        let info = self.fields.iter().find(|field| field.parent == "pageinfo")?;
        let why = format!(
            "`{}` pages as GraphQL does: select `endCursor`, POST the query, and write style = \"token\", into = \"body\", \
             param = \"/variables/after\"",
            info.path
        );
        Some(pages(Vec::new(), why))
    }

    fn next_url(&self) -> Option<Pages> {
        let inside = |field: &Field<'_>| {
            let name = bare(field.name);
            NEXT_URLS.contains(&name.as_str())
                || (field.parent == "next" && ["href", "link", "url"].contains(&name.as_str()))
        };
        let mut candidates = self.fields.iter().filter(|field| inside(field));
        let url = candidates.clone().find(|field| field.value.as_str().is_some_and(is_url));
        let (path, why) = match url {
            Some(field) => (field.path.clone(), format!("`{}` holds the next page's URL", field.path)),
            None => {
                // A token beside it tells more than a link that is not there.
                let null = candidates.find(|field| field.value.is_null()).filter(|_| self.token_field().is_none());
                match (null, self.salesforce()) {
                    (Some(field), _) => {
                        let why = format!("`{}` is null here: this is the only page, or the last", field.path);
                        (field.path.clone(), why)
                    }
                    (None, Some(path)) => {
                        (path, "the answer says `done`, as Salesforce does: `$.nextRecordsUrl` leads on".to_owned())
                    }
                    (None, None) => return None,
                }
            }
        };
        let mut settings = vec![("style", text("next_url")), ("at", text(path))];
        settings.extend(self.says_more());
        Some(pages(settings, why))
    }

    /// A flag beside what leads on, which some vendors name on the last page too.
    fn says_more(&self) -> Option<(&'static str, Setting)> {
        let flag = self.named(MORE, |field| field.value.as_bool().is_some())?;
        Some(("more", text(flag.path.clone())))
    }

    /// Salesforce leaves its link out of the last page.
    fn salesforce(&self) -> Option<String> {
        let document = self.seen.document;
        let fits =
            document.get("done").is_some_and(|done| done.as_bool().is_some()) && document.get("totalSize").is_some();
        fits.then(|| "$.nextRecordsUrl".to_owned())
    }

    /// A field that holds a token, or would if there were a next page.
    fn token_field(&self) -> Option<(&Field<'a>, &'static str)> {
        let is_token = |field: &Field<'_>| {
            let long = bare(field.name).len() > "next".len() && bare(field.name).starts_with("next");
            let sure = long && bare(field.name) != "nextpage";
            (field.value.is_null() && sure)
                || field.value.as_str().is_some_and(|text| !is_url(text) && !text.is_empty())
        };
        let inside = self.fields.iter().find(|field| {
            let name = bare(field.name);
            (name == "after" && ["next", "cursors"].contains(&field.parent.as_str())) && is_token(field)
        });
        if let Some(field) = inside {
            return Some((field, "after"));
        }
        TOKENS.iter().find_map(|(name, words, word)| {
            let field = self.fields.iter().find(|field| bare(field.name) == *name && is_token(field))?;
            let in_words = field.name.contains('_') || !field.name.chars().any(char::is_uppercase);
            Some((field, if in_words { *words } else { *word }))
        })
    }

    fn token(&self) -> Option<Pages> {
        let (field, param) = self.token_field()?;
        let notion = self.seen.document.get("object").and_then(Json::as_str) == Some("list");
        let param = if notion && param == "cursor" { "start_cursor" } else { param };
        let why = format!(
            "`{}` holds the token of the next page; that `{param}` takes it is a guess: check the vendor's documentation",
            field.path
        );
        let mut settings = vec![("style", text("token")), ("at", text(field.path.clone())), ("param", text(param))];
        settings.extend(self.says_more());
        Some(pages(settings, why))
    }

    /// A flag, and no token: the last item's key goes on, as with Stripe.
    fn last_key(&self, key: &KeyFinding) -> Option<Pages> {
        let more = self.named(MORE, |field| field.value.as_bool().is_some())?;
        let [at] = &key.paths[..] else { return None };
        let why = format!(
            "`{}` says whether there is more, and no token goes with it; that `starting_after` takes the last key, as \
             with Stripe, is a guess",
            more.path
        );
        let settings = vec![
            ("style", text("last_key")),
            ("at", text(at.clone())),
            ("param", text("starting_after")),
            ("more", text(more.path.clone())),
        ];
        Some(pages(settings, why))
    }

    fn offset(&self, count: usize) -> Option<Pages> {
        let asked = ["offset", "startAt", "skip", "start", "$skip"];
        let asked = asked.into_iter().find(|name| self.seen.parameter(name).is_some());
        let counted = self.number(OFFSETS).filter(|_| self.number(SIZES).is_some());
        let (param, why) = match (asked, counted) {
            (Some(param), _) => (param.to_owned(), format!("the URL has `{param}`")),
            (None, Some((field, _))) => {
                (field.name.to_owned(), format!("`{}` counts how far into the list it is", field.path))
            }
            (None, None) => return None,
        };
        let (size_param, size) = self.size(count);
        let mut settings = vec![("style", text("offset")), ("param", text(param.clone()))];
        settings.push(("size", Setting::Whole(size)));
        settings.extend(size_param.clone().map(|param| ("size_param", text(param))));
        let replaces = size_param.into_iter().chain([param]).collect();
        Some(Pages { settings, replaces, why, total: None })
    }

    fn page(&self, count: usize) -> Option<Pages> {
        let asked = ["page", "p", "page_number", "pageNumber", "pg", "page[number]"];
        let asked = asked.into_iter().find_map(|name| Some((name, self.seen.parameter(name)?)));
        let counted = self.number(LAST_PAGES).or_else(|| self.number(PAGES));
        let (param, why) = match (&asked, counted) {
            (Some((param, _)), _) => ((*param).to_owned(), format!("the URL has `{param}`")),
            (None, Some((field, _))) => {
                let why = format!("`{}` counts pages; that `page` asks for one is a guess", field.path);
                ("page".to_owned(), why)
            }
            (None, None) => return None,
        };
        let first = asked.and_then(|(_, value)| value.parse().ok()).or(self.number(PAGES).map(|(_, page)| page));
        let mut settings = vec![("style", text("page")), ("param", text(param.clone()))];
        settings.push(("start", Setting::Whole(u64::from(first != Some(0)))));
        let (size_param, size) = self.size(count);
        if let Some(size_param) = &size_param {
            settings.push(("size", Setting::Whole(size)));
            settings.push(("size_param", text(size_param.clone())));
        }
        let replaces = size_param.into_iter().chain([param]).collect();
        Some(Pages { settings, replaces, why, total: None })
    }

    /// The parameter that takes a page's size, where one can be told, and the size.
    fn size(&self, count: usize) -> (Option<String>, u64) {
        let asked = self.seen.url.query_pairs().find(|(name, _)| SIZES.contains(&bare(name).as_str()));
        if let Some((name, value)) = asked {
            return (Some(name.into_owned()), value.parse().unwrap_or(count as u64).max(1));
        }
        match self.number(SIZES) {
            Some((field, size)) if size >= count as u64 && size > 0 => (Some(field.name.to_owned()), size),
            _ => (None, (count as u64).max(1)),
        }
    }

    fn total(&self, count: usize) -> Option<String> {
        let (field, total) = self.number(TOTALS)?;
        (total >= count as u64).then(|| field.path.clone())
    }
}

fn gather<'a>(value: &'a Json, path: &str, parent: &str, depth: usize, found: &mut Vec<Field<'a>>) {
    for (name, value) in value.as_object().unwrap_or_default() {
        let path = format!("{path}{}", step(name));
        match value {
            Json::Object(_) if depth < DEPTH_MAX => gather(value, &path, &bare(name), depth + 1, found),
            Json::Object(_) | Json::Array(_) => {}
            _ => found.push(Field { path, name, parent: parent.to_owned(), value }),
        }
    }
}
