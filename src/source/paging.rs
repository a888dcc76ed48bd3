//! From one page's request to the next one's: a link that is resolved and judged, or a value put where the config says.
//!
//! What leads to a next page is `core`'s business; this makes a request of it, or says why there is none.

use url::Url;

use crate::core::auth::credentials::{with_query, without_query};
use crate::core::job::RequestSpec;
use crate::core::json::{self, Json};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::page::{Ask, Carrier, Paging};
use crate::core::secret::Masked;
use crate::core::template::Names;
use crate::net::redact::Redactor;
use crate::net::trouble::Target;
use crate::source::{Request, render};

#[cfg(test)]
mod tests;

/// The longest URL that a vendor may lead to, in bytes: more than servers take.
const URL_MAX: usize = 64 * 1024;

/// The request for the first page: the job's own, with the size and where it begins.
///
/// # Errors
/// As [`render::render_request`].
pub fn first_page(spec: &RequestSpec, paging: Option<&Paging>, names: &Names<'_>) -> Result<Request, Failure> {
    let mut request = render::render_request(spec, names)?;
    let Some(paging) = paging else { return Ok(request) };
    if let (Some(size), Some(param)) = (paging.size, &paging.size_param) {
        request = match paging.style.carrier() {
            Some(Carrier::Body(at)) => {
                // A name alone stands beside `param`.
                let beside = || format!("{}/{param}", at.rsplit_once('/').map_or("", |(parent, _)| parent));
                let pointer = if param.starts_with('/') { param.clone() } else { beside() };
                carry(request, &Carrier::Body(pointer), &Json::from(size))
            }
            _ => carry(request, &Carrier::Query(param.clone()), &Json::from(size)),
        };
    }
    match (paging.style.first(), paging.style.carrier()) {
        (Some(Ask::Value(value)), Some(carrier)) => Ok(carry(request, carrier, &parsed(&value))),
        _ => Ok(request),
    }
}

/// The request for the page that `ask` leads to; `first` is that for the first page, `from` the URL that the page before
/// came from.
///
/// # Errors
/// [`FailureKind::Page`]: a link that is no URL, or that leads where the job's credentials may not go.
pub fn next_page(
    spec: &RequestSpec,
    paging: &Paging,
    names: &Names<'_>,
    first: &Request,
    ask: &Ask,
    from: &Masked,
) -> Result<Request, Failure> {
    match (ask, paging.style.carrier()) {
        (Ask::Url(link), _) => follow(spec, names, first, link, from),
        (Ask::Value(value), Some(carrier)) => Ok(carry(first.clone(), carrier, &parsed(value))),
        (Ask::Value(_), None) => Ok(first.clone()),
    }
}

/// What decides which page is asked for: what the request's fingerprint says, and the header that carries a token.
pub fn page_fingerprint(request: &Request, paging: Option<&Paging>) -> Digest {
    let plain = request.fingerprint();
    let Some(Carrier::Header(name)) = paging.and_then(|paging| paging.style.carrier()) else { return plain };
    let token = request.headers.iter().find(|(other, _)| other == name);
    token.map_or(plain, |(_, token)| Digest::of(&[&plain.0[..], token.shown().as_bytes()].concat()))
}

fn parsed(value: &str) -> Json {
    json::parse(value.as_bytes()).unwrap_or_default()
}

/// A link of the vendor's (RFC 3986, section 5), judged by where it leads.
fn follow(
    spec: &RequestSpec,
    names: &Names<'_>,
    first: &Request,
    link: &str,
    from: &Masked,
) -> Result<Request, Failure> {
    let redactor = redactor(first);
    let shown = |link: &str| redactor.clean(&Target::of(link).place, false).unwrap_or_else(|| "***".to_owned());
    let refuse = |sentence: String| Err(Failure::new(FailureKind::Page, sentence));
    let resolved =
        Url::parse(from.expose()).ok().filter(|_| link.len() <= URL_MAX).and_then(|from| from.join(link).ok());
    let Some(mut url) = resolved.filter(Url::has_host) else {
        let beginning: String = link.chars().take(100).collect();
        let beginning = redactor.clean(&beginning, true).unwrap_or_default();
        return refuse(format!("what leads to the next page, `{beginning}`, is no URL; check `pages`"));
    };
    let place = shown(url.as_str());
    if !first.access.homes.admits(&url) {
        let host = url.host_str().unwrap_or_default();
        return refuse(match url.scheme() {
            "https" => format!(
                "the next page is said to be at `{place}`, and credentials don't go to that host; if it is the \
                 vendor's, write `allow_hosts = [\"{host}\"]`"
            ),
            scheme => format!("the next page is said to be at `{place}`, and credentials don't go there by `{scheme}`"),
        });
    }
    // What the link says of a user is not ours; neither call can fail on a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    let plain = url.to_string();
    let clean = redactor.clean_url(&plain).unwrap_or_else(|| format!("{place}?***"));
    let url = if clean == plain { Masked::open(plain) } else { Masked::new(plain, clean) };
    let (url, headers) = render::with_credentials(spec, names, url, first.headers.clone())?;
    Ok(Request { url, headers, ..first.clone() })
}

/// All that the request hides, for a vendor's links may repeat it.
fn redactor(request: &Request) -> Redactor {
    let mut redactor = Redactor::default();
    redactor.hide(&request.url);
    request.headers.iter().for_each(|(_, value)| redactor.hide(value));
    request.body.iter().for_each(|body| redactor.hide(body));
    redactor
}

/// The request with this value in its place.
fn carry(request: Request, carrier: &Carrier, value: &Json) -> Request {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match carrier {
        Carrier::Query(name) => {
            let url = with_query(&without_query(&request.url, name), name, &Masked::open(text));
            Request { url, ..request }
        }
        Carrier::Header(name) => {
            let mut headers = request.headers;
            headers.retain(|(other, _)| other != name);
            headers.push((name.clone(), Masked::open(text)));
            Request { headers, ..request }
        }
        Carrier::Body(pointer) => {
            let body = request.body.map(|body| set_in(&body, pointer, value));
            Request { body, ..request }
        }
    }
}

/// A JSON body with a value at this place, in both spellings; objects on the way there are made.
fn set_in(body: &Masked, pointer: &str, value: &Json) -> Masked {
    let tokens: Vec<String> =
        pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let set = |text: &str| {
        let mut tree = json::parse(text.as_bytes()).ok()?;
        put(&mut tree, &tokens, value);
        Some(tree.to_string())
    };
    let plain = set(body.expose()).unwrap_or_else(|| body.expose().to_owned());
    if body.hides() {
        Masked::new(plain, set(body.shown()).unwrap_or_else(|| body.shown().to_owned()))
    } else {
        Masked::open(plain)
    }
}

fn put(tree: &mut Json, tokens: &[String], value: &Json) {
    let Some((name, rest)) = tokens.split_first() else {
        *tree = value.clone();
        return;
    };
    if let Json::Array(elements) = tree {
        if let Some(element) = name.parse().ok().and_then(|at: usize| elements.get_mut(at)) {
            put(element, rest, value);
        }
        return;
    }
    if !matches!(tree, Json::Object(_)) {
        *tree = Json::Object(Vec::new());
    }
    let Json::Object(members) = tree else { return };
    let at = members.iter().position(|(own, _)| own == name).unwrap_or_else(|| {
        members.push((name.clone(), Json::Null));
        members.len() - 1
    });
    put(&mut members[at].1, rest, value);
}
