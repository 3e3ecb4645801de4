//! libjpeg behind a safe face; nothing else calls it.
//!
//! libjpeg's errors must not return to it. Ours unwind to the call that entered the library: both
//! sides are built for that (`C-unwind`, `-fexceptions`). All that libjpeg holds then is freed with
//! the decompressor.

#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, transmute};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use mozjpeg_sys::{self as ffi, J_COLOR_SPACE, J_DCT_METHOD};

/// The warnings that part of the image is missing: a scan that ends too soon, a file that does.
const MISSING_DATA: [c_int; 2] = [117, 120];
/// More scans than any encoder makes; each may cost as much as the whole image.
const MOST_SCANS: c_int = 500;
/// Bytes of a message of libjpeg's, at most.
const MESSAGE_BYTES: usize = 200;
/// The application marker in which Adobe's programs say how colours are stored, and its length.
const ADOBE_MARKER: (c_int, u32) = (0xee, 12);
/// Rows that are asked for at a time.
const ROWS: usize = 16;

/// The colours that rows are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Gray,
    Rgb,
    Cmyk,
}

/// Why libjpeg gave up.
#[derive(Debug)]
pub(super) enum Failure {
    /// Part of the image is missing.
    Cut,
    /// There are more scans than this.
    TooManyScans(c_int),
    /// This program aborts instead of unwinding.
    Unwindless,
    /// What libjpeg says.
    Damaged(String),
}

/// A JPEG image that is being decoded.
pub(super) struct Decompress<'a> {
    /// From a box. libjpeg keeps pointers into it, so that it is reached through this one alone.
    state: NonNull<State>,
    input: PhantomData<&'a [u8]>,
}

#[repr(C)]
struct State {
    image: ffi::jpeg_decompress_struct,
    errors: ffi::jpeg_error_mgr,
    progress: ffi::jpeg_progress_mgr,
}

impl<'a> Decompress<'a> {
    /// Reads the header.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Failure> {
        if cfg!(panic = "abort") {
            return Err(Failure::Unwindless);
        }
        let len = bytes.len().try_into().map_err(|_| Failure::Damaged("it is too large".to_owned()))?;
        // SAFETY: integers, null pointers, functions that are absent, and enumerations, each with a
        // variant of 0.
        let state: Box<State> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
        let mut this = Self { state: NonNull::from(Box::leak(state)), input: PhantomData };
        this.enter(|state| {
            // SAFETY: `state` is valid and holds what libjpeg wants to stay where it is. `bytes`
            // outlive `this`, and libjpeg does not write to them.
            unsafe {
                (*state).image.common.err = ffi::jpeg_std_error(&mut (*state).errors);
                (*state).errors.error_exit = Some(error_exit);
                (*state).errors.emit_message = Some(emit_message);
                (*state).errors.output_message = Some(output_message);
                ffi::jpeg_create_decompress(&mut (*state).image);
                (*state).progress.progress_monitor = Some(progress_monitor);
                (*state).image.common.progress = &raw mut (*state).progress;
                (*state).image.common.client_data = state.cast();
                ffi::jpeg_mem_src(&mut (*state).image, bytes.as_ptr(), len);
                let (marker, len) = ADOBE_MARKER;
                ffi::jpeg_save_markers(&mut (*state).image, marker, len);
                ffi::jpeg_read_header(&mut (*state).image, 1);
            }
        })?;
        Ok(this)
    }

    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        let image = self.image();
        (image.image_width, image.image_height)
    }

    pub(super) fn components(&self) -> u8 {
        self.image().num_components.try_into().unwrap_or(u8::MAX)
    }

    pub(super) fn is_cmyk(&self) -> bool {
        matches!(self.image().jpeg_color_space, J_COLOR_SPACE::JCS_CMYK | J_COLOR_SPACE::JCS_YCCK)
    }

    pub(super) fn has_several_scans(&self) -> bool {
        // SAFETY: a decompressor that has read the header; it is only looked at.
        unsafe { ffi::jpeg_has_multiple_scans(self.image()) != 0 }
    }

    /// The blocks of 8 × 8 values in all components.
    pub(super) fn blocks(&self) -> u64 {
        let image = self.image();
        let components = usize::from(self.components());
        // SAFETY: libjpeg made an array of as many when it read the header.
        let components = unsafe { std::slice::from_raw_parts(image.comp_info, components) };
        components.iter().map(|c| u64::from(c.width_in_blocks) * u64::from(c.height_in_blocks)).sum()
    }

    pub(super) fn has_adobe_marker(&self) -> bool {
        let mut next = self.image().marker_list;
        // SAFETY: null, or a marker in libjpeg's list, which lives as long as `self`.
        while let Some(marker) = unsafe { next.as_ref() } {
            let len = usize::try_from(marker.data_length).unwrap_or(0);
            // SAFETY: a saved marker has as many bytes.
            let data = unsafe { std::slice::from_raw_parts(marker.data, len) };
            if len == ADOBE_MARKER.1 as usize && data.starts_with(b"Adobe") {
                return true;
            }
            next = marker.next;
        }
        false
    }

    /// Begins to decode; of an image of several scans, all are read.
    pub(super) fn start(&mut self, colours: Colours) -> Result<(), Failure> {
        self.enter(|state| {
            // SAFETY: `state` is valid, and the header has been read.
            unsafe {
                let image = &mut (*state).image;
                image.out_color_space = match colours {
                    Colours::Gray => J_COLOR_SPACE::JCS_GRAYSCALE,
                    Colours::Rgb => J_COLOR_SPACE::JCS_RGB,
                    Colours::Cmyk => J_COLOR_SPACE::JCS_CMYK,
                };
                image.dct_method = J_DCT_METHOD::JDCT_IFAST;
                image.do_fancy_upsampling = 1;
                ffi::jpeg_start_decompress(image);
            }
        })
    }

    /// Reads rows to `out`, and says how many bytes they took; none if there are no more, or `out`
    /// has no room for one.
    pub(super) fn read_rows(&mut self, out: &mut [u8]) -> Result<usize, Failure> {
        let image = self.image();
        let left = image.output_height.saturating_sub(image.output_scanline);
        let row_bytes = image.output_width as usize * usize::try_from(image.output_components).unwrap_or(0);
        let mut rows = [std::ptr::null_mut(); ROWS];
        let mut count = 0;
        for (row, bytes) in rows.iter_mut().zip(out.chunks_exact_mut(row_bytes.max(1))).take(left as usize) {
            *row = bytes.as_mut_ptr();
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let read = self.enter(|state| {
            // SAFETY: `state` is valid, decoding has begun, and there are `count` rows of as many
            // bytes as libjpeg writes to one.
            unsafe { ffi::jpeg_read_scanlines(&mut (*state).image, rows.as_mut_ptr(), count) }
        })?;
        Ok(read as usize * row_bytes)
    }

    /// Reads what comes after the last row, which must be the end of the image.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.enter(|state| {
            // SAFETY: `state` is valid, and all rows have been read.
            unsafe { ffi::jpeg_finish_decompress(&mut (*state).image) };
        })
    }

    fn image(&self) -> &ffi::jpeg_decompress_struct {
        // SAFETY: `state` is valid, and libjpeg writes to it only in calls that borrow `self` alone.
        unsafe { &(*self.state.as_ptr()).image }
    }

    /// Calls libjpeg; its errors end here.
    fn enter<T>(&mut self, call: impl FnOnce(*mut State) -> T) -> Result<T, Failure> {
        let state = self.state.as_ptr();
        catch_unwind(AssertUnwindSafe(|| call(state))).map_err(|thrown| match thrown.downcast() {
            Ok(failure) => *failure,
            Err(panic) => resume_unwind(panic),
        })
    }
}

