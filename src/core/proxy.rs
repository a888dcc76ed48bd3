//! Proxies as the config or the environment names them, and which of them a URL goes through.
//!
//! Reads no environment and connects to nothing: what the variables held comes in as text.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use crate::core::address::Cidr;
use crate::core::path::Complaint;
use crate::core::secret::Secret;

#[cfg(test)]
mod tests;

/// What requests go through.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    http: Option<Server>,
    https: Option<Server>,
    except: Vec<Exception>,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Server {
    url: Secret,
    shown: String,
    host: String,
    kind: Kind,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// HTTP, in the clear or over TLS; `https://` URLs by CONNECT (RFC 9110, section 9.3.6). The proxy resolves names.
    Http,
    /// SOCKS 5 (RFC 1928). Names are resolved here, and the proxy gets addresses.
    Socks,
    /// SOCKS 5. The proxy gets names.
    SocksNames,
}

/// What goes past the proxies.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Exception {
    All,
    /// A name and those under it, perhaps on one port only.
    Name(String, Option<u16>),
    Range(Cidr),
}

impl Server {
    /// Reads `http://proxy:3128`, `https://…`, `socks5://…` or `socks5h://…`; a user and password may stand in it.
    ///
    /// # Errors
    /// What is wrong with the text, and what to type. Holds nothing of the text: it may be secret.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let complain = |problem: String| Complaint {
            problem,
            hint: Some("write it as in `http://proxy:3128` or `socks5://proxy:1080`".to_owned()),
            span: None,
        };
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&whole).map_err(|error| complain(format!("a proxy must be a URL: {error}")))?;
        let kind = match url.scheme() {
            "http" | "https" => Kind::Http,
            "socks5" => Kind::Socks,
            "socks5h" => Kind::SocksNames,
            _ => return Err(complain("a proxy is spoken to by `http`, `https`, `socks5` or `socks5h`".to_owned())),
        };
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(complain("this proxy has no host".to_owned()));
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(complain("a proxy has a host and a port, and no path".to_owned()));
        }
        let standard = if kind == Kind::Http { "" } else { ":1080" };
        let port = url.port().map_or_else(|| standard.to_owned(), |port| format!(":{port}"));
        let mut whole = url.clone();
        if kind != Kind::Http && url.port().is_none() {
            // RFC 1928, section 3. A URL with a host takes a port.
            let _ = whole.set_port(Some(1080));
        }
        Ok(Self {
            url: Secret::new(whole.as_str()),
            shown: format!("{}://{host}{port}", url.scheme()),
            host: host.to_owned(),
            kind,
        })
    }

    /// Its URL with user and password, for the one place that connects.
    pub fn expose(&self) -> &str {
        self.url.expose()
    }

    /// Its URL without them.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Its host, an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// True when the proxy resolves the names of those we talk to.
    pub fn resolves_names(&self) -> bool {
        self.kind != Kind::Socks
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Proxy {
    /// One for everything.
    pub fn all(server: Server) -> Self {
        Self { http: Some(server.clone()), https: Some(server), except: Vec::new() }
    }

    /// Those of the environment; `except` is the text of `NO_PROXY`. `None` when there are none.
    pub fn from_environment(http: Option<Server>, https: Option<Server>, except: &str) -> Option<Self> {
        let parts = except.split([',', ' ', '\t']).map(str::trim).filter(|part| !part.is_empty());
        let except = parts.map(Exception::read).collect();
        (http.is_some() || https.is_some()).then_some(Self { http, https, except })
    }

    /// The one that a request to `url` goes through.
    pub fn server_for(&self, url: &Url) -> Option<&Server> {
        let server = if url.scheme() == "https" { &self.https } else { &self.http };
        server.as_ref().filter(|_| !self.except.iter().any(|exception| exception.holds(url)))
    }

    /// All there are.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.http.iter().chain(&self.https)
    }
}

impl Exception {
    /// As curl and Go read it: `*`, an address, a range, `example.com` with all names under it, or the same with a dot
    /// before it; each may name a port.
    fn read(part: &str) -> Self {
        if part == "*" {
            return Self::All;
        }
        if let Ok(range) = Cidr::parse(part.trim_start_matches('[').trim_end_matches(']')) {
            return Self::Range(range);
        }
        let (name, port) = match part.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (part, None),
        };
        let name = name.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
        Self::Name(name, port)
    }

    fn holds(&self, url: &Url) -> bool {
        let ip = match url.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(ip.to_canonical()),
            Some(Host::Domain(_)) | None => None,
        };
        match self {
            Self::All => true,
            Self::Range(range) => ip.is_some_and(|ip| range.contains(ip)),
            Self::Name(name, port) => {
                let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
                let under = host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                !name.is_empty() && under && port.is_none_or(|port| url.port_or_known_default() == Some(port))
            }
        }
    }
}
