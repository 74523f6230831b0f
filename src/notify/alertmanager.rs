//! Alertmanager, API v2. It forgets an alert that it is not told of again, so the alerts that there are must be sent
//! again and again (`resend.rs`), and ended ones for a while.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use reqwest::Client;
use serde_json::{Map, Value, json};

use super::{
    SendError, Setup, Sink,
    client::{Login, address, client, post},
    mask::masked,
    view::{link, one_line},
    words,
};
use crate::{
    alert::{Alert, Notification, NotifiedAlert, Reason},
    config::sinks::{AlertmanagerSpec, Secret},
    event::{Instant, TimeDelta, duration},
    personal::number::NumberTail,
    rule::Language,
    say,
    text::quoted,
};

/// Alerts in one request.
const CHUNK: usize = 500;
/// The longest annotation, in characters.
const ANNOTATION_MAX: usize = 1000;

/// The instances of a cluster.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    name: String,
    client: Client,
    /// What is shown of each instance, and where it takes alerts.
    instances: Vec<(String, String)>,
    login: Login,
    labels: BTreeMap<String, String>,
    mask: bool,
    resend: Duration,
    setup: Setup,
}

impl Alertmanager {
    /// Checks the settings and reads the secrets.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(name: &str, spec: &AlertmanagerSpec, setup: &Setup) -> Result<Self, String> {
        let password = Secret::of(spec.password_file.as_deref(), spec.password.as_ref(), "password")?;
        if spec.user.is_some() != password.is_some() {
            return Err(say!("give both user and password_file, or neither"));
        }
        let bearer =
            Secret::of(spec.bearer_token_file.as_deref(), spec.bearer_token.as_ref(), "bearer_token")?;
        if let Some(wrong) = spec.labels.keys().find(|name| label_name(name) != **name) {
            return Err(say!(
                "labels: {name} is no label name: letters, digits and _ only",
                name = quoted(wrong)
            ));
        }
        let instances = spec.urls.iter().map(|url| {
            let shown = address("urls", url)?;
            Ok((shown, format!("{}/api/v2/alerts", url.trim_end_matches('/'))))
        });
        let instances = instances.collect::<Result<Vec<_>, String>>()?;
        if instances.is_empty() {
            return Err(say!("urls: name every instance, such as http://alertmanager:9093"));
        }
        let timeout = duration(&spec.timeout).map_err(|e| format!("timeout: {e}"))?;
        let resend = duration(&spec.resend).map_err(|e| format!("resend: {e}"))?;
        Ok(Self {
            name: name.to_owned(),
            client: client(timeout, spec.ca_file.as_deref(), None)?,
            instances,
            login: Login { basic: spec.user.clone().zip(password), bearer },
            labels: spec.labels.clone(),
            mask: spec.mask,
            resend: resend.max(Duration::from_secs(1)),
            setup: setup.clone(),
        })
    }

    /// Posts to every instance; one that takes it is enough, as they tell each other.
    async fn post(&self, alerts: &[Value]) -> Result<(), SendError> {
        for chunk in alerts.chunks(CHUNK) {
            let answers = self.instances.iter().map(async |(shown, url)| {
                let request = self.client.post(url).json(&chunk);
                (shown, post(self.login.apply(request)).await)
            });
            let answers = join_all(answers).await;
            let accepted = answers.iter().any(|(_, answer)| answer.is_ok());
            let failed = answers.iter().filter_map(|(shown, answer)| Some((shown, answer.as_ref().err()?)));
            let text: Vec<_> = failed.clone().map(|(shown, error)| format!("{shown}: {error}")).collect();
            let text = text.join("; ");
            if !accepted {
                let permanent = failed.clone().all(|(_, error)| matches!(error, SendError::Permanent(_)));
                return Err(if permanent { SendError::Permanent(text) } else { SendError::Temporary(text) });
            }
            if !text.is_empty() {
                tracing::warn!(sink = %self.name, "an Alertmanager of several did not take alerts: {text}");
            }
        }
        Ok(())
    }

    /// An alert as Alertmanager takes it. Its labels are its identity there, so they hold nothing that changes but the
    /// severity, which its routes need; they depend on the alert alone.
    fn alert(&self, told: &NotifiedAlert) -> Value {
        let plain = match self.mask {
            true => mask_one(&NotifiedAlert { evidence: Vec::new(), ..told.clone() }),
            false => told.clone(),
        };
        let told = if self.mask { mask_one(told) } else { told.clone() };
        let alert = &told.alert;
        let ends_at = alert.ended_at.map_or_else(|| self.expiry(), |at| at.max(alert.opened_at));
        let mut value = json!({
            "labels": self.labels(&plain.alert),
            "annotations": annotations(&told, self.setup.language),
            "startsAt": time(alert.opened_at),
            "endsAt": time(ends_at),
        });
        if let Some(url) = &self.setup.external_url {
            value["generatorURL"] = link(url, &alert.alert_id).into();
        }
        value
    }

    fn labels(&self, alert: &Alert) -> Map<String, Value> {
        let mut values: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, value) in
            alert.labels.iter().filter(|(name, value)| !OTHER.contains(name) && !value.is_empty())
        {
            values.entry(label_name(name)).or_default().push(value);
        }
        let mut labels: Map<String, Value> =
            values.into_iter().map(|(name, values)| (name, values.join(",").into())).collect();
        let tags = alert.labels.values("tag").join(",");
        let own = [
            ("alertname", alert.rule_id.as_str()),
            ("alert_id", &alert.alert_id),
            ("severity", alert.severity.word()),
            ("tags", &tags),
        ];
        let added = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(added).filter(|(_, value)| !value.is_empty()) {
            labels.insert(name.to_owned(), value.into());
        }
        labels
    }

    /// What the daemon itself has to say, as an alert that ends by itself.
    fn message(&self, notification: &Notification) -> Value {
        let name = if notification.reason == Reason::Test { "FiscwatchTest" } else { "Fiscwatch" };
        let mut labels = Map::from_iter([("alertname".to_owned(), Value::from(name))]);
        labels.extend(self.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
        let message = notification.message.as_deref().unwrap_or_default();
        json!({
            "labels": labels,
            "annotations": { "summary": one_line(message, ANNOTATION_MAX), "notification": notification.id },
            "startsAt": time(notification.created_at),
            "endsAt": time(self.expiry().max(notification.created_at)),
        })
    }

    /// When an alert that is not sent again is taken for ended.
    fn expiry(&self) -> Instant {
        let resend = TimeDelta::of(self.resend);
        self.setup.clock.now().saturating_add(resend.saturating_mul(4))
    }
}

