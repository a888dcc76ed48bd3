//! The whole engine over a vendor, a clock and a state of its own, in one process: random histories, thousands of them.
//!
//! Promise S8 and what it stands on: whatever the vendor does and however it is read, a receiver that folds the events in
//! the order of their sequence holds what the vendor holds, once both are quiet. Nothing here opens a socket.

mod details;
mod fold;
mod histories;
mod house;
mod kept;
mod plan;
mod vendor;
mod written;
