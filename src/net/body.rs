//! Bodies with a limit: read piece by piece after decompression, kept on disk when they are large, and let go of at the
//! limit.
//!
//! A `content-length` is believed: when it says too much, and when memory is set aside, of which none is used before it
//! is written to.

use std::io;
use std::path::Path;

use bytes::Bytes;
use reqwest::Response;

use crate::core::names::Digest;
use crate::net::spool::Spool;

/// Bytes of a body that are held in memory; a larger one goes to disk where there is a place for it.
pub const HELD_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are gathered before they are written to disk.
const PIECE: usize = 1024 * 1024;

/// Memory for a long body is set aside in multiples of this: one that is a little longer than in the poll before fits into
/// the place that that one left.
const ROUND: usize = 64 * 1024;

/// The bytes of an answer, after decompression.
#[derive(Clone, Debug)]
pub enum Body {
    /// In memory.
    Held(Bytes),
    /// On disk.
    Spooled(Spool),
}

impl Body {
    /// How many there are.
    pub fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Spooled(spool) => spool.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them at once.
    ///
    /// # Errors
    /// When the disk does not give them.
    pub fn bytes(&self) -> io::Result<Bytes> {
        match self {
            Self::Held(bytes) => Ok(bytes.clone()),
            Self::Spooled(spool) => spool.read(0..spool.len()),
        }
    }
}

/// A body that was read to its end.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The body.
    pub body: Body,
    /// Their digest.
    pub digest: Digest,
}

/// The beginning of a body.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// The bytes that are kept.
    pub bytes: Vec<u8>,
    /// True when there may be more of it.
    pub cut: bool,
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// The connection or the compression broke.
    Broken(reqwest::Error),
    /// It is large, and the disk does not take it.
    Disk(io::Error),
}

/// Reads a body of at most `max` bytes to its end, and digests it on the way. One of more than [`HELD_MAX`] goes to a
/// file in the folder `spool`, where there is one.
///
/// # Errors
/// [`Unread::TooLarge`] as soon as that is certain: from the `content-length`, or at the first byte too many.
pub async fn read_whole(mut response: Response, max: u64, folder: Option<&Path>) -> Result<Whole, Unread> {
    let announced = response.content_length().unwrap_or(0);
    if announced > max {
        return Err(Unread::TooLarge);
    }
    let mut bytes = room_for(announced);
    let mut spool: Option<Spool> = None;
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        let spooled = spool.as_ref().map_or(0, Spool::len);
        if spooled + (bytes.len() + chunk.len()) as u64 > max {
            return Err(Unread::TooLarge);
        }
        hasher.update(&chunk);
        bytes.extend_from_slice(&chunk);
        if let Some(folder) = folder {
            relieve(&mut bytes, &mut spool, folder).map_err(Unread::Disk)?;
        }
    }
    let body = match spool {
        None => Body::Held(Bytes::from(bytes)),
        Some(mut spool) => {
            spool.push(&bytes).map_err(Unread::Disk)?;
            Body::Spooled(spool)
        }
    };
    Ok(Whole { body, digest: Digest::from_hash(hasher.finalize()) })
}

/// Room for a body in one piece, with some for what is read beyond [`HELD_MAX`]: growing step by step would copy a long one
/// more than once. Where there is not so much memory it grows all the same.
fn room_for(announced: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let whole = usize::try_from(announced).unwrap_or(usize::MAX).min(HELD_MAX + PIECE);
    let rounded = if whole > ROUND { whole.next_multiple_of(ROUND) } else { whole };
    drop(bytes.try_reserve_exact(rounded));
    bytes
}

/// Moves to disk what is too much to be held.
fn relieve(bytes: &mut Vec<u8>, spool: &mut Option<Spool>, folder: &Path) -> io::Result<()> {
    let most = if spool.is_some() { PIECE } else { HELD_MAX };
    if bytes.len() <= most {
        return Ok(());
    }
    let spool = match spool {
        Some(spool) => spool,
        None => spool.insert(Spool::create(folder)?),
    };
    spool.push(bytes)?;
    bytes.clear();
    // The memory that a large body began to take is given back.
    bytes.shrink_to(PIECE * 2);
    Ok(())
}

/// Reads at most `read_max` bytes of a body and keeps at most `keep_max` of them. What is not read by then is not
/// read at all: the connection is closed. One that is announced as longer is read only as far as it is kept, for no
/// reading would save its connection.
///
/// # Errors
/// When the connection or the compression breaks before the end or the limit.
pub async fn read_beginning(
    mut response: Response,
    read_max: usize,
    keep_max: usize,
) -> Result<Beginning, reqwest::Error> {
    let is_too_long = response.content_length().is_some_and(|length| length > read_max as u64);
    let read_max = if is_too_long { keep_max } else { read_max };
    let (mut kept, mut read) = (Vec::new(), 0_usize);
    while let Some(chunk) = response.chunk().await? {
        read += chunk.len();
        let room = keep_max.saturating_sub(kept.len()).min(chunk.len());
        kept.extend_from_slice(&chunk[..room]);
        if read >= read_max {
            return Ok(Beginning { bytes: kept, cut: true });
        }
    }
    Ok(Beginning { cut: read > kept.len(), bytes: kept })
}
