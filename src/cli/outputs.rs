//! Files that a command writes, beside those that it reads.

use std::path::{Path, PathBuf};

use super::usage::WrongUsage;
use crate::say;

/// The file that an option names to be written.
pub(crate) type OutputFile<'o> = (&'static str, Option<&'o Path>);

/// Checks, before anything is written, that no file is written twice and none that is read; of a folder that is read, none
/// that is in it already.
///
/// # Errors
/// The options, and the file.
pub(crate) fn check_outputs<'r>(
    outputs: &[OutputFile<'_>],
    read: impl IntoIterator<Item = &'r Path>,
) -> Result<(), WrongUsage> {
    let inputs: Vec<PathBuf> = read.into_iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mut written: Vec<(&str, PathBuf)> = Vec::new();
    for (option, path) in outputs {
        let Some((path, place)) = path.and_then(|path| Some((path.display(), place_of(path)?))) else {
            continue;
        };
        let is_in = |input: &PathBuf| *input == place || (place.exists() && place.starts_with(input));
        if inputs.iter().any(is_in) {
            return Err(WrongUsage(say!(
                "{option} would write over {path}, which is read: name another file",
                option,
                path
            )));
        }
        if let Some((other, _)) = written.iter().find(|(_, before)| *before == place) {
            return Err(WrongUsage(say!(
                "{option} and {other} name one file, {path}: name two",
                option,
                other,
                path
            )));
        }
        written.push((option, place));
    }
    Ok(())
}

/// Where a file is or will be, however it is named; `None` of a device, and where its folder is not there.
fn place_of(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = path.canonicalize() {
        return Some(place).filter(|place| place.is_file());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(folder.canonicalize().ok()?.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_written_that_is_read_or_written_already() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir(path("rules")).unwrap();
        for name in ["events.jsonl", "rules/a.yaml"] {
            std::fs::write(path(name), "x").unwrap();
        }
        std::os::unix::fs::symlink(path("events.jsonl"), path("link")).unwrap();
        let (events, rules) = (path("events.jsonl"), path("rules"));
        let check = |findings: &str, ledger: &str| {
            let (findings, ledger) = (path(findings), path(ledger));
            let outputs =
                [("--findings", Some(&*findings)), ("--ledger", Some(&*ledger)), ("--scores", None)];
            check_outputs(&outputs, [&*events, &*rules]).map_err(|error| error.0)
        };
        assert_eq!(check("found", "rules/ledger.jsonl"), Ok(()));
        for over in ["events.jsonl", "./rules/../events.jsonl", "link", "rules/a.yaml"] {
            assert!(check("found", over).unwrap_err().starts_with("--ledger would write over"), "{over}");
        }
        assert!(check("found", "./found").unwrap_err().contains("--findings name one file"));
        assert_eq!(
            check_outputs(
                &[("--findings", Some(Path::new("/dev/null"))), ("--ledger", Some(Path::new("/dev/null")))],
                []
            )
            .map_err(|e| e.0),
            Ok(())
        );
    }
}
