//! Where a job's requests and credentials may go: the hosts that the config names, and nowhere else.
//!
//! What an address leads to is judged elsewhere, in [`crate::core::address`].

use url::Url;

use crate::core::path::Complaint;

/// The home origins of a job (RFC 6454): those of its own URLs, and the hosts that its config allows beside them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Homes {
    own: Vec<String>,
    allowed: Vec<AllowedHost>,
}

/// Another host that a vendor's links may lead to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads `cdn.shop.example` or `cdn.shop.example:8443`. Without a port it stands for all ports of the host.
    ///
    /// # Errors
    /// What is wrong with the text, and what to type.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let complain = |problem: &str, hint: String| Complaint {
            problem: format!("`{text}` {problem}"),
            hint: Some(hint),
            span: None,
        };
        let example = || "write a host, as in `cdn.shop.example` or `cdn.shop.example:8443`".to_owned();
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return Err(complain("is a URL, not a host", format!("write `{host}`")));
        }
        if text.contains('*') {
            return Err(complain("has a `*`: each host is named by itself", example()));
        }
        let wrong = || complain("is not a host", example());
        // The scheme has a default port that nobody writes: `url` would drop it, and here it counts.
        let parsed = Url::parse(&format!("ftp://{text}/")).map_err(|_| wrong())?;
        let bare = parsed.path() == "/" && parsed.username().is_empty() && parsed.password().is_none();
        // Parsed once more as the links will be: lower case, punycode, addresses in one spelling.
        let host = Url::parse(&format!("http://{text}/")).ok().and_then(|url| url.host_str().map(str::to_owned));
        match host {
            Some(host) if bare && parsed.query().is_none() && parsed.fragment().is_none() => {
                let port = text.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
                let port = port.map(|(_, port)| port.parse().map_err(|_| wrong())).transpose()?;
                Ok(Self { host, port })
            }
            _ => Err(wrong()),
        }
    }

    fn admits(&self, url: &Url) -> bool {
        let port = self.port.is_none_or(|port| url.port_or_known_default() == Some(port));
        port && url.host_str() == Some(self.host.as_str())
    }
}

impl Homes {
    /// The homes of a job with these URLs of its own.
    pub fn new<'u>(own: impl IntoIterator<Item = &'u Url>, allowed: Vec<AllowedHost>) -> Self {
        let mut own: Vec<String> = own.into_iter().map(|url| url.origin().ascii_serialization()).collect();
        own.dedup();
        Self { own, allowed }
    }

    /// The origins of the job's own URLs.
    pub fn own(&self) -> impl Iterator<Item = Url> + '_ {
        self.own.iter().filter_map(|own| Url::parse(own).ok())
    }

    /// Is this one of the job's own origins?
    pub fn is_own(&self, url: &Url) -> bool {
        let origin = url.origin().ascii_serialization();
        self.own.contains(&origin)
    }

    /// May a request with the job's credentials go there? Never without TLS where the job's own URLs have it.
    pub fn admits(&self, url: &Url) -> bool {
        let plain = self.own.iter().any(|own| own.starts_with("http://"));
        let scheme = url.scheme() == "https" || (url.scheme() == "http" && plain);
        self.is_own(url) || (scheme && self.allowed.iter().any(|host| host.admits(url)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    fn homes(own: &[&str], allowed: &[&str]) -> Homes {
        let own: Vec<Url> = own.iter().map(|own| url(own)).collect();
        Homes::new(&own, allowed.iter().map(|host| AllowedHost::parse(host).expect("a host")).collect())
    }

    #[test]
    fn credentials_go_to_the_own_origins_and_the_allowed_hosts_only() {
        let homes = homes(&["https://api.example/v2/"], &["CDN.example", "b.example:8443", "[::1]", "10.1"]);
        for (to, admitted) in [
            ("https://api.example/other", true),
            ("https://API.example:443/", true),
            ("https://api.example:8443/", false),
            ("http://api.example/", false),
            ("https://cdn.example/", true),
            ("https://cdn.example:9000/", true),
            ("http://cdn.example/", false),
            ("https://b.example/", false),
            ("https://b.example:8443/", true),
            ("https://[::1]/", true),
            ("https://10.0.0.1/", true),
            ("https://evil.example/?https://api.example/", false),
            ("https://api.example.evil.example/", false),
            ("ftp://cdn.example/", false),
        ] {
            assert_eq!(homes.admits(&url(to)), admitted, "{to}");
        }
    }

    #[test]
    fn a_vendor_without_tls_may_have_other_hosts_without_it() {
        assert!(homes(&["http://api.example/"], &["cdn.example"]).admits(&url("http://cdn.example/")));
    }

    #[test]
    fn what_is_no_host_is_said_so() {
        for text in ["https://cdn.example/x", "*.example", "cdn.example/x", "a@b", "", "a b", "a:b", "a:99999", "a?b"] {
            let complaint = AllowedHost::parse(text).expect_err(text);
            assert!(complaint.hint.is_some() && complaint.problem.contains('`'), "{complaint:?}");
        }
    }
}
