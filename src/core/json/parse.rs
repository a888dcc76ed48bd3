//! bytes to a tree
use super::Json;
/// Why some bytes are not a document we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// Where, in bytes from the start.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}
/// Parses one document.
pub fn parse(_text: &[u8]) -> Result<Json, JsonError> {
    todo!()
}
