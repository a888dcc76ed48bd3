//! Receivers that are of no use, each in a way of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// In what way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no such receiver: how far apart two runs of the same thing are on this machine.
    None,
    /// In none: what another sink costs at all.
    Well,
    /// Takes the request and never answers.
    Hang,
    /// Answers one byte a second.
    Drip,
    /// Resets the connection when the request has come.
    Reset,
    /// Takes the connection and says nothing in the TLS handshake.
    StallTls,
    /// Answers with 10 GB, as fast as they are taken.
    Flood,
}

impl Trouble {
    pub(crate) const ALL: [Self; 7] =
        [Self::None, Self::Well, Self::Hang, Self::Drip, Self::Reset, Self::StallTls, Self::Flood];

    /// The word for `BESIDE`, and in what is printed.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Well => "well",
            Self::Hang => "hang",
            Self::Drip => "drip",
            Self::Reset => "reset",
            Self::StallTls => "stall-tls",
            Self::Flood => "flood",
        }
    }

    /// Starts such a receiver; its URL.
    pub(crate) async fn start(self) -> String {
        // What the kernel would copy ahead of a reader that goes costs this machine, and no vendor's.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(64 * 1024).expect("a size");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(64).expect("a listener");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(self.serve(stream));
            }
        });
        let scheme = if self == Self::StallTls { "https" } else { "http" };
        format!("{scheme}://{address}/")
    }

    async fn serve(self, mut stream: TcpStream) {
        const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n";
        let mut buffer = vec![0; 16 * 1024];
        // A request of this bench comes in one piece, or near enough: its head is what is waited for.
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            match self {
                Self::Well => {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
                Self::None | Self::Hang | Self::StallTls => {}
                Self::Reset => {
                    let _ = stream.set_zero_linger();
                    return;
                }
                Self::Drip => {
                    let mut left = ENDLESS.iter().chain(std::iter::repeat(&b'x'));
                    while let Some(byte) = left.next()
                        && stream.write_all(&[*byte]).await.is_ok()
                    {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    return;
                }
                Self::Flood => {
                    let _ = stream.write_all(ENDLESS).await;
                    let piece = vec![b'x'; 64 * 1024];
                    while stream.write_all(&piece).await.is_ok() {}
                    return;
                }
            }
        }
    }
}
