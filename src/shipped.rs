//! The shipped configuration, rules and lists inside the binary, for the demo.

use std::path::Path;

use crate::private;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// Every shipped file by its path in the project.
        pub static FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../", $path)))),*];
    };
}

files! {
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
    "rules/budget.yaml",
    "rules/caps.yaml",
    "rules/cash.yaml",
    "rules/class.yaml",
    "rules/conduct.yaml",
    "rules/history.yaml",
    "rules/known.yaml",
    "rules/pace.yaml",
    "rules/payee.yaml",
    "rules/repeated.yaml",
    "rules/results.yaml",
    "rules/splitting.yaml",
    "rules/statistics.yaml",
}

/// Writes them below a folder.
///
/// # Errors
/// If the folder cannot be written.
pub fn write(folder: &Path) -> std::io::Result<()> {
    for (path, text) in FILES {
        let path = folder.join(path);
        path.parent().map_or(Ok(()), private::create_dir_all)?;
        private::write(&path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shipped_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (folder, extension) in [("rules", "yaml"), ("config/lists", "csv"), ("config", "yaml")] {
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
