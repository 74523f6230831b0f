//! One mail server: opening connections, a few kept for reuse, and the dialogue that hands over one mail.
//!
//! lettre's own transports are not used. Their timeout covers connecting only, so a silent server holds a mail forever;
//! and a send that is given up puts its connection back in the middle of a reply, so that the next mail takes an answer
//! that is not its own. Here every step has its own limit and its own expected answer, and a connection that saw
//! anything else, or whose mail was given up, is closed.

use std::{error::Error, fmt, future::Future, path::Path, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        commands::{Data, Mail as MailCommand, Rcpt},
        extension::{ClientId, Extension, MailParameter},
        response::Response,
    },
};
use parking_lot::Mutex;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    config::sinks::{Secret, Security},
    diagnostic::os_reason,
    notify::answer::{io_reason, reason},
    say,
    text::quoted,
};

/// Connections kept for the next mails.
const IDLE_MAX: usize = 4;
/// How long one is kept: servers close them after some minutes.
const IDLE_TIME: Duration = Duration::from_secs(20);
/// Mails sent over one, as servers limit them.
const MAILS_MAX: u32 = 100;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// How servers are talked to.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub security: Security,
    pub login: Option<(String, Secret)>,
    pub hello: Option<String>,
    pub timeouts: Timeouts,
}

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// From the first packet to the login.
    pub connect: Duration,
    /// The answer to a command.
    pub command: Duration,
    /// Handing over the mail and its acceptance.
    pub accept: Duration,
}

/// A mail for one recipient.
#[derive(Debug)]
pub(super) struct Mail {
    pub from: Address,
    pub to: Address,
    pub content: Vec<u8>,
}

/// How far a mail got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Until the login, all of it about the server and us.
    Connect,
    Mail,
    Rcpt,
    Data,
    Accept,
}

/// Why a server did not take a mail.
#[derive(Debug)]
pub(super) struct Failure {
    phase: Phase,
    /// Whether it said that it never will.
    pub permanent: bool,
    pub message: String,
    /// Whether it answered, so that the connection is still in step.
    answered: bool,
}

impl Failure {
    /// Whether it is about this mail or its recipient, which other servers would refuse as well. A refused sender may be
    /// one server's own idea.
    pub(crate) fn is_about_the_mail(&self) -> bool {
        self.permanent && self.phase != Phase::Mail
    }

    fn connect(message: impl Into<String>) -> Self {
        Self { phase: Phase::Connect, permanent: false, message: message.into(), answered: false }
    }

    fn of(phase: Phase, error: &lettre::transport::smtp::Error) -> Self {
        let status = error.status().map(|code| code.to_string());
        // What asks for a login is no word about the mail.
        let login = status.as_deref().is_some_and(|code| ["530", "534", "535", "538"].contains(&code));
        let step = match phase {
            Phase::Connect => say!("connecting"),
            Phase::Mail => String::from("MAIL FROM"),
            Phase::Rcpt => String::from("RCPT TO"),
            Phase::Data => String::from("DATA"),
            Phase::Accept => say!("the end of the mail"),
        };
        let hint = match (phase, login) {
            (_, true) => say!(". Check user and password_file"),
            (Phase::Mail, _) if error.is_permanent() => {
                say!(". Is the sender (`from`) one that this server takes?")
            }
            _ => String::new(),
        };
        // A server that answers speaks for itself, after its code.
        let told = match &status {
            _ if error.is_timeout() => say!("no answer in time"),
            Some(code) => format!("{code} {}", error.source().map_or_else(String::new, reason)),
            None => reason(error),
        };
        Self {
            phase,
            permanent: error.is_permanent() && phase != Phase::Connect && !login,
            message: say!("{step}: {reason}{hint}", step, reason = told.trim(), hint),
            answered: status.is_some(),
        }
    }

    fn late(phase: Phase, step: &str, limit: Duration) -> Self {
        let message = say!("no answer to {step} within {limit}", step, limit = format!("{limit:?}"));
        Self { phase, permanent: false, message, answered: false }
    }
}

/// A connection between two mails.
struct Idle {
    connection: AsyncSmtpConnection,
    since: std::time::Instant,
    mails: u32,
}

