//! Asking the directory whether a password is right, and who it is of (LDAP; the only place that knows ldap3). What people
//! typed reaches it escaped, every wait has an end, and no reference to another directory is followed.

use std::time::Duration;

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions, dn_escape,
    ldap_escape, parse_filter,
};
use native_tls::{Certificate, TlsConnector};

use super::arrival::ProviderError;
use crate::{
    config::ldap::{Directory, LdapSpec, plain},
    diagnostic::os_reason,
    say,
    text::{hex, quoted},
};

/// How long a connection, an answer, and all of it may take.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);
const ALL: Duration = Duration::from_secs(15);
/// The longest name and password that are passed on, in bytes.
const TYPED_MAX: usize = 256;
/// Groups of one user that are looked at.
const GROUPS_MAX: i32 = 1000;
/// What a directory answers to a wrong password, and to one of an entry that may not log in at the moment (RFC 4511 §A.1).
const INVALID_CREDENTIALS: u32 = 49;
const NOT_NOW: [u32; 4] = [19, 48, 50, 53];
const NO_SUCH_OBJECT: u32 = 32;

/// Whose password it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// What tells them from all others for good.
    pub subject: String,
    /// Their name, as the directory writes it.
    pub name: String,
    /// The names of their groups' entries, as they are compared.
    pub groups: Vec<String>,
}

/// Who has this name and password; `None` if nobody does.
pub(super) async fn ask(
    directory: &Directory,
    user: &str,
    password: &str,
) -> Result<Option<Person>, ProviderError> {
    // A directory takes an empty password for nobody's, and says yes (RFC 4513 §5.1.2).
    if user.is_empty() || password.is_empty() || user.len().max(password.len()) > TYPED_MAX {
        return Ok(None);
    }
    let asked = tokio::time::timeout(ALL, with_connection(directory, user, password)).await;
    asked.unwrap_or_else(|_| Err(ProviderError(format!("it does not answer within {} s", ALL.as_secs()))))
}

async fn with_connection(
    directory: &Directory,
    user: &str,
    password: &str,
) -> Result<Option<Person>, ProviderError> {
    let spec = &directory.spec;
    let settings = LdapConnSettings::new()
        .set_conn_timeout(CONNECT)
        .set_starttls(spec.start_tls)
        .set_connector(connector(spec)?);
    let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &spec.url).await.map_err(said)?;
    let driven = tokio::spawn(connection.drive());
    let person = match &spec.user_dn {
        Some(template) => {
            let dn = template.replace("{user}", &dn_escape(user));
            by_name(&mut ldap, directory, &dn, password).await
        }
        None => by_search(&mut ldap, directory, user, password).await,
    };
    let _ = ldap.with_timeout(ANSWER).unbind().await;
    driven.abort();
    person
}

/// What can be wrong with the settings of a directory, as far as nobody has to be asked.
///
/// # Errors
/// The filter that is none, or the file without certificates.
pub(crate) fn check_directory(directory: &Directory) -> Result<(), String> {
    let spec = &directory.spec;
    connector(spec).map_err(|ProviderError(why)| format!("http.ldap: {why}"))?;
    for (key, filter) in [("filter", &spec.filter), ("group_filter", &spec.group_filter)] {
        if parse_filter(filter.replace("{user}", "x").replace("{dn}", "x")).is_err() {
            return Err(say!(
                "http.ldap.{key}: {filter} is no filter such as (uid={user})",
                key,
                filter = quoted(filter),
                user = "{user}"
            ));
        }
    }
    Ok(())
}

fn connector(spec: &LdapSpec) -> Result<TlsConnector, ProviderError> {
    let mut builder = TlsConnector::builder();
    if let Some(path) = &spec.ca_file {
        let text = std::fs::read(path)
            .map_err(|e| ProviderError(format!("ca_file {}: {}", path.display(), os_reason(&e))))?;
        let certificates = Certificate::stack_from_pem(&text).unwrap_or_default();
        if certificates.is_empty() {
            return Err(ProviderError(format!(
                "ca_file {}: there is no certificate (PEM) in it",
                path.display()
            )));
        }
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|e| ProviderError(e.to_string()))
}

/// The entry's name is known: its password first, then what it says of itself.
async fn by_name(
    ldap: &mut Ldap,
    directory: &Directory,
    dn: &str,
    password: &str,
) -> Result<Option<Person>, ProviderError> {
    if !is_password(ldap, dn, password).await? {
        return Ok(None);
    }
    match entries(ldap, &directory.spec, (dn, Scope::Base, "(objectClass=*)")).await?.pop() {
        Some(entry) => person(ldap, directory, entry).await.map(Some),
        None => Err(ProviderError(format!("the entry {dn:?} does not show itself to its own user"))),
    }
}

