//! The product from the outside: the real executable, real sockets, real files, a fake vendor and a receiver that
//! verifies signatures with its own code.
//!
//! Nothing here looks inside. Each file is a theme; each test is a promise of the contract, named by it (S1, D4, …)
//! where the promise has a number. Everything runs in parallel, on ports that the system picks.

mod support;

mod alerts;
mod auth;
mod bad_config;
mod bad_vendor;
mod batches;
mod bounded;
mod breaker;
mod commands;
mod crash;
mod cursors;
mod daemon;
mod delivering;
mod details;
mod details_beside;
mod edits;
mod first_steps;
mod formats;
mod formats_in;
mod guard;
mod holds;
mod init;
mod kinto;
mod large;
mod nginx;
mod numbers;
mod oidc;
mod operate;
mod out;
mod paging;
mod partial;
mod politeness;
mod queue;
mod recipes;
mod recordings;
mod reload;
mod rules;
mod schema;
mod scopes;
mod seeing;
mod signing;
mod why;
