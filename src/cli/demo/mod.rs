//! The parts of `doorbell demo`, which shows in one process what the bridge does.
//!
//! They are ordinary: the demo's bridge knows no more of them than of any vendor or receiver.

pub mod shop;
