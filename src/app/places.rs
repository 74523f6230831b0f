//! Files and addresses that a daemon meets only while it runs: what is wrong with them is told by `check` and by a start, and
//! not by the first login, or by the first seal of the audit log.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    os::unix::{ffi::OsStrExt as _, fs::FileTypeExt as _},
    path::Path,
};

use crate::{
    config::Config,
    daemon,
    diagnostic::{Diagnostic, os_reason},
    http, say,
    store::StoreError,
};

/// The longest path of a socket (`sun_path`, unix(7)), without the zero at its end.
const SOCKET_MAX: usize = 107;

/// What is wrong with them.
#[must_use]
pub(crate) fn misplaced(config: &Config) -> Vec<Diagnostic> {
    let (clients, audit) = (&config.clients, &config.audit);
    let at = |key: &str, path: Option<&Path>, check: fn(&Path) -> Result<(), String>| {
        let Some(path) = path else { return Ok(()) };
        check(path).map_err(|why| say!("{key} {path}: {why}", key, path = path.display(), why))
    };
    let checks = [
        addresses(config),
        state_dir(&config.state_dir),
        at("http.socket", clients.socket.as_deref(), socket),
        at("audit.key_file", audit.key_file.as_deref(), writable_file),
        at("audit.head_file", audit.head_file.as_deref(), writable_file),
        daemon::look_at_key(config),
        clients.oidc.as_ref().map_or(Ok(()), http::check_provider),
        clients.directory.as_ref().map_or(Ok(()), http::check_directory),
    ];
    let wrong = checks.into_iter().filter_map(Result::err);
    wrong.map(|why| Diagnostic::of_file(&config.file, why, None)).collect()
}

/// A state need not be there yet; what has its place must be a folder.
fn state_dir(path: &Path) -> Result<(), String> {
    let refused = match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => ErrorKind::NotADirectory.into(),
        Err(error) if error.kind() == ErrorKind::NotADirectory => error,
        Err(_) => return Ok(()),
    };
    Err(StoreError::Directory { path: path.to_owned(), error: refused }.to_string())
}

/// Two of our own on one port would be told as another program's.
fn addresses(config: &Config) -> Result<(), String> {
    let (listen, clients) = (("http.listen", Some(config.listen)), &config.clients);
    let (ingest, scrape) = (("http.ingest", clients.ingest), ("http.scrape", clients.scrape));
    for ((key, one), (other_key, other)) in [(ingest, listen), (scrape, listen), (scrape, ingest)] {
        if let (Some(one), Some(other)) = (one, other)
            && meet(one, other)
        {
            return Err(say!(
                "{key} and {other} are one address, {address}: give each a port of its own",
                key,
                other = other_key,
                address = one
            ));
        }
    }
    Ok(())
}

/// Port 0 is any that is free.
fn meet(one: SocketAddr, other: SocketAddr) -> bool {
    let (a, b) = (one.ip(), other.ip());
    one.port() == other.port() && one.port() != 0 && (a == b || a.is_unspecified() || b.is_unspecified())
}

fn socket(path: &Path) -> Result<(), String> {
    if path.as_os_str().as_bytes().len() > SOCKET_MAX {
        return Err(say!("it is longer than {n} bytes, which no socket's path may be", n = SOCKET_MAX));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => Err(say!("there is something else at this path")),
        Ok(_) => Ok(()),
        Err(_) => in_a_folder(path),
    }
}

/// It need not be there yet.
fn writable_file(path: &Path) -> Result<(), String> {
    if path.is_dir() { Err(say!("it is a folder")) } else { in_a_folder(path) }
}

fn in_a_folder(path: &Path) -> Result<(), String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(say!("{folder} is no folder", folder = folder.display())),
        Err(error) => Err(say!("{folder}: {reason}", folder = folder.display(), reason = os_reason(&error))),
    }
}
