//! The library from outside, and what others make of its output.

#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod examples;
mod ffi;
mod inputs;
mod interop;
mod ipc_map;
mod live;
mod numpy;
mod one_file;
mod options;
mod oracle;
mod own_output;
mod plan;
mod projection;
mod to_arrays;
