//! A notification as people read it. Pure: the same notification gives the same mail, however often it is sent.

use std::borrow::Cow;

use super::{
    evidence,
    letter::Links,
    mask::masked,
    template::{Templates, Texts},
    view::View,
};
use crate::{
    alert::{Notification, Reason},
    config::office::Office,
    event::time::Calendar,
    lists::Lists,
    personal::number::NumberTail,
    rule::Language,
};

static NEUTRAL: Office = Office { bureau: None, sender: None, signature: None };

/// How a notification is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Style<'s> {
    /// The language that the reader is written to in.
    pub language: Language,
    /// The zone that times are shown in.
    pub calendar: &'s Calendar,
    /// In whose name it is written.
    pub office: &'s Office,
    /// What links begin with.
    pub external_url: Option<&'s str>,
    /// The links by which units answer.
    pub links: Option<&'s Links>,
    /// The address that answers are asked to.
    pub reply_to: Option<&'s str>,
    /// Whether personal data is masked.
    pub mask: bool,
    /// Whether the evidence is attached.
    pub attach: bool,
    /// Whether it is read where it is answered, and not as a mail.
    pub here: bool,
    /// What codes are called.
    pub names: Option<&'s Lists>,
}

impl<'s> Style<'s> {
    /// Masked, with the evidence attached, without links.
    #[must_use]
    pub fn new(language: Language, calendar: &'s Calendar) -> Self {
        let office = &NEUTRAL;
        Self {
            language,
            calendar,
            office,
            external_url: None,
            links: None,
            reply_to: None,
            mask: true,
            attach: true,
            here: false,
            names: None,
        }
    }
}

/// A notification as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who see pages.
    pub html: String,
    /// The files that go with the text.
    pub attachments: Vec<Attachment>,
    /// Why the user's template could not be used, if so.
    pub trouble: Option<String>,
}

/// A file that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, ASCII.
    pub name: String,
    pub(crate) content_type: &'static str,
    /// What is in it.
    pub content: Vec<u8>,
}

/// Renders a notification. What is wrong with a template never swallows it: the built-in text takes its place and says so.
#[must_use]
pub fn render(templates: &Templates, notification: &Notification, style: &Style<'_>) -> Rendered {
    // A subject is read by servers, in lists and on locked screens: it is masked for every sink, and shows no tail either.
    let head = masked(notification, NumberTail::Hidden);
    let notification = match style.mask {
        true => Cow::Owned(masked(notification, NumberTail::Shown)),
        false => Cow::Borrowed(notification),
    };
    let csv = match (style.attach, notification.reason) {
        (false, _) => None,
        (true, Reason::Explain) => evidence::for_the_unit(&notification, style),
        (true, _) => evidence::csv(&notification),
    };
    let attachments: Vec<_> = csv.map(|content| attachment(&notification, content)).into_iter().collect();
    let name = attachments.first().map(|a| a.name.as_str());
    let mut view = View::new(&notification, style, name);
    let head = View::new(&head, style, name);

    let reason = notification.reason;
    let (texts, trouble) = match templates.own((&head, &mut view), reason, style.language) {
        Some(Ok(texts)) => (Ok(texts), None),
        Some(Err(trouble)) => {
            view.trouble = Some(trouble.clone());
            (templates.built_in((&head, &mut view), reason, style.language), Some(trouble))
        }
        None => (templates.built_in((&head, &mut view), reason, style.language), None),
    };
    match texts {
        Ok(Texts { subject, text, html }) => Rendered { subject, text, html, attachments, trouble },
        // A test renders the built-in templates for every reason; should they fail all the same, this cannot.
        Err(trouble) => bare((&head, &notification), attachments, trouble),
    }
}

fn attachment(notification: &Notification, content: Vec<u8>) -> Attachment {
    let id: String = notification.id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let what = if notification.reason == Reason::Explain { "payments" } else { "findings" };
    Attachment { name: format!("{what}-{id}.csv"), content_type: "text/csv; charset=utf-8", content }
}

