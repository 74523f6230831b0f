//! What the HTTP server grants its clients.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ::http::{Uri, uri::Authority};

use super::{
    ldap::Directory,
    oidc::Oidc,
    raw,
    resolve::{Resolver, address, header_name},
};
use crate::{event::duration, say, text::quoted};

/// The fewest and the most connections at a time.
const CONNECTIONS: (usize, usize) = (16, 65_536);

/// Which requests are taken, and how much of everything clients may take up.
#[derive(Debug, Clone)]
// Each is a key of the configuration, or follows from one.
#[allow(clippy::struct_excessive_bools)]
pub struct Clients {
    /// Where programs send events and applications, if not where all else is.
    pub ingest: Option<SocketAddr>,
    /// Where metrics are scraped, if not where all else is.
    pub scrape: Option<SocketAddr>,
    /// The socket for commands on this machine.
    pub socket: Option<PathBuf>,
    /// Names that the server answers to, in lower case; one that begins with `*.` stands for all below it.
    pub hosts: Vec<String>,
    /// Whether it answers to every name.
    pub any_host: bool,
    /// Host and port that people reach the daemon by.
    pub site: Option<String>,
    /// Connections at a time.
    pub connections: usize,
    /// How long a connection may take until the head of its next request is there.
    pub head_time: Duration,
    /// How long a client may take to send a body, or to take an answer.
    pub body_time: Duration,
    /// Bytes of event bodies that are held at a time.
    pub bodies_bytes: usize,
    /// Requests a second of one identity.
    pub rate: u32,
    /// Whether requests must say who sends them.
    pub auth: bool,
    /// Whether whoever logs in by a password needs a second factor.
    pub second_factor: bool,
    /// The request header in which a proxy in front tells who is logged in.
    pub user_header: Option<String>,
    /// Proxies that are believed; those of this machine if there are none.
    pub proxies: Vec<IpAddr>,
    /// The files of the daemon's own TLS.
    pub tls: Option<OwnTls>,
    /// Whether clients come through a proxy, which tells their addresses.
    pub behind_proxy: bool,
    /// Whether browsers speak TLS with us, so that they may keep cookies from plain connections.
    pub secure: bool,
    /// The provider of identities by which people log in.
    pub oidc: Option<Oidc>,
    /// The directory whose passwords people log in by.
    pub directory: Option<Directory>,
    /// Users that anybody can be by one click: of a demo on this machine, never of a configuration.
    pub offers: Vec<DemoLogin>,
}

/// A user of a demo, and what one logs in with to be them.
#[derive(Debug, Clone)]
pub struct DemoLogin {
    pub user: String,
    /// Their password, which is made up for one run.
    pub password: String,
    /// What they are there for.
    pub role: &'static str,
}

/// The files of the daemon's own TLS.
#[derive(Debug, Clone)]
pub struct OwnTls {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates clients may show.
    pub client_ca: Option<PathBuf>,
    /// Which of them are revoked.
    pub client_crl: Option<PathBuf>,
}

