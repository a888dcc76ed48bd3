//! Takes a request's own secrets out of what the other side sends back.
//!
//! Finds secrets as they were sent, percent-decoded, as URLs and as JSON write them; not what was made of them in
//! another way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use crate::core::auth::credentials::QUERY;
use crate::core::proxy::Server;
use crate::core::secret::Masked;

/// All that RFC 3986, section 2.3, does not leave as it is.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a URL's path and query do not hold as it is.
const IN_PATHS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// What stands for a secret.
const STARS: &str = "***";

/// A secret shorter than this can't be told from ordinary text.
const SHORTEST: usize = 4;

/// The secrets of a request.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Longest first, so that a secret inside another doesn't save the rest of it.
    secrets: Vec<String>,
    /// One of them is too short to be found.
    hopeless: bool,
}

impl Redactor {
    /// Adds what `text` hides.
    pub fn hide(&mut self, text: &Masked) {
        for part in hidden_parts(text) {
            self.hide_text(part);
            if let Some(decoded) = basic_credentials(text.expose()) {
                decoded.split_once(':').into_iter().for_each(|(_, password)| self.hide_text(password));
                self.hide_text(&decoded);
            }
        }
    }

    /// Adds the password of a proxy, which may say what it got.
    pub fn hide_proxy(&mut self, proxy: &Server) {
        Url::parse(proxy.expose()).iter().for_each(|url| self.hide_userinfo(url));
    }

    /// Adds the user and password of a URL, which are sent as `authorization: Basic …`. A user who has a password is no
    /// secret; one without may be a token.
    pub fn hide_userinfo(&mut self, url: &Url) {
        let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
        let (user, password) = (url.username(), url.password());
        self.hide_text(password.unwrap_or(user));
        if !user.is_empty() || password.is_some() {
            let pair = format!("{}:{}", decoded(user), decoded(password.unwrap_or_default()));
            self.hide_text(&STANDARD.encode(pair));
        }
    }

    /// Adds a secret.
    pub fn hide_text(&mut self, secret: &str) {
        if secret.is_empty() {
            return;
        }
        self.hopeless |= secret.len() < SHORTEST;
        let decoded = percent_decode_str(secret).decode_utf8_lossy().into_owned();
        let json = serde_json::Value::from(decoded.as_str()).to_string();
        let json = json[1..json.len() - 1].to_owned();
        let unquoted: Option<String> = serde_json::from_str(&format!("\"{secret}\"")).ok();
        let encoded = [secret, &decoded].into_iter().flat_map(in_urls);
        for spelling in [secret.to_owned(), decoded.clone(), json].into_iter().chain(unquoted).chain(encoded) {
            if !self.secrets.contains(&spelling) {
                self.secrets.push(spelling);
            }
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// The text without the secrets; `None` when they can't be told from it.
    ///
    /// Of a text that was `cut` off somewhere the end is left out too, where half a secret may stand.
    pub fn clean(&self, text: &str, cut: bool) -> Option<String> {
        if self.hopeless {
            return None;
        }
        let mut clean = self.replace(text, |_| STARS.to_owned());
        if let Some(longest) = self.secrets.first().filter(|_| cut) {
            clean.truncate(clean.floor_char_boundary(clean.len().saturating_sub(longest.len())));
        }
        Some(clean)
    }
}

impl Redactor {
    /// The same for JSON, which stays JSON: outside of strings, digits that are a secret become nines.
    pub fn clean_json(&self, text: &str) -> Option<String> {
        if self.hopeless {
            return None;
        }
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find('"') {
            let string = &rest[start + 1..];
            let end = end_of_string(string);
            clean.push_str(&self.replace(&rest[..start], nines));
            clean.push('"');
            clean.push_str(&self.replace(&string[..end], |_| STARS.to_owned()));
            rest = &string[end..];
            if let Some(after) = rest.strip_prefix('"') {
                clean.push('"');
                rest = after;
            }
        }
        clean.push_str(&self.replace(rest, nines));
        Some(clean)
    }

    /// The same for an address, which stays one: its port may be the same digits as a secret, and is none.
    pub fn clean_url(&self, url: &str) -> Option<String> {
        let is_port = |(_, port): &(&str, &str)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let start = url.find("://").map_or(0, |at| at + 3);
        let path = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
        match url[..path].rsplit_once(':').filter(is_port) {
            Some((host, port)) => {
                Some(format!("{}:{port}{}", self.clean(host, false)?, self.clean(&url[path..], false)?))
            }
            None => self.clean(url, false),
        }
    }

    fn replace(&self, text: &str, by: impl Fn(&str) -> String) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| match text.contains(secret) {
            true => text.replace(secret, &by(secret)),
            false => text,
        })
    }
}

