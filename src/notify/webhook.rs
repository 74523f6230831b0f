//! A program that takes notifications as JSON over HTTP, signed.

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use sha2::Sha256;

use super::{
    SendError, Setup, Sink,
    client::{Login, address, client, post},
    json,
    mask::masked,
};
use crate::{
    alert::Notification,
    config::sinks::{Secret, WebhookSpec},
    event::duration,
    personal::number::NumberTail,
    text::hex,
};

/// A receiver of JSON over HTTP.
#[derive(Debug)]
pub struct Webhook {
    client: Client,
    url: Secret,
    host: String,
    secret: Option<Secret>,
    login: Login,
    mask: bool,
    setup: Setup,
}

impl Webhook {
    /// Checks the settings and reads the secrets.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(spec: &WebhookSpec, setup: &Setup) -> Result<Self, String> {
        let timeout = duration(&spec.timeout).map_err(|e| format!("timeout: {e}"))?;
        let bearer =
            Secret::of(spec.bearer_token_file.as_deref(), spec.bearer_token.as_ref(), "bearer_token")?;
        Ok(Self {
            client: client(timeout, spec.ca_file.as_deref(), spec.proxy.as_deref())?,
            host: address("url", spec.url.reveal())?,
            url: spec.url.clone(),
            secret: Secret::of(spec.secret_file.as_deref(), spec.secret.as_ref(), "secret")?,
            login: Login { basic: None, bearer },
            mask: spec.mask,
            setup: setup.clone(),
        })
    }
}

#[async_trait]
impl Sink for Webhook {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let body = match self.mask {
            true => json::notification(&masked(notification, NumberTail::Shown), &self.setup),
            false => json::notification(notification, &self.setup),
        };
        let body = body.to_string();
        let timestamp = self.setup.clock.now().as_seconds().to_string();
        let mut request = self
            .client
            .post(self.url.reveal())
            .header("Content-Type", "application/json")
            .header("X-Fiscwatch-Id", &notification.id)
            .header("Idempotency-Key", &notification.id)
            .header("X-Fiscwatch-Timestamp", &timestamp);
        if let Some(secret) = &self.secret {
            request = request.header("X-Fiscwatch-Signature", signature(secret, &timestamp, body.as_bytes()));
        }
        post(self.login.apply(request).body(body)).await.map_err(|error| match error {
            SendError::Temporary(text) => SendError::Temporary(format!("{}: {text}", self.host)),
            SendError::Later(text, wait) => SendError::Later(format!("{}: {text}", self.host), wait),
            SendError::Permanent(text) => SendError::Permanent(format!("{}: {text}", self.host)),
        })
    }
}

/// `sha256=` and HMAC-SHA256 over timestamp, a point and the body.
#[must_use]
pub fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    format!("sha256={}", hex(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python:
    /// `hmac.new(key, b"1772589600." + body, "sha256").hexdigest()`.
    #[test]
    fn signatures_are_those_of_python() {
        let cases: [(&str, &str, &str); 3] = [
            ("secret", "{}", "ba1041745030e77980b2541a85cdd3ca6c71c7d8f1ccfc4e8bbd5f6051b31cac"),
            (
                "密钥",
                "{\"summary\":\"大额提取现金\"}",
                "75125b93131d205285117a07c12ec6989ede4102ed9c36356fbc6e3d846c0356",
            ),
            (&"k".repeat(200), "", "49031b2d72b63c70d63c147b3f22679f61b227d7446c6d17b6b70f1b387e2583"),
        ];
        for (key, body, expected) in cases {
            let signed = signature(&Secret::new(key), "1772589600", body.as_bytes());
            assert_eq!(signed, format!("sha256={expected}"));
        }
    }
}
