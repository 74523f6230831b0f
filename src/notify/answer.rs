//! What receivers and the way to them say, as an officer reads it: short, in our words where they are the system's, and
//! without numbers that may be somebody's, because receivers like to repeat what they were sent.

use std::{error::Error, io};

use super::view::one_line;
use crate::{
    diagnostic::os_reason,
    personal::number::{NumberTail, masked_within},
    say,
};

/// Characters of other people's words that are repeated.
const WORDS_MAX: usize = 160;

/// The words of a receiver. A page of HTML comes from something between, and tells no more than its status.
pub(super) fn words(text: &str) -> String {
    let text = text.trim();
    if text.starts_with('<') {
        return String::new();
    }
    one_line(&masked_within(text, &[], &[], NumberTail::Hidden), WORDS_MAX)
}

/// What is at the bottom of an error: the system's reason, else the last that a library says.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    match root.downcast_ref::<io::Error>() {
        Some(error) => io_reason(error),
        None => with_hint(words(&root.to_string())),
    }
}

/// Why the network failed.
pub(super) fn io_reason(error: &io::Error) -> String {
    // A name server's word for it differs from system to system.
    if error.to_string().contains("lookup") {
        return say!("its name has no address");
    }
    // What was put into an error of this kind knows better than its kind.
    match error.get_ref().filter(|_| error.kind() != io::ErrorKind::TimedOut) {
        Some(inner) => reason(inner),
        None => with_hint(words(&os_reason(error))),
    }
}

/// A certificate that is not believed is the most frequent of all mistakes.
fn with_hint(reason: String) -> String {
    if reason.contains("certificate") {
        return reason + &say!(". Check ca_file and the name in the server's certificate");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receivers_words_are_short_and_tell_no_account() {
        let echoed =
            format!("{{\"error\":\"no unit\",\"account\":\"6222021202000012345\"}}\n{}", "x".repeat(900));
        let told = words(&echoed);
        assert!(told.starts_with("{\"error\":\"no unit\"") && !told.contains("12345"), "{told}");
        assert!(told.chars().count() <= WORDS_MAX + 1, "{told}");
        assert_eq!(words("<html><title>502 Bad Gateway</title></html>"), "");
    }

    #[test]
    fn the_system_speaks_in_our_words() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let wrapped = io::Error::other(refused);
        assert_eq!(reason(&wrapped), "nobody listens there");
    }
}
