//! cli
pub mod client;
pub mod event;
pub mod events;
pub mod status;
pub mod table;
