//! The program from outside: what it prints, writes and refuses.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod array_record;
mod cli;
mod damage;
mod features;
mod folder;
mod golden;
mod hostile;
mod images;
mod inputs;
mod interrupted;
mod limits;
mod memory;
mod messages;
mod mixed;
mod other_records;
mod pipes;
mod printed;
mod quirks;
mod record_damage;
mod report;
mod saved_damage;
mod tables;
mod tasks;
mod tfds;
mod tfrecord_out;
