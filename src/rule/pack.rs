//! Signed packs: a folder of rules with whatever belongs to them, and beside them the digest of every file with a signature
//! (Ed25519) over all of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::{PartDifference, RuleManifest};
use crate::{
    access::seal::{SealKey, is_signed},
    diagnostic::os_reason,
    private, say,
    text::quoted,
};

/// The file of the signature in a pack.
pub(crate) const SIGNATURE: &str = "pack.sig";

/// The files of a pack, and their bytes.
const FILES_MAX: usize = 10_000;
const BYTES_MAX: u64 = 64 << 20;

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    /// The public key, in hexadecimal.
    key: String,
    /// Of the manifest's canonical text.
    signature: String,
    manifest: RuleManifest,
}

/// Signs a pack. The digest of its manifest.
///
/// # Errors
/// If a file cannot be read, or the signature not written.
pub(crate) fn sign(folder: &Path, key: &SealKey) -> Result<String, String> {
    let manifest = manifest(folder)?;
    let signature = key.sign(&message(&manifest)).map_err(|why| why.to_string())?;
    let signed = Signed { key: key.public(), signature, manifest };
    let text = serde_json::to_string(&signed).map_err(|e| e.to_string())? + "\n";
    let file = folder.join(SIGNATURE);
    private::write(&file, text.as_bytes()).map_err(|e| told(&file, &e))?;
    Ok(signed.manifest.digest())
}

/// Checks a pack: the public key that signed it, and the digest of its manifest.
///
/// # Errors
/// If it has no signature, the signature is not that of `key` or of the key that it names, or a file is another one.
pub(crate) fn verify(folder: &Path, key: Option<&str>) -> Result<(String, String), String> {
    let file = folder.join(SIGNATURE);
    let text = std::fs::read_to_string(&file).map_err(|e| told(&file, &e))?;
    let place = file.display();
    let Ok(signed) = serde_json::from_str::<Signed>(&text) else {
        return Err(say!("{place} is no signature of a pack; sign it with `fiscwatch rules sign`", place));
    };
    if let Some(wanted) = key.filter(|wanted| !wanted.eq_ignore_ascii_case(&signed.key)) {
        return Err(say!(
            "{place} is signed by {found} and not by {wanted}: ask whoever made the pack",
            place,
            found = quoted(&signed.key),
            wanted = quoted(wanted)
        ));
    }
    if !is_signed(&signed.key, &message(&signed.manifest), &signed.signature) {
        return Err(say!(
            "{place} was changed: its signature is not that of the key that it names. Get the pack again",
            place
        ));
    }
    let found = manifest(folder)?;
    let differs = found.since(&signed.manifest);
    match differs.is_empty() {
        true => Ok((signed.key, found.digest())),
        false => Err(say!(
            "these files are not as they were signed: {files}. Get the pack again, or sign it again after looking at them",
            files = named(&differs)
        )),
    }
}

/// What is signed; no other text of the program begins so.
fn message(manifest: &RuleManifest) -> Vec<u8> {
    format!("fiscwatch pack 1\n{}", manifest.text()).into_bytes()
}

fn named(differs: &std::collections::BTreeMap<&str, PartDifference>) -> String {
    const NAMED: usize = 10;
    let names = differs.iter().take(NAMED).map(|(name, what)| match what {
        PartDifference::Added => say!("{name} (new)", name),
        PartDifference::Changed => say!("{name} (changed)", name),
        PartDifference::Removed => say!("{name} (missing)", name),
    });
    names.chain((differs.len() > NAMED).then(|| String::from("…"))).collect::<Vec<_>>().join(", ")
}

fn told(file: &Path, error: &std::io::Error) -> String {
    format!("{}: {}", file.display(), os_reason(error))
}

/// Every file of a folder but the signature.
fn manifest(folder: &Path) -> Result<RuleManifest, String> {
    let (mut folders, mut files) = (vec![folder.to_owned()], Vec::new());
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).map_err(|e| told(&next, &e))? {
            let path = entry.map_err(|e| told(&next, &e))?.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path == folder.join(SIGNATURE) => {}
                false => files.push(path),
            }
            if files.len() + folders.len() > FILES_MAX {
                return Err(say!(
                    "{folder} has more than {most} files",
                    folder = folder.display(),
                    most = FILES_MAX
                ));
            }
        }
    }
    let roots: [PathBuf; 1] = [folder.to_owned()];
    let (mut manifest, mut bytes) = (RuleManifest::default(), 0);
    for file in files {
        bytes += std::fs::metadata(&file).map_err(|e| told(&file, &e))?.len();
        if bytes > BYTES_MAX {
            return Err(say!(
                "{folder} has more than {mib} MiB",
                folder = folder.display(),
                mib = BYTES_MAX >> 20
            ));
        }
        manifest.add_file(&file, &roots, &std::fs::read(&file).map_err(|e| told(&file, &e))?);
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_whole_or_its_damage_is_named() {
        let pack = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(pack.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(pack.path().join(name), text).unwrap();
        };
        write("rules/a.yaml", "rules: []");
        write("lists/black.csv", "account\n1\n");
        let (key, other) = (SealKey::make(), SealKey::make());
        assert!(verify(pack.path(), None).unwrap_err().contains(SIGNATURE));
        let digest = sign(pack.path(), &key).unwrap();
        assert_eq!(verify(pack.path(), Some(&key.public())), Ok((key.public(), digest)));
        assert!(verify(pack.path(), Some(&other.public())).unwrap_err().contains("and not by"));

        write("rules/a.yaml", "rules: [ ]");
        write("rules/b.yaml", "rules: []");
        std::fs::remove_file(pack.path().join("lists/black.csv")).unwrap();
        let wrong = verify(pack.path(), Some(&key.public())).unwrap_err();
        for part in ["rules/a.yaml (changed)", "rules/b.yaml (new)", "lists/black.csv (missing)"] {
            assert!(wrong.contains(part), "{wrong}");
        }
        // Who changes the manifest too lacks the key.
        let text = std::fs::read_to_string(pack.path().join(SIGNATURE)).unwrap();
        let mut forged: Signed = serde_json::from_str(&text).unwrap();
        forged.manifest = manifest(pack.path()).unwrap();
        write(SIGNATURE, &serde_json::to_string(&forged).unwrap());
        assert!(verify(pack.path(), Some(&key.public())).unwrap_err().contains("was changed"));
    }
}