impl Clients {
    pub(super) fn resolve(resolver: &mut Resolver<'_>, raw: &raw::RawConfig) -> Self {
        let (http, external_url) = (&raw.http, raw.external_url.as_ref());
        let answer_url = raw.alerts.explain.as_ref().and_then(|explain| explain.answer_url.as_ref());
        let site = external_url.and_then(|url| url.parse::<Uri>().ok()?.authority().cloned());
        let is_https = external_url.is_some_and(|url| url.starts_with("https://"));
        let host_of_site = site.as_ref().map(|site| site.host().to_ascii_lowercase());
        let host_of_answers =
            answer_url.and_then(|url| Some(url.parse::<Uri>().ok()?.host()?.to_ascii_lowercase()));
        let any_host = http.hosts.iter().any(|name| name == "*");
        let named = http.hosts.iter().filter(|name| *name != "*");
        let named: Vec<_> = named.map(|name| resolver.value("http.hosts", host(name))).collect();
        let own =
            |key: &str, text: &Option<String>| text.as_deref().map(|text| address(key, text)).transpose();
        let (ingest, scrape) = (own("http.ingest", &http.ingest), own("http.scrape", &http.scrape));
        Self {
            ingest: resolver.told(ingest),
            scrape: resolver.told(scrape),
            socket: http.socket.clone().map(|path| resolver.path(path)),
            hosts: named.into_iter().chain(host_of_site).chain(host_of_answers).collect(),
            any_host,
            site: site.map(|site| site.as_str().to_ascii_lowercase()),
            connections: resolver.within("http.connections", http.connections, CONNECTIONS),
            head_time: resolver.value("http.head_time", duration(&http.head_time)),
            body_time: resolver.value("http.body_time", duration(&http.body_time)),
            // One body always has room.
            bodies_bytes: (resolver.within("http.bodies_mib", http.bodies_mib, (0, 1 << 20)) << 20)
                .max(http.body_bytes_max),
            rate: resolver.within("http.rate", http.rate, (1, 100_000)),
            auth: http.auth,
            second_factor: http.second_factor,
            user_header: http
                .user_header
                .as_deref()
                .map(|name| resolver.value("http.user_header", header_name(name))),
            proxies: http
                .proxies
                .iter()
                .filter_map(|address| resolver.value("http.proxies", proxy(address).map(Some)))
                .collect(),
            tls: own_tls(resolver, http),
            behind_proxy: http.tls == Some(raw::TlsTermination::Proxy)
                || http.user_header.is_some()
                || !http.proxies.is_empty(),
            secure: http.tls.is_some() || is_https,
            oidc: resolver.oidc(http, external_url),
            directory: resolver.ldap(http),
            offers: Vec::new(),
        }
    }
}

impl Clients {
    /// Whether a proxy at this address is believed.
    #[must_use]
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        match self.proxies.as_slice() {
            [] => address.to_canonical().is_loopback(),
            proxies => proxies.contains(&address.to_canonical()),
        }
    }
}

/// The files that belong together, or none of them.
fn own_tls(resolver: &mut Resolver<'_>, http: &raw::Http) -> Option<OwnTls> {
    let files = [&http.certificate, &http.key, &http.client_ca, &http.client_crl];
    let files = files.map(|path| path.clone().map(|p| resolver.path(p)));
    match (http.tls, files) {
        (Some(raw::TlsTermination::Own), [_, _, None, Some(_)]) => {
            resolver.problem(say!("http.client_crl needs http.client_ca"));
            None
        }
        (Some(raw::TlsTermination::Own), [Some(certificate), Some(key), client_ca, client_crl]) => {
            Some(OwnTls { certificate, key, client_ca, client_crl })
        }
        (Some(raw::TlsTermination::Own), _) => {
            resolver.problem(say!("http.tls: own needs http.certificate and http.key"));
            None
        }
        (_, [None, None, None, None]) => None,
        _ => {
            resolver.problem(say!(
                "http.certificate, http.key, http.client_ca and http.client_crl need http.tls: own"
            ));
            None
        }
    }
}

fn proxy(address: &str) -> Result<IpAddr, String> {
    let parsed = address.parse();
    parsed.map_err(|_| say!("{address} is no IP address such as 10.1.2.3", address = quoted(address)))
}

/// A name as it stands in a request, without a port.
fn host(name: &str) -> Result<String, String> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let parsed = plain.parse::<Authority>().ok();
    let is_name = parsed.is_some_and(|a| a.host() == plain) && !plain.contains(['*', ':', '/', '@']);
    match is_name {
        true => Ok(name.trim_end_matches('.').to_ascii_lowercase()),
        false => Err(say!(
            "{name} is no name such as fiscwatch.example.gov.cn or *.svc: leave out http:// and the port",
            name = quoted(name)
        )),
    }
}
