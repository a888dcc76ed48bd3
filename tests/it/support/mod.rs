//! What the tests stand on: a vendor, a receiver, the daemon, and a bounded wait for what they signal.
//!
//! It holds no promise of its own, except that a wait always ends.

pub(crate) mod bridge;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod json;
pub(crate) mod nginx;
pub(crate) mod orders;
pub(crate) mod pages;
#[path = "../../../src/net/testing/pki.rs"]
pub(crate) mod pki;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod server;
pub(crate) mod signal;
pub(crate) mod signature;
pub(crate) mod vendor;

pub(crate) use bridge::Bridge;
pub(crate) use daemon::Daemon;
pub(crate) use receiver::Receiver;
pub(crate) use server::Reply;
pub(crate) use vendor::Vendor;
