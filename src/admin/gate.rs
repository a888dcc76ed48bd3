//! Who may call: the host that a call names, the token it shows, and the page it comes from.
//!
//! A browser is the enemy here: it reaches loopback for every page it shows. A page of another origin can't set the
//! `Authorization` header without a preflight, which nothing here answers, but on loopback no token is needed; so
//! what names a foreign host (DNS rebinding) or changes something from a foreign origin (CSRF) is refused.

use std::io;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::Authority;
use http::{Method, StatusCode, Uri};

use crate::admin::listen::Reach;
use crate::admin::problem::Problem;
use crate::core::secret::Secret;

/// Paths that are answered without a token: they tell no more than that the daemon runs.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Fetch Metadata (W3C): where a browser says that a request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a listener asks of its callers.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    reach: Reach,
    /// Hashed, so that comparing takes the same time for every wrong token, whatever its length.
    token: Option<blake3::Hash>,
}

impl Gate {
    /// # Errors
    ///
    /// A listener that others can reach needs a token.
    pub(super) fn new(reach: Reach, token: Option<&Secret>) -> io::Result<Self> {
        if reach == Reach::Network && token.is_none_or(|token| token.expose().is_empty()) {
            let why = "others can reach `daemon.listen`, so `daemon.token` is needed; or listen on 127.0.0.1";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let token = token.map(|token| blake3::hash(token.expose().as_bytes()));
        Ok(Self { reach, token })
    }

    /// Lets a call in, or says why not.
    pub(super) fn admit(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = named_host(uri, headers)?;
        if self.reach == Reach::Loopback {
            check_loopback(&host)?;
        }
        if !OPEN_PATHS.contains(&uri.path()) {
            self.check_token(headers)?;
        }
        if method != Method::GET && method != Method::HEAD {
            check_origin(&host, headers)?;
        }
        Ok(())
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let refuse = |detail: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        match (headers.get(AUTHORIZATION), self.token) {
            (Some(shown), Some(token)) => match bearer(shown.as_bytes()) {
                // `blake3::Hash` compares in constant time.
                Some(shown) if blake3::hash(shown) == token => Ok(()),
                Some(_) => refuse("the token is wrong; it is `daemon.token` of the daemon's config"),
                None => refuse("`Authorization` must be `Bearer TOKEN`"),
            },
            (None, Some(_)) if self.reach == Reach::Network => {
                refuse("a token is needed: send `Authorization: Bearer TOKEN` with `daemon.token` of the config")
            }
            (_, None) | (None, Some(_)) => Ok(()),
        }
    }
}

/// The token of RFC 6750, section 2.1; the scheme's name in any case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

/// The one host that a call names, by `Host` and, in absolute form, by its target too (RFC 9112, section 3.2).
fn named_host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::bad_request("a request must have one `Host`"));
    };
    let host = Authority::try_from(host.as_bytes()).map_err(|_| Problem::bad_request("`Host` is not a host"))?;
    match uri.authority() {
        Some(target) if *target != host => Err(Problem::bad_request("the target and `Host` name different hosts")),
        _ => Ok(host),
    }
}

/// A page that rebinds its name to 127.0.0.1 still sends its own name as `Host`.
fn check_loopback(host: &Authority) -> Result<(), Problem> {
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()) {
        return Ok(());
    }
    let detail = format!(
        "the host `{name}` is not this daemon's: on a loopback listener only `localhost` and loopback addresses are"
    );
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail))
}

/// Only the daemon's own pages, and callers that are no browser, may change something.
fn check_origin(host: &Authority, headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    for origin in headers.get_all(ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        if !same_host(&origin, host) {
            return refuse(format!("a page of `{}` may not change anything here", origin.escape_debug()));
        }
    }
    for site in headers.get_all(SEC_FETCH_SITE) {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return refuse("a page of another site may not change anything here".to_owned());
        }
    }
    Ok(())
}

