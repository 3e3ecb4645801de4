//! Decoders of other crates, which panic over some damage.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::{Error, Result};

thread_local! {
    /// Calls of [`no_panic`] that this thread is in.
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// Runs a decoder of another crate; a panic is damage that was found, said as an error of `what`
/// and in no other way: nothing of it is printed.
///
/// # Errors
/// `f` fails, or panics.
pub(crate) fn no_panic<R>(what: &str, f: impl FnOnce() -> Result<R>) -> Result<R> {
    hush_guarded_panics();
    GUARDED.set(GUARDED.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(GUARDED.get() - 1);
    result.unwrap_or_else(|payload| Err(error(what, payload.as_ref())))
}

/// Panics of a thread that is not in [`no_panic`] are told of as before.
fn hush_guarded_panics() {
    static ONCE: Once = Once::new();
    // A hook cannot be set while a panic unwinds.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that has ended is in no call.
            if GUARDED.try_with(Cell::get).unwrap_or(0) == 0 {
                before(info);
            }
        }));
    });
}

fn error(what: &str, payload: &(dyn Any + Send)) -> Error {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let error = Error::corrupt(what);
    match text.and_then(|text| text.lines().next()) {
        Some(line) => error.with_cause(line.to_owned()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_line() {
        let error = no_panic::<()>("damaged file", || panic!("first\nsecond")).unwrap_err();
        assert_eq!(error.to_string(), "damaged file: first");
        let nested = no_panic("outer", || {
            drop(no_panic::<()>("inner", || std::panic::panic_any(1)));
            no_panic::<()>("inner", || std::panic::panic_any(1))
        });
        assert_eq!(nested.unwrap_err().to_string(), "inner");
        assert_eq!(GUARDED.get(), 0);
        // Others' panics are told of meanwhile.
        let others = no_panic("damaged", || Ok(std::thread::spawn(|| GUARDED.get()).join().unwrap()));
        assert_eq!(others.unwrap(), 0);
    }
}
