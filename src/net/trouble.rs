//! What went wrong on the way, classified once and said in a sentence for the person who must act.
//!
//! No sentence holds a URL's query: the texts of the client library may, so none is passed on whole.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

use crate::core::address::Refused;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::proxy::Server;

/// Whom we talk to, as a person may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The URL without query, fragment and user.
    pub place: String,
    /// Its host, with the port where it isn't the usual one.
    pub host: String,
    /// The proxy in between, where there is one.
    pub via: Option<String>,
}

/// A URL without query, fragment and user.
pub fn place_of(url: &str) -> Cow<'_, str> {
    let end = url.bytes().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
    let place = &url[..end];
    let (authority, from) = authority(place);
    match authority.rsplit_once('@') {
        None => Cow::Borrowed(place),
        Some((_, host)) => Cow::Owned(format!("{}{host}{}", &place[..from], &place[from + authority.len()..])),
    }
}

/// What stands between a URL's scheme and its path, and where it begins.
fn authority(place: &str) -> (&str, usize) {
    let from = place.find("://").map_or(0, |at| at + 3);
    let rest = &place[from..];
    (rest.split_once('/').map_or(rest, |(authority, _)| authority), from)
}

/// What an exchange was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection, or the status and headers of the answer.
    Answer,
    /// The rest of the body.
    Body,
}

impl Target {
    /// From a URL as it may be shown.
    pub fn of(shown_url: &str) -> Self {
        let place = place_of(shown_url).into_owned();
        let host = authority(&place).0.to_owned();
        Self { place, host, via: None }
    }

    /// The same behind a proxy.
    #[must_use]
    pub fn behind(self, proxy: Option<&Server>) -> Self {
        Self { via: proxy.map(|proxy| proxy.shown().to_owned()), ..self }
    }

    /// An exchange that took longer than its `limit`.
    pub fn too_slow(&self, phase: Phase, limit: Duration) -> Failure {
        let limit = spell(limit);
        let sentence = match phase {
            Phase::Answer => {
                format!("`{}` did not answer within {limit}; if it is only slow, raise `timeout`", self.place)
            }
            Phase::Body => format!(
                "`{}` began to answer, but the answer was not complete within {limit}; if it is only slow, raise `timeout`",
                self.place
            ),
        };
        Failure::new(FailureKind::Timeout, sentence)
    }

    /// Why the client library gave up; `connect_limit` is its time to connect.
    pub fn explain(&self, error: &reqwest::Error, connect_limit: Duration) -> Failure {
        if let Some(refused) = find::<Refused>(error) {
            return Failure::new(FailureKind::Address, format!("`{}`: {refused}", self.host));
        }
        if error.is_builder() {
            let sentence = format!("`{}` can't be asked: {}", self.place, deepest(error));
            return Failure::new(FailureKind::Template, sentence);
        }
        if error.is_connect() && error.is_timeout() {
            return self.no_connection(connect_limit);
        }
        if let Some(error) = find::<TlsError>(error) {
            return Failure::new(FailureKind::Tls, self.tls_sentence(error));
        }
        if error.is_dns() {
            return Failure::new(FailureKind::Dns, self.dns_sentence(error));
        }
        // The decoder wraps what its source fails with, too.
        if error.is_decode() && find::<hyper::Error>(error).is_none() {
            let sentence = format!("the answer of `{}` can't be decompressed: {}", self.place, deepest(error));
            return Failure::new(FailureKind::NotJson, sentence);
        }
        Failure::new(FailureKind::Connect, self.connect_sentence(error))
    }

    fn no_connection(&self, limit: Duration) -> Failure {
        let through = self.via.as_ref().map_or_else(String::new, |proxy| format!(" through the proxy `{proxy}`"));
        let sentence = format!(
            "no connection to `{}`{through} within {}; a firewall may drop it, or the server is overloaded",
            self.host,
            spell(limit)
        );
        Failure::new(FailureKind::Timeout, sentence)
    }

    fn dns_sentence(&self, error: &reqwest::Error) -> String {
        if let Some(proxy) = &self.via {
            return format!(
                "neither `{}` nor the proxy `{proxy}` can be reached: a name does not resolve ({}); check their spelling \
                 and this machine's DNS",
                self.host,
                deepest(error)
            );
        }
        format!(
            "the name `{}` does not resolve ({}); check its spelling and this machine's DNS",
            self.host,
            deepest(error)
        )
    }

