//! Every target takes the fuzzer's seeds, and mutations of them.

use std::fs;
use std::path::Path;

/// Mutations a target; `TFARROW_TEST_MUTATIONS` says otherwise, and `TFARROW_TEST_SEED` which ones.
const MUTATIONS: usize = 150;

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// One to four changes; `other` is where bytes may come from.
    fn mutate(&mut self, seed: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(16)).min(bytes.len());
            match self.below(8) {
                _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
                0 | 1 => bytes[at] ^= 1 << self.below(8),
                2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                3 => bytes[at] = self.below(256) as u8,
                4 => bytes.truncate(at),
                5 => drop(bytes.drain(at..end)),
                6 => {
                    let copy = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, copy);
                }
                _ => {
                    let from = self.below(other.len());
                    let to = (from + self.below(64)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        bytes
    }
}

/// Runs `target` over the seeds of `name` and mutations of them; the input that it failed with is
/// kept.
fn smoke(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let run = |what: &str, input: &[u8]| {
        if std::panic::catch_unwind(|| target(input)).is_err() {
            let kept = std::env::temp_dir().join(format!("fuzz-{name}"));
            fs::write(&kept, input).unwrap();
            panic!("{name} fails with {what}, kept as {}", kept.display());
        }
    };
    for (path, seed) in paths.iter().zip(&seeds) {
        run(&path.display().to_string(), seed);
    }
    let mutations = std::env::var("TFARROW_TEST_MUTATIONS").map_or(MUTATIONS, |n| n.parse().unwrap());
    let mut random =
        Random(std::env::var("TFARROW_TEST_SEED").map_or(0x9e37_79b9_7f4a_7c15, |n| n.parse().unwrap()));
    for number in 0..mutations {
        let (seed, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
        run(&format!("mutation {number}"), &random.mutate(seed, other));
    }
}

macro_rules! smoke {
    ($($(#[$cfg:meta])? $target:ident),* $(,)?) => {
        $($(#[$cfg])? #[test] fn $target() {
            smoke(stringify!($target), super::$target);
        })*

        #[test]
        fn every_target_of_the_fuzzer_is_tested() {
            let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
            for entry in fs::read_dir(targets).unwrap() {
                let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
                assert!([$(stringify!($target)),*].contains(&&*name), "{name}");
            }
        }
    };
}

smoke!(
    arrow_file,
    arrow_stream,
    cache_files,
    descriptor_set,
    elwc,
    element_spec,
    encoded,
    event,
    example,
    extension,
    feature_spec,
    features_file,
    frames,
    graph_def,
    message,
    proto_text,
    report,
    #[cfg(feature = "image")]
    image,
    #[cfg(feature = "parquet")]
    parquet,
    #[cfg(feature = "array-record")]
    riegeli,
    saved_folder,
    snappy,
    snapshot,
    split,
    tensor_proto,
    tfds_folder,
    tfds_metadata,
    variant,
);
