//! How the C library hands out memory.
//!
//! Every batch is made of buffers of megabytes, which live for as long as it takes to write them. By
//! default the C library gives such memory back to the system each time, so that the next batch is
//! made of new pages, and a page that is new costs more than filling it. `benches/notes.md` has the
//! numbers.

/// Keeps memory that was freed for the next batch.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn keep_freed_memory() {
    const SETTINGS: [(libc::c_int, libc::c_int); 3] = [
        // One pool: batches are made by one thread and freed by another.
        (libc::M_ARENA_MAX, 1),
        // Larger buffers go back at once; 32 MiB is the most that the C library takes.
        (libc::M_MMAP_THRESHOLD, 32 << 20),
        (libc::M_TRIM_THRESHOLD, 256 << 20),
    ];
    for (name, value) in SETTINGS {
        // SAFETY: mallopt may be called at any time, and refuses what it does not know.
        unsafe { libc::mallopt(name, value) };
    }
}

/// Other C libraries are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_freed_memory() {}
