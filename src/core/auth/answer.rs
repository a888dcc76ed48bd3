//! What a token endpoint answers: a token, or why there is none, in a sentence for the person who must act.
//!
//! A body that holds a token is never quoted.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use super::credentials::{Credentials, bearer};
use super::grant::{Found, Grant, Issued, Kind, Send, Session};
use crate::core::json::{Json, parse};
use crate::core::secret::{Masked, Secret};
use crate::core::time::Timestamp;

/// The longest life that is believed.
const LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// An answer of an endpoint, whole.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Its body as it may be quoted, in a line; `None` where it is no text.
    pub quoted: Option<&'a str>,
}

impl Grant {
    /// Reads an answer.
    ///
    /// # Errors
    /// The end of a sentence that begins with the endpoint: `answered 400: …`.
    pub fn read(&self, answer: &Answer<'_>, now: Timestamp) -> Result<Issued, String> {
        let document = parse(answer.body).ok();
        if !(200..300).contains(&answer.status) {
            let may_redirect = matches!((&self.kind, answer.status), (Kind::Session(_), 302 | 303));
            if !may_redirect {
                return Err(self.refused(answer, document.as_ref()));
            }
        }
        match &self.kind {
            Kind::OAuth2(_) | Kind::JwtBearer(_) => self.oauth(answer, document.as_ref(), now),
            Kind::Session(session) => {
                let credentials = session.credentials(answer, document.as_ref())?;
                Ok(Issued { credentials, ends: session.ttl.map(|ttl| now.plus(ttl)), refresh: None })
            }
        }
    }

    /// RFC 6749, section 5.1.
    fn oauth(&self, answer: &Answer<'_>, document: Option<&Json>, now: Timestamp) -> Result<Issued, String> {
        let Some(document) = document else {
            let what = if looks_like_html(answer) { "a page of HTML" } else { "something that is not JSON" };
            return Err(format!("answered {} with {what}, not with a token; check `token_url`", answer.status));
        };
        if document.get("error").is_some() && document.get("access_token").is_none() {
            return Err(self.refused(answer, Some(document)));
        }
        let token = match document.get("access_token") {
            Some(Json::String(token)) if !token.is_empty() => sendable(token)?,
            Some(_) => return Err("answered with an `access_token` that is no text; check `token_url`".to_owned()),
            None => return Err("answered without an `access_token`; check `token_url`".to_owned()),
        };
        let refresh = document.get("refresh_token").and_then(Json::as_str).filter(|token| !token.is_empty());
        let ends = document.get("expires_in").and_then(life).map(|life| now.plus(life));
        Ok(Issued { credentials: vec![bearer(&token)], ends, refresh: refresh.map(Secret::new) })
    }

    /// RFC 6749, section 5.2, or whatever came.
    fn refused(&self, answer: &Answer<'_>, document: Option<&Json>) -> String {
        let word = |name: &str| document.and_then(|document| document.get(name)).and_then(Json::as_str);
        let code = word("error").filter(|code| code.len() <= 64);
        let hint = self.hint(answer.status, code);
        let said = match answer.quoted.filter(|_| !looks_like_html(answer)) {
            Some(text) => format!("; it said: {text}"),
            None => String::new(),
        };
        let what = match code {
            Some(code) => format!("`{code}`"),
            None if looks_like_html(answer) => "a page of HTML".to_owned(),
            None => "no token".to_owned(),
        };
        format!("answered {}: {what}; {hint}{said}", answer.status)
    }

    fn hint(&self, status: u16, code: Option<&str>) -> &'static str {
        match (&self.kind, code, status) {
            (Kind::Session(_), _, 400 | 401 | 403 | 422) => "check the name and the password in the log-in's `body`",
            (Kind::Session(_), _, 404 | 405) => "check the log-in's `url` and `method`",
            (_, _, 429) => "too many requests for tokens: share one vendor between the jobs",
            (_, _, 500..) => "it has a problem of its own",
            (Kind::OAuth2(client), Some("invalid_grant"), _) if client.refresh_token.is_some() => {
                "the refresh token has ended, was revoked or was used before; get a new one from the vendor and put it \
                 into `refresh_token`"
            }
            (Kind::JwtBearer(_), Some("invalid_grant"), _) => {
                "the assertion is not believed; check `key`, `claims`, and this machine's clock"
            }
            (Kind::OAuth2(_), Some("invalid_client"), _) => {
                "check `client_id` and `client_secret`, and whether `client_auth` is `basic` or `body`"
            }
            (_, Some("unauthorized_client" | "unsupported_grant_type"), _) => {
                "the vendor does not let this client use this `grant`"
            }
            (_, Some("invalid_scope"), _) => "check `scope`",
            (_, None, 300..=499) => "check `token_url` and the credentials",
            _ => "check the credentials",
        }
    }
}

