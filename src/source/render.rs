//! From a job's request as the config means it to one that can be sent: templates, query, body, credentials.
//!
//! Sends nothing. The one place where credentials are put into a request.

use http::header::{self, HeaderName};
use url::Url;

use crate::core::auth::Auth;
use crate::core::auth::credentials::{self, Credentials, with_query, without_query};
use crate::core::job::{BodySpec, RequestSpec};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::template::{Names, Text};
use crate::net::headers;
use crate::source::{Request, open_gate};

#[cfg(test)]
mod tests;

/// Renders a job's request: a member whose template yields none is left out, and the credentials come last, over
/// headers of the same name.
///
/// # Errors
/// [`FailureKind::Template`]: an expression failed, or a header holds what a header can't.
pub(super) fn render_request(spec: &RequestSpec, names: &Names<'_>) -> Result<Request, Failure> {
    let mut url = spec.url.render_url(names).map_err(|why| broken("url", &why))?;
    for (name, text) in &spec.query {
        if let Some(value) = render(text, names, &format!("query.{name}"))? {
            url = with_query(&url, name, &value);
        }
    }
    let mut sent = Vec::with_capacity(spec.headers.len() + 2);
    for (name, text) in &spec.headers {
        if let Some(value) = render(text, names, &format!("headers.{name}"))? {
            sent.push((name.clone(), value));
        }
    }
    let body = render_body(spec.body.as_ref(), names)?;
    if let Some(body) = &body {
        set_content_type(&mut sent, spec.body.as_ref(), body);
    }
    let (url, sent) = with_credentials(spec, names, url, sent)?;
    for (name, value) in &sent {
        headers::value(name, value)?;
    }
    let access = spec.access.clone();
    let live = spec.auth.as_ref().and_then(Auth::live).cloned();
    let (method, signs, gate) = (spec.method.clone(), spec.signs.clone(), open_gate());
    Ok(Request {
        access,
        method,
        url,
        headers: sent,
        live,
        body,
        etag: None,
        last_modified: None,
        signs,
        gate,
        insists: false,
    })
}

/// A URL and headers with the credentials in their place, over what stands there.
pub(super) fn with_credentials(
    spec: &RequestSpec,
    names: &Names<'_>,
    url: Masked,
    mut headers: Vec<(HeaderName, Masked)>,
) -> Result<(Masked, Vec<(HeaderName, Masked)>), Failure> {
    let Some(auth) = &spec.auth else { return Ok((url, headers)) };
    match credentials::render(auth, names)? {
        Some(Credentials::Header(name, value)) => replace(&mut headers, name, value),
        Some(Credentials::Query(name, value)) => {
            return Ok((with_query(&without_query(&url, &name), &name, &value), headers));
        }
        None => {}
    }
    Ok((url, headers))
}

fn render(text: &Text, names: &Names<'_>, place: &str) -> Result<Option<Masked>, Failure> {
    text.render(names).map_err(|why| broken(place, &why))
}

fn broken(place: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Template, format!("`{place}` can't be rendered: {why}"))
}

fn render_body(spec: Option<&BodySpec>, names: &Names<'_>) -> Result<Option<Masked>, Failure> {
    match spec {
        None => Ok(None),
        Some(BodySpec::Text(text)) => render(text, names, "body"),
        Some(BodySpec::Json(json)) => json.render(names).map(Some).map_err(|why| broken("body", &why)),
    }
}

fn set_content_type(headers: &mut Vec<(HeaderName, Masked)>, spec: Option<&BodySpec>, body: &Masked) {
    let said = headers.iter().any(|(name, _)| *name == header::CONTENT_TYPE);
    if let Some(spec) = spec.filter(|_| !said) {
        headers.push((header::CONTENT_TYPE, Masked::open(spec.content_type(body.expose()))));
    }
}

fn replace(headers: &mut Vec<(HeaderName, Masked)>, name: HeaderName, value: Masked) {
    headers.retain(|(other, _)| *other != name);
    headers.push((name, value));
}

/// A rendered URL, if it can be asked.
pub(super) fn parse_url(url: &Masked) -> Result<Url, Failure> {
    let refuse = |why: &str| {
        let sentence = format!("the URL `{}` can't be asked: {why}; check `base_url` and `url`", url.shown());
        Err(Failure::new(FailureKind::Template, sentence))
    };
    match Url::parse(url.expose()) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(parsed),
        Ok(_) => refuse("it must begin with `https://` or `http://`"),
        Err(error) => refuse(&error.to_string()),
    }
}
