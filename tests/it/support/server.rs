//! A server that answers whatever a test tells it to, good or bad: the ground of the vendor and of the receiver.
//!
//! It knows nothing of polls or webhooks. One thread for each connection; all end when the server is dropped.

use std::collections::HashMap;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::http::{self, Request};

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A whole answer.
    Full { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// Nothing, ever; the connection stays open.
    Hang,
    /// A head, and then a byte now and then for ever.
    Drip,
    /// The connection ends instead of an answer.
    Cut,
    /// A body shorter than its head promises, and then the end.
    Truncated { body: Vec<u8>, promised: usize },
    /// A head with these extra headers, and then this piece over and over for as long as the peer reads.
    Endless { headers: Vec<(String, String)>, piece: Vec<u8> },
}

impl Reply {
    /// An answer with nothing in it.
    pub(crate) fn status(status: u16) -> Self {
        Self::Full { status, headers: Vec::new(), body: Vec::new() }
    }

    /// 200 with a body of this type.
    pub(crate) fn body(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::Full { status: 200, headers: Vec::new(), body: body.into() }.with("content-type", content_type)
    }

    /// 200 with JSON.
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::body("application/json", body)
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match &mut self {
            Self::Full { headers, .. } | Self::Endless { headers, .. } => headers.push((name.into(), value.into())),
            Self::Hang | Self::Drip | Self::Cut | Self::Truncated { .. } => {}
        }
        self
    }
}

/// A listener on a free loopback port.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answer: Box<dyn Fn(Request) -> Reply + Send + Sync>,
    closed: AtomicBool,
    resetting: AtomicBool,
    /// A clone of each open connection, to end them with.
    connections: Mutex<HashMap<u64, TcpStream>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            closed: AtomicBool::new(false),
            resetting: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, &accepting));
        Self { addr, shared }
    }

    /// From now on each request is met with a TCP reset, or no longer.
    pub(crate) fn reset_connections(&self, resetting: bool) {
        self.shared.resetting.store(resetting, Ordering::SeqCst);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        for stream in self.shared.connections().values() {
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the accepting thread, so that it sees that it is over.
        TcpStream::connect(self.addr).ok();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, stream) in (0..).zip(listener.incoming().flatten()) {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(kept) = stream.try_clone() else { continue };
        shared.connections().insert(number, kept);
        let serving = Arc::clone(shared);
        thread::spawn(move || {
            // A peer that goes away is what half of the tests are about.
            serve(stream, &serving).ok();
            serving.connections().remove(&number);
        });
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        // A socket that is closed with something unread in it is reset, not ended (RFC 2525, section 2.17). So the
        // decision comes before the request is read.
        if writer.peek(&mut [0])? == 0 || shared.resetting.load(Ordering::SeqCst) {
            return Ok(());
        }
        let Some(request) = http::read_request(&mut reader)? else { return Ok(()) };
        let reply = (shared.answer)(request);
        if !give(&mut writer, &reply)? {
            return writer.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a reply; false when the connection must end.
fn give(stream: &mut TcpStream, reply: &Reply) -> io::Result<bool> {
    match reply {
        Reply::Full { status, headers, body } => {
            let length = (*status != 304 && *status != 204).then_some(body.len());
            let mut bytes = head(*status, headers, length);
            bytes.extend_from_slice(body);
            stream.write_all(&bytes)?;
            Ok(true)
        }
        Reply::Hang => hang(stream),
        Reply::Drip => drip(stream),
        Reply::Cut => Ok(false),
        Reply::Truncated { body, promised } => {
            stream.write_all(&head(200, &[("content-type".into(), "application/json".into())], Some(*promised)))?;
            stream.write_all(body)?;
            Ok(false)
        }
        Reply::Endless { headers, piece } => {
            stream.write_all(&head(200, headers, None))?;
            loop {
                stream.write_all(piece)?;
            }
        }
    }
}

fn head(status: u16, headers: &[(String, String)], length: Option<usize>) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    match length {
        Some(length) => head += &format!("content-length: {length}\r\n"),
        None if status == 200 => head += "connection: close\r\n",
        None => {}
    }
    head += "\r\n";
    head.into_bytes()
}

/// Waits until the peer gives up.
fn hang(stream: &mut TcpStream) -> io::Result<bool> {
    stream.set_read_timeout(None)?;
    while stream.peek(&mut [0])? > 0 {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(false)
}

/// A byte every 50 ms, until the peer gives up.
fn drip(stream: &mut TcpStream) -> io::Result<bool> {
    // Short enough for any limit of size: it is the time that must end it.
    stream.write_all(&head(200, &[], Some(32 << 10)))?;
    loop {
        stream.write_all(b" ")?;
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_reset_is_a_reset_and_a_cut_is_an_end() {
        let server = Server::start(|_| Reply::Cut);
        let kind = |server: &Server| http::get(server.addr, "/").map_err(|error| error.kind()).expect_err("no answer");
        assert_eq!(kind(&server), ErrorKind::UnexpectedEof);
        server.reset_connections(true);
        assert_eq!(kind(&server), ErrorKind::ConnectionReset);
    }

    #[test]
    fn a_truncated_body_is_shorter_than_its_head_says() {
        let server = Server::start(|_| Reply::Truncated { body: b"abc".to_vec(), promised: 4 });
        let error = http::get(server.addr, "/").expect_err("the body ends early");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_whole_answer_arrives_with_its_headers() {
        let server = Server::start(|request| Reply::json(request.target).with("etag", "\"1\""));
        let answer = http::get(server.addr, "/a?b").expect("an answer");
        assert_eq!((answer.status, answer.header("etag"), answer.text()), (200, Some("\"1\""), "/a?b".to_owned()));
    }

    #[test]
    fn an_endless_body_goes_on_for_as_long_as_one_reads() {
        let server = Server::start(|_| Reply::Endless { headers: Vec::new(), piece: vec![b'x'; 1 << 16] });
        let mut stream = TcpStream::connect(server.addr).expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("a request");
        let read = io::copy(&mut io::Read::take(stream, 50 << 20), &mut io::sink()).expect("bytes");
        assert_eq!(read, 50 << 20);
    }
}
