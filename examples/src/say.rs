//! Answers go to stdout through here: a reader that has seen enough is no problem, a disk that is full is.
use std::fmt;
use std::io::{self, ErrorKind, Write as _};
use std::sync::Mutex;

use crate::Failure;

/// What stdout said first that is not "go on".
static REFUSED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a line of an answer to stdout.
macro_rules! say {
    () => { $crate::say::line(format_args!("")) };
    ($($arguments:tt)*) => { $crate::say::line(format_args!($($arguments)*)) };
}
pub(crate) use say;

/// Writes a line; after stdout has refused one, none.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let Ok(mut refused) = REFUSED.lock() else { return };
    if refused.is_none() {
        *refused = writeln!(io::stdout().lock(), "{text}").err();
    }
}

/// Writes out what waits.
///
/// # Errors
///
/// Where the answer could not be written, but for a reader that has gone.
pub(crate) fn finish() -> Result<(), Failure> {
    let flushed = io::stdout().lock().flush().err();
    let refused = REFUSED.lock().ok().and_then(|mut refused| refused.take()).or(flushed);
    match refused {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Unanswered(format!("the answer cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}
