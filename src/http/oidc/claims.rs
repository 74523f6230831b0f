//! What an ID token says, and whether it is for this login: from the provider, for this program, of now, and asked for by
//! this browser.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{config::oidc::Oidc, event::Instant};

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 60;
/// The longest subject (OpenID Connect Core §2), in bytes.
const SUBJECT_MAX: usize = 255;

/// The claims of an ID token.
#[derive(Debug, Deserialize)]
pub(super) struct IdToken {
    iss: String,
    pub sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn is(&self, id: &str, azp: Option<&str>) -> bool {
        let has = match self {
            Self::One(one) => one == id,
            // Whoever else it is for could show it here.
            Self::Several(all) => all.iter().any(|one| one == id) && (all.len() == 1 || azp == Some(id)),
        };
        has && azp.is_none_or(|azp| azp == id)
    }
}

impl IdToken {
    /// What keeps it from being for this login, if anything does.
    pub(super) fn problem(&self, config: &Oidc, nonce: &str, now: Instant) -> Option<&'static str> {
        let now = now.as_seconds();
        let later = |seconds: i64| seconds > now.saturating_add(SKEW);
        let checks = [
            (self.iss == config.issuer, "the ID token is of another issuer"),
            (self.aud.is(&config.client_id, self.azp.as_deref()), "the ID token is for somebody else"),
            (self.exp > now.saturating_sub(SKEW), "the ID token has expired; compare the clocks"),
            (
                !later(self.iat) && !self.nbf.is_some_and(later),
                "the ID token is of later; compare the clocks",
            ),
            (self.nonce.as_deref() == Some(nonce), "the ID token is of another login (nonce)"),
            (!self.sub.is_empty() && self.sub.len() <= SUBJECT_MAX, "the ID token has no subject"),
        ];
        checks.into_iter().find(|(is_right, _)| !is_right).map(|(_, problem)| problem)
    }

    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        match claim {
            "sub" => Some(&self.sub),
            _ => self.claim(claim)?.as_str(),
        }
    }

    /// A claim that is a text or a list of texts.
    pub(super) fn texts(&self, claim: &str) -> Vec<&str> {
        match self.claim(claim) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// The claim of this name, or where its dots lead: names have dots too (`https://example.com/roles`).
    fn claim(&self, path: &str) -> Option<&Value> {
        if let Some(value) = self.others.get(path) {
            return Some(value);
        }
        let mut parts = path.split('.');
        let first = self.others.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::oidc::GroupRoles;

    const NOW: i64 = 1_780_000_000;

    fn config() -> Oidc {
        Oidc {
            issuer: "https://login".into(),
            client_id: "fiscwatch".into(),
            client_secret: None,
            ca_file: None,
            scope: "openid".into(),
            name_claim: "name".into(),
            groups: GroupRoles { claim: "groups".into(), roles: [].into() },
            label: None,
            site: "https://fiscwatch".into(),
        }
    }

    fn token(changed: &[(&str, Value)]) -> IdToken {
        let mut claims = json!({
            "iss": "https://login", "sub": "7", "aud": "fiscwatch", "exp": NOW + 300, "iat": NOW, "nonce": "n",
            "groups": ["a", 1, "b"], "realm_access": { "roles": ["c"] }, "https://example.com/roles": "d",
        });
        for (claim, value) in changed {
            claims[*claim] = value.clone();
        }
        serde_json::from_value(claims).unwrap()
    }

    #[test]
    fn a_token_is_for_one_login() {
        let now = Instant::from_micros(NOW * 1_000_000);
        let problem = |claim: &str, value: Value| token(&[(claim, value)]).problem(&config(), "n", now);
        assert_eq!(problem("nonce", json!("n")), None);
        for (claim, value) in [
            ("iss", json!("https://login/")),
            ("aud", json!("other")),
            ("aud", json!(["fiscwatch", "other"])),
            ("aud", json!([])),
            ("azp", json!("other")),
            ("exp", json!(NOW - 60)),
            ("iat", json!(NOW + 61)),
            ("nbf", json!(NOW + 61)),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
        ] {
            assert!(problem(claim, value.clone()).is_some(), "{claim} {value}");
        }
        // Clocks are a little apart.
        for (claim, value) in
            [("exp", json!(NOW - 59)), ("iat", json!(NOW + 60)), ("aud", json!(["fiscwatch"]))]
        {
            assert_eq!(problem(claim, value.clone()), None, "{claim} {value}");
        }
        let both = [("aud", json!(["other", "fiscwatch"])), ("azp", json!("fiscwatch"))];
        assert_eq!(token(&both).problem(&config(), "n", now), None);
    }

    #[test]
    fn claims_are_found_by_name_or_by_the_way_to_them() {
        let token = token(&[]);
        assert_eq!(token.texts("groups"), ["a", "b"]);
        assert_eq!(token.texts("realm_access.roles"), ["c"]);
        assert_eq!(token.texts("https://example.com/roles"), ["d"]);
        assert_eq!(token.text("sub"), Some("7"));
        assert!(token.texts("realm_access").is_empty() && token.texts("x.y").is_empty());
        assert_eq!(token.text("groups"), None);
    }
}
