//! `http.ldap`: the directory whose passwords people log in by, and what its groups make of them.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    oidc::{GroupRoles, is_here},
    raw,
    resolve::Resolver,
    sinks::Secret,
};
use crate::{access::Roles, say, text::quoted};

/// A directory (LDAP): a password that it takes is right.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapSpec {
    /// Its address: `ldaps://ldap.example.gov.cn`, or `ldap://` with `start_tls`; without TLS only on this machine.
    pub url: String,
    /// Whether TLS begins on the plain connection (StartTLS).
    #[serde(default)]
    pub start_tls: bool,
    /// A file with certificates (PEM) that are believed besides those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The entry of a user, if its name follows from theirs: `uid={user},ou=people,dc=example,dc=cn`. Without it they are looked for.
    #[serde(default)]
    pub user_dn: Option<String>,
    /// Who looks for users and groups; nobody, if it is not given.
    #[serde(default)]
    pub bind_dn: Option<String>,
    /// A file with the password of `bind_dn`.
    #[serde(default)]
    pub bind_password_file: Option<PathBuf>,
    /// Where users are looked for.
    #[serde(default)]
    pub base: Option<String>,
    /// Which entry is a user's.
    #[serde(default = "filter")]
    pub filter: String,
    /// The attribute that has the user's name.
    #[serde(default = "name_attribute")]
    pub name_attribute: String,
    /// The attribute that tells an entry from all others for good; `objectGUID` of an Active Directory.
    #[serde(default = "id_attribute")]
    pub id_attribute: String,
    /// The attribute that has the names of their groups' entries.
    #[serde(default = "groups_attribute")]
    pub groups_attribute: String,
    /// Where groups are looked for besides, if they are.
    #[serde(default)]
    pub group_base: Option<String>,
    /// Which entries are groups of a user; `{dn}` is the user's entry.
    #[serde(default = "group_filter")]
    pub group_filter: String,
    /// The roles of each group, by the name of its entry: `{ "cn=jiankong,ou=groups,dc=example,dc=cn": [officer] }`; `unit:101`
    /// and `region:32` limit them. Who has several groups has the roles and the limits of all. Who has none of these cannot log in.
    pub roles: BTreeMap<String, Vec<String>>,
}

fn filter() -> String {
    String::from("(uid={user})")
}

fn name_attribute() -> String {
    String::from("uid")
}

fn id_attribute() -> String {
    String::from("entryUUID")
}

fn groups_attribute() -> String {
    String::from("memberOf")
}

fn group_filter() -> String {
    String::from("(member={dn})")
}

/// The directory, ready to be asked.
#[derive(Debug, Clone)]
pub struct Directory {
    /// What the configuration says; its paths are whole.
    pub spec: LdapSpec,
    /// The password of `bind_dn`.
    pub bind_password: Option<Secret>,
    /// The groups and their roles, by the names of entries as [`plain`] has them.
    pub groups: GroupRoles,
}

/// The name of an entry as it is compared: directories do not tell large letters from small ones, nor blanks after commas.
pub(crate) fn plain(dn: &str) -> String {
    dn.split(',').map(str::trim).collect::<Vec<_>>().join(",").to_lowercase()
}

impl Resolver<'_> {
    pub(super) fn ldap(&mut self, http: &raw::Http) -> Option<Directory> {
        let mut spec = http.ldap.clone()?;
        let told = |own: &mut Self, message: String| own.problem(format!("http.ldap: {message}"));
        if !http.auth {
            told(self, say!("it needs http.auth: true"));
        }
        if http.second_factor {
            told(
                self,
                say!(
                    "with http.second_factor nobody logs in by a password alone, which is all that a directory asks for"
                ),
            );
        }
        if let Err(message) = address(&spec) {
            told(self, message);
        }
        if spec.user_dn.is_none() == spec.base.is_none() {
            told(self, say!("give user_dn, or base to look for users in, and not both"));
        }
        for (key, text, mark) in [
            ("user_dn", spec.user_dn.as_deref().unwrap_or("{user}"), "{user}"),
            ("filter", &spec.filter, "{user}"),
            ("group_filter", &spec.group_filter, "{dn}"),
        ] {
            if !text.contains(mark) {
                told(self, say!("{key} does not say where {mark} stands", key, mark));
            }
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
        spec.ca_file = spec.ca_file.map(|path| self.path(path));
        let file = spec.bind_password_file.clone().map(|path| self.path(path));
        let bind_password = self.value("http.ldap", Secret::of(file.as_deref(), None, "bind_password"));
        if spec.bind_dn.is_some() != bind_password.is_some() {
            told(self, say!("bind_dn and bind_password_file belong together"));
        }
        let roles = spec.roles.iter().map(|(group, words)| (plain(group), words.clone())).collect();
        let groups = GroupRoles { claim: spec.groups_attribute.clone(), roles };
        Some(Directory { spec, bind_password, groups })
    }
}

/// Passwords go there, so nobody on the way may read them.
fn address(spec: &LdapSpec) -> Result<(), String> {
    let url = spec.url.parse::<::http::Uri>().ok();
    let scheme = url.as_ref().and_then(|url| url.scheme_str()).unwrap_or_default();
    let host = url.as_ref().and_then(|url| url.host()).unwrap_or_default();
    let is_safe = match scheme {
        "ldaps" => !spec.start_tls,
        "ldap" => spec.start_tls || is_here(host),
        _ => false,
    };
    match is_safe && !host.is_empty() {
        true => Ok(()),
        false => Err(say!(
            "{url} is no address such as ldaps://host, or ldap://host with start_tls: true",
            url = quoted(&spec.url)
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn problems(more: &str) -> String {
        let text =
            format!("http: {{ auth: true, ldap: {{ roles: {{ 'CN=a, DC=b': [officer] }}, {more} }} }}");
        let parsed = Config::parse("test", &text, std::path::Path::new(""), std::iter::empty());
        parsed.map_or_else(|problems| format!("{problems:?}"), |_| String::new())
    }

    #[test]
    fn passwords_go_over_tls_and_to_one_entry() {
        for (more, says) in [
            ("url: 'ldaps://x', base: 'dc=b'", ""),
            ("url: 'ldap://x', start_tls: true, user_dn: 'uid={user},dc=b'", ""),
            ("url: 'ldap://127.0.0.1:389', base: 'dc=b'", ""),
            ("url: 'ldap://x', base: 'dc=b'", "no address such as"),
            ("url: 'ldaps://x', start_tls: true, base: 'dc=b'", "no address such as"),
            ("url: 'http://x', base: 'dc=b'", "no address such as"),
            ("url: 'ldaps://x'", "not both"),
            ("url: 'ldaps://x', base: 'dc=b', user_dn: 'uid={user}'", "not both"),
            ("url: 'ldaps://x', base: 'dc=b', filter: '(uid=*)'", "where {user} stands"),
            ("url: 'ldaps://x', base: 'dc=b', bind_dn: 'cn=a'", "belong together"),
        ] {
            let found = problems(more);
            assert!(found.contains(says) && found.is_empty() == says.is_empty(), "{more}: {found}");
        }
    }
}
