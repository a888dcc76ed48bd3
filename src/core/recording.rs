//! A recorded poll: what was asked and what came back, in one JSON document without secrets.
//!
//! Records nothing and replays nothing; it is the document and how one is read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::core::outcome::Failure;
use crate::core::time::Timestamp;

/// The version of the document that is written and read.
pub const VERSION: u32 = 1;

/// One poll of one job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recording {
    /// The document's version; that it is there tells a recording from other JSON.
    pub doorbell_recording: u32,
    /// The version of Doorbell that wrote it.
    pub doorbell: String,
    /// The job.
    pub job: String,
    /// When the poll began.
    pub at: Timestamp,
    /// What was asked, in this order.
    pub exchanges: Vec<Exchange>,
}

/// A request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// When it was asked.
    pub at: Timestamp,
    /// Milliseconds until the last byte of the answer, quick retries and redirects included.
    pub took_ms: u64,
    /// What was asked.
    pub request: Asked,
    /// What came of it.
    pub result: Came,
}

/// A request, secrets as `***`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The URL.
    pub url: String,
    /// The headers, credentials as `***`. Replaying doesn't look at them.
    pub headers: Vec<(String, String)>,
    /// The body, where there was one.
    pub body: Option<String>,
}

impl Asked {
    /// Do both ask for the same? Headers are not looked at.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.method, &self.url, &self.body) == (&other.method, &other.url, &other.body)
    }

    /// As a sentence names it.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

/// What came of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// An answer that could be read.
    Answer(Answered),
    /// None: why not.
    Failure(Failure),
}

/// An answer, after redirects and decompression, secrets as `***`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// Where it came from, without its query.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, where that is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Its body in base64, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

/// What tells a recording, and its version.
#[derive(Deserialize)]
struct Mark {
    doorbell_recording: Option<serde_json::Value>,
}

impl Recording {
    /// Reads the document.
    ///
    /// # Errors
    /// Why it is none, as a sentence's end.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty".to_owned());
        }
        let mark: Mark = serde_json::from_str(text).map_err(|error| format!("is damaged, or no recording: {error}"))?;
        match mark.doorbell_recording {
            None => return Err("is no recording of a poll: it has no `doorbell_recording`".to_owned()),
            Some(version) if version.as_u64() != Some(u64::from(VERSION)) => {
                return Err(format!(
                    "is a recording of version `{version}`, and this doorbell reads version `{VERSION}`"
                ));
            }
            Some(_) => {}
        }
        let recording: Self = serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
        if recording.exchanges.is_empty() {
            return Err("holds no request: nothing was asked when it was recorded".to_owned());
        }
        for (exchange, number) in recording.exchanges.iter().zip(1..) {
            exchange.check().map_err(|why| format!("is damaged: of exchange {number} {why}"))?;
        }
        Ok(recording)
    }
}

impl Exchange {
    /// What of it can't have come over HTTP, as the rest of a sentence.
    fn check(&self) -> Result<(), String> {
        let Came::Answer(answer) = &self.result else { return Ok(()) };
        let status = http::StatusCode::from_u16(answer.status);
        status.map_err(|_| format!("the status `{}` is none", answer.status))?;
        for (name, value) in &answer.headers {
            name.parse::<http::HeaderName>().map_err(|_| format!("the name of the header `{name}` is none"))?;
            http::HeaderValue::from_str(value).map_err(|_| format!("the value of the header `{name}` is none"))?;
        }
        match (&answer.body, &answer.body_base64) {
            (Some(_), None) => Ok(()),
            (None, Some(base64)) => {
                STANDARD.decode(base64).map(drop).map_err(|error| format!("`body_base64` is no base64: {error}"))
            }
            (None, None) => Err("the answer has no body".to_owned()),
            (Some(_), Some(_)) => Err("the answer has two bodies, `body` and `body_base64`".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_says_why() {
        let empty = r#"{"doorbell_recording":1,"doorbell":"0","job":"a","at":"2026-01-01T00:00:00Z","exchanges":[]}"#;
        for (text, why) in [
            ("", "is empty"),
            ("{", "is damaged, or no recording"),
            ("[]", "is damaged, or no recording"),
            ("{}", "is no recording of a poll"),
            (r#"{"doorbell_recording":2}"#, "is a recording of version `2`"),
            (r#"{"doorbell_recording":1}"#, "is damaged: missing field"),
            (empty, "holds no request"),
        ] {
            let said = Recording::parse(text).expect_err(text);
            assert!(said.starts_with(why), "{text}: {said}");
        }
    }
}
