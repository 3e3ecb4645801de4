//! CRC-32C of records of every length, in the processor's cache and out of it, beside the crate that
//! is used where the processor cannot do it faster.
//!
//! ```text
//! cargo bench --bench crc
//! ```

#![allow(missing_docs, dead_code, unreachable_pub, unused_imports)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

#[path = "../src/wire/crc.rs"]
mod crc;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const IN_CACHE: usize = 128 << 10;
const OUT_OF_CACHE: usize = 256 << 20;

fn lengths(c: &mut Criterion) {
    for (place, total) in [("cache", IN_CACHE), ("256 MB", OUT_OF_CACHE)] {
        let data: Vec<u8> = (0..total).map(|i| ((i * 2_654_435_761_usize) >> 24) as u8).collect();
        let mut group = c.benchmark_group(place);
        group.throughput(Throughput::Bytes(total as u64));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1));
        for length in [100, 300, 700, 1000, 2 << 10, 4 << 10, 64 << 10] {
            let sum = |crc: fn(&[u8]) -> u32| {
                data.chunks_exact(length).fold(0, |sum: u32, record| sum.wrapping_add(crc(record)))
            };
            group.bench_function(format!("{length} tfarrow"), |b| b.iter(|| black_box(sum(crc::crc32c))));
            group.bench_function(format!("{length} crc32c"), |b| b.iter(|| black_box(sum(crc32c::crc32c))));
        }
        group.finish();
    }
}

criterion_group!(benches, lengths);
criterion_main!(benches);
