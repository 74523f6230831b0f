//! The settings of a PostgreSQL source, checked as far as that goes without a server.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;
use serde::{Deserialize, Serialize};
use tokio_postgres::config::{Config, Host, SslMode};

use crate::{diagnostic::os_reason, say, text::quoted};

/// How long a server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may be silent before one asks whether the other end is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What the configuration says of a database.
pub struct PostgresSettings {
    /// Where it is, without a password.
    pub url: String,
    pub password: Option<String>,
    /// How the connection is protected.
    pub tls: PostgresTls,
    /// Certificates to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    pub relation: Relation,
    /// The columns that tell rows apart.
    pub key: Vec<String>,
    /// The column that grows.
    pub cursor: String,
    /// How much is read again.
    pub overlap: Overlap,
    /// How often one looks for more.
    pub every: Duration,
    /// The most rows that are asked for at once.
    pub page_rows: u32,
    /// How long the server may take for an answer.
    pub statement_timeout: Duration,
}

/// A database, ready to be read.
#[derive(Debug, Clone)]
pub struct PostgresSource {
    /// Its password is never shown.
    pub(super) connection: Config,
    ca_file: Option<PathBuf>,
    pub(super) relation: Relation,
    pub(super) key: Vec<String>,
    pub(super) cursor: String,
    pub(super) overlap: Overlap,
    pub(super) every: Duration,
    pub(super) page_rows: u32,
    pub(super) statement_timeout: Duration,
}

/// How the connection to a database is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Tls")]
pub enum PostgresTls {
    /// TLS, with a certificate for the host of the url by an authority that is trusted.
    #[default]
    Verify,
    /// Nothing: only for a server on the same machine or a network of its own.
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// A table or view, perhaps with its schema before a point, written as the database stores the names.
    Table(String),
    Query(String),
}

/// How far back one reads again, by the type of the column that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// If it is a time.
    pub time: Duration,
    /// If it is a number.
    pub values: u64,
}

/// A name in SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Relation {
    /// The table, or what stands for it where there is none.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Table(table) => table,
            Self::Query(_) => "query",
        }
    }

    /// What stands after FROM.
    pub(super) fn sql(&self) -> String {
        match self {
            Self::Table(table) => table.split('.').map(identifier).collect::<Vec<_>>().join("."),
            // A last line that is a comment must not take the bracket with it.
            Self::Query(query) => format!("(\n{query}\n)"),
        }
    }

    fn checked(self) -> Result<Self, String> {
        match self {
            Self::Table(table) => {
                let parts: Vec<&str> = table.split('.').collect();
                match parts.len() <= 2 && parts.iter().all(|part| !part.trim().is_empty()) {
                    true => Ok(Self::Table(table)),
                    false => Err(say!("{table} is no table such as pay.voucher", table = quoted(&table))),
                }
            }
            Self::Query(query) => {
                let query = query.trim().trim_end_matches(';').trim_end();
                match query.is_empty() {
                    true => Err(say!("the query is empty")),
                    false => Ok(Self::Query(query.to_owned())),
                }
            }
        }
    }
}

impl PostgresSource {
    /// A source with these settings.
    ///
    /// # Errors
    /// What is wrong with them. No message repeats the url: a password may be in it.
    pub fn new(settings: PostgresSettings) -> Result<Self, String> {
        let mut connection = connection(&settings.url)?;
        if let Some(password) = settings.password {
            connection.password(password);
        }
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        let tls = match connection.get_hosts().iter().all(is_socket) {
            true => PostgresTls::Off,
            false => settings.tls,
        };
        connection
            .ssl_mode(if tls == PostgresTls::Off { SslMode::Disable } else { SslMode::Require })
            .application_name("fiscwatch")
            .connect_timeout(CONNECT)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(KEEPALIVE);
        if settings.cursor.trim().is_empty() {
            return Err(say!("name the column that grows with every row: cursor"));
        }
        let source = Self {
            connection,
            ca_file: settings.ca_file,
            relation: settings.relation.checked()?,
            key: settings.key,
            cursor: settings.cursor,
            overlap: settings.overlap,
            every: settings.every,
            page_rows: settings.page_rows,
            statement_timeout: settings.statement_timeout,
        };
        source.connector()?;
        Ok(source)
    }

    /// What makes connections secure, if they are to be.
    pub(super) fn connector(&self) -> Result<MakeTlsConnector, String> {
        let mut builder = TlsConnector::builder();
        for certificate in self.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default() {
            builder.add_root_certificate(certificate);
        }
        let connector = builder.build().map_err(|e| say!("TLS cannot be used: {reason}", reason = e))?;
        Ok(MakeTlsConnector::new(connector))
    }
}

fn connection(url: &str) -> Result<Config, String> {
    let connection: Config = url
        .parse()
        .map_err(|_| say!("url is no address such as postgresql://reader@db.example.gov.cn:5432/pay"))?;
    if connection.get_password().is_some() {
        return Err(say!(
            "take the password out of url: files are read by many. Give it by password_file or by a variable of the environment"
        ));
    }
    if url.contains("sslmode") {
        return Err(say!("take sslmode out of url: `tls` says how the connection is protected"));
    }
    if connection.get_hosts().is_empty()
        || connection.get_user().is_none()
        || connection.get_dbname().is_none()
    {
        return Err(say!(
            "url must name user, host and database, such as postgresql://reader@db.example.gov.cn:5432/pay"
        ));
    }
    Ok(connection)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let fail = |reason: String| say!("ca_file {path}: {reason}", path = path.display(), reason);
    let pem = std::fs::read(path).map_err(|e| fail(os_reason(&e)))?;
    match Certificate::stack_from_pem(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(fail(say!("there is no certificate in PEM in it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_sql_as_the_database_stores_them() {
        let table = |name: &str| Relation::Table(name.to_owned()).checked().map(|table| table.sql());
        assert_eq!(table("pay.voucher").unwrap(), "\"pay\".\"voucher\"");
        assert_eq!(table("支付凭证").unwrap(), "\"支付凭证\"");
        assert_eq!(table("a\"; DROP TABLE x; --").unwrap(), "\"a\"\"; DROP TABLE x; --\"");
        for wrong in ["", "pay.", ".voucher", "db.pay.voucher"] {
            assert!(table(wrong).is_err(), "{wrong}");
        }
        let query = |text: &str| Relation::Query(text.to_owned()).checked().map(|query| query.sql());
        assert_eq!(query(" SELECT 1 -- one ; \n; ").unwrap(), "(\nSELECT 1 -- one ;\n)");
        assert!(query(" ; ").is_err());
    }

    #[test]
    fn an_url_has_what_it_takes_and_no_password() {
        let refused = |url: &str| connection(url).unwrap_err();
        for url in ["postgresql://a:geheim@h/d", "host=h user=a dbname=d password=geheim"] {
            let message = refused(url);
            assert!(message.contains("password_file") && !message.contains("geheim"), "{message}");
        }
        assert!(refused("postgresql://a@h/d?sslmode=disable").contains("tls"));
        for url in ["", "postgresql://h/d", "postgresql://a@h"] {
            assert!(refused(url).contains("user, host and database"), "{url}");
        }
        assert!(refused("http://h").contains("is no address"));
        assert!(connection("postgresql://a@h1:5432,h2:5433/d").is_ok());
        assert!(connection("postgresql://a@%2Fvar%2Frun%2Fpostgresql/d").is_ok());
    }
}
