//! Files and addresses that a daemon meets only while it runs: what is wrong with them is told by `check` and by a start, and
//! not by the first login, or by the first seal of the audit log.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::Path,
};

use reqwest::Certificate;

use crate::{
    config::Config,
    daemon,
    diagnostic::{Diagnostic, os_reason},
    http, say,
};

/// The longest path of a socket (`sun_path`, unix(7)), without the zero at its end.
const SOCKET_MAX: usize = 107;

/// What is wrong with them.
#[must_use]
pub(crate) fn misplaced(config: &Config) -> Vec<Diagnostic> {
    let (oidc, directory) = (&config.clients.oidc, &config.clients.directory);
    let checks = [
        addresses(config),
        config.clients.socket.as_deref().map_or(Ok(()), socket),
        daemon::look_at_key(config),
        config.audit.key_file.as_deref().map_or(Ok(()), |path| written("audit.key_file", path)),
        config.audit.head_file.as_deref().map_or(Ok(()), |path| written("audit.head_file", path)),
        authority("http.oidc.ca_file", oidc.as_ref().and_then(|oidc| oidc.ca_file.as_deref())),
        authority("http.ldap.ca_file", directory.as_ref().and_then(|of| of.spec.ca_file.as_deref())),
        directory.as_ref().map_or(Ok(()), http::check_directory),
    ];
    let wrong = checks.into_iter().filter_map(Result::err);
    wrong.map(|why| Diagnostic::of_file(&config.file, why, None)).collect()
}

/// Two of our own on one port would be told as another program's.
fn addresses(config: &Config) -> Result<(), String> {
    let all = [
        ("http.listen", Some(config.listen)),
        ("http.ingest", config.clients.ingest),
        ("http.scrape", config.clients.scrape),
    ];
    let mut known: BTreeMap<u16, Vec<(&str, SocketAddr)>> = BTreeMap::new();
    for (key, address) in all.into_iter().filter_map(|(key, address)| Some((key, address?))) {
        let meets = |other: &SocketAddr| {
            other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified()
        };
        let same = known.entry(address.port()).or_default();
        if let Some((other, _)) = same.iter().find(|(_, other)| address.port() != 0 && meets(other)) {
            return Err(say!(
                "{key} and {other} are one address, {address}: give each a port of its own",
                key,
                other,
                address
            ));
        }
        same.push((key, address));
    }
    Ok(())
}

fn socket(path: &Path) -> Result<(), String> {
    let fail = |why: String| say!("{key} {path}: {why}", key = "http.socket", path = path.display(), why);
    if path.as_os_str().as_bytes().len() > SOCKET_MAX {
        return Err(fail(say!("it is longer than {n} bytes, which no socket's path may be", n = SOCKET_MAX)));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            Err(fail(say!("there is something else at this path")))
        }
        Ok(_) => Ok(()),
        Err(_) => in_a_folder(path).map_err(fail),
    }
}

/// A file that is written, and need not be there yet.
fn written(key: &str, path: &Path) -> Result<(), String> {
    let fail = |why: String| say!("{key} {path}: {why}", key, path = path.display(), why);
    if path.is_dir() {
        return Err(fail(say!("it is a folder")));
    }
    in_a_folder(path).map_err(fail)
}

fn in_a_folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(say!("{folder} is no folder", folder = folder.display())),
        Err(error) => Err(say!("{folder}: {reason}", folder = folder.display(), reason = os_reason(&error))),
    }
}

fn authority(key: &str, path: Option<&Path>) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let fail = |why: String| say!("{key} {path}: {why}", key, path = path.display(), why);
    let text = fs::read(path).map_err(|e| fail(os_reason(&e)))?;
    match Certificate::from_pem_bundle(&text).unwrap_or_default().is_empty() {
        true => Err(fail(say!("there is no certificate (PEM) in it"))),
        false => Ok(()),
    }
}