/// A text as it may stand in a URL: each writer leaves other characters as they are.
fn in_urls(text: &str) -> [String; 5] {
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let percent = |set| utf8_percent_encode(text, set).to_string();
    [percent(QUERY), percent(UNRESERVED), percent(IN_PATHS), form.replace('+', "%20"), form]
}

/// What stands for a secret where JSON has a number.
fn nines(secret: &str) -> String {
    match secret.bytes().all(|byte| byte.is_ascii_digit()) {
        true => "9".repeat(secret.len()),
        false => STARS.to_owned(),
    }
}

/// Where a string ends whose opening quote is left out: at its closing one, or at the end of the text.
fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    let closing = text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    closing.unwrap_or(text.len())
}

/// What stands in the text where its shown spelling has stars.
fn hidden_parts(text: &Masked) -> Vec<&str> {
    if !text.hides() {
        return Vec::new();
    }
    if !text.shown().contains(STARS) {
        return vec![what_differs(text.expose(), text.shown())];
    }
    let mut open = text.shown().split(STARS);
    let Some(mut rest) = open.next().and_then(|start| text.expose().strip_prefix(start)) else {
        return vec![what_differs(text.expose(), text.shown())];
    };
    let mut parts = Vec::new();
    let mut between = open.peekable();
    while let Some(literal) = between.next() {
        let end = if between.peek().is_none() {
            rest.len().checked_sub(literal.len()).filter(|_| rest.ends_with(literal))
        } else {
            rest.find(literal)
        };
        let Some(end) = end else { return vec![what_differs(text.expose(), text.shown())] };
        parts.push(&rest[..end]);
        rest = &rest[end + literal.len()..];
    }
    parts
}