impl Session {
    fn credentials(&self, answer: &Answer<'_>, document: Option<&Json>) -> Result<Vec<Credentials>, String> {
        let token = match &self.token {
            Found::Body(path) => match document.map(|document| path.select(document)) {
                None => return Err(format!("answered {} with something that is not JSON; check `url`", answer.status)),
                Some(found) => match found.first() {
                    Some(Json::String(text)) => text.clone(),
                    Some(Json::Number(number)) => number.as_str().to_owned(),
                    Some(_) => return Err(format!("answered, but `token` (`{}`) finds no text", path.as_str())),
                    None => return Err(format!("answered, but `token` (`{}`) finds nothing", path.as_str())),
                },
            },
            Found::Header(name) => {
                let value = answer.headers.get(name).and_then(|value| value.to_str().ok());
                value
                    .map(str::to_owned)
                    .ok_or_else(|| format!("answered without the header `{name}`; check `token`"))?
            }
            Found::Cookie(wanted) => {
                let found = cookies(answer.headers).into_iter().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value).ok_or_else(|| format!("answered without the cookie `{wanted}`"))?
            }
            Found::Cookies => {
                let all = cookies(answer.headers);
                if all.is_empty() {
                    let hint = "check the log-in's `body`, or say where the token is with `token`";
                    return Err(format!("answered {}, but set no cookie; {hint}", answer.status));
                }
                all.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
            }
        };
        if token.is_empty() {
            return Err("answered with an empty token; check the log-in's `body`, and `token`".to_owned());
        }
        let token = sendable(&token)?;
        let render = |text: &crate::core::template::Text| {
            let json = Json::String(token.expose().to_owned());
            let value = text.render(&[("token", &json)]).map_err(|why| format!("gave a token, but `send`: {why}"))?;
            Ok::<_, String>(hidden(value.as_ref().map_or("", Masked::expose)))
        };
        Ok(vec![match (&self.send, &self.token) {
            (Send::Header(name, text), _) => Credentials::Header(name.clone(), render(text)?),
            (Send::Query(name, text), _) => Credentials::Query(name.clone(), render(text)?),
            (Send::Cookies, Found::Cookie(name)) => {
                let shown = format!("{name}=***");
                Credentials::Header(header::COOKIE, Masked::new(format!("{name}={}", token.expose()), shown))
            }
            (Send::Cookies, _) => Credentials::Header(header::COOKIE, token),
        }])
    }
}

fn hidden(text: &str) -> Masked {
    Masked::new(text.to_owned(), "***".to_owned())
}

/// A token that a header can hold.
fn sendable(token: &str) -> Result<Masked, String> {
    match HeaderValue::from_str(token) {
        Ok(_) => Ok(hidden(token)),
        Err(_) => Err("gave a token that no header can hold: there is a control character in it".to_owned()),
    }
}

/// `expires_in`, which some write as text. What has ended before it came says nothing.
fn life(json: &Json) -> Option<Duration> {
    let text = match json {
        Json::Number(number) => number.as_str(),
        Json::String(text) => text.trim(),
        _ => return None,
    };
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    Some(Duration::from_secs_f64(seconds.min(LIFE_MAX.as_secs_f64())))
}

/// Name and value of what is set (RFC 6265, section 5.2); a cookie that is taken away is none.
fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    let set = headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found: Vec<(String, String)> = Vec::new();
    for cookie in set {
        let pair = cookie.split(';').next().unwrap_or_default();
        let Some((name, value)) = pair.split_once('=') else { continue };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        found.retain(|(own, _)| *own != name);
        if !name.is_empty() && !value.is_empty() {
            found.push((name, value));
        }
    }
    found
}

