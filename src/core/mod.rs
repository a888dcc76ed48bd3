//! What Doorbell knows and decides, as plain values and pure functions.
//!
//! Nothing here performs I/O, asks a clock or rolls dice: time and jitter come in as arguments. Every other room
//! may use this one; it uses none of them.

// The values a config is lifted to.
pub mod address;
pub mod config;
pub mod homes;
pub mod job;
pub mod names;
pub mod proxy;
pub mod secret;
pub mod sink;
pub mod time;
pub mod transport;
pub mod units;

// Reading: from bytes to items.
pub mod blocks;
pub mod cursor;
pub mod document;
pub mod extract;
pub mod index;
pub mod json;
pub mod page;
pub mod path;

// Deciding: from items and the ledger to events.
pub mod alert;
pub mod announce;
pub mod decide;
pub mod detail;
pub mod diff;
pub mod each;
pub mod envelope;
pub mod event;
pub mod hold;
pub mod ledger;
pub mod outcome;
pub mod pace;
pub mod plan;
pub mod recording;
pub mod reload;
pub mod rules;
pub mod schedule;

// Being let in: what requests carry, on either side.
pub mod auth;

// Asking: how often, and what a vendor says of that.
pub mod bucket;
pub mod limits;
pub mod polite;

// Telling: from events to requests, and what their answers mean.
pub mod backlog;
pub mod batch;
pub mod breaker;
pub mod delivery;
pub mod formats;
pub mod rerender;
pub mod sign;
pub mod skipped;
pub mod template;
pub mod trace;

// Looking in.
pub mod observe;
pub mod operate;
pub mod survey;
pub mod view;
pub mod why;
