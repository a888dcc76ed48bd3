//! Turns pull into push: polls REST APIs that have no webhooks, and sends a signed webhook when something changed.

pub mod admin;
pub mod cli;
pub mod config;
pub mod core;
pub mod engine;
pub mod net;
pub mod sink;
pub mod source;
pub mod store;
pub mod systemd;
pub mod telemetry;