fn looks_like_html(answer: &Answer<'_>) -> bool {
    let said = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.contains("html") || answer.body.trim_ascii_start().starts_with(b"<")
}

/// How far this machine's clock is from the other side's, where that is more than a minute: the end of a sentence.
pub fn skew(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let date = headers.get(header::DATE)?.to_str().ok()?;
    let theirs = crate::core::delivery::parse_http_date(date, now)?;
    let (ahead, behind) = (now.since(theirs), theirs.since(now));
    let (far, word) = if ahead > behind { (ahead, "ahead of") } else { (behind, "behind") };
    let far = far.as_secs();
    (far > 60).then(|| format!("; this machine's clock is {far} s {word} the other side's: set it right"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::auth::grant::OAuth2;
    use crate::core::names::Digest;

    fn grant(refresh: Option<&str>) -> Grant {
        let client = OAuth2 {
            client_id: "me".to_owned(),
            client_secret: None,
            in_body: true,
            refresh_token: refresh.map(Secret::new),
            params: Vec::new(),
        };
        let endpoint = url::Url::parse("https://a.example/token").expect("a URL");
        Grant { id: Digest::default(), endpoint, kind: Kind::OAuth2(client) }
    }

    fn read(status: u16, body: &str) -> Result<Issued, String> {
        let headers = HeaderMap::new();
        let answer = Answer { status, headers: &headers, body: body.as_bytes(), quoted: Some(body) };
        grant(Some("r0")).read(&answer, Timestamp(0))
    }

    #[test]
    fn a_token_is_read_with_its_life_and_its_successor() {
        let issued = read(200, r#"{"access_token":"t","expires_in":"60","refresh_token":"r1"}"#).expect("a token");
        assert_eq!(issued.ends, Some(Timestamp(60_000)), "some write the life as text");
        assert_eq!(issued.refresh, Some(Secret::new("r1")));
        for life in ["0", "-5", "null", "\"soon\"", "1e999"] {
            let issued = read(200, &format!(r#"{{"access_token":"t","expires_in":{life}}}"#)).expect("a token");
            assert_eq!(issued.ends, None, "{life}");
        }
    }

    #[test]
    fn what_is_no_token_is_said_with_what_to_do() {
        for (status, body, words) in [
            (400, r#"{"error":"invalid_grant"}"#, "get a new one from the vendor"),
            (401, r#"{"error":"invalid_client"}"#, "check `client_id` and `client_secret`"),
            (200, r#"{"error":"invalid_scope"}"#, "check `scope`"),
            (200, "<html>", "a page of HTML"),
            (200, "", "something that is not JSON"),
            (200, r#"{"access_token":7}"#, "that is no text"),
            (200, r#"{"access_token":""}"#, "that is no text"),
            (200, r#"{"access_token":"a\nb"}"#, "a control character"),
            (302, "", "check `token_url`"),
            (429, "", "too many requests"),
            (503, "x", "a problem of its own"),
        ] {
            let said = read(status, body).expect_err("no token");
            assert!(said.contains(words), "{status} {body}: {said}");
        }
        let said = read(200, r#"{"access_token":{"s3cret":1}}"#).expect_err("no token");
        assert!(!said.contains("s3cret"), "a body that may hold a token is not quoted: {said}");
    }

    #[test]
    fn cookies_are_read_without_their_attributes_and_the_last_one_counts() {
        let mut headers = HeaderMap::new();
        for cookie in ["a=1; Path=/", "b=; Max-Age=0", "a=2; HttpOnly", "noise", " c = 3 "] {
            headers.append(header::SET_COOKIE, HeaderValue::from_static(cookie));
        }
        let pairs = [("a", "2"), ("c", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(cookies(&headers), pairs);
    }

    #[test]
    fn a_clock_that_is_wrong_is_told() {
        let mut headers = HeaderMap::new();
        headers.insert(header::DATE, HeaderValue::from_static("Sun, 09 Sep 2001 01:46:40 GMT"));
        assert_eq!(skew(&headers, Timestamp(1_000_000_030_000)), None);
        let ahead = skew(&headers, Timestamp(1_000_000_300_000)).expect("a word");
        assert!(ahead.contains("300 s ahead"), "{ahead}");
    }
}
