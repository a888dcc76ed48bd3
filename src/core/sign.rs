//! signatures
use crate::core::secret::Secret;
/// A key to sign with.
#[derive(Clone)]
pub struct SigningKey {}
impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}
impl SigningKey {
    /// Reads a secret: `whsec_` + base64 is decoded, anything else is raw bytes.
    pub fn parse(_secret: &Secret) -> Result<Self, crate::core::path::Complaint> {
        todo!()
    }
    /// `v1,BASE64` over `ID.TIMESTAMP.BODY`.
    pub fn sign(&self, _id: &str, _timestamp: i64, _body: &[u8]) -> String {
        todo!()
    }
}
