//! Mail (the only place that knows lettre). One envelope a recipient, so that a bad address costs nobody else a mail;
//! a mail counts as delivered when a server has answered 250 to all of it, and for no other reason.

mod message;
mod server;

use std::time::Duration;

use async_trait::async_trait;
use lettre::{Address, message::Mailbox};

use self::{
    message::Writer,
    server::{Access, Server, Timeouts},
};
use super::{
    SendError, Setup, Sink,
    render::{Rendered, Style, render},
};
use crate::{
    alert::Notification,
    config::sinks::{EmailSpec, Secret, Security},
    event::duration,
    rule::Language,
    say,
    text::quoted,
};

/// A server that could not be reached is tried last for so long.
const AVOID: Duration = Duration::from_mins(1);

/// Mail servers, tried in order, and who gets mail.
#[derive(Debug)]
pub struct Email {
    servers: Vec<Server>,
    writer: Writer,
    recipients: Vec<String>,
    language: Language,
    reply_to: String,
    mask: bool,
    attach: bool,
    setup: Setup,
}

impl Email {
    /// Checks the settings, reads the password and the certificates.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(name: &str, spec: &EmailSpec, setup: &Setup) -> Result<Self, String> {
        let mut from = mailbox(&spec.from).map_err(|e| format!("from: {e}"))?;
        // A sender without a name of its own has the bureau's.
        from.name = from.name.or_else(|| setup.office.bureau.clone());
        let reply_to =
            spec.reply_to.as_deref().map(|text| mailbox(text).map_err(|e| format!("reply_to: {e}")));
        let reply_to = reply_to.transpose()?;
        let recipients = spec.to.iter().map(|text| mailbox(text).map(|m| m.email.to_string()));
        let recipients = recipients.collect::<Result<Vec<_>, _>>().map_err(|e| format!("to: {e}"))?;
        let password = Secret::of(spec.password_file.as_deref(), spec.password.as_ref(), "password")?;
        if spec.user.is_some() != password.is_some() {
            return Err(say!("give both user and password_file, or neither"));
        }
        if spec.security == Security::Plain && password.is_some() {
            tracing::warn!(sink = name, "the password for mail travels unprotected: security is plain");
        }
        let wait = |key: &str, text: &str| duration(text).map_err(|e| format!("{key}: {e}"));
        let access = Access {
            security: spec.security,
            login: spec.user.clone().zip(password),
            hello: spec.hello.clone(),
            timeouts: Timeouts {
                connect: wait("connect_timeout", &spec.connect_timeout)?,
                command: wait("command_timeout", &spec.command_timeout)?,
                accept: wait("accept_timeout", &spec.accept_timeout)?,
            },
        };
        if recipients.is_empty() {
            return Err(say!("to: name at least one recipient"));
        }
        if spec.servers.is_empty() {
            return Err(say!("servers: name at least one, such as mail.example.gov.cn:587"));
        }
        let servers = spec.servers.iter().map(|server| Server::new(server, spec.ca_file.as_deref(), &access));
        Ok(Self {
            servers: servers.collect::<Result<_, _>>()?,
            recipients,
            language: spec.language.unwrap_or(setup.language),
            reply_to: reply_to.as_ref().unwrap_or(&from).email.to_string(),
            writer: Writer { sink: name.to_owned(), from, reply_to },
            mask: spec.mask,
            attach: spec.attach_evidence,
            setup: setup.clone(),
        })
    }

    /// The notification as its readers see it.
    #[must_use]
    pub fn render(&self, notification: &Notification) -> Rendered {
        let names = self.setup.names.read().clone();
        let style = Style {
            language: self.language,
            calendar: &self.setup.calendar,
            office: &self.setup.office,
            external_url: self.setup.external_url.as_deref(),
            links: self.setup.links.as_deref(),
            reply_to: Some(&self.reply_to),
            mask: self.mask,
            attach: self.attach,
            here: false,
            names: Some(&names),
        };
        render(&self.setup.templates, notification, &style)
    }

    /// The servers in their order, but those that could not be reached lately behind the others.
    fn in_order(&self) -> impl Iterator<Item = &Server> {
        let now = std::time::Instant::now();
        let failed = move |server: &&Server| server.failed_within(now, AVOID);
        let (last, first): (Vec<_>, Vec<_>) = self.servers.iter().partition(failed);
        first.into_iter().chain(last)
    }
}

#[async_trait]
impl Sink for Email {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        let to = notification.recipient.as_deref().unwrap_or_default();
        let to: Address = to.parse().map_err(|_| {
            SendError::Permanent(say!("{to} is no mail address: correct the sink's `to`", to = quoted(to)))
        })?;
        let rendered = self.render(notification);
        if let Some(trouble) = &rendered.trouble {
            self.setup.metrics.template_errors.inc();
            tracing::warn!(sink = %notification.sink, "a template failed, the built-in text is sent: {trouble}");
        }
        let mail = self.writer.write(notification, rendered, to).map_err(SendError::Permanent)?;
        let mut failures = Vec::new();
        for server in self.in_order() {
            match server.send(&mail).await {
                Ok(()) => return Ok(()),
                Err(failure) => {
                    let failed = format!("{}: {}", server.name(), failure.message);
                    if failure.is_about_the_mail() {
                        return Err(SendError::Permanent(failed));
                    }
                    failures.push((failure, failed));
                }
            }
        }
        let texts: Vec<_> = failures.iter().map(|(_, text)| text.as_str()).collect();
        let text = texts.join("; ");
        match failures.iter().all(|(failure, _)| failure.permanent) {
            true => Err(SendError::Permanent(text)),
            false => Err(SendError::Temporary(text)),
        }
    }

    fn recipients(&self) -> &[String] {
        &self.recipients
    }
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let wrong =
        || say!("{text} is no mail address: write a@example.cn or Name <a@example.cn>", text = quoted(text));
    text.parse().map_err(|_| wrong())
}