/// What is left of a text without what it begins and ends with in both spellings: at least all that is hidden.
fn what_differs<'a>(plain: &'a str, shown: &str) -> &'a str {
    let same = |(a, b): &(char, char)| a == b;
    let start: usize = plain.chars().zip(shown.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (plain, shown) = (&plain[start..], &shown[start..]);
    let end: usize = plain.chars().rev().zip(shown.chars().rev()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    &plain[..plain.len() - end]
}

/// `user:password` of an `authorization: Basic …`.
fn basic_credentials(header: &str) -> Option<String> {
    let encoded = header.strip_prefix("Basic ")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

/// The beginning of a body as one line for a sentence: at most `max` characters, no control characters, blanks
/// joined. `None` when it is no text.
pub fn one_line(text: &str, max: usize) -> Option<String> {
    let strange = text.chars().filter(|c| (c.is_control() && !c.is_whitespace()) || *c == '\u{fffd}').count();
    if strange * 10 > text.chars().count() {
        return None;
    }
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(max) {
        _ if line.is_empty() => None,
        Some((end, _)) => Some(format!("{}…", &line[..end])),
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(texts: &[(&str, &str)]) -> Redactor {
        let mut redactor = Redactor::default();
        for (plain, shown) in texts {
            redactor.hide(&Masked::new((*plain).to_owned(), (*shown).to_owned()));
        }
        redactor
    }

    fn clean(plain: &str, shown: &str, text: &str) -> Option<String> {
        redactor(&[(plain, shown)]).clean(text, false)
    }

    #[test]
    fn an_echoed_secret_is_taken_out() {
        let text = "bad token s3cr3t!, s3cr3t! is wrong";
        assert_eq!(clean("Bearer s3cr3t!", "Bearer ***", text).as_deref(), Some("bad token ***, *** is wrong"));
        assert_eq!(clean("a=1&k=s3cr3t!&b=2", "a=1&k=***&b=2", "s3cr3t! 1").as_deref(), Some("*** 1"));
    }

    #[test]
    fn a_secret_is_found_in_its_other_spellings() {
        assert_eq!(clean("?k=s3%2Fcr%22et", "?k=***", r#"{"k":"s3/cr\"et"}"#).as_deref(), Some(r#"{"k":"***"}"#));
        assert_eq!(clean("Basic bWU6aHVudGVyMg==", "Basic ***", "no hunter2 here").as_deref(), Some("no *** here"));
    }

    #[test]
    fn a_secret_is_found_as_urls_write_it() {
        let plain = "tok s3cr3t/ten+10=\"ü";
        for spelling in [
            "tok%20s3cr3t%2Ften%2B10%3D%22%C3%BC",
            "tok+s3cr3t%2Ften%2B10%3D%22%C3%BC",
            "tok%20s3cr3t/ten+10=%22%C3%BC",
            plain,
        ] {
            let text = format!("GET /x?k={spelling}&b=1");
            assert_eq!(clean(plain, "***", &text).as_deref(), Some("GET /x?k=***&b=1"), "{spelling}");
        }
        let stars = "q*s3cr3t";
        assert_eq!(clean(stars, "***", "k=q*s3cr3t k=q%2As3cr3t").as_deref(), Some("k=*** k=***"));
    }

    #[test]
    fn who_a_url_lets_in_is_found_as_it_is_sent() {
        let hidden = |url: &str, text: &str| {
            let mut redactor = Redactor::default();
            redactor.hide_userinfo(&Url::parse(url).unwrap());
            redactor.clean(text, false).unwrap()
        };
        let text = "Basic Ym9iOnAvc3Mgdzty w p/ss w;r p%2Fss%20w%3Br bob";
        assert_eq!(hidden("http://bob:p%2Fss%20w;r@a.example/", text), "Basic *** w *** *** bob");
        assert_eq!(hidden("http://t0ken@a.example/", "Basic dDBrZW46 t0ken"), "Basic *** ***");
        assert_eq!(hidden("http://a.example/", "Basic Og=="), "Basic Og==");
    }

    #[test]
    fn a_secret_in_a_json_body_is_found_without_its_escapes() {
        let (plain, shown) = (r#"{"token":"s3\"cr\u0065t"}"#, r#"{"token":"***"}"#);
        assert_eq!(clean(plain, shown, "s3\"cret?").as_deref(), Some("***?"));
    }

    #[test]
    fn several_secrets_of_one_text_are_each_found() {
        let hidden = Masked::new("x-first-y-second-z".to_owned(), "x-***-y-***-z".to_owned());
        assert_eq!(hidden_parts(&hidden), ["first", "second"]);
        let all = Masked::new("everything".to_owned(), "***".to_owned());
        assert_eq!(hidden_parts(&all), ["everything"]);
        let strange = Masked::new("Bearer abc!".to_owned(), "Bearer 3 stars!".to_owned());
        assert_eq!(hidden_parts(&strange), ["abc"]);
        let repeated = Masked::new("aaa".to_owned(), "aa".to_owned());
        assert_eq!(hidden_parts(&repeated), ["a"]);
    }

    #[test]
    fn json_stays_json_without_its_secrets() {
        let redactor = redactor(&[("Bearer 4711", "Bearer ***"), ("k=tru\"e", "k=***")]);
        let text = r#"{"a":4711,"b":"4711","c":[-14711.5e4711],"4711":"x\\","d":"tru\"e","e":"#;
        let clean = r#"{"a":9999,"b":"***","c":[-19999.5e9999],"***":"x\\","d":"***","e":"#;
        assert_eq!(redactor.clean_json(text).as_deref(), Some(clean));
        assert_eq!(redactor.clean_json("\"4711").as_deref(), Some("\"***"), "a string without an end");
    }

    #[test]
    fn an_address_keeps_its_port() {
        let redactor = redactor(&[("Bearer 4711", "Bearer ***")]);
        let clean = |url: &str| redactor.clean_url(url).unwrap();
        assert_eq!(clean("http://4711.example:4711/a/4711?k=4711:4711"), "http://***.example:4711/a/***?k=***:***");
        assert_eq!(clean("http://a.example:4711"), "http://a.example:4711");
        assert_eq!(clean("***/4711"), "***/***");
    }

    #[test]
    fn where_a_secret_is_too_short_nothing_is_shown() {
        assert_eq!(clean("Bearer 1", "Bearer ***", "1 error"), None);
    }

    #[test]
    fn half_a_secret_at_the_cut_is_left_out() {
        let redactor = redactor(&[("Bearer s3cr3t!", "Bearer ***")]);
        assert_eq!(
            redactor.clean("your token is s3cr3t", true).as_deref(),
            Some("your token "),
            "as long as `s3cr3t%21`"
        );
    }

    #[test]
    fn a_body_becomes_one_line() {
        assert_eq!(one_line("<h1>\r\n  Not\u{7}\tFound</h1>", 20).as_deref(), Some("<h1> Not Found</h1>"));
        assert_eq!(one_line("äöü!", 3).as_deref(), Some("äöü…"));
        assert_eq!(one_line(" \n ", 3), None);
        assert_eq!(one_line("\u{fffd}\u{0}\u{1}PNG", 30), None);
    }

    proptest! {
        #[test]
        fn no_secret_survives(secret in "[!-~]{4,20}", before in "\\PC{0,30}", after in "\\PC{0,30}", cut in any::<bool>()) {
            prop_assume!(!"***".contains(secret.as_str()) && !secret.contains('*'));
            let redactor = redactor(&[(&format!("Bearer {secret}"), "Bearer ***")]);
            let clean = redactor.clean(&format!("{before}{secret}{after}"), cut).unwrap_or_default();
            prop_assert!(!clean.contains(&secret));
        }
    }
}
