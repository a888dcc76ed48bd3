//! `tls`, `proxy`, `private` and `allow_cidr`: the way to the other side.
//!
//! Reads certificates and keys, and checks that they fit together; connects to nothing.

use std::env::VarError;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, RootCertStore};
use url::Url;

use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::address::{Cidr, Policy, Verdict, describe, judge_url};
use crate::core::path::Complaint;
use crate::core::proxy::{Proxy, Server};
use crate::core::secret::Secret;
use crate::core::transport::{Identity, Tls};

/// The largest file of certificates that is read, in bytes: a system's whole bundle is a tenth of it.
const PEM_MAX: u64 = 4 * 1024 * 1024;

/// How PEM begins (RFC 7468, section 2).
const PEM_BEGIN: &str = "-----BEGIN ";

/// The parts of `tls` that one table sets.
#[derive(Clone, Default)]
pub(super) struct TlsLayer {
    roots: Option<Vec<Arc<[u8]>>>,
    identity: Option<Identity>,
}

impl TlsLayer {
    /// This layer over another one.
    pub(super) fn over(self, below: &Self) -> Self {
        Self {
            roots: self.roots.or_else(|| below.roots.clone()),
            identity: self.identity.or_else(|| below.identity.clone()),
        }
    }

    /// The value, where something is set.
    pub(super) fn value(&self) -> Option<Arc<Tls>> {
        let set = self.roots.is_some() || self.identity.is_some();
        set.then(|| Arc::new(Tls::new(self.roots.clone().unwrap_or_default(), self.identity.clone())))
    }
}

/// `tls = { ca, cert, key }` of a table.
pub(super) fn tls(section: &Section<'_>, reader: &mut Reader<'_>) -> TlsLayer {
    let Some(field) = section.field("tls") else { return TlsLayer::default() };
    let Some(tls) = reader.table(&field, Table::Tls) else { return TlsLayer::default() };
    if tls.table.is_empty() {
        let problem = Problem::error(field.place(), "`tls` is an empty table");
        reader.note(problem.hint("write `tls = { ca = \"/etc/ssl/private-ca.pem\" }`, or `cert` and `key`"));
    }
    let roots = tls.field("ca").and_then(|field| roots(&field, reader));
    let identity = match (tls.field("cert"), tls.field("key")) {
        (Some(cert), Some(key)) => identity(&cert, &key, reader),
        (Some(cert), None) => {
            pem(&cert, reader).and_then(|pem| certificates(&cert, &pem, reader));
            alone(&cert, "key", reader)
        }
        (None, Some(key)) => {
            pem(&key, reader).and_then(|pem| private_key(&key, &pem, reader));
            alone(&key, "cert", reader)
        }
        (None, None) => None,
    };
    TlsLayer { roots, identity }
}

/// A certificate without its key, or a key without its certificate.
fn alone(field: &Field<'_>, lacking: &str, reader: &mut Reader<'_>) -> Option<Identity> {
    let problem = Problem::error(field.place(), format!("`tls` has a `{}` and no `{lacking}`", field.name));
    reader.note(problem.hint(format!("add `{lacking} = \"/path\"`; it may be the same file")).of_absence());
    None
}

fn roots(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Vec<Arc<[u8]>>> {
    let pem = pem(field, reader)?;
    let certificates = certificates(field, &pem, reader)?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        if let Err(error) = store.add(CertificateDer::from(certificate.to_vec())) {
            let problem = Problem::error(field.place(), format!("a certificate of `ca` can't be a root: {error}"));
            reader.note(problem.hint("is it a CA's certificate? `openssl x509 -noout -text -in FILE` shows it"));
            return None;
        }
    }
    Some(certificates)
}

fn identity(cert: &Field<'_>, key: &Field<'_>, reader: &mut Reader<'_>) -> Option<Identity> {
    let (cert_pem, key_pem) = (pem(cert, reader), pem(key, reader));
    let chain = cert_pem.and_then(|pem| certificates(cert, &pem, reader));
    let private = key_pem.and_then(|pem| private_key(key, &pem, reader).map(|private| (pem, private)));
    let (chain, (key_pem, private)) = (chain?, private?);
    let certificates = chain.iter().map(|certificate| CertificateDer::from(certificate.to_vec())).collect();
    let complaint = match CertifiedKey::from_der(certificates, private, &ring::default_provider()) {
        Ok(_) => return Some(Identity { chain, key: Secret::new(&key_pem) }),
        Err(TlsError::InconsistentKeys(_)) => {
            Problem::error(key.place(), "`key` is not the key of the certificate in `cert`")
                .hint("the certificate of the client itself must come first in `cert`")
        }
        Err(error) => Problem::error(key.place(), format!("`cert` and `key` can't be used: {error}"))
            .hint("RSA, ECDSA (P-256, P-384) and Ed25519 keys can"),
    };
    reader.note(complaint);
    None
}

/// The PEM that a value holds, or that the file it names holds.
fn pem(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let written = reader.text(field)?;
    let text = written.resolved();
    if text.trim_start().starts_with(PEM_BEGIN) {
        return Some(text);
    }
    let shown = written.masked().shown().to_owned();
    if text.trim().is_empty() {
        let problem = Problem::error(field.place(), format!("`{}` is empty", field.name));
        reader.note(problem.hint("name a file in PEM, or look at where the value comes from"));
        return None;
    }
    let folder = field.file.path().parent().unwrap_or_else(|| Path::new(""));
    let complaint = match reader.machine().read(&folder.join(&text), PEM_MAX).map(String::from_utf8) {
        Ok(Ok(pem)) => return Some(pem),
        Ok(Err(_)) => Problem::error(field.place(), format!("the file `{shown}` is not PEM: it is not text"))
            .hint("convert it: `openssl x509 -inform der -in FILE`, `openssl pkcs12 -nodes -in FILE`"),
        Err(error) => Problem::error(field.place(), format!("the file `{shown}` can't be read: {error}"))
            .hint("name a file in PEM that this user may read; a relative path is relative to the config file"),
    };
    reader.note(complaint);
    None
}

