//! `log`: what is logged, and how.

use super::{raw::LogSpec, resolve::Resolver};
use crate::{say, text::quoted};

/// How much is logged, the least first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Resolver<'_> {
    /// What the filter of the log takes for a name would silence everything.
    pub(super) fn log(&mut self, log: LogSpec) -> LogSpec {
        let is_level = |part: &str| {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            LEVELS.iter().any(|known| level.trim().eq_ignore_ascii_case(known))
        };
        if let Some(wrong) = log.level.split(',').find(|part| !is_level(part)) {
            self.problem(say!(
                "log.level: {word} is no level: error, warn, info, debug, trace, or a filter such as info,fiscwatch=debug",
                word = quoted(wrong)
            ));
        }
        log
    }
}
