//! Proxies as companies run them: HTTP with CONNECT and a password, and SOCKS 5.
//!
//! Whatever name they are asked for, they go to this machine, so that no test needs a name server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use super::signal::Signal;

/// A proxy on a loopback port, and what it was asked for.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    asked: Arc<Signal<Vec<String>>>,
}

type Asked = Signal<Vec<String>>;

impl Proxy {
    /// An HTTP proxy. It notes the first line of each request and its `proxy-authorization`, and refuses those without
    /// one when there must be one.
    pub(crate) fn http(guarded: bool) -> Self {
        Self::start(move |stream, asked| http(stream, guarded, asked))
    }

    /// A SOCKS 5 proxy without authentication. It notes the address or name, and the port.
    pub(crate) fn socks() -> Self {
        Self::start(socks)
    }

    fn start(serve: impl Fn(TcpStream, &Asked) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
        let addr = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Signal::new(Vec::new()));
        let (serve, noting) = (Arc::new(serve), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serve, noting) = (Arc::clone(&serve), Arc::clone(&noting));
                thread::spawn(move || serve(stream, &noting));
            }
        });
        Self { addr, asked }
    }

    /// What it was asked for, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

fn http(stream: TcpStream, guarded: bool, asked: &Asked) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let field = |name: &str| {
        head.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.eq_ignore_ascii_case(name)))
    };
    let first = head.lines().next().unwrap_or_default().to_owned();
    let password = field("proxy-authorization").map(|(_, value)| value.trim().to_owned());
    asked.change(|asked| asked.push(format!("{first} {}", password.as_deref().unwrap_or("-"))));
    let mut stream = stream;
    if guarded && password.is_none() {
        return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    }
    let target = first.split(' ').nth(1).unwrap_or_default();
    let port = |authority: &str| authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
    if first.starts_with("CONNECT ") {
        let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, port(target)))?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        return join(stream, upstream);
    }
    let rest = target.strip_prefix("http://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, port(authority)))?;
    let head = head.replacen(target, &format!("/{path}"), 1).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    upstream.write_all(head.as_bytes())?;
    let length = field("content-length").and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    upstream.write_all(&body)?;
    join(stream, upstream)
}

/// RFC 1928.
fn socks(mut stream: TcpStream, asked: &Asked) -> io::Result<()> {
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).map(|()| bytes)
    };
    let methods = read(2)?[1];
    read(usize::from(methods))?;
    stream.write_all(&[5, 0])?;
    let mut read = |count: usize| {
        let mut bytes = vec![0; count];
        stream.read_exact(&mut bytes).map(|()| bytes)
    };
    let host = match read(4)?[3] {
        1 => <[u8; 4]>::try_from(read(4)?).map(|ip| Ipv4Addr::from(ip).to_string()).unwrap_or_default(),
        3 => {
            let length = read(1)?[0];
            String::from_utf8_lossy(&read(usize::from(length))?).into_owned()
        }
        _ => {
            read(16)?;
            "an IPv6 address".to_owned()
        }
    };
    let port = u16::from_be_bytes(<[u8; 2]>::try_from(read(2)?).unwrap_or_default());
    asked.change(|asked| asked.push(format!("{host}:{port}")));
    let upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    join(stream, upstream)
}

/// Copies both ways until both have ended.
fn join(one: TcpStream, other: TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (one.try_clone()?, other.try_clone()?);
    let back = thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Write).ok();
    });
    let (mut from, mut to) = (other, one);
    io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Write).ok();
    back.join().ok();
    Ok(())
}
