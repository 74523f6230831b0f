//! Paths that files name, relative to their own folder, as people would write them from where they stand.

use std::path::{Component, Path, PathBuf};

/// `path` taken from `folder`, without the `..` that only leads back: messages show what is read here.
#[must_use]
pub(crate) fn from_folder(folder: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir if leads_back(&clean) => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// Whether `..` behind a path is the folder before its last part: behind a link it is another one.
fn leads_back(path: &Path) -> bool {
    matches!(path.components().next_back(), Some(Component::Normal(_))) && !path.is_symlink()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_back_is_left_out() {
        let from = |folder: &str, path: &str| from_folder(Path::new(folder), path);
        for (folder, path, wanted) in [
            ("config", "../my-rules", "my-rules"),
            ("", "rules", "rules"),
            ("config", "lists/a.csv", "config/lists/a.csv"),
            ("config", "..", "."),
            ("", "../rules", "../rules"),
            ("../other/config", "../../rules", "../rules"),
            ("config", "/etc/rules", "/etc/rules"),
        ] {
            assert_eq!(from(folder, path), PathBuf::from(wanted), "{path} from {folder}");
        }
    }

    #[test]
    fn a_link_is_followed_before_going_up() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("elsewhere/config", dir.path().join("config")).unwrap();
        let kept = from_folder(&dir.path().join("config"), "../rules");
        assert_eq!(kept, dir.path().join("config/../rules"));
    }
}
