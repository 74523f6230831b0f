//! `http.oidc`: the provider of identities by which people log in, and what its claims make of them.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{raw, resolve::Resolver, sinks::Secret};
use crate::{access::Roles, say, text::quoted};

/// The provider of identities (OpenID Connect): the code flow with PKCE.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcSpec {
    /// Its address, exactly as it names itself: `https://login.example.gov.cn/realms/finance`. Its endpoints and keys are found
    /// from there.
    pub issuer: String,
    /// What it calls this program. The address to register there is `external_url` with `/api/v1/session/oidc/callback` behind.
    pub client_id: String,
    /// A file with the secret that it gave; a client without one is held by PKCE alone.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// A file with certificates (PEM) that are believed besides those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// What is asked for besides `openid`.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// The claim of the ID token that has the user's name.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim that has their groups: a text, or a list of texts; dots lead into objects, as in `realm_access.roles`.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// The roles of each group: `{ "guoku-jiankong": [officer], "guoku-anquan": [security] }`; `unit:101` and `region:32` limit
    /// them. Who has several groups has the roles and the limits of all. Who has none of these cannot log in.
    pub roles: BTreeMap<String, Vec<String>>,
    /// What the button of the console says.
    #[serde(default)]
    pub label: Option<String>,
}

fn scopes() -> Vec<String> {
    vec![String::from("profile")]
}

fn name_claim() -> String {
    String::from("preferred_username")
}

fn roles_claim() -> String {
    String::from("groups")
}

/// The provider, ready to be asked.
#[derive(Debug, Clone)]
pub struct Oidc {
    pub issuer: String,
    /// What it calls this program.
    pub client_id: String,
    /// The secret that it gave.
    pub client_secret: Option<Secret>,
    /// Certificates that are believed besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// What is asked for, parted by blanks.
    pub scope: String,
    /// The claim of the user's name.
    pub name_claim: String,
    /// The groups, and the words of their roles and limits.
    pub groups: GroupRoles,
    /// What the button says.
    pub label: Option<String>,
    /// Where the console is, without a slash at its end.
    pub site: String,
}

/// What groups of somebody known elsewhere may do here.
#[derive(Debug, Clone)]
pub struct GroupRoles {
    /// The claim or attribute that has them.
    pub claim: String,
    /// The words of the roles and limits of each.
    pub roles: BTreeMap<String, Vec<String>>,
}

impl GroupRoles {
    /// The roles of somebody in these groups.
    ///
    /// # Errors
    /// If none of them has any, or one person may not hold them together.
    pub fn roles<'g>(&self, groups: impl Iterator<Item = &'g str>) -> Result<Roles, String> {
        let words: Vec<&str> =
            groups.filter_map(|group| self.roles.get(group)).flatten().map(String::as_str).collect();
        match words.is_empty() {
            true => Err(say!("none of their groups has a role here ({claim})", claim = self.claim)),
            false => Roles::of_words(&words),
        }
    }
}

impl Resolver<'_> {
    pub(super) fn oidc(&mut self, http: &raw::Http, external_url: Option<&String>) -> Option<Oidc> {
        let spec = http.oidc.clone()?;
        let told = |own: &mut Self, message: String| own.problem(format!("http.oidc: {message}"));
        if !http.auth {
            told(self, say!("it needs http.auth: true"));
        }
        let Some(site) = external_url else {
            told(self, say!("it needs external_url: the provider sends people back there"));
            return None;
        };
        if let Err(message) = trusted(&spec.issuer) {
            told(self, message);
        }
        if spec.client_id.is_empty() {
            told(self, say!("client_id is empty"));
        }
        if spec.roles.is_empty() {
            told(self, say!("roles is empty, so nobody could log in"));
        }
        for (group, words) in &spec.roles {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(message) = Roles::of_words(&words) {
                told(self, format!("roles.{group}: {message}"));
            }
        }
        let file = spec.client_secret_file.map(|path| self.path(path));
        let secret = Secret::of(file.as_deref(), None, "client_secret");
        let scopes = spec.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid");
        Some(Oidc {
            client_secret: self.value("http.oidc", secret),
            ca_file: spec.ca_file.map(|path| self.path(path)),
            scope: std::iter::once("openid").chain(scopes).collect::<Vec<_>>().join(" "),
            issuer: spec.issuer,
            client_id: spec.client_id,
            name_claim: spec.name_claim,
            groups: GroupRoles { claim: spec.roles_claim, roles: spec.roles },
            label: spec.label,
            site: site.trim_end_matches('/').to_owned(),
        })
    }
}

/// An address that nobody on the way can change; on this machine nobody is on the way.
///
/// # Errors
/// If it is another one.
pub(crate) fn trusted(text: &str) -> Result<(), String> {
    let url = text.parse::<::http::Uri>().ok();
    let host = url.as_ref().and_then(|url| url.host()).unwrap_or_default();
    let scheme = url.as_ref().and_then(|url| url.scheme_str()).unwrap_or_default();
    match !host.is_empty() && (scheme == "https" || (scheme == "http" && is_here(host))) {
        true => Ok(()),
        false => Err(say!("{url} is no address that begins with https://", url = quoted(text))),
    }
}

/// Whether a host is this machine.
pub(super) fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_of_this_machine() {
        for (text, is) in [
            ("https://login.example.gov.cn/realms/finance", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/x", true),
            ("http://localhost", true),
            ("http://login.example.gov.cn", false),
            ("http://127.0.0.1.example.com", false),
            ("ftp://127.0.0.1", false),
            ("login.example.gov.cn", false),
            ("", false),
        ] {
            assert_eq!(trusted(text).is_ok(), is, "{text}");
        }
    }

    #[test]
    fn roles_of_several_groups_are_put_together() {
        let roles = [
            ("a", vec!["officer", "unit:101"]),
            ("b", vec!["supervisor", "unit:102"]),
            ("c", vec!["security"]),
            ("d", vec!["auditor"]),
        ];
        let roles =
            roles.map(|(name, words)| (name.to_owned(), words.into_iter().map(str::to_owned).collect()));
        let groups = GroupRoles { claim: "groups".into(), roles: roles.into_iter().collect() };
        let of = |names: &[&str]| groups.roles(names.iter().copied()).map(|roles| roles.to_string());
        assert_eq!(of(&["a", "x", "b"]).unwrap(), "officer supervisor unit:101 unit:102");
        assert_eq!(of(&["c"]).unwrap(), "security");
        assert!(of(&["c", "d"]).is_err() && of(&["x"]).is_err() && of(&[]).is_err());
    }
}