fn certificates(field: &Field<'_>, pem: &str, reader: &mut Reader<'_>) -> Option<Vec<Arc<[u8]>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let complaint = match found {
        Ok(found) if !found.is_empty() => {
            return Some(found.iter().map(|certificate| Arc::from(certificate.as_ref())).collect());
        }
        Ok(_) => format!("`{}` holds no certificate", field.name),
        Err(_) => format!("a certificate in `{}` is damaged", field.name),
    };
    let hint = "it must hold PEM: lines from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`";
    reader.note(Problem::error(field.place(), complaint).hint(hint));
    None
}

fn private_key(field: &Field<'_>, pem: &str, reader: &mut Reader<'_>) -> Option<PrivateKeyDer<'static>> {
    let problem = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
        Ok(key) => return Some(key),
        Err(_) if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            Problem::error(field.place(), "`key` is encrypted, and there is nowhere to write its password")
                .hint("decrypt it into a file that only Doorbell may read: `openssl pkey -in FILE -out NEW`")
        }
        Err(PemError::NoItemsFound) => Problem::error(field.place(), "`key` holds no private key")
            .hint("it must hold PEM: lines from `-----BEGIN PRIVATE KEY-----` to `-----END PRIVATE KEY-----`"),
        Err(_) => Problem::error(field.place(), "the key in `key` is damaged")
            .hint("look at it with `openssl pkey -noout -in FILE`"),
    };
    reader.note(problem);
    None
}

/// `proxy` of a table. `Some(None)`: none, said so.
pub(super) fn proxy(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Option<Arc<Proxy>>> {
    let field = section.field("proxy")?;
    let written = reader.text(&field)?;
    let text = written.resolved();
    match text.as_str() {
        "none" => Some(None),
        "env" => environment(&field, reader).map(|proxy| proxy.map(Arc::new)),
        _ => match Server::parse(&text).and_then(|server| check_scheme(&text, server)) {
            Ok(server) => Some(Some(Arc::new(Proxy::all(server)))),
            Err(complaint) => {
                reader.note(Problem::error(field.place(), complaint.problem).maybe_hint(complaint.hint));
                None
            }
        },
    }
}

/// In the environment `proxy:3128` is usual; in a config it may be a slip for something else.
fn check_scheme(text: &str, server: Server) -> Result<Server, Complaint> {
    if text.contains("://") {
        return Ok(server);
    }
    Err(Complaint {
        problem: "a proxy must be a whole URL, `\"env\"` or `\"none\"`".to_owned(),
        hint: Some(format!("write `{}`", server.shown())),
        span: None,
    })
}

/// The proxies of the environment, by the names that curl reads, in its order. `Some(None)`: it names none.
fn environment(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Option<Proxy>> {
    let mut good = true;
    let mut server = |names: [&str; 4]| {
        let (name, text) = names.into_iter().find_map(|name| Some((name, variable(name, reader)?)))?;
        match Server::parse(&text) {
            Ok(server) => Some(server),
            Err(complaint) => {
                let message = format!("`{name}` of the environment: {}", complaint.problem);
                reader.note(Problem::error(field.place(), message).maybe_hint(complaint.hint));
                good = false;
                None
            }
        }
    };
    let http = server(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]);
    let https = server(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
    let except = variable("no_proxy", reader).or_else(|| variable("NO_PROXY", reader)).unwrap_or_default();
    good.then(|| Proxy::from_environment(http, https, &except))
}

/// A variable of the environment that is set to something.
fn variable(name: &str, reader: &Reader<'_>) -> Option<String> {
    match reader.machine().variable(name) {
        Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Err(VarError::NotPresent | VarError::NotUnicode(_)) => None,
    }
}

/// `private` and `allow_cidr` of a sink.
pub(super) fn policy(section: &Section<'_>, reader: &mut Reader<'_>) -> Policy {
    let private = section.field("private").and_then(|field| reader.boolean(&field)).unwrap_or(true);
    let ranges = section.field("allow_cidr").and_then(|field| reader.list(&field)).unwrap_or_default();
    let allow = ranges.iter().filter_map(|field| reader.parsed(field, Cidr::parse)).collect();
    Policy::Guarded { private, allow }
}

/// Warns of a receiver that is certain to be refused, as far as its URL tells.
pub(super) fn warn_of_refusal(field: &Field<'_>, url: &Url, policy: &Policy, reader: &mut Reader<'_>) {
    let by_name = judge_url(url) == Some(Verdict::Loopback) && policy.is_strict() && url.domain().is_some();
    let why = match policy.admit_url(url) {
        Err(refused) => refused.to_string(),
        Ok(()) if by_name && !allows_loopback(policy) => {
            format!("the receiver is {}, which `private = false` refuses", describe(Verdict::Loopback))
        }
        Ok(()) => return,
    };
    let problem = Problem::warning(field.place(), format!("every delivery to this sink will be dead: {why}"));
    let by_private = policy.is_strict() && Policy::Guarded { private: true, allow: [].into() }.admit_url(url).is_ok();
    let hint = if by_private { "write `private = true`, or name" } else { "name" };
    reader.note(problem.hint(format!("{hint} the address in `allow_cidr`, if it is meant")));
}

/// Does `allow_cidr` let any address of this machine through?
fn allows_loopback(policy: &Policy) -> bool {
    let Policy::Guarded { allow, .. } = policy else { return true };
    let own = [std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    own.iter().any(|ip| allow.iter().any(|range| range.contains(*ip)))
}
