//! list to items without trees
use super::JsonError;
use crate::core::path::Step;
/// What a query of plain steps found in a body.
pub enum Split<'a> {
    /// the elements
    Items(Vec<&'a [u8]>),
    /// there's no array or object there
    NotThere,
}
/// Splits.
pub fn split<'a>(_body: &'a [u8], _steps: &[Step]) -> Result<Split<'a>, JsonError> {
    todo!()
}
