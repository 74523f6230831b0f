//! A rendered notification as a mail. The same notification is the same mail to the last byte, whenever it is sent: its
//! id, its thread, its date and its boundaries come from the notification.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::server::Mail;
use crate::{
    alert::{Notification, Reason},
    event::Instant,
    finding::Severity,
    notify::{render::Rendered, sample::reason_word, view::one_line},
};

/// Alerts named in a header.
const ALERTS_NAMED: usize = 10;

/// What all mails of a sink have in common.
#[derive(Debug)]
pub(super) struct Writer {
    pub sink: String,
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
}

impl Writer {
    /// The mail for one recipient.
    pub(crate) fn write(
        &self,
        notification: &Notification,
        rendered: Rendered,
        to: Address,
    ) -> Result<Mail, String> {
        let thread = self.thread_id(notification, &to);
        let id = match notification.begins_thread {
            true => thread.clone(),
            false => {
                format!("<{}.{}>", token(&notification.id), self.digest(&[&notification.id, to.as_ref()]))
            }
        };
        let mut mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(one_line(&rendered.subject, usize::MAX))
            .date(date(notification.created_at))
            .message_id(Some(id));
        if let Some(reply_to) = &self.reply_to {
            mail = mail.reply_to(reply_to.clone());
        }
        if !notification.begins_thread {
            mail = mail.in_reply_to(thread.clone()).references(thread);
        }
        for (name, value) in headers(notification) {
            let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|e| e.to_string())?;
            mail = mail.raw_header(HeaderValue::new(name, one_line(&value, 500)));
        }
        let message = mail.multipart(parts(notification, rendered)?).map_err(|e| e.to_string())?;
        Ok(Mail { from: self.from.email.clone(), to, content: message.formatted() })
    }

    /// The id of the mail that begins the thread.
    fn thread_id(&self, notification: &Notification, to: &Address) -> String {
        let digest = self.digest(&[&self.sink, to.as_ref(), &notification.thread]);
        format!("<thread.{digest}>")
    }

    /// A digest and the sender's domain, as the right half of an id.
    fn digest(&self, parts: &[&str]) -> String {
        let domain = self.from.email.domain();
        let domain = if domain.is_ascii() { domain } else { "fiscwatch.invalid" };
        format!("{}@{domain}", digest(parts))
    }
}

/// What filters and receivers know a mail by.
fn headers(notification: &Notification) -> Vec<(&'static str, String)> {
    let severity = notification.alerts.first().map(|told| told.alert.severity);
    let alerts = notification.alerts.iter().take(ALERTS_NAMED).map(|told| token(&told.alert.alert_id));
    let alerts: Vec<_> = alerts.collect();
    let mut headers = vec![
        ("Auto-Submitted", String::from("auto-generated")),
        ("X-Auto-Response-Suppress", String::from("All")),
        ("X-Fiscwatch-Notification", token(&notification.id)),
        ("X-Fiscwatch-Reason", reason_word(notification.reason)),
    ];
    if !alerts.is_empty() {
        headers.push(("X-Fiscwatch-Alerts", alerts.join(" ")));
    }
    // How grave we take it is nothing to tell a unit.
    if let Some(severity) = severity.filter(|_| notification.reason != Reason::Explain) {
        if severity == Severity::Critical {
            headers.push(("Importance", String::from("high")));
        }
        headers.push(("X-Fiscwatch-Severity", token(severity.word())));
    }
    headers
}

fn parts(notification: &Notification, rendered: Rendered) -> Result<MultiPart, String> {
    let boundary = |part: &str| format!("={}", digest(&[&notification.id, part]));
    let texts = MultiPart::alternative()
        .boundary(boundary("texts"))
        .singlepart(SinglePart::plain(rendered.text))
        .singlepart(SinglePart::html(rendered.html));
    if rendered.attachments.is_empty() {
        return Ok(texts);
    }
    let mut mail = MultiPart::mixed().boundary(boundary("files")).multipart(texts);
    for file in rendered.attachments {
        let kind = ContentType::parse(file.content_type).map_err(|e| e.to_string())?;
        mail = mail.singlepart(Attachment::new(file.name).body(file.content, kind));
    }
    Ok(mail)
}