    fn connect_sentence(&self, error: &reqwest::Error) -> String {
        let host = &self.host;
        if let Some(proxy) = self.via.as_ref().filter(|_| error.is_connect()) {
            return self.proxy_sentence(proxy, error);
        }
        match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => {
                format!("`{host}` refused the connection; is the server running, and is the port the right one?")
            }
            Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
                format!("there is no route to `{host}`; check this machine's network")
            }
            _ if error.is_connect() => format!("no connection to `{host}`: {}", deepest(error)),
            _ => format!("`{host}` broke the connection off before its answer was complete: {}", deepest(error)),
        }
    }

    /// A connection that a proxy did not make.
    fn proxy_sentence(&self, proxy: &str, error: &reqwest::Error) -> String {
        let host = &self.host;
        if find::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return format!(
                "the proxy `{proxy}` refused the connection; is it running, and is the port the right one?"
            );
        }
        match deepest(error) {
            why if why.contains("proxy authorization required") => {
                format!("the proxy `{proxy}` asks for a user and password; write them into `proxy`")
            }
            why => format!("the proxy `{proxy}` made no connection to `{host}`: {why}"),
        }
    }

    fn tls_sentence(&self, error: &TlsError) -> String {
        let host = &self.host;
        match error {
            TlsError::InvalidCertificate(error) => self.certificate_sentence(error),
            TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
                format!("`{host}` does not speak TLS on this port; is the URL an `http://` one?")
            }
            TlsError::AlertReceived(AlertDescription::CertificateRequired) => {
                format!("`{host}` asks for a client certificate; write `tls = {{ cert = \"…\", key = \"…\" }}`")
            }
            TlsError::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied),
            ) => format!("`{host}` does not take our client certificate ({alert:?}); look at `tls`"),
            TlsError::AlertReceived(alert) => format!("`{host}` ended the TLS handshake with the alert {alert:?}"),
            TlsError::PeerIncompatible(_) => {
                format!("`{host}` knows no TLS version or cipher that is still safe: {error}")
            }
            _ => format!("the TLS connection to `{host}` failed: {error}"),
        }
    }

    fn certificate_sentence(&self, error: &CertificateError) -> String {
        let host = &self.host;
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the certificate of `{host}` has expired, or this machine's clock is wrong")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the certificate of `{host}` is not valid yet, or this machine's clock is wrong")
            }
            CertificateError::NotValidForName => {
                format!("the certificate of `{host}` is for another name; check the host in the URL")
            }
            CertificateError::NotValidForNameContext { presented, .. } => format!(
                "the certificate of `{host}` is for another name ({}); check the host in the URL",
                presented.join(", ")
            ),
            CertificateError::UnknownIssuer => format!(
                "the certificate of `{host}` is signed by nobody that this machine trusts; if it should be trusted, name its CA in `tls = {{ ca = \"…\" }}` or add it to the system's certificates"
            ),
            CertificateError::Revoked => format!("the certificate of `{host}` was revoked"),
            _ => format!("the certificate of `{host}` is not valid: {error}"),
        }
    }
}

/// The first error of this type in the chain of causes. One that is wrapped in an [`io::Error`] is no cause of it, so
/// it is looked for there too.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The text of the last cause: the system's or the protocol's own words, which never hold a URL.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    match last.downcast_ref::<reqwest::Error>() {
        Some(_) => "the connection failed".to_owned(),
        None => last.to_string(),
    }
}

/// A duration as the config writes it.
fn spell(limit: Duration) -> String {
    let millis = limit.as_millis();
    match millis {
        0..1_000 => format!("{millis} ms"),
        _ if millis.is_multiple_of(1_000) => format!("{} s", millis / 1_000),
        _ => format!("{:.1} s", limit.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_shows_no_query_and_no_user() {
        for (url, place, host) in [
            ("https://a.example/v2/orders?token=x", "https://a.example/v2/orders", "a.example"),
            ("https://me:pw@a.example:8443", "https://a.example:8443", "a.example:8443"),
            ("http://[::1]:80/a#b", "http://[::1]:80/a", "[::1]:80"),
            ("https://a.example/bot***/send", "https://a.example/bot***/send", "a.example"),
            ("a.example", "a.example", "a.example"),
            ("", "", ""),
        ] {
            assert_eq!(Target::of(url), Target { place: place.to_owned(), host: host.to_owned(), via: None }, "{url}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_good_says_which_way() {
        let target = Target::of("https://a.example/");
        for (error, words) in [
            (CertificateError::Expired, "has expired"),
            (CertificateError::NotValidYet, "not valid yet"),
            (CertificateError::NotValidForName, "for another name"),
            (CertificateError::UnknownIssuer, "signed by nobody"),
            (CertificateError::Revoked, "revoked"),
            (CertificateError::BadSignature, "not valid"),
        ] {
            let sentence = target.tls_sentence(&TlsError::InvalidCertificate(error));
            assert!(sentence.contains(words) && sentence.contains("`a.example`"), "{sentence}");
        }
    }

    #[test]
    fn a_cause_inside_an_io_error_is_found() {
        let inner = TlsError::InvalidCertificate(CertificateError::Expired);
        let outer = io::Error::other(io::Error::other(inner.clone()));
        assert_eq!(find::<TlsError>(&outer), Some(&inner));
    }

    #[test]
    fn durations_read_as_written() {
        let spelled = [250, 1_000, 1_500, 30_000].map(|millis| spell(Duration::from_millis(millis)));
        assert_eq!(spelled, ["250 ms", "1 s", "1.5 s", "30 s"]);
    }
}