pub(super) struct Server {
    host: String,
    port: u16,
    tls: Option<TlsParameters>,
    hello: ClientId,
    access: Access,
    idle: Mutex<Vec<Idle>>,
    failed_at: Mutex<Option<std::time::Instant>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.name())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server by `host` or `host:port`. Nothing is opened yet.
    pub(crate) fn new(text: &str, ca_file: Option<&Path>, access: &Access) -> Result<Self, String> {
        let port = match access.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::Plain => 25,
        };
        let (host, port) = split(text, port).ok_or_else(|| {
            let text = quoted(text);
            say!("servers: {text} is no mail server: write host or host:port, without smtp://", text)
        })?;
        let tls = match access.security {
            Security::Plain => None,
            Security::Starttls | Security::Tls => Some(tls(&host, ca_file)?),
        };
        let hello = access.hello.clone().map_or_else(ClientId::default, ClientId::Domain);
        let (idle, failed_at) = (Mutex::default(), Mutex::default());
        Ok(Self { host, port, tls, hello, access: access.clone(), idle, failed_at })
    }

    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Whether it could not be reached lately.
    pub(crate) fn failed_within(&self, now: std::time::Instant, time: Duration) -> bool {
        let failed_at = *self.failed_at.lock();
        failed_at.is_some_and(|at| now.duration_since(at) < time)
    }

    /// Hands over a mail. `Ok` only if the server has answered 250 to all of it.
    pub(crate) async fn send(&self, mail: &Mail) -> Result<(), Failure> {
        if let Some(idle) = self.take() {
            match self.hand_over(idle.connection, idle.mails, mail).await {
                // The server has closed it meanwhile, or it is out of step. Nothing was handed over yet.
                Err(failure) if failure.phase == Phase::Mail && !failure.permanent => {}
                result => return result,
            }
        }
        let connected = self.connect().await;
        let failed_at = connected.is_err().then(std::time::Instant::now);
        *self.failed_at.lock() = failed_at;
        self.hand_over(connected?, 0, mail).await
    }

    /// The connection is kept only after 250: it is dropped on every error, and if this future is.
    async fn hand_over(
        &self,
        mut connection: AsyncSmtpConnection,
        mails: u32,
        mail: &Mail,
    ) -> Result<(), Failure> {
        let result = dialogue(&mut connection, self.access.timeouts, mail).await;
        match &result {
            Ok(()) if mails + 1 < MAILS_MAX => self.keep(connection, mails + 1),
            Err(failure) if !failure.answered => {}
            _ => {
                let _ = timeout(FAREWELL, connection.quit()).await;
            }
        }
        result
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle.lock();
        idle.retain(|idle| idle.since.elapsed() < IDLE_TIME);
        idle.pop()
    }

    fn keep(&self, connection: AsyncSmtpConnection, mails: u32) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { connection, since: std::time::Instant::now(), mails });
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let limit = self.access.timeouts.connect;
        let step = say!("connecting, TLS, greeting and login");
        timeout(limit, self.open()).await.unwrap_or_else(|_| Err(Failure::late(Phase::Connect, &step, limit)))
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Failure> {
        let of = |e: lettre::transport::smtp::Error| {
            let mut failure = Failure::of(Phase::Connect, &e);
            let hint = say!(". Check ca_file and the name in the server's certificate");
            if e.is_tls() && !failure.message.contains(&hint) {
                failure.message.push_str(&hint);
            }
            failure
        };
        let address = (self.host.as_str(), self.port);
        // A name with several addresses of which some are dead must not use up all the time.
        let each = self.access.timeouts.connect / 3;
        let mut connection = match self.access.security {
            Security::Tls => {
                let tls = self.tls.clone();
                AsyncSmtpConnection::connect_tokio1(address, Some(each), &self.hello, tls, None).await
            }
            Security::Starttls | Security::Plain => {
                let stream = Box::new(tcp(address, each).await?);
                AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await
            }
        }
        .map_err(of)?;
        if self.access.security == Security::Starttls {
            let tls = self.tls.clone().filter(|_| connection.can_starttls()).ok_or_else(|| {
                Failure::connect(say!(
                    "the server does not offer STARTTLS, and no mail goes out without it. Either somebody tampers with the connection, or set security to tls (or to plain for a server that needs no protection)"
                ))
            })?;
            connection.starttls(tls, &self.hello).await.map_err(of)?;
        }
        if let Some((user, password)) = &self.access.login {
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(|e| {
                let mut failure = of(e);
                failure.message =
                    say!("login as {user}: {failure}", user = quoted(user), failure = failure.message);
                failure
            })?;
        }
        Ok(connection)
    }
}