/// The notification lines alone.
fn bare(
    (head, notification): (&View, &Notification),
    attachments: Vec<Attachment>,
    trouble: String,
) -> Rendered {
    let line = |text: &str| super::view::one_line(text, 500);
    let alerts = notification.alerts.iter();
    let mut lines: Vec<_> = alerts
        .map(|told| {
            format!("[{}] {}: {}", told.alert.severity, line(&told.alert.title), line(&told.alert.summary))
        })
        .chain(notification.message.as_deref().map(line))
        .collect();
    let subject = super::view::one_line(head.line(), 120);
    lines.push(format!("+ {} | {} | {trouble}", notification.omitted, line(&notification.id)));
    let text = lines.join("\n");
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Rendered { subject, html: format!("<pre>{escaped}</pre>"), text, attachments, trouble: Some(trouble) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample::{REASONS, reason_word, sample};

    fn calendar() -> Calendar {
        Calendar::new("Asia/Shanghai", 1, 1).unwrap()
    }

    fn rendered(reason: Reason, language: Language) -> Rendered {
        let calendar = calendar();
        let office = Office {
            bureau: Some(String::from("示例市财政局")),
            sender: Some(String::from("示例市财政局国库处")),
            signature: Some(String::from("联系人：李华\n电话：0571-00000000")),
        };
        let style = Style {
            office: &office,
            external_url: Some("https://fiscwatch.example.gov.cn"),
            reply_to: Some("treasury@finance.example.gov.cn"),
            ..Style::new(language, &calendar)
        };
        render(&Templates::default(), &sample(reason, language), &style)
    }

    #[test]
    fn every_reason_in_both_languages() {
        for language in [Language::Zh, Language::En] {
            for reason in REASONS {
                let Rendered { subject, text, html, attachments, trouble } = rendered(reason, language);
                assert_eq!(trouble, None);
                let files = attachments.iter().map(|a| String::from_utf8_lossy(&a.content).into_owned());
                let files: String = files.collect::<Vec<_>>().join("\n");
                let name = format!("{}_{}", reason_word(reason), crate::notify::words::code(language));
                insta::assert_snapshot!(name, format!("{subject}\n\n{text}\n=====\n{html}\n=====\n{files}"));
            }
        }
    }

    #[test]
    fn pages_take_nothing_from_elsewhere_and_escape_data() {
        let calendar = calendar();
        let mut notification = sample(Reason::First, Language::Zh);
        notification.alerts[0].alert.summary = "<script>alert(1)</script><img src=x onerror=1>".into();
        notification.alerts[0].alert.title = "a\" onclick=\"x".into();
        let page = render(&Templates::default(), &notification, &Style::new(Language::Zh, &calendar)).html;
        assert!(
            !page.contains("<script>") && !page.contains("<img") && !page.contains("\" onclick"),
            "{page}"
        );
        let page = render(
            &Templates::default(),
            &sample(Reason::First, Language::Zh),
            &Style::new(Language::Zh, &calendar),
        )
        .html;
        for remote in ["src=", "url(", "@import", "<link", "http"] {
            assert!(!page.contains(remote), "{remote}");
        }
    }

    #[test]
    fn a_hundred_alerts_are_told_within_bounds() {
        let mut notification = sample(Reason::New, Language::En);
        let told = notification.alerts[0].clone();
        notification.alerts = vec![told; crate::alert::ALERTS_MAX];
        for told in &mut notification.alerts {
            told.alert.summary = "x".repeat(100_000);
            told.evidence = vec![told.evidence[0].clone(); crate::alert::EVIDENCE_MAX];
            told.evidence[0].summary = "y".repeat(100_000);
        }
        notification.omitted = 900;
        let calendar = calendar();
        let mail = render(&Templates::default(), &notification, &Style::new(Language::En, &calendar));
        assert!(mail.subject.chars().count() <= 120, "{}", mail.subject);
        assert!(mail.text.len() < 200_000 && mail.html.len() < 400_000);
        assert!(mail.attachments[0].content.len() < 3 << 20);
        assert!(mail.text.contains("980 more alerts are not listed here"));
    }
}
