//! Bodies with a limit: read piece by piece after decompression, and let go of at the limit.
//!
//! A `content-length` is believed when it says too much and never when memory is set aside.

use bytes::Bytes;
use reqwest::Response;

use crate::core::names::Digest;

/// The most memory that is set aside because of a `content-length`.
const RESERVE_MAX: u64 = 1024 * 1024;

/// A body that was read to its end.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The bytes, after decompression.
    pub bytes: Bytes,
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
}

/// Reads a body of at most `max` bytes to its end, and digests it on the way.
///
/// # Errors
/// [`Unread::TooLarge`] as soon as that is certain: from the `content-length`, or at the first byte too many.
pub async fn read_whole(mut response: Response, max: u64) -> Result<Whole, Unread> {
    let announced = response.content_length().unwrap_or(0);
    if announced > max {
        return Err(Unread::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(announced.min(RESERVE_MAX)).unwrap_or(0));
    let mut hasher = blake3::Hasher::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if (bytes.len() + chunk.len()) as u64 > max {
            return Err(Unread::TooLarge);
        }
        hasher.update(&chunk);
        bytes.extend_from_slice(&chunk);
    }
    Ok(Whole { bytes: Bytes::from(bytes), digest: Digest::from_hash(hasher.finalize()) })
}

/// Reads at most `read_max` bytes of a body and keeps at most `keep_max` of them. What is not read by then is not
/// read at all: the connection is closed.
///
/// # Errors
/// When the connection or the compression breaks before the end or the limit.
pub async fn read_beginning(
    mut response: Response,
    read_max: usize,
    keep_max: usize,
) -> Result<Beginning, reqwest::Error> {
    let mut kept = Vec::new();
    let mut read = 0_usize;
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
