//! The sinks as they are written: where notifications go. `notify::build` makes them.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{diagnostic::os_reason, rule::Language, say};

/// One sink; it has exactly one kind.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSpec {
    /// Its name, for routes, messages, metrics and the outbox. Do not change it: what waits belongs to it.
    pub name: String,
    /// Notifications under way to it at once.
    #[serde(default = "concurrency")]
    pub concurrency: usize,
    /// Notifications a minute, at most; without it, as many as it takes.
    pub per_minute: Option<u32>,
    /// Mail.
    pub email: Option<EmailSpec>,
    /// Alertmanager.
    pub alertmanager: Option<AlertmanagerSpec>,
    /// A program that takes JSON over HTTP.
    pub webhook: Option<WebhookSpec>,
    /// A Kafka topic.
    pub kafka: Option<KafkaSinkSpec>,
    /// The log.
    pub log: Option<LogSinkSpec>,
}

const fn concurrency() -> usize {
    4
}

/// Mail.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailSpec {
    /// `host` or `host:port`, tried in this order.
    pub servers: Vec<String>,
    /// How the connection is protected.
    #[serde(default)]
    pub security: Security,
    /// Certificates to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name to log in with.
    pub user: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// The password; for a variable of the environment, not for the file.
    pub password: Option<Secret>,
    /// The sender, `name <address>` or an address.
    pub from: String,
    /// Where answers go; the sender by default.
    pub reply_to: Option<String>,
    /// The recipients; each gets a mail of its own.
    pub to: Vec<String>,
    /// The name for EHLO, if the server insists on a full one.
    pub hello: Option<String>,
    /// `zh` or `en`, for the words around; what rules say is in the configuration's `language`, which is the default here.
    pub language: Option<Language>,
    /// Whether account numbers and names of natural persons are masked.
    #[serde(default = "yes")]
    pub mask: bool,
    /// Whether the evidence is attached as CSV.
    #[serde(default = "yes")]
    pub attach_evidence: bool,
    /// How long connecting, TLS, the greeting and the login may take together.
    #[serde(default = "thirty_seconds")]
    pub connect_timeout: String,
    /// How long the answer to a command may take.
    #[serde(default = "one_minute")]
    pub command_timeout: String,
    /// How long the server may take to accept the mail after its last byte (RFC 5321 asks for 10 minutes).
    #[serde(default = "ten_minutes")]
    pub accept_timeout: String,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// STARTTLS, and no mail without it (port 587).
    #[default]
    Starttls,
    /// TLS from the first byte (port 465).
    Tls,
    /// Nothing: only for a server on the same machine or a network of its own (port 25).
    Plain,
}

/// Alertmanager, API v2.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSpec {
    /// Every instance of the cluster, such as `http://am1:9093`; each is told everything.
    pub urls: Vec<String>,
    /// The name for basic authentication.
    pub user: Option<String>,
    /// A file with its password.
    pub password_file: Option<PathBuf>,
    /// Its password; for a variable of the environment, not for the file.
    pub password: Option<Secret>,
    /// A file with a bearer token.
    pub bearer_token_file: Option<PathBuf>,
    /// The bearer token; for a variable of the environment.
    pub bearer_token: Option<Secret>,
    /// Certificates to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// Labels added to every alert.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether account numbers and names of natural persons are masked.
    #[serde(default = "yes")]
    pub mask: bool,
    /// How often alerts are sent again so that Alertmanager does not take them for ended.
    #[serde(default = "one_minute")]
    pub resend: String,
    /// How long an answer may take.
    #[serde(default = "ten_seconds")]
    pub timeout: String,
}

/// A program that takes JSON over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where to post. Never shown: many receivers are told apart by a token in it.
    pub url: Secret,
    /// A file with the secret of the signature.
    pub secret_file: Option<PathBuf>,
    /// The secret; for a variable of the environment, not for the file.
    pub secret: Option<Secret>,
    /// A file with a bearer token.
    pub bearer_token_file: Option<PathBuf>,
    /// The bearer token; for a variable of the environment.
    pub bearer_token: Option<Secret>,
    /// Certificates to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// A proxy; those of the environment are not used.
    pub proxy: Option<String>,
    /// Whether account numbers and names of natural persons are masked.
    #[serde(default = "yes")]
    pub mask: bool,
    /// How long an answer may take.
    #[serde(default = "thirty_seconds")]
    pub timeout: String,
}

/// A Kafka topic.
#[derive(Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSinkSpec {
    /// `host:port` of some brokers.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// librdkafka's settings: TLS, SASL and the like.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// A file with the SASL password.
    pub password_file: Option<PathBuf>,
    /// A file with the password of the TLS key.
    pub key_password_file: Option<PathBuf>,
    /// Whether account numbers and names of natural persons are masked.
    #[serde(default = "yes")]
    pub mask: bool,
    /// How long the brokers may take to confirm.
    #[serde(default = "thirty_seconds")]
    pub timeout: String,
}

/// Without the values of the properties: a password may be among them.
impl fmt::Debug for KafkaSinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSinkSpec")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("mask", &self.mask)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The log: one line an alert, without personal data.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSinkSpec {}

/// A text that is never shown. It is written out only to be put together with the environment's variables.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text that is never shown.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    #[must_use]
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The secret of a file, without the line's end, or the one given; `None` if there is neither.
    ///
    /// # Errors
    /// If the file cannot be read or is empty, or both are given.
    pub fn of(file: Option<&Path>, given: Option<&Self>, key: &str) -> Result<Option<Self>, String> {
        match (file, given) {
            (Some(_), Some(_)) => Err(say!("give {key}_file or {key}, not both", key)),
            (None, given) => Ok(given.cloned()),
            (Some(path), None) => {
                let text = std::fs::read_to_string(path).map_err(|e| {
                    say!(
                        "{key}_file {path} cannot be read: {reason}",
                        key,
                        path = path.display(),
                        reason = os_reason(&e)
                    )
                })?;
                let text = text.trim_end_matches(['\n', '\r']);
                match text.is_empty() {
                    true => Err(say!("{key}_file {path} is empty", key, path = path.display())),
                    false => Ok(Some(Self::new(text))),
                }
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl SinkSpec {
    /// The same with its paths changed, to take relative ones from the configuration's folder.
    #[must_use]
    pub fn with_paths(mut self, change: impl Fn(PathBuf) -> PathBuf) -> Self {
        let mut files: Vec<&mut Option<PathBuf>> = Vec::new();
        if let Some(email) = &mut self.email {
            files.extend([&mut email.ca_file, &mut email.password_file]);
        }
        if let Some(spec) = &mut self.alertmanager {
            files.extend([&mut spec.ca_file, &mut spec.password_file, &mut spec.bearer_token_file]);
        }
        if let Some(spec) = &mut self.webhook {
            files.extend([&mut spec.ca_file, &mut spec.secret_file, &mut spec.bearer_token_file]);
        }
        if let Some(kafka) = &mut self.kafka {
            files.extend([&mut kafka.password_file, &mut kafka.key_password_file]);
        }
        for file in files {
            *file = file.take().map(&change);
        }
        self
    }
}

fn yes() -> bool {
    true
}

fn ten_seconds() -> String {
    String::from("10s")
}

fn thirty_seconds() -> String {
    String::from("30s")
}

fn one_minute() -> String {
    String::from("1m")
}

fn ten_minutes() -> String {
    String::from("10m")
}
