//! Opens an Arrow IPC file that may be larger than memory, and looks at one column of its last batch.
//!
//! ```text
//! cargo run --release --example map_file -- digits.arrow pixels
//! ```

#![allow(unsafe_code)] // what mapping a file asks for

use std::time::Instant;

use tfarrow::array::{IpcMap, tensor};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(column)) = (args.next(), args.next()) else {
        return Err("usage: map_file FILE COLUMN".into());
    };
    let before = memory_kb("VmHWM:");
    let start = Instant::now();
    // SAFETY: nobody changes the file while it is mapped.
    let map = unsafe { IpcMap::map(&path) }?;
    let batch = map.batch(map.num_batches().saturating_sub(1))?;
    let array = tensor(&batch, &column)?;
    let elapsed = start.elapsed();
    println!(
        "{} batches; `{column}` of the last: {} rows of shape {:?}, {}",
        map.num_batches(),
        array.len(),
        array.row_shape().unwrap_or_default(),
        if batch.is_zero_copy() { "in the file itself" } else { "copied" },
    );
    println!("opened in {:.2} ms", elapsed.as_secs_f64() * 1e3);
    if let (Some(before), Some(after)) = (before, memory_kb("VmHWM:")) {
        println!("peak memory grew by {:.1} MB", (after - before) as f64 / 1e3);
    }
    Ok(())
}

/// A line of what Linux says of this process's memory.
fn memory_kb(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
