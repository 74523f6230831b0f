//! TLS of the listener, by the OpenSSL that mail, webhooks, Kafka and PostgreSQL are linked with already: one library to
//! patch, and one that a site can replace by a build with national ciphers. Versions 1.2 and 1.3, with the ciphers that
//! Mozilla calls intermediate. Certificates are read again when the daemon is asked to reload.

use std::{fmt, path::Path, pin::Pin, sync::Arc};

use openssl::{
    asn1::Asn1Time,
    error::ErrorStack,
    nid::Nid,
    pkey::PKey,
    ssl::{self, Ssl, SslAcceptor, SslAcceptorBuilder, SslFiletype, SslMethod, SslVerifyMode},
    x509::{X509, X509Name, X509Ref, store::X509Lookup, verify::X509VerifyFlags},
};
use parking_lot::RwLock;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::{
    config::clients::{Clients, OwnTls},
    diagnostic::os_reason,
    say,
    telemetry::Metrics,
};

/// Before its end, the log tells of a certificate so many days at each start and reload.
const SOON: i32 = 30;

/// What connections are accepted with.
pub struct ServerTls {
    files: OwnTls,
    acceptor: RwLock<SslAcceptor>,
    metrics: Arc<Metrics>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Reads the files, if the daemon speaks TLS itself.
    ///
    /// # Errors
    /// Which file is wrong, and what with it.
    pub fn of(clients: &Clients, metrics: &Arc<Metrics>) -> Result<Option<Arc<Self>>, String> {
        let Some(files) = &clients.tls else { return Ok(None) };
        let (acceptor, ends) = read(files)?;
        let own =
            Self { files: files.clone(), acceptor: RwLock::new(acceptor), metrics: Arc::clone(metrics) };
        own.tell(ends);
        Ok(Some(Arc::new(own)))
    }

    /// Reads the files again. What is wrong is told, and the old ones stay.
    pub fn read_again(&self) {
        match read(&self.files) {
            Ok((acceptor, ends)) => {
                *self.acceptor.write() = acceptor;
                self.tell(ends);
                tracing::info!("the certificate was read again");
            }
            Err(why) => tracing::error!("the certificate of before stays: {why}"),
        }
    }

    /// Accepts a connection, and gives the name in the client's certificate if it showed one.
    ///
    /// # Errors
    /// If the client speaks no TLS that we speak, or shows a certificate of somebody else's.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<(SslStream<TcpStream>, Option<String>), ssl::Error> {
        let ssl = {
            let acceptor = self.acceptor.read();
            Ssl::new(acceptor.context())?
        };
        let mut stream = SslStream::new(ssl, stream)?;
        Pin::new(&mut stream).accept().await?;
        let name = stream.ssl().peer_certificate().as_deref().and_then(common_name);
        Ok((stream, name))
    }

    fn tell(&self, (days, at): (i32, i64)) {
        self.metrics.tls_not_after.set(at);
        if days < SOON {
            tracing::warn!(days, "the certificate of http.certificate ends soon, or has ended");
        }
    }
}

/// Whether the files can be used.
///
/// # Errors
/// Which one is wrong, and what with it.
pub(crate) fn check(files: &OwnTls) -> Result<(), String> {
    read(files).map(|_| ())
}

/// What the files say, and when the certificate ends: in days from now, and in seconds since 1970.
fn read(files: &OwnTls) -> Result<(SslAcceptor, (i32, i64)), String> {
    let text = contents("http.certificate", &files.certificate)?;
    let key = contents("http.key", &files.key)?;
    let mut builder =
        SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).map_err(|e| e.to_string())?;
    let certificate = X509::from_pem(&text)
        .and_then(|certificate| builder.set_certificate_chain_file(&files.certificate).map(|()| certificate))
        .map_err(|e| {
            wrong("http.certificate", &files.certificate, &e, || say!("there is no certificate (PEM) in it"))
        })?;
    let key = PKey::private_key_from_pem_callback(&key, |_| Ok(0)).map_err(|e| {
        let why = || say!("there is no private key (PEM, without a password) in it");
        wrong("http.key", &files.key, &e, why)
    })?;
    builder.set_private_key(&key).and_then(|()| builder.check_private_key()).map_err(|e| {
        let why = || say!("it is not the key of the certificate in http.certificate");
        wrong("http.key", &files.key, &e, why)
    })?;
    if let Some(ca) = &files.client_ca {
        contents("http.client_ca", ca)?;
        trust(&mut builder, ca)
            .map_err(|e| wrong("http.client_ca", ca, &e, || say!("there is no certificate (PEM) in it")))?;
    }
    if let Some(list) = &files.client_crl {
        contents("http.client_crl", list)?;
        revoke(&mut builder, list).map_err(|e| {
            wrong("http.client_crl", list, &e, || {
                say!("there is no list of revoked certificates (PEM) in it")
            })
        })?;
    }
    let ends = ends(&certificate).map_err(|e| e.to_string())?;
    Ok((builder.build(), ends))
}

/// Asks clients for a certificate of this authority; who shows none still has to say who they are.
fn trust(builder: &mut SslAcceptorBuilder, ca: &Path) -> Result<(), ErrorStack> {
    builder.set_ca_file(ca)?;
    builder.set_client_ca_list(X509Name::load_client_ca_file(ca)?);
    builder.set_session_id_context(b"fiscwatch")?;
    builder.set_verify(SslVerifyMode::PEER);
    Ok(())
}

/// Refuses clients whose certificates are in a list of the authority; all of them once the list has expired.
fn revoke(builder: &mut SslAcceptorBuilder, list: &Path) -> Result<(), ErrorStack> {
    let store = builder.cert_store_mut();
    store.add_lookup(X509Lookup::file())?.load_crl_file(list, SslFiletype::PEM)?;
    store.set_flags(X509VerifyFlags::CRL_CHECK)
}

fn contents(key: &str, path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path)
        .map_err(|e| say!("{key} {path}: {reason}", key, path = path.display(), reason = os_reason(&e)))
}

/// What is wrong in our words; the library's go to the log at its lowest level.
fn wrong(key: &str, path: &Path, error: &ErrorStack, why: impl Fn() -> String) -> String {
    tracing::debug!("{key}: {error}");
    say!("{key} {path}: {reason}", key, path = path.display(), reason = why())
}

fn ends(certificate: &X509Ref) -> Result<(i32, i64), ErrorStack> {
    let until = certificate.not_after();
    let days = Asn1Time::days_from_now(0)?.diff(until)?.days;
    let since_1970 = Asn1Time::from_unix(0)?.diff(until)?;
    Ok((days, i64::from(since_1970.days) * 86_400 + i64::from(since_1970.secs)))
}

fn common_name(certificate: &X509Ref) -> Option<String> {
    let name = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next()?;
    Some(name.data().to_string().ok()?).filter(|name: &String| !name.is_empty())
}
