//! The one way out: clients, the address guard, bodies with a limit, and what went wrong in words.
//!
//! This room knows nothing of vendors or receivers: what is asked and what an answer means stands elsewhere.

pub mod auth;
pub mod body;
pub mod client;
pub mod guard;
pub mod headers;
pub mod phases;
pub mod redact;
pub mod spool;
pub mod trouble;

mod dns;
mod tls;
mod warm;

#[cfg(test)]
pub(crate) mod testing;