/// A connection that sends what it has at once: lettre ends a mail in a second write, which would else wait some 40 ms
/// for the receiver's delayed acknowledgement of the first.
async fn tcp(address: (&str, u16), each: Duration) -> Result<TcpStream, Failure> {
    let fail = |e: std::io::Error| Failure::connect(say!("connecting: {reason}", reason = io_reason(&e)));
    let mut last = Failure::connect(say!("connecting: {reason}", reason = say!("its name has no address")));
    for address in tokio::net::lookup_host(address).await.map_err(fail)? {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(fail)?;
                return Ok(stream);
            }
            Ok(Err(e)) => last = fail(e),
            Err(_) => last = Failure::late(Phase::Connect, &say!("connecting"), each),
        }
    }
    Err(last)
}

async fn dialogue(
    connection: &mut AsyncSmtpConnection,
    limits: Timeouts,
    mail: &Mail,
) -> Result<(), Failure> {
    let mut parameters = Vec::new();
    if ![&mail.from, &mail.to].iter().all(|address| address.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let message = say!("the address is not ASCII, and the server does not offer SMTPUTF8");
            return Err(Failure { phase: Phase::Rcpt, permanent: true, message, answered: true });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let from = MailCommand::new(Some(mail.from.clone()), parameters);
    let to = Rcpt::new(mail.to.clone(), Vec::new());
    step(Phase::Mail, "MAIL FROM", &[250], limits.command, connection.command(from)).await?;
    step(Phase::Rcpt, "RCPT TO", &[250, 251], limits.command, connection.command(to)).await?;
    step(Phase::Data, "DATA", &[354], limits.command, connection.command(Data)).await?;
    step(
        Phase::Accept,
        &say!("the end of the mail"),
        &[250],
        limits.accept,
        connection.message(&mail.content),
    )
    .await
}

/// One question and its answer. An answer that is good but not to this question shows that the connection is out of step.
async fn step(
    phase: Phase,
    name: &str,
    expected: &[u16],
    limit: Duration,
    question: impl Future<Output = Result<Response, lettre::transport::smtp::Error>>,
) -> Result<(), Failure> {
    let answer = timeout(limit, question).await.map_err(|_| Failure::late(phase, name, limit))?;
    let response = answer.map_err(|e| Failure::of(phase, &e))?;
    if expected.iter().any(|code| response.has_code(*code)) {
        return Ok(());
    }
    let message =
        say!("{step} was answered {code}, which is no answer to it", step = name, code = response.code());
    Err(Failure { phase, permanent: false, message, answered: false })
}

fn tls(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(host.to_owned());
    for certificate in ca_file.map(certificates).transpose()?.unwrap_or_default() {
        builder = builder.add_root_certificate(certificate);
    }
    builder.build().map_err(|e| say!("TLS cannot be used: {reason}", reason = reason(&e)))
}

/// All certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let fail = |reason: String| say!("ca_file {path}: {reason}", path = path.display(), reason);
    let text = std::fs::read_to_string(path).map_err(|e| fail(os_reason(&e)))?;
    let end = "-----END CERTIFICATE-----";
    let blocks = text.split_inclusive(end).filter(|block| block.contains(end));
    let found: Vec<_> = blocks
        .map(|block| Certificate::from_pem(block.trim_start().as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|e| fail(reason(&e)))?;
    if found.is_empty() { Err(fail(say!("there is no certificate (PEM) in it"))) } else { Ok(found) }
}

/// Host and port of `host`, `host:port` or `[address]:port`.
fn split(text: &str, default: u16) -> Option<(String, u16)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(default), |port| port.parse().ok())?;
        return host.parse::<std::net::Ipv6Addr>().ok().map(|_| (host.to_owned(), port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (text, default),
    };
    let is_name =
        !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || ['.', '-', '_'].contains(&c));
    is_name.then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_by_name_and_port() {
        let split = |text| split(text, 587);
        assert_eq!(split("mx.example.cn"), Some(("mx.example.cn".into(), 587)));
        assert_eq!(split("127.0.0.1:25"), Some(("127.0.0.1".into(), 25)));
        assert_eq!(split("[::1]:25"), Some(("::1".into(), 25)));
        for wrong in ["", ":25", "smtp://mx", "mx:x", "a b", "[mx]:25", "mx:70000"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
