//! What is wrong with a database, in our words: what it is, and what to do.

use std::{error::Error as _, io, time::Duration};

use tokio_postgres::{Error, error::SqlState};

use crate::{diagnostic::os_reason, say, text::quoted};

/// What a server may take longer than it was told to, before it is given up.
const GRACE: Duration = Duration::from_secs(10);

/// Waits for an answer as long as the server may take for it.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit + GRACE, answer).await {
        Ok(answer) => answer.map_err(|error| told(&error)),
        Err(_) => Err(say!("the database does not answer; it is tried again")),
    }
}

/// Whether the server gave up because it took too long.
pub(crate) fn told(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        return refused(answer.code(), answer.message());
    }
    let cause = error.source();
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return say!("the database cannot be reached: {reason}", reason = os_reason(error));
    }
    if error.is_closed() {
        return say!("the database closed the connection; it is tried again");
    }
    match (error.to_string().as_str(), cause) {
        ("error performing TLS handshake", Some(cause)) => say!(
            "there is no TLS with the database: {reason}. Name its authority with ca_file; with `tls: off` nothing protects the connection",
            reason = cause
        ),
        ("authentication error", Some(cause)) => {
            say!("the database cannot be logged in to: {reason}", reason = cause)
        }
        (text, _) => say!("the database answers what is not understood: {text}", text),
    }
}

fn refused(code: &SqlState, message: &str) -> String {
    let message = quoted(message);
    match *code {
        SqlState::INVALID_PASSWORD => say!(
            "the database refuses the password ({message}). Check the user in url, and password_file",
            message
        ),
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => say!(
            "the database does not let this user in from here ({message}). Ask for an entry in its pg_hba.conf",
            message
        ),
        SqlState::INVALID_CATALOG_NAME => say!("there is no such database ({message}). Correct url", message),
        SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME => say!(
            "there is no such table ({message}). Write schema and table as the database stores them: capitals count",
            message
        ),
        SqlState::UNDEFINED_COLUMN | SqlState::AMBIGUOUS_COLUMN => {
            say!("a column is not there ({message}). Correct the query", message)
        }
        SqlState::INSUFFICIENT_PRIVILEGE => say!(
            "the user may not read that ({message}). Have SELECT on it and USAGE on its schema granted",
            message
        ),
        SqlState::QUERY_CANCELED => say!(
            "the database took too long ({message}). Make an index on the cursor, or statement_timeout longer",
            message
        ),
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            say!("the query writes, and fiscwatch only reads ({message}). Correct the query", message)
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            say!("the database takes no more connections ({message}); it is tried again", message)
        }
        SqlState::ADMIN_SHUTDOWN | SqlState::CRASH_SHUTDOWN | SqlState::CANNOT_CONNECT_NOW => {
            say!("the database is stopped or starts ({message}); it is tried again", message)
        }
        SqlState::SYNTAX_ERROR => say!("the query is no SQL ({message}). Correct it", message),
        _ => say!("the database refuses ({code}: {message})", code = code.code(), message),
    }
}
