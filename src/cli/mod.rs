//! cli

pub mod listen;
