//! Servers for tests, on real sockets: well-behaved, slow, broken and hostile ones.
//!
//! Only for tests; they speak just enough HTTP/1.1 to be talked to.

#![allow(clippy::disallowed_methods, reason = "a test owns its tasks: they end with its runtime")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) mod pki;

/// What a server does when it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends these bytes and waits for the next request.
    Reply(Vec<u8>),
    /// Sends these bytes and closes the connection.
    Last(Vec<u8>),
    /// Sends these bytes, the second ones again and again until nobody takes them.
    Endless(Vec<u8>, Vec<u8>),
    /// Sends these bytes, then the second ones again and again with a pause, until nobody takes them.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Sends these bytes and then nothing more.
    Hang(Vec<u8>),
    /// Sends these bytes and resets the connection.
    Reset(Vec<u8>),
}

/// A server on a port of its own; it ends with the test's runtime.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
    connections: usize,
    sent: u64,
}

impl Server {
    /// Starts one that does with its `n`th request (from 0) what `act` says.
    pub(crate) async fn start(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (act, shared) = (Arc::new(act), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                tokio::spawn(converse(stream, Arc::clone(&act), Arc::clone(&shared)));
            }
        });
        Self { address, seen }
    }

    /// One that does the same with every request.
    pub(crate) async fn always(act: Act) -> Self {
        Self::start(move |_, _| act.clone()).await
    }

    /// Its URL, with this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests that have come, whole.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.seen).requests.clone()
    }

    /// The connections that have come.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// The bytes that were taken from it.
    pub(crate) fn sent(&self) -> u64 {
        lock(&self.seen).sent
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse<A: Fn(usize, &str) -> Act>(mut stream: TcpStream, act: Arc<A>, seen: Arc<Mutex<Seen>>) {
    while let Some(request) = read_request(&mut stream).await {
        let number = {
            let mut seen = lock(&seen);
            seen.requests.push(request.clone());
            seen.requests.len() - 1
        };
        let again = match act(number, &request) {
            Act::Reply(bytes) => send(&mut stream, &bytes, &seen).await,
            Act::Last(bytes) => {
                send(&mut stream, &bytes, &seen).await;
                false
            }
            Act::Endless(head, rest) => {
                let mut taken = send(&mut stream, &head, &seen).await;
                while taken {
                    taken = send(&mut stream, &rest, &seen).await;
                }
                false
            }
            Act::Drip(head, rest, pause) => {
                let mut taken = send(&mut stream, &head, &seen).await;
                while taken {
                    tokio::time::sleep(pause).await;
                    taken = send(&mut stream, &rest, &seen).await;
                }
                false
            }
            Act::Hang(head) => {
                send(&mut stream, &head, &seen).await;
                // Until the other side hangs up.
                let _ = stream.read(&mut [0; 1]).await;
                false
            }
            Act::Reset(head) => {
                send(&mut stream, &head, &seen).await;
                let _ = stream.set_zero_linger();
                false
            }
        };
        if !again {
            return;
        }
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8], seen: &Mutex<Seen>) -> bool {
    let taken = stream.write_all(bytes).await.is_ok();
    if taken {
        lock(seen).sent += bytes.len() as u64;
    }
    taken
}

/// Reads a request with the body that its `content-length` announces; `None` when the connection ends.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some(head) = text.find("\r\n\r\n") {
            let length = header(&text[..head], "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if bytes.len() >= head + 4 + length {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&piece[..read]),
            _ => return None,
        }
    }
}

/// A header of a request.
pub(crate) fn header(request: &str, name: &str) -> Option<String> {
    let head = request.split("\r\n\r\n").next()?;
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// A whole answer with these header lines (each ends with `\r\n`).
pub(crate) fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A server that speaks TLS with a certificate that nobody has signed but itself, and answers `200 {}` once.
pub(crate) fn self_signed() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let config = tls_config();
    std::thread::spawn(move || {
        let Ok((mut socket, _)) = listener.accept() else { return };
        let Ok(mut session) = rustls::ServerConnection::new(config) else { return };
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&answer("200 OK", "", b"{}"));
    });
    address
}

fn tls_config() -> Arc<rustls::ServerConfig> {
    let decode = |text| STANDARD.decode(text).expect("base64");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(decode(KEY)));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(decode(CERTIFICATE))], key)
        .expect("a certificate with its key");
    Arc::new(config)
}

/// For `localhost` and 127.0.0.1, good for a hundred years; made for these tests.
const CERTIFICATE: &str = "\
    MIIBnDCCAUGgAwIBAgIUFS50rSWtFm//Am8wxB2Q+4WnRWwwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMTAxMD\
    gwOFoYDzIxMjYxMDI4MDEwODA4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATQ7hzcx0Tgyfw56YhA\
    SnUvHNIPrWXhN5I/TM9Jc1tAmAy7gL5YSGEWE07tIO52xCv5XvEblZXIEL8dSFZ/Se1Vo28wbTAdBgNVHQ4EFgQUCZ1kjU609lUsaE19IRLDgH\
    u+Z/MwHwYDVR0jBBgwFoAUCZ1kjU609lUsaE19IRLDgHu+Z/MwDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEw\
    CgYIKoZIzj0EAwIDSQAwRgIhAN4jgOmi4ReRUhup+owQKtJ2K+eldsvKCy1QQJvQSf26AiEAi1vwUh88qawsY0p1OXdCd081Bha5iKsrbUEEF8\
    i6xZ0=\
";

/// Its key, which protects nothing.
const KEY: &str = "\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgUtV6FYWSx3X4MEx5PHVzxnnmg/PAQl09J8ooX5GTEPKhRANCAATQ7hzcx0Tgyf\
    w56YhASnUvHNIPrWXhN5I/TM9Jc1tAmAy7gL5YSGEWE07tIO52xCv5XvEblZXIEL8dSFZ/Se1V\
";
