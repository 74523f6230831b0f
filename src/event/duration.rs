//! Durations as the configuration and the command line write them.

use std::time::Duration;

use crate::{say, text::quoted};

/// A duration such as `10m`, `24h` or `1d` (a day is 24 hours).
///
/// # Errors
/// How to write one.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || say!("{text} is not a duration: write 500ms, 10s, 5m, 24h or 1d", text = quoted(text));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}