fn date(at: Instant) -> SystemTime {
    SystemTime::UNIX_EPOCH + (at - Instant::EPOCH).to_duration()
}

/// Letters, digits and a few signs: what ids consist of, and nothing that a header could be broken with.
fn token(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(c)).take(64).collect()
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::time::Calendar,
        notify::{
            render::{Style, render},
            sample::sample,
            template::Templates,
        },
        rule::Language,
    };

    fn writer() -> Writer {
        Writer {
            sink: "mail".into(), from: "国库监控 <fw@example.gov.cn>".parse().unwrap(), reply_to: None
        }
    }

    fn written(notification: &Notification, to: &str) -> String {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let rendered = render(&Templates::default(), notification, &Style::new(Language::Zh, &calendar));
        String::from_utf8(writer().write(notification, rendered, to.parse().unwrap()).unwrap().content)
            .unwrap()
    }

    fn header<'m>(mail: &'m str, name: &str) -> Option<&'m str> {
        let head = mail.split("\r\n\r\n").next().unwrap();
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    #[test]
    fn a_repeat_is_the_same_mail_and_others_answer_the_first() {
        let mut first = sample(Reason::First, Language::Zh);
        let mail = written(&first, "a@example.cn");
        assert_eq!(mail, written(&first, "a@example.cn"));
        let id = header(&mail, "Message-ID").unwrap();
        assert!(id.starts_with("<thread.") && id.ends_with("@example.gov.cn>"), "{id}");
        assert_eq!(header(&mail, "In-Reply-To"), None);
        assert_ne!(header(&written(&first, "b@example.cn"), "Message-ID"), Some(id));

        first.begins_thread = false;
        first.id = "another".into();
        let later = written(&first, "a@example.cn");
        assert_eq!((header(&later, "In-Reply-To"), header(&later, "References")), (Some(id), Some(id)));
        assert_ne!(header(&later, "Message-ID"), Some(id));
        assert_eq!(header(&later, "Auto-Submitted"), Some("auto-generated"));
        assert_eq!(header(&later, "Importance"), Some("high"));
    }

    const KNOWN: [&str; 14] = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "In-Reply-To",
        "References",
        "Auto-Submitted",
        "X-Auto-Response-Suppress",
        "X-Fiscwatch-Notification",
        "X-Fiscwatch-Reason",
        "X-Fiscwatch-Alerts",
        "X-Fiscwatch-Severity",
        "Importance",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever data says, the head has the headers that we wrote, in lines that servers take.
        #[test]
        fn data_injects_no_header(text in "(\\PC|\r\n|\r|\n|\0|\u{2028}|\u{202e}|Bcc: x@y.cn| ){0,300}") {
            let mut notification = sample(Reason::New, Language::Zh);
            notification.id = text.clone();
            notification.thread = text.clone();
            notification.route = text.clone();
            notification.group.set(&text, &text);
            let alert = &mut notification.alerts[0].alert;
            for field in [&mut alert.title, &mut alert.summary, &mut alert.alert_id, &mut alert.rule_id] {
                *field = text.clone();
            }
            let mail = written(&notification, "a@example.cn");
            let head = mail.split("\r\n\r\n").next().unwrap();
            prop_assert!(head.is_ascii());
            for line in head.split("\r\n") {
                prop_assert!(line.len() <= 998 && !line.contains(['\r', '\n', '\0']), "{line:?}");
                let name = line.split(':').next().unwrap();
                let known = KNOWN.contains(&name) || name.starts_with("MIME-") || name.starts_with("Content-");
                prop_assert!(line.starts_with(' ') || known, "{line:?}");
            }
            prop_assert_eq!(head.matches("\r\nSubject: ").count(), 1);
            let body = &mail[head.len()..];
            prop_assert!(!body.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
