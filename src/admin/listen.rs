//! The socket that the API is served on, bounded: so many connections, and none that sits there silently.
//!
//! Who may call is decided in [`crate::admin::gate`], not here.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::core::config::Listen;

/// Connections at once: a dashboard, a scraper and some commands need ten; each may hold a request head of 400 KiB.
const CONNECTIONS_MAX: usize = 128;

/// A connection that waits for its peer this long, with nothing being worked on, is closed.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// Who can reach a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Users of this machine, and the pages that their browsers show.
    Loopback,
    /// Those whom the file's permissions let in.
    Unix,
    /// Everyone.
    Network,
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a file, which is removed when this is dropped.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket, removed on drop.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Nobody is left to tell, and the next start replaces the file.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds what the config says; `None` for `off`.
    ///
    /// A Unix socket is for its owner and group (mode 0660); a file that a dead daemon left is replaced.
    ///
    /// # Errors
    ///
    /// The address is taken, or may not be bound.
    pub async fn bind(listen: &Listen) -> io::Result<Option<Self>> {
        match listen {
            Listen::Off => Ok(None),
            Listen::Tcp(address) => Ok(Some(Self::Tcp(TcpListener::bind(address).await?))),
            Listen::Unix(path) => bind_unix(path).await.map(Some),
        }
    }

    /// The TCP address it is bound to, with the port that the system chose.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    pub(super) fn reach(&self) -> io::Result<Reach> {
        Ok(match self {
            Self::Unix(..) => Reach::Unix,
            Self::Tcp(listener) if listener.local_addr()?.ip().is_loopback() => Reach::Loopback,
            Self::Tcp(_) => Reach::Network,
        })
    }
}

/// Bound under another name, given its permissions and then renamed: it is never there with wider ones.
async fn bind_unix(path: &Path) -> io::Result<Listener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    if tokio::net::UnixStream::connect(path).await.is_ok() {
        let why = format!("another daemon listens on `{}`", path.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, why));
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        let why = format!("`{}` is there and is not a socket", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let first = path.with_file_name(format!(".{}", std::process::id()));
    let _ = std::fs::remove_file(&first);
    let listener = UnixListener::bind(&first)?;
    std::fs::set_permissions(&first, std::fs::Permissions::from_mode(0o660))
        .and_then(|()| std::fs::rename(&first, path))
        .inspect_err(|_| drop(std::fs::remove_file(&first)))?;
    Ok(Listener::Unix(listener, SocketFile(path.to_owned())))
}

/// A listener that accepts while there is room.
pub(super) struct Bounded {
    listener: Listener,
    room: Arc<Semaphore>,
}

impl Bounded {
    pub(super) fn new(listener: Listener) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    async fn accept_any(&mut self) -> Box<dyn Duplex> {
        match &mut self.listener {
            Listener::Tcp(listener) => {
                let (stream, _) = axum::serve::Listener::accept(listener).await;
                // Slower without it, not wrong.
                let _ = stream.set_nodelay(true);
                Box::new(stream)
            }
            Listener::Unix(listener, _) => Box::new(axum::serve::Listener::accept(listener).await.0),
        }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Watched;
    type Addr = ();

    async fn accept(&mut self) -> (Watched, ()) {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.room).acquire_owned().await else { continue };
            return (Watched::new(self.accept_any().await, SILENT_MAX, Some(permit)), ());
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Both directions of a connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// How many calls of a connection are being worked on. A clone counts for the same connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<AtomicUsize>);

impl Activity {
    /// Counts a call until the guard is dropped.
    pub(super) fn begin(&self) -> Working {
        self.0.fetch_add(1, Ordering::AcqRel);
        Working(self.clone())
    }

    fn is_working(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Activity {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        stream.io().activity.clone()
    }
}

/// A call that is being worked on.
pub(super) struct Working(Activity);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection that ends when its peer is silent for too long ([`SILENT_MAX`]). Bytes that come in don't count, so a request
/// that drips in byte by byte ends too; bytes that go out do.
pub(super) struct Watched {
    io: Box<dyn Duplex>,
    activity: Activity,
    limit: Duration,
    silence: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Watched {
    fn new(io: Box<dyn Duplex>, limit: Duration, permit: Option<OwnedSemaphorePermit>) -> Self {
        let silence = Box::pin(tokio::time::sleep(limit));
        Self { io, activity: Activity::default(), limit, silence, _permit: permit }
    }

    fn moved(&mut self) {
        let limit = self.limit;
        self.silence.as_mut().reset(Instant::now() + limit);
    }

    /// What a wait for the peer comes to.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.activity.is_working() {
            self.moved();
        }
        self.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_read(cx, buffer) {
            Poll::Pending => self.wait(cx),
            ready => ready,
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.io).poll_write(cx, bytes) {
            Poll::Pending => self.wait(cx),
            ready => {
                self.moved();
                ready
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => self.wait(cx),
            ready => ready,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Pending => self.wait(cx),
            ready => ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Short, for these tests wait in real time.
    const LIMIT: Duration = Duration::from_millis(60);

    #[tokio::test]
    async fn a_request_that_drips_in_is_cut_off() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = Watched::new(Box::new(ours), LIMIT, None);
        let drip = async {
            loop {
                tokio::time::sleep(LIMIT / 20).await;
                if theirs.write_all(b"x").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let mut read = Vec::new();
        let begun = Instant::now();
        let ended = tokio::select! { ended = ours.read_to_end(&mut read) => ended, () = drip => unreachable!() };
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= LIMIT);
    }

    #[tokio::test]
    async fn a_call_that_is_worked_on_may_take_longer() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let mut ours = Watched::new(Box::new(ours), LIMIT, None);
        let working = ours.activity.begin();
        let begun = Instant::now();
        let work = async move {
            tokio::time::sleep(LIMIT * 3).await;
            drop(working);
            std::future::pending::<()>().await;
        };
        let mut byte = [0];
        let ended = tokio::select! { ended = ours.read(&mut byte) => ended, () = work => unreachable!() };
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= LIMIT * 3);
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(8);
        let mut ours = Watched::new(Box::new(ours), LIMIT, None);
        assert_eq!(ours.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_unix_socket_is_for_owner_and_group_and_replaces_a_dead_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bell.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file of a dead socket");
        let listen = Listen::Unix(path.clone());
        let listener = Listener::bind(&listen).await.unwrap().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        let second = Listener::bind(&listen).await.unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists());
        drop(listener);
        assert!(!path.exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Listener::bind(&Listen::Unix(file.path().to_owned())).await.is_err());
        assert!(file.path().exists());
    }
}
