//! Configurations, with variables.

use std::path::Path;

use fiscwatch::config::Config;
use rand::RngExt;

use super::{fuzz, seeds};

#[test]
fn a_configuration_is_taken_or_refused_with_a_reason() {
    let names = [
        "FISCWATCH_ENGINE__BATCH_ROWS",
        "FISCWATCH_STATE__RETAIN",
        "FISCWATCH_HTTP__LISTEN",
        "FISCWATCH_",
        "FISCWATCH__",
        "FISCWATCH_A__B",
    ];
    fuzz("config", 600, &seeds("config"), |input, rng| {
        let text = String::from_utf8_lossy(input);
        let value = text.get(..rng.random_range(0..20)).unwrap_or_default().to_owned();
        let variables =
            rng.random_ratio(1, 3).then(|| (names[rng.random_range(0..names.len())].to_owned(), value));
        if let Err(problems) = Config::parse("fuzz.yaml", &text, Path::new(""), variables.into_iter()) {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(!problem.message.is_empty());
                assert!(problem.line <= text.lines().count() + 1, "{problem}");
            }
        }
    });
}
