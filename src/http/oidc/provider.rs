//! Talking with the provider: what it says of itself (discovery), its keys, and the exchange of a code for a token. Every
//! wait and every answer is bounded, and no redirect is followed.

use std::{sync::Arc, time::Duration};

use reqwest::{Certificate, Client, RequestBuilder, Url, header, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use super::{
    super::arrival::ProviderError,
    claims::IdToken,
    jose::{Keys, Token},
};
use crate::{
    config::oidc::{Oidc, trusted},
    diagnostic::os_reason,
    say,
};

/// How long an answer is waited for, and how long it may be.
const PATIENCE: Duration = Duration::from_secs(10);
const ANSWER_MAX: usize = 1 << 20;
/// How long what the provider says of itself, and its keys, are believed without asking again.
const METADATA_FOR: Duration = Duration::from_hours(1);
const KEYS_FOR: Duration = Duration::from_mins(10);
/// Keys are asked for because one is missing no more often.
const KEYS_AGAIN: Duration = Duration::from_secs(10);

/// What a provider says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    pub end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

pub(super) struct Provider {
    pub config: Oidc,
    client: Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    metadata: Option<(std::time::Instant, Arc<Metadata>)>,
    keys: Option<(std::time::Instant, Arc<Keys>)>,
    /// When a key was missing last.
    missed: Option<std::time::Instant>,
}

impl Provider {
    /// One that was not asked yet.
    ///
    /// # Errors
    /// If `ca_file` cannot be used.
    pub(super) fn new(config: &Oidc) -> Result<Self, String> {
        let mut client = Client::builder()
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("fiscwatch/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(path) = &config.ca_file {
            let fail =
                |reason: String| say!("http.oidc.ca_file {path}: {reason}", path = path.display(), reason);
            let text = std::fs::read(path).map_err(|e| fail(os_reason(&e)))?;
            let certificates = Certificate::from_pem_bundle(&text).unwrap_or_default();
            if certificates.is_empty() {
                return Err(fail(say!("there is no certificate (PEM) in it")));
            }
            client = client.tls_certs_merge(certificates);
        }
        let client = client.build().map_err(|e| e.to_string())?;
        Ok(Self { config: config.clone(), client, known: Mutex::default() })
    }

    /// What the provider says of itself, if it is the one that is configured.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some((at, metadata)) = &known.metadata
            && at.elapsed() < METADATA_FOR
        {
            return Ok(Arc::clone(metadata));
        }
        let issuer = &self.config.issuer;
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata: Metadata = answer(self.client.get(&address)).await?;
        if metadata.issuer != *issuer {
            return Err(ProviderError(format!("it names itself {:?} and not {issuer:?}", metadata.issuer)));
        }
        let Metadata { authorization_endpoint, token_endpoint, jwks_uri, .. } = &metadata;
        for url in [authorization_endpoint, token_endpoint, jwks_uri]
            .into_iter()
            .chain(&metadata.end_session_endpoint)
        {
            trusted(url)?;
        }
        let metadata = Arc::new(metadata);
        known.metadata = Some((std::time::Instant::now(), Arc::clone(&metadata)));
        Ok(metadata)
    }

    /// What it has said of itself, if nobody asks it at this moment.
    pub(super) fn at_hand(&self) -> Option<Arc<Metadata>> {
        let known = self.known.try_lock().ok()?;
        known.metadata.as_ref().map(|(_, metadata)| Arc::clone(metadata))
    }

    /// Its keys; those that are known, unless they are old or one is missing.
    async fn keys(&self, metadata: &Metadata, is_missing: bool) -> Result<Arc<Keys>, ProviderError> {
        let mut known = self.known.lock().await;
        let asked = known.missed.is_some_and(|at| at.elapsed() < KEYS_AGAIN);
        if let Some((at, keys)) = &known.keys
            && at.elapsed() < KEYS_FOR
            && (!is_missing || asked)
        {
            return Ok(Arc::clone(keys));
        }
        if is_missing {
            known.missed = Some(std::time::Instant::now());
        }
        let keys: Arc<Keys> = Arc::new(answer(self.client.get(&metadata.jwks_uri)).await?);
        known.keys = Some((std::time::Instant::now(), Arc::clone(&keys)));
        Ok(keys)
    }

    /// Exchanges a code for what the provider says of whoever brought it.
    pub(super) async fn exchange(
        &self,
        code: &str,
        verifier: &str,
        back: &str,
    ) -> Result<IdToken, ProviderError> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        let metadata = self.metadata().await?;
        let (id, secret) = (&*self.config.client_id, self.config.client_secret.as_ref());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
        ];
        let methods = &metadata.token_endpoint_auth_methods_supported;
        let is_basic = methods.is_empty() || methods.iter().any(|method| method == "client_secret_basic");
        let mut request = self.client.post(&metadata.token_endpoint);
        match secret {
            // Both parts are encoded first (RFC 6749 §2.3.1).
            Some(secret) if is_basic => {
                request = request.basic_auth(encoded(id), Some(encoded(secret.reveal())));
            }
            Some(secret) => form.extend([("client_id", id), ("client_secret", secret.reveal())]),
            None => form.push(("client_id", id)),
        }
        let body = query(&form);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let tokens: Tokens = answer(request).await?;
        let token = Token::read(&tokens.id_token).ok_or("the ID token is no signed token")?;
        match token.claims(&*self.keys(&metadata, false).await?) {
            Some(claims) => Ok(claims),
            // It may have a new key since.
            None => token
                .claims(&*self.keys(&metadata, true).await?)
                .ok_or_else(|| ProviderError::from("the ID token is signed by none of the provider's keys")),
        }
    }
}

/// An answer in JSON; what a refusal says is for the log.
async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, ProviderError> {
    let say = |error: reqwest::Error| ProviderError(error.without_url().to_string());
    let mut response = request.header(header::ACCEPT, "application/json").send().await.map_err(say)?;
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(say)? {
        if body.len() + part.len() > ANSWER_MAX {
            return Err(ProviderError(format!("its answer is longer than {ANSWER_MAX} bytes")));
        }
        body.extend_from_slice(&part);
    }
    if !response.status().is_success() {
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let refusal = serde_json::from_slice(&body).map_or_else(|_| String::new(), |r: Refusal| r.error);
        let refusal: String = refusal.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(ProviderError(format!("it answers {} {refusal}", response.status().as_u16())));
    }
    serde_json::from_slice(&body).map_err(|e| ProviderError(format!("its answer cannot be read: {e}")))
}

/// Pairs as a form or an address has them.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://x/", pairs).ok();
    url.as_ref().and_then(Url::query).unwrap_or_default().to_owned()
}

fn encoded(text: &str) -> String {
    query(&[("x", text)]).split_off(2)
}