impl Drop for Decompress<'_> {
    fn drop(&mut self) {
        // SAFETY: `state` came from a box and is not used any more. libjpeg frees what it holds, if
        // it got so far as to hold anything; that cannot fail.
        unsafe {
            ffi::jpeg_destroy_decompress(&mut (*self.state.as_ptr()).image);
            drop(Box::from_raw(self.state.as_ptr()));
        }
    }
}

/// Leaves libjpeg. Unlike a panic, this prints nothing.
fn throw(failure: Failure) -> ! {
    resume_unwind(Box::new(failure) as Box<dyn Any + Send>)
}

unsafe extern "C-unwind" fn error_exit(image: &mut ffi::jpeg_common_struct) {
    type Format = unsafe extern "C-unwind" fn(&mut ffi::jpeg_common_struct, *mut c_char);
    let mut message: [c_char; MESSAGE_BYTES] = [0; MESSAGE_BYTES];
    // SAFETY: libjpeg calls with its own error manager, whose formatter takes a pointer to as many
    // bytes (the bindings give it too few) and ends what it writes with a NUL.
    let text = unsafe {
        if let Some(format) = (*image.err).format_message {
            transmute::<*const (), Format>(format as *const ())(image, message.as_mut_ptr());
        }
        CStr::from_ptr(message.as_ptr()).to_string_lossy().into_owned()
    };
    throw(Failure::Damaged(text))
}

/// Takes a warning, of which there are none below level 0.
unsafe extern "C-unwind" fn emit_message(image: &mut ffi::jpeg_common_struct, level: c_int) {
    // SAFETY: libjpeg calls with its own error manager.
    let code = unsafe { (*image.err).msg_code };
    if level < 0 && MISSING_DATA.contains(&code) {
        throw(Failure::Cut)
    }
}

unsafe extern "C-unwind" fn output_message(_: &mut ffi::jpeg_common_struct) {}

unsafe extern "C-unwind" fn progress_monitor(image: &mut ffi::jpeg_common_struct) {
    let state: *mut State = image.client_data.cast();
    // SAFETY: set when the decompressor was made.
    let scans = unsafe { (*state).image.input_scan_number };
    if scans > MOST_SCANS {
        throw(Failure::TooManyScans(MOST_SCANS))
    }
}
