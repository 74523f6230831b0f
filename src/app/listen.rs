//! Where the daemon listens: its addresses before the state is opened, and the socket of this machine after it, when no other
//! daemon has the state.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, ensure};
use tokio::net::{TcpListener, UnixListener};

use crate::{config::Config, diagnostic::os_reason, http::Ports, say};

/// Opens the addresses of a configuration.
///
/// # Errors
/// If one is taken or not allowed.
pub(crate) async fn open(config: &Config) -> anyhow::Result<Ports> {
    let main = listen("http.listen", config.listen).await?;
    let ingest = optional("http.ingest", config.clients.ingest).await?;
    let scrape = optional("http.scrape", config.clients.scrape).await?;
    Ok(Ports { main, ingest, scrape, local: None })
}

async fn optional(key: &str, address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    match address {
        Some(address) => listen(key, address).await.map(Some),
        None => Ok(None),
    }
}

/// Opens one address, with an error that says what to do.
///
/// # Errors
/// If it is taken or not allowed.
pub(crate) async fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        io::ErrorKind::AddrInUse => anyhow!(say!(
            "cannot listen on {address}: another program has the port, perhaps another fiscwatch. Stop it, or set {key} to another one",
            address,
            key
        )),
        _ => anyhow!(say!(
            "cannot listen on {address}: {reason}. Set {key} to an address of this machine, such as 127.0.0.1:9464, and a port above 1023",
            address,
            reason = os_reason(&e),
            key
        )),
    })
}

/// The same ports once more, so that no connection is refused between the two servers.
///
/// # Errors
/// If the system has no descriptor left.
pub(crate) fn again(ports: &Ports) -> io::Result<Ports> {
    use std::os::fd::AsFd;
    let again = |listener: &TcpListener| {
        let socket = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned()?);
        TcpListener::from_std(socket)
    };
    Ok(Ports {
        main: again(&ports.main)?,
        ingest: ports.ingest.as_ref().map(again).transpose()?,
        scrape: ports.scrape.as_ref().map(again).transpose()?,
        local: None,
    })
}

/// The file of the socket, which goes with the daemon.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Opens the socket of this machine, in place of one that a daemon left behind: whoever has the lock of the state is the only
/// one. Where people are told apart everybody may knock; else only the daemon's own user.
///
/// # Errors
/// If something else is at its path, or it cannot be made there.
pub(crate) fn local(config: &Config) -> anyhow::Result<Option<(UnixListener, SocketFile)>> {
    let Some(path) = &config.clients.socket else { return Ok(None) };
    let here = || say!("cannot make the socket {path} (http.socket)", path = path.display());
    clear(path).with_context(here)?;
    let listener = UnixListener::bind(path).map_err(|e| anyhow!(os_reason(&e))).with_context(here)?;
    let file = SocketFile(path.clone());
    let mode = if config.clients.auth { 0o666 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(here)?;
    Ok(Some((listener, file)))
}

fn clear(path: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) => {
            ensure!(found.file_type().is_socket(), say!("there is something else at this path"));
            fs::remove_file(path).map_err(|e| anyhow!(os_reason(&e)))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(anyhow!(os_reason(&e))),
    }
}
