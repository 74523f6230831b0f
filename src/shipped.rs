//! The shipped configuration, rules and lists inside the binary, for the demo.

use std::{borrow::Cow, path::Path};

use crate::private;

/// The path of the shipped configuration.
const CONFIGURATION: &str = "config/fiscwatch.yaml";

macro_rules! files {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../", $folder, $path)))),*]
    };
}

/// Every shipped file by its path in the project.
pub(crate) static FILES: &[(&str, &str)] = files! { "":
    "config/fiscwatch.yaml",
    "config/lists/allowed_classes.csv",
    "config/lists/blacklist.csv",
    "config/lists/bonds.csv",
    "config/lists/card_catalogue.csv",
    "config/lists/cash_caps.csv",
    "config/lists/contracts.csv",
    "config/lists/growth_references.csv",
    "config/lists/holidays.csv",
    "config/lists/ineligible_beneficiaries.csv",
    "config/lists/sensitive_words.csv",
    "config/lists/three_public_caps.csv",
    "config/lists/unit_accounts.csv",
    "config/maps/debezium.yaml",
    "config/maps/iso20022-camt.054.yaml",
    "config/maps/iso20022-pacs.004.yaml",
    "config/maps/iso20022-pacs.008.yaml",
    "config/maps/iso20022-pain.001.yaml",
    "config/maps/payments-zh.yaml",
    "config/maps/uk-council-spending.yaml",
    "config/maps/voucher.yaml",
    "rules/adjustments.yaml",
    "rules/bank.yaml",
    "rules/budget.yaml",
    "rules/caps.yaml",
    "rules/cash.yaml",
    "rules/class.yaml",
    "rules/conduct.yaml",
    "rules/history.yaml",
    "rules/known.yaml",
    "rules/pace.yaml",
    "rules/payee.yaml",
    "rules/pretext.yaml",
    "rules/repeated.yaml",
    "rules/results.yaml",
    "rules/reversals.yaml",
    "rules/splitting.yaml",
    "rules/statistics.yaml",
    "rules/tests/adjustments.yaml",
    "rules/tests/bank.yaml",
    "rules/tests/budget.yaml",
    "rules/tests/caps.yaml",
    "rules/tests/cash.yaml",
    "rules/tests/class.yaml",
    "rules/tests/conduct.yaml",
    "rules/tests/history.yaml",
    "rules/tests/known.yaml",
    "rules/tests/pace.yaml",
    "rules/tests/payee.yaml",
    "rules/tests/pretext.yaml",
    "rules/tests/repeated.yaml",
    "rules/tests/results.yaml",
    "rules/tests/reversals.yaml",
    "rules/tests/splitting.yaml",
    "rules/tests/statistics.yaml",
};

/// The files of the example, by their paths in the folder that `init --example` writes.
static EXAMPLE: &[(&str, &str)] = files! { "config/example/":
    "drop/events.jsonl",
    "later.jsonl",
    "my-rules/over.yaml",
    "my-rules/tests/over.yaml",
};

/// What the example's configuration says in place of the shipped one, so that the two cannot drift apart.
const EXAMPLE_SETTINGS: [(&str, &str); 3] = [
    (
        "sources: []\n",
        "sources:\n  - name: drop\n    directory: { path: ../drop, pattern: \"*.jsonl\", afterwards: keep, settle: 1s }\n",
    ),
    ("  paths: [../rules]\n", "  paths: [../rules, ../my-rules]\n"),
    ("sinks: []\n", "sinks:\n  - { name: console, log: {} }\n"),
];

/// The shipped files, and with `example` a few events, a rule and a configuration that reads both.
#[must_use]
pub(crate) fn files(example: bool) -> Vec<(&'static str, Cow<'static, str>)> {
    let configured = |text: &'static str| {
        EXAMPLE_SETTINGS.iter().fold(text.to_owned(), |text, (shipped, own)| text.replacen(shipped, own, 1))
    };
    let shipped = FILES.iter().map(|&(path, text)| match example && path == CONFIGURATION {
        true => (path, Cow::Owned(configured(text))),
        false => (path, Cow::Borrowed(text)),
    });
    let own = EXAMPLE.iter().filter(|_| example).map(|&(path, text)| (path, Cow::Borrowed(text)));
    shipped.chain(own).collect()
}

/// Writes files below a folder, in which none of them is yet. If one cannot be written, those before it go again.
///
/// # Errors
/// If the folder cannot be written.
pub(crate) fn write(folder: &Path, files: &[(&str, Cow<'_, str>)]) -> std::io::Result<()> {
    let (mut begun, is_there) = (Vec::new(), folder.exists());
    let written = files.iter().try_for_each(|(path, text)| {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), private::create_dir_all)?;
        begun.push(path.clone());
        private::write(&path, text.as_bytes())
    });
    if written.is_err() {
        for path in begun.iter().rev() {
            // A folder goes with its last file, but for the one that was there before.
            let _ = std::fs::remove_file(path);
            let folders = path
                .ancestors()
                .skip(1)
                .take_while(|above| above.starts_with(folder) && !(is_there && *above == folder));
            folders.map_while(|above| std::fs::remove_dir(above).ok()).for_each(drop);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_differs_from_what_is_shipped_where_it_says() {
        let text = |example| files(example).into_iter().find(|(path, _)| *path == CONFIGURATION).unwrap().1;
        let (shipped, own) = (text(false), text(true));
        for (before, after) in EXAMPLE_SETTINGS {
            assert_eq!(
                shipped.matches(before).count(),
                1,
                "{before:?} does not stand once in the configuration"
            );
            assert!(own.contains(after) && !shipped.contains(after), "{after:?}");
        }
        assert_eq!(files(true).len(), FILES.len() + EXAMPLE.len());
    }

    #[test]
    fn nothing_that_is_shipped_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (folder, extension) in [
            ("rules", "yaml"),
            ("rules/tests", "yaml"),
            ("config/lists", "csv"),
            ("config/maps", "yaml"),
            ("config", "yaml"),
        ] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(extension) {
                    let path = format!("{folder}/{name}");
                    assert!(FILES.iter().any(|(known, _)| *known == path), "{path} is not in FILES");
                }
            }
        }
    }
}
