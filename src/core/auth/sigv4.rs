//! AWS Signature Version 4, in the header `authorization`.
//!
//! As in "Create a signed AWS API request" of the AWS IAM user guide. Presigned URLs and SigV4a are not here.

use http::{HeaderName, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use ring::digest::{SHA256, digest};

use super::Outgoing;
use super::credentials::Credentials;
use crate::core::secret::{Masked, Secret};
use crate::core::sign::{Algorithm, hex, mac};
use crate::core::time::Timestamp;

/// What AWS leaves as it is (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same in a path.
const PATH: &AsciiSet = &UNRESERVED.remove(b'/');

const SCHEME: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What requests to a service of AWS, or to one that is like it, are signed with.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Such as `eu-central-1`.
    pub region: String,
    /// Such as `execute-api`.
    pub service: String,
    /// The id of the key. It is sent.
    pub access_key: String,
    /// The key itself.
    pub secret_key: Secret,
    /// What goes with keys that expire.
    pub session_token: Option<Secret>,
}

/// What is signed of a request.
struct Canonical<'a> {
    method: &'a str,
    path: String,
    query: String,
    /// By name, lower case; their values as they are sent.
    headers: Vec<(String, String)>,
    payload: String,
}

impl Keys {
    /// The headers that it may set.
    pub fn header_names(&self) -> Vec<HeaderName> {
        vec![header::AUTHORIZATION, DATE, TOKEN, CONTENT]
    }

    /// The headers that sign a request: its own `content-type` and `x-amz-…` are covered, and nothing that a proxy may
    /// change.
    pub fn credentials(&self, request: &Outgoing<'_>) -> Vec<Credentials> {
        let (stamp, payload) = (stamp(request.now), hex(digest(&SHA256, request.body).as_ref()));
        let mut made = vec![Credentials::Header(DATE, Masked::open(stamp.clone()))];
        if let Some(token) = &self.session_token {
            made.push(Credentials::Header(TOKEN, Masked::new(token.expose().to_owned(), "***".to_owned())));
        }
        if self.is_s3() {
            made.push(Credentials::Header(CONTENT, Masked::open(payload.clone())));
        }
        let own = |name: &HeaderName| {
            let replaced = made.iter().any(|made| matches!(made, Credentials::Header(other, _) if other == name));
            !replaced && (*name == header::CONTENT_TYPE || name.as_str().starts_with("x-amz-"))
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut headers: Vec<(String, String)> = request
            .headers
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(name, value)| (name.to_string(), text(value.as_bytes())))
            .collect();
        headers.push(("host".to_owned(), request.host()));
        for made in &made {
            if let Credentials::Header(name, value) = made {
                headers.push((name.to_string(), value.expose().to_owned()));
            }
        }
        let path = if self.is_s3() { request.url.path().to_owned() } else { canonical_path(request.url.path()) };
        let query = canonical_query(request.url.query().unwrap_or_default());
        let canonical = Canonical { method: request.method.as_str(), path, query, headers, payload };
        let authorization = self.authorize(&canonical, &stamp);
        let (open, _) = authorization.rsplit_once('=').unwrap_or_default();
        let shown = format!("{open}=***");
        made.push(Credentials::Header(header::AUTHORIZATION, Masked::new(authorization, shown)));
        made
    }

    /// S3 takes paths as they are and wants the body's hash in a header.
    fn is_s3(&self) -> bool {
        matches!(self.service.as_str(), "s3" | "s3-object-lambda" | "s3express")
    }

    fn scope(&self, stamp: &str) -> String {
        format!("{}/{}/{}/aws4_request", &stamp[..8], self.region, self.service)
    }

    fn to_sign(&self, canonical: &Canonical<'_>, stamp: &str) -> String {
        let hash = hex(digest(&SHA256, canonical.text().as_bytes()).as_ref());
        format!("{SCHEME}\n{stamp}\n{}\n{hash}", self.scope(stamp))
    }

    fn authorize(&self, canonical: &Canonical<'_>, stamp: &str) -> String {
        let sign = |key: &[u8], text: &str| mac(Algorithm::HmacSha256, key, &[text.as_bytes()]);
        let key = sign(format!("AWS4{}", self.secret_key.expose()).as_bytes(), &stamp[..8]);
        let key = sign(key.as_ref(), &self.region);
        let key = sign(key.as_ref(), &self.service);
        let key = sign(key.as_ref(), "aws4_request");
        let signature = hex(sign(key.as_ref(), &self.to_sign(canonical, stamp)).as_ref());
        let (names, id) = (canonical.names(), &self.access_key);
        format!("{SCHEME} Credential={id}/{}, SignedHeaders={names}, Signature={signature}", self.scope(stamp))
    }
}

