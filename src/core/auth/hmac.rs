//! A signature of the vendor's own: an HMAC over what a template makes of the request, in a header.
//!
//! Knows no vendor; what is signed stands in the config.

use http::HeaderName;

use super::Outgoing;
use super::credentials::Credentials;
use crate::core::json::{Json, Number};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::{Masked, Secret};
use crate::core::sign::{Algorithm, Encoding, mac};
use crate::core::template::Text;

/// The names that the message's template sees.
pub const MESSAGE_NAMES: &[&str] = &["method", "url", "host", "path", "query", "body", "timestamp"];

/// The names that the templates of the headers see.
pub const HEADER_NAMES: &[&str] = &["timestamp"];

/// The names that the value's template sees.
pub const VALUE_NAMES: &[&str] = &["signature", "timestamp"];

/// How a request is signed.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What carries the signature.
    pub header: HeaderName,
    /// How it is made.
    pub algorithm: Algorithm,
    /// What it is made with.
    pub key: Secret,
    /// What it is made over, compiled with [`MESSAGE_NAMES`].
    pub message: Text,
    /// How it is spelled.
    pub encoding: Encoding,
    /// What the header says, compiled with [`VALUE_NAMES`].
    pub value: Text,
    /// What else is sent, such as the time that was signed; compiled with [`HEADER_NAMES`].
    pub headers: Vec<(HeaderName, Text)>,
}

impl Recipe {
    /// The headers that it sets.
    pub fn header_names(&self) -> Vec<HeaderName> {
        self.headers.iter().map(|(name, _)| name.clone()).chain([self.header.clone()]).collect()
    }

    /// The headers that sign a request.
    ///
    /// # Errors
    /// [`FailureKind::Template`]: an expression failed.
    pub fn credentials(&self, request: &Outgoing<'_>) -> Result<Vec<Credentials>, Failure> {
        let timestamp = Number::parse(&request.now.unix_seconds().to_string()).map_or(Json::Null, Json::Number);
        let text = |text: &str| Json::String(text.to_owned());
        let (method, url, host) = (text(request.method.as_str()), text(request.url.as_str()), text(&request.host()));
        let (path, query) = (text(request.url.path()), text(request.url.query().unwrap_or_default()));
        let body = text(&String::from_utf8_lossy(request.body));
        let names = [
            ("method", &method),
            ("url", &url),
            ("host", &host),
            ("path", &path),
            ("query", &query),
            ("body", &body),
            ("timestamp", &timestamp),
        ];
        let message = render(&self.message, &names, "auth.message")?;
        let message = message.as_ref().map_or("", Masked::expose);
        let tag = mac(self.algorithm, self.key.expose().as_bytes(), &[message.as_bytes()]);
        let signature = text(&self.encoding.spell(tag.as_ref()));
        let value = render(&self.value, &[("signature", &signature), ("timestamp", &timestamp)], "auth.value")?;
        let mut made = Vec::with_capacity(self.headers.len() + 1);
        for (name, text) in &self.headers {
            let value = render(text, &[("timestamp", &timestamp)], &format!("auth.headers.{name}"))?;
            made.extend(value.map(|value| Credentials::Header(name.clone(), value)));
        }
        made.extend(value.map(|value| {
            Credentials::Header(self.header.clone(), Masked::new(value.expose().to_owned(), "***".to_owned()))
        }));
        Ok(made)
    }
}

fn render(text: &Text, names: &[(&str, &Json)], place: &str) -> Result<Option<Masked>, Failure> {
    text.render(names).map_err(|why| Failure::new(FailureKind::Template, format!("`{place}` can't be rendered: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::template::Part;
    use crate::core::time::Timestamp;
    use http::{HeaderMap, Method};

    fn compiled(text: &str, names: &[&str]) -> Text {
        Text::compile(&[Part::Plain(text.to_owned())], names).expect("a template")
    }

    /// The signature was made with `openssl dgst -sha256 -hmac key`.
    #[test]
    fn a_request_is_signed_over_what_the_template_says() {
        let message = "{{ timestamp }}.{{ method }}.{{ host }}{{ path }}?{{ query }}.{{ body }}";
        let recipe = Recipe {
            header: HeaderName::from_static("x-signature"),
            algorithm: Algorithm::HmacSha256,
            key: Secret::new("key"),
            message: compiled(message, MESSAGE_NAMES),
            encoding: Encoding::Hex,
            value: compiled("v1={{ signature }}", VALUE_NAMES),
            headers: vec![(HeaderName::from_static("x-time"), compiled("{{ timestamp }}", HEADER_NAMES))],
        };
        let url = "https://a.example:8443/v1/orders?a=1&b=%20#f".parse().expect("a URL");
        let headers = HeaderMap::new();
        let now = Timestamp(1_700_000_000_999);
        let request = Outgoing { method: &Method::POST, url: &url, headers: &headers, body: b"{}", now };
        let made = recipe.credentials(&request).expect("signed");
        let signature = "5e9a4b711ff334b45818c6d1225f2c37081ac74c70b880d6ad1c70f42286317d";
        let [Credentials::Header(_, time), Credentials::Header(name, value)] = made.as_slice() else {
            panic!("{made:?}")
        };
        assert_eq!((time.expose(), name.as_str(), value.shown()), ("1700000000", "x-signature", "***"));
        assert_eq!(value.expose(), format!("v1={signature}"));
    }
}
