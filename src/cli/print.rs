//! What commands print. The macros of the standard library panic where nobody reads any more or the disk is full.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write as _},
};

use parking_lot::Mutex;

/// Why something that was to be printed is not there; what comes afterwards is not printed either.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line on standard output.
macro_rules! println {
    () => { $crate::cli::print::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::print::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints on standard output.
macro_rules! print {
    ($($text:tt)*) => { $crate::cli::print::out(format_args!($($text)*)) };
}

/// Prints a line on standard error.
macro_rules! eprintln {
    () => { $crate::cli::print::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::cli::print::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints on standard error.
macro_rules! eprint {
    ($($text:tt)*) => { $crate::cli::print::err(format_args!($($text)*)) };
}

/// A command goes on where its output cannot be written: what it does is not only to be read.
pub(super) fn out(text: Arguments<'_>) {
    note(|| io::stdout().lock().write_fmt(text));
}

/// Nobody can be told that standard error is closed.
pub(super) fn err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// What is wrong with what was printed so far. A reader that has seen enough (`| head`) is no failure.
pub(super) fn failure() -> Option<io::Error> {
    note(|| io::stdout().lock().flush());
    FAILED.lock().take().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}

fn note(write: impl FnOnce() -> io::Result<()>) {
    let mut failed = FAILED.lock();
    if failed.is_none() {
        *failed = write().err();
    }
}