impl Canonical<'_> {
    /// Each header once and in order, the values of one name in the order they are sent in.
    fn grouped(&self) -> Vec<(&str, String)> {
        let mut sorted: Vec<&(String, String)> = self.headers.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut grouped: Vec<(&str, String)> = Vec::with_capacity(sorted.len());
        for (name, value) in sorted {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            match grouped.last_mut() {
                Some((last, values)) if *last == name => {
                    values.push(',');
                    values.push_str(&value);
                }
                _ => grouped.push((name, value)),
            }
        }
        grouped
    }

    fn names(&self) -> String {
        self.grouped().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }

    fn text(&self) -> String {
        let headers: String = self.grouped().iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let Self { method, path, query, payload, .. } = self;
        format!("{method}\n{path}\n{query}\n{headers}\n{}\n{payload}", self.names())
    }
}

/// `20150830T123600Z`
fn stamp(now: Timestamp) -> String {
    now.to_utc().format("%Y%m%dT%H%M%SZ").to_string()
}

/// Without empty and dotted segments, and encoded once more than it is sent.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let end = if segments.is_empty() || !path.ends_with('/') { "" } else { "/" };
    format!("/{}{end}", utf8_percent_encode(&segments.join("/"), PATH))
}

/// Each name and value encoded in AWS's own way, sorted.
fn canonical_query(query: &str) -> String {
    let encode = |text: &str| percent_encode(&percent_decode_str(text).collect::<Vec<u8>>(), UNRESERVED).to_string();
    let members = query.split('&').filter(|member| !member.is_empty());
    let mut members: Vec<_> = members
        .map(|member| member.split_once('=').unwrap_or((member, "")))
        .map(|(n, v)| (encode(n), encode(v)))
        .collect();
    members.sort();
    members.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue, Method};
    use serde_json::Value;
    use url::Url;

    /// "AWS Signature Version 4 Test Suite", Copyright 2019 Amazon.com, Inc. or its affiliates. Apache License 2.0.
    const SUITE: &str = include_str!("../../../tests/vectors/aws-sig-v4-test-suite.json");

    fn keys(service: &str) -> Keys {
        Keys {
            region: "us-east-1".to_owned(),
            service: service.to_owned(),
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        }
    }

    fn text<'a>(case: &'a Value, name: &str) -> &'a str {
        case[name].as_str().expect("text")
    }

    #[test]
    fn every_case_of_the_published_suite_is_signed_as_published() {
        let suite: Value = serde_json::from_str(SUITE).expect("the vectors are JSON");
        let cases = suite["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), 34);
        for case in cases {
            let (path, query) = text(case, "target").split_once('?').unwrap_or((text(case, "target"), ""));
            let pair = |pair: &Value| {
                let name = pair[0].as_str().expect("a name").to_ascii_lowercase();
                (name, pair[1].as_str().expect("a value").to_owned())
            };
            let canonical = Canonical {
                method: text(case, "method"),
                path: canonical_path(path),
                query: canonical_query(query),
                headers: case["headers"].as_array().expect("headers").iter().map(pair).collect(),
                payload: hex(digest(&SHA256, text(case, "body").as_bytes()).as_ref()),
            };
            let (keys, stamp) = (keys("service"), "20150830T123600Z");
            assert_eq!(canonical.text(), text(case, "canonical"), "{}", case["name"]);
            assert_eq!(keys.to_sign(&canonical, stamp), text(case, "to_sign"), "{}", case["name"]);
            assert_eq!(keys.authorize(&canonical, stamp), text(case, "authorization"), "{}", case["name"]);
        }
    }

    fn headers_of(keys: &Keys, url: &str) -> Vec<(String, String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_static("a  b"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        let now = Timestamp::parse("2015-08-30T12:36:00Z").expect("a date");
        let url = Url::parse(url).expect("a URL");
        let request = Outgoing { method: &Method::GET, url: &url, headers: &headers, body: b"", now };
        let made = keys.credentials(&request).into_iter().map(|made| match made {
            Credentials::Header(name, value) => (name.to_string(), value.expose().to_owned(), value.shown().to_owned()),
            Credentials::Query(..) => panic!("no query"),
        });
        made.collect()
    }

    #[test]
    fn a_request_of_ours_is_signed_as_the_suite_has_it() {
        let mut keys = keys("service");
        keys.session_token = Some(Secret::new("t0ken"));
        let made = headers_of(&keys, "https://example.amazonaws.com:444/?b=2&a=1");
        let names: Vec<_> = made.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["x-amz-date", "x-amz-security-token", "authorization"]);
        let signed = "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature=";
        assert!(made[2].1.contains(signed), "{}", made[2].1);
        assert!(made[2].2.ends_with("Signature=***") && made[1].2 == "***", "{made:?}");
    }

    #[test]
    fn s3_takes_paths_as_they_are_and_a_hash_of_the_body() {
        let made = headers_of(&keys("s3"), "https://bucket.s3.amazonaws.com//a%20b/");
        assert!(made.iter().any(|(name, value, _)| name == "x-amz-content-sha256" && value.starts_with("e3b0c442")));
    }
}