/// `Origin` is `scheme://host[:port]` or `null` (RFC 6454, section 7).
fn same_host(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = Uri::try_from(origin) else { return false };
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    origin
        .authority()
        .is_some_and(|origin| origin.host().eq_ignore_ascii_case(host.host()) && port(origin) == port(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_host_and_no_origin_slips_through(
            host in "(localhost|127\\.0\\.0\\.1|\\[::1\\]|evil\\.example|[ -~]{0,20})(:[0-9]{0,6}|[ -~])?",
            origin in "(https?://)?(localhost|127\\.0\\.0\\.1|\\[::1\\]|evil\\.example|[ -~]{0,20})(:[0-9]{0,6}|[ -~])?",
        ) {
            let loopback = |text: &str| {
                let text = text.to_ascii_lowercase();
                ["localhost", "127.", "[::1]", "[0", "[::ffff:127."].iter().any(|name| text.contains(name))
            };
            let admitted = local("POST", &[("host", &host), ("origin", &origin)]) == 200;
            prop_assert!(!admitted || loopback(&host) && loopback(&origin), "{host} {origin}");
            prop_assert!(!admitted || !host.contains("evil") && !origin.contains("evil"), "{host} {origin}");
        }
    }

    fn call(reach: Reach, token: Option<&str>, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let gate = Gate::new(reach, token.map(Secret::new).as_ref()).unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let method = method.parse::<Method>().unwrap();
        match gate.admit(&method, &path.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(problem) => problem.status.as_u16(),
        }
    }

    fn local(method: &str, headers: &[(&str, &str)]) -> u16 {
        call(Reach::Loopback, None, method, "/api/v1/jobs", headers)
    }

    #[test]
    fn a_loopback_listener_answers_to_loopback_names_only() {
        for host in ["localhost", "LOCALHOST:7411", "127.0.0.1:7411", "127.9.9.9", "[::1]:7411"] {
            assert_eq!(local("GET", &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example", "evil.example:7411", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::]"] {
            assert_eq!(local("GET", &[("host", host)]), 421, "{host}");
        }
    }

    #[test]
    fn a_call_names_exactly_one_host() {
        assert_eq!(local("GET", &[]), 400);
        assert_eq!(local("GET", &[("host", "localhost"), ("host", "evil.example")]), 400);
        assert_eq!(local("GET", &[("host", "local host")]), 400);
        let absolute = "http://evil.example/api/v1/jobs";
        assert_eq!(call(Reach::Loopback, None, "GET", absolute, &[("host", "localhost")]), 400);
        assert_eq!(call(Reach::Loopback, None, "GET", absolute, &[("host", "evil.example")]), 421);
    }

    #[test]
    fn a_foreign_origin_cannot_change_anything() {
        let host = ("host", "127.0.0.1:7411");
        assert_eq!(local("POST", &[host]), 200);
        assert_eq!(local("POST", &[host, ("origin", "http://127.0.0.1:7411")]), 200);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1", "file://", "x", ""] {
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
                assert_eq!(local(method, &[host, ("origin", origin)]), 403, "{method} {origin}");
            }
        }
        assert_eq!(local("GET", &[host, ("origin", "http://evil.example")]), 200);
    }

    #[test]
    fn a_page_of_another_site_cannot_change_anything() {
        let host = ("host", "localhost:7411");
        for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
            assert_eq!(local("POST", &[host, ("sec-fetch-site", site)]), status, "{site}");
        }
    }

    #[test]
    fn an_origin_without_a_port_has_its_schemes() {
        let host = |host| Authority::from_static(host);
        assert!(same_host("https://bell.example", &host("bell.example")));
        assert!(same_host("https://bell.example", &host("bell.example:443")));
        assert!(!same_host("http://bell.example", &host("bell.example:443")));
    }

    #[test]
    fn a_network_listener_needs_the_token_and_a_wrong_token_is_refused() {
        let ask = |path, shown: Option<&str>| {
            let mut headers = vec![("host", "bell.example")];
            headers.extend(shown.map(|shown| ("authorization", shown)));
            call(Reach::Network, Some("s3cret"), "GET", path, &headers)
        };
        assert_eq!(ask("/api/v1/jobs", Some("Bearer s3cret")), 200);
        assert_eq!(ask("/metrics", Some("bearer s3cret")), 200);
        for wrong in [
            None,
            Some("Bearer s3cre"),
            Some("Bearer s3crett"),
            Some("Bearer "),
            Some("s3cret"),
            Some("Basic czNjcmV0"),
        ] {
            assert_eq!(ask("/api/v1/jobs", wrong), 401, "{wrong:?}");
            assert_eq!(ask("/metrics", wrong), 401, "{wrong:?}");
            assert_eq!(ask("/healthz", wrong), 200, "{wrong:?}");
            assert_eq!(ask("/readyz", wrong), 200, "{wrong:?}");
        }
    }

    #[test]
    fn loopback_and_unix_need_no_token_but_a_wrong_one_is_refused_there_too() {
        for reach in [Reach::Loopback, Reach::Unix] {
            let host = ("host", "localhost");
            assert_eq!(call(reach, Some("s3cret"), "GET", "/api/v1/jobs", &[host]), 200);
            assert_eq!(call(reach, Some("s3cret"), "GET", "/metrics", &[host, ("authorization", "Bearer no")]), 401);
            assert_eq!(call(reach, None, "GET", "/metrics", &[host, ("authorization", "Bearer any")]), 200);
        }
    }

    #[test]
    fn a_network_listener_without_a_token_is_never_served() {
        assert!(Gate::new(Reach::Network, None).is_err());
        assert!(Gate::new(Reach::Network, Some(&Secret::new(""))).is_err());
        assert!(Gate::new(Reach::Loopback, None).is_ok());
    }
}
