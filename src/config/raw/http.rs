//! Who may reach the daemon, and how, as it is written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{feeds::PostedSpec, ldap::LdapSpec, oidc::OidcSpec};

/// The HTTP server.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address and port of the API and the console, and of all else that has no address of its own.
    pub listen: String,
    /// Address and port where programs send events and applications (`POST /api/v1/events`, `/api/v1/decide`), by a token or a
    /// certificate; `listen` does not take them then.
    pub ingest: Option<String>,
    /// Address and port where metrics are scraped (`/metrics`), by a token or a certificate; `listen` does not answer it then.
    pub scrape: Option<String>,
    /// A Unix socket for commands on this machine: who is at its other end, the kernel says. Commands that act on alerts and
    /// silences go through it if the state is another user's, and `--by` names nobody else any more.
    pub socket: Option<PathBuf>,
    /// Whether `POST /api/v1/events` takes events.
    pub accept_events: bool,
    /// How posted events are written.
    pub events: PostedSpec,
    /// The longest body, in bytes; 1 GiB at most.
    pub body_bytes_max: usize,
    /// Names that the server answers to besides its own, such as `fiscwatch.example.gov.cn`. `*.svc` stands for all
    /// names below `.svc`, `*` for every name. IP addresses, `localhost` and the host of `external_url` are always
    /// answered.
    pub hosts: Vec<String>,
    /// Connections at a time, 16 to 65536. Half of them can have a request under way; health and metrics are always answered.
    pub connections: usize,
    /// How long a connection may take until the head of its next request is there.
    pub head_time: String,
    /// How long a client may take to send a body, or to take an answer.
    pub body_time: String,
    /// Bytes of posted events that are processed at a time, in MiB; what comes beyond that is answered 503.
    pub bodies_mib: usize,
    /// With `auth`: requests a second that one user, one token or one unknown address may send, and ten seconds' worth at
    /// once; what comes beyond that is answered 429. 1 to 100000.
    pub rate: u32,
    /// Units with a gauge of their own, those with the most money spent.
    pub top_units: usize,
    /// The request header in which a proxy in front tells who is logged in.
    pub user_header: Option<String>,
    /// Whether requests must say who sends them: by a token, or by `user_header` from a proxy that is listed. An address
    /// that other machines reach needs it.
    pub auth: bool,
    /// Whether whoever logs in by a password needs a second factor (TOTP); who has none can only set one up. One user can be
    /// asked for it by `fiscwatch user totp`.
    pub second_factor: bool,
    /// Who speaks TLS with clients: `proxy`, if one in front does, or `own`, if the daemon does with `certificate` and `key`. An
    /// address that other machines reach needs it.
    pub tls: Option<TlsTermination>,
    /// With `tls: own`: the file of the certificate and those between it and its authority (PEM). It is read again at a reload.
    pub certificate: Option<PathBuf>,
    /// With `tls: own`: the file of its private key (PEM, without a password).
    pub key: Option<PathBuf>,
    /// With `tls: own`: the file of an authority (PEM). Who shows a certificate of it is the user that its common name names.
    pub client_ca: Option<PathBuf>,
    /// With `client_ca`: the file of its list of revoked certificates (CRL, PEM). It is read again at a reload; once it has expired,
    /// no certificate of a client is taken.
    pub client_crl: Option<PathBuf>,
    /// IP addresses of proxies whose `user_header` is believed where `auth` is on; those of this machine if none is named.
    pub proxies: Vec<String>,
    /// A provider of identities (OpenID Connect) by which people log in; it needs `auth` and `external_url`.
    pub oidc: Option<OidcSpec>,
    /// A directory (LDAP) whose passwords people log in by; it needs `auth`. Users with a password here are not asked for there.
    pub ldap: Option<LdapSpec>,
}

/// Who speaks TLS with clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Tls")]
pub enum TlsTermination {
    /// A proxy in front.
    Proxy,
    /// The daemon itself.
    Own,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: String::from("127.0.0.1:9464"),
            ingest: None,
            scrape: None,
            socket: None,
            accept_events: true,
            events: PostedSpec::default(),
            body_bytes_max: 64 << 20,
            hosts: Vec::new(),
            connections: 512,
            head_time: String::from("30s"),
            body_time: String::from("2m"),
            bodies_mib: 256,
            rate: 200,
            top_units: 20,
            user_header: None,
            auth: false,
            second_factor: false,
            tls: None,
            certificate: None,
            key: None,
            client_ca: None,
            client_crl: None,
            proxies: Vec::new(),
            oidc: None,
            ldap: None,
        }
    }
}