#[async_trait]
impl Sink for Alertmanager {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let alerts: Vec<_> = match notification.alerts.is_empty() {
            true => vec![self.message(notification)],
            false => notification.alerts.iter().map(|told| self.alert(told)).collect(),
        };
        self.post(&alerts).await
    }

    fn resend_every(&self) -> Option<Duration> {
        Some(self.resend)
    }

    async fn resend(&self, alerts: &[NotifiedAlert]) -> Result<(), SendError> {
        let alerts: Vec<_> = alerts.iter().map(|told| self.alert(told)).collect();
        self.post(&alerts).await
    }
}

/// Labels that go by another name, or change.
const OTHER: &[&str] = &["rule", "severity", "tag", "handling"];

fn annotations(told: &NotifiedAlert, language: Language) -> Map<String, Value> {
    let alert = &told.alert;
    let mut annotations = vec![
        ("summary", alert.summary.clone()),
        ("description", alert.title.clone()),
        ("handling", alert.handling.word().to_owned()),
        ("advice", words::advice(alert.handling, alert.event_type.as_deref(), language)),
        ("state", alert.state.word().to_owned()),
        ("findings", alert.findings.to_string()),
    ];
    annotations.extend(alert.owner.clone().map(|owner| ("owner", owner)));
    if let Some(latest) = told.evidence.first() {
        let values = latest.values.iter().filter(|(_, value)| !value.is_null());
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let values: Vec<_> = values.map(|(name, value)| format!("{name}={}", text(value))).collect();
        annotations.push(("values", values.join(", ")));
    }
    annotations.into_iter().map(|(n, text)| (n.to_owned(), one_line(&text, ANNOTATION_MAX).into())).collect()
}

fn mask_one(told: &NotifiedAlert) -> NotifiedAlert {
    let mut alone = super::sample::bare(told.clone());
    alone = masked(&alone, NumberTail::Shown);
    alone.alerts.pop().unwrap_or_else(|| told.clone())
}

/// A name that Prometheus takes.
fn label_name(name: &str) -> String {
    let mut valid: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if valid.is_empty() || valid.starts_with(|c: char| c.is_ascii_digit()) {
        valid.insert(0, '_');
    }
    valid
}

fn time(at: Instant) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_those_of_prometheus() {
        let names = [
            ("unit_code", "unit_code"),
            ("budget.total", "budget_total"),
            ("9", "_9"),
            ("", "_"),
            ("单位", "__"),
        ];
        for (name, valid) in names {
            assert_eq!(label_name(name), valid);
        }
    }
}
