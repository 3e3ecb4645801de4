//! What needs a pointer: pairs of floats seen as complex numbers, and advice about large pages.
//!
//! `num_complex::Complex<T>` is `repr(C)` of its real and its imaginary part, so that both have
//! one layout and one alignment. Nothing else is reinterpreted in this crate.
#![allow(unsafe_code)]

use std::mem::ManuallyDrop;

use num_complex::Complex;

mod sealed {
    pub(crate) trait Float: Copy + 'static {}
    impl Float for f32 {}
    impl Float for f64 {}
}
use sealed::Float;

const _: () = assert!(size_of::<Complex<f32>>() == 8 && align_of::<Complex<f32>>() == align_of::<f32>());
const _: () = assert!(size_of::<Complex<f64>>() == 16 && align_of::<Complex<f64>>() == align_of::<f64>());

/// The pairs of `parts` as complex numbers; a last part without a partner is left out.
pub(super) fn as_complex<T: Float>(parts: &[T]) -> &[Complex<T>] {
    // SAFETY: `Complex<T>` is `repr(C)` of two `T`, with the alignment of `T` (asserted above), so
    // that half as many of them, rounded down, lie within `parts`. Every bit pattern is valid.
    unsafe { std::slice::from_raw_parts(parts.as_ptr().cast(), parts.len() / 2) }
}

/// The parts of complex numbers, in the same memory.
pub(super) fn into_parts<T: Float>(numbers: Vec<Complex<T>>) -> Vec<T> {
    let mut numbers = ManuallyDrop::new(numbers);
    let (pointer, len, capacity) = (numbers.as_mut_ptr(), numbers.len(), numbers.capacity());
    // SAFETY: the memory comes from a `Vec` that is not dropped. Size and alignment of the
    // allocation are the same for twice as many `T` (asserted above), and its first `2 * len` `T`
    // are initialised. Neither product overflows: the allocation has at most `isize::MAX` bytes.
    unsafe { Vec::from_raw_parts(pointer.cast(), len * 2, capacity * 2) }
}

/// Asks the system to back the room that `values` has left with large pages, where that is at least
/// a few of them: filling it then costs a fault for each 2 MiB rather than for each 4 KiB, which
/// is most of what copying into fresh memory costs. NumPy does the same.
pub(crate) fn advise_large_pages<T>(values: &mut Vec<T>) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        const LARGE: usize = 2 << 20;
        let room = values.spare_capacity_mut().as_mut_ptr_range();
        let start = room.start.addr().next_multiple_of(LARGE);
        let bytes = (room.end.addr() / LARGE * LARGE).saturating_sub(start);
        if bytes >= 2 * LARGE {
            let pointer = room.start.wrapping_byte_add(start - room.start.addr());
            // SAFETY: `bytes` from `pointer` lie within the vector's own unused capacity, and the
            // advice changes no contents. That it may be refused is no matter.
            unsafe { libc::madvise(pointer.cast(), bytes, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = values;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_numbers_share_memory() {
        let parts = vec![1.0f32, 2.0, 3.0, 4.0, 5.0];
        let numbers = as_complex(&parts);
        assert_eq!(numbers, [Complex::new(1.0, 2.0), Complex::new(3.0, 4.0)]);
        assert_eq!(numbers.as_ptr().cast::<f32>(), parts.as_ptr());

        let numbers = vec![Complex::new(1.0f64, 2.0), Complex::new(3.0, 4.0)];
        let pointer = numbers.as_ptr().cast::<f64>();
        let parts = into_parts(numbers);
        assert_eq!(parts, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(parts.as_ptr(), pointer);
        let mut room: Vec<u8> = Vec::with_capacity(16 << 20);
        advise_large_pages(&mut room);
        room.resize(16 << 20, 7);
        assert!(room.iter().all(|byte| *byte == 7));
        advise_large_pages(&mut room);
        advise_large_pages::<f32>(&mut Vec::new());
        assert!(as_complex::<f32>(&[]).is_empty());
        assert!(into_parts::<f32>(Vec::new()).is_empty());
    }
}
