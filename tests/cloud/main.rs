//! Object stores and web servers: real servers on loopback, and what can go wrong on the way to them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::cast_possible_truncation, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

mod ahead;
mod faults;
mod inputs;
mod memory;
mod others;
mod outputs;
mod tasks;

mod proxy;
mod server;
