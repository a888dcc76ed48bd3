//! A certificate authority for tests, what it signs, and a server that speaks TLS with it.
//!
//! Knows nothing of this crate: the tests from the outside use this file, too. Its keys protect nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A certificate authority.
pub(crate) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate that it has signed.
pub(crate) struct Leaf {
    /// The certificate.
    pub(crate) cert: String,
    /// Its key.
    pub(crate) key: String,
}

impl Ca {
    /// A new one.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Signs a certificate for names and addresses that is good for long.
    pub(crate) fn sign(&self, names: &[&str]) -> Leaf {
        self.sign_until(names, 2200)
    }

    /// Signs a certificate that is good until a year begins.
    pub(crate) fn sign_until(&self, names: &[&str], year: i32) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Leaf { cert, key: key.serialize_pem() }
    }
}

/// Starts a server that answers each request with what `answer` makes of its head, one request a connection, until the
/// tests end. With `clients`, it asks for a certificate that this authority signed.
pub(crate) fn serve(
    leaf: &Leaf,
    clients: Option<&Ca>,
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (config, answer) = (server_config(leaf, clients), Arc::new(answer));
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let (config, answer) = (Arc::clone(&config), Arc::clone(&answer));
            std::thread::spawn(move || converse(socket, config, &*answer));
        }
    });
    address
}

fn converse(socket: TcpStream, config: Arc<ServerConfig>, answer: &dyn Fn(&str) -> String) -> Option<()> {
    let session = ServerConnection::new(config).ok()?;
    let mut stream = BufReader::new(StreamOwned::new(session, socket));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    let stream = stream.get_mut();
    stream.write_all(answer(&head).as_bytes()).ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}

fn server_config(leaf: &Leaf, clients: Option<&Ca>) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).expect("PEM")).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(leaf.cert.as_bytes()).expect("PEM")];
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("PEM");
    Arc::new(builder.with_single_cert(chain, key).expect("a certificate with its key"))
}