/// The entry is looked for, by somebody who may read groups too; its password comes last.
async fn by_search(
    ldap: &mut Ldap,
    directory: &Directory,
    user: &str,
    password: &str,
) -> Result<Option<Person>, ProviderError> {
    let spec = &directory.spec;
    if let (Some(dn), Some(secret)) = (&spec.bind_dn, &directory.bind_password) {
        let bound = ldap.with_timeout(ANSWER).simple_bind(dn, secret.reveal()).await.map_err(said)?;
        bound.success().map_err(|error| ProviderError(format!("it refuses bind_dn: {}", said(error))))?;
    }
    let filter = spec.filter.replace("{user}", &ldap_escape(user));
    let base = spec.base.as_deref().unwrap_or_default();
    let mut found = entries(ldap, spec, (base, Scope::Subtree, &filter)).await?;
    let Some(entry) = found.pop() else { return Ok(None) };
    if !found.is_empty() {
        return Err(ProviderError::from("several entries fit the filter"));
    }
    let dn = entry.dn.clone();
    let person = person(ldap, directory, entry).await?;
    Ok(is_password(ldap, &dn, password).await?.then_some(person))
}

async fn is_password(ldap: &mut Ldap, dn: &str, password: &str) -> Result<bool, ProviderError> {
    let answer = ldap.with_timeout(ANSWER).simple_bind(dn, password).await.map_err(said)?;
    match answer.rc {
        0 => Ok(true),
        INVALID_CREDENTIALS | NO_SUCH_OBJECT => Ok(false),
        code if NOT_NOW.contains(&code) => {
            tracing::warn!(code, "the directory lets a user not log in at the moment");
            Ok(false)
        }
        code => Err(ProviderError(format!("it answers {code} to a password"))),
    }
}

async fn entries(
    ldap: &mut Ldap,
    spec: &LdapSpec,
    (base, scope, filter): (&str, Scope, &str),
) -> Result<Vec<SearchEntry>, ProviderError> {
    let wanted = [&spec.name_attribute, &spec.id_attribute, &spec.groups_attribute];
    search(ldap, (base, scope, filter), wanted.map(String::as_str).to_vec(), 2).await
}

async fn search(
    ldap: &mut Ldap,
    (base, scope, filter): (&str, Scope, &str),
    attributes: Vec<&str>,
    most: i32,
) -> Result<Vec<SearchEntry>, ProviderError> {
    let seconds = i32::try_from(ANSWER.as_secs()).unwrap_or(5);
    let options = SearchOptions::new().sizelimit(most).timelimit(seconds);
    let asked =
        ldap.with_search_options(options).with_timeout(ANSWER).search(base, scope, filter, attributes);
    let answer = asked.await.map_err(said)?;
    if answer.1.rc == NO_SUCH_OBJECT {
        return Ok(Vec::new());
    }
    let (found, _) = answer.success().map_err(said)?;
    let is_entry = |entry: &ldap3::ResultEntry| !entry.is_ref() && !entry.is_intermediate();
    Ok(found.into_iter().filter(is_entry).map(SearchEntry::construct).collect())
}

async fn person(ldap: &mut Ldap, directory: &Directory, entry: SearchEntry) -> Result<Person, ProviderError> {
    let spec = &directory.spec;
    let texts = |name: &str| {
        let of = |(known, values): (&String, &Vec<String>)| {
            known.eq_ignore_ascii_case(name).then(|| values.clone())
        };
        entry.attrs.iter().find_map(of).unwrap_or_default()
    };
    let bytes = |name: &str| {
        let of = |(known, values): (&String, &Vec<Vec<u8>>)| {
            values.first().filter(|_| known.eq_ignore_ascii_case(name)).map(|bytes| hex(bytes))
        };
        entry.bin_attrs.iter().find_map(of)
    };
    let missing = |name: &str| ProviderError(format!("the entry {:?} has no attribute {name}", entry.dn));
    let subject = texts(&spec.id_attribute).into_iter().next().or_else(|| bytes(&spec.id_attribute));
    let name = texts(&spec.name_attribute).into_iter().next();
    let mut groups: Vec<String> = texts(&spec.groups_attribute).iter().map(|dn| plain(dn)).collect();
    if let Some(base) = &spec.group_base {
        let filter = spec.group_filter.replace("{dn}", &ldap_escape(&*entry.dn));
        let found = search(ldap, (base, Scope::Subtree, &filter), vec!["1.1"], GROUPS_MAX).await?;
        groups.extend(found.iter().map(|group| plain(&group.dn)));
    }
    Ok(Person {
        subject: subject.ok_or_else(|| missing(&spec.id_attribute))?,
        name: name.ok_or_else(|| missing(&spec.name_attribute))?,
        groups,
    })
}

/// What went wrong, without what was sent.
fn said(error: LdapError) -> ProviderError {
    match error {
        LdapError::LdapResult { result } => {
            ProviderError(format!("it answers {} {}", result.rc, result.text))
        }
        other => ProviderError(other.to_string()),
    }
}
