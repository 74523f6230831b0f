//! The texts of notifications: built-in templates, and a folder of the user's that replaces any of them. The user's are
//! checked before they are used, and one that fails all the same gives way to the built-in text.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use minijinja::{Environment, Error, UndefinedBehavior, context, value::Serde};

use super::{
    render::Style,
    sample::{REASONS, sample},
    view::View,
};
use crate::{
    alert::Reason,
    diagnostic::{Diagnostic, os_reason, suggest},
    event::time::Calendar,
    rule::{
        Language,
        template::{add_filters, describe},
    },
    say,
};

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        /// The built-in templates by name.
        const BUILT_IN: &[(&str, &str)] = &[$(($name, include_str!(concat!("templates/", $name)))),+];
    };
}

built_in!(
    "layout.html",
    "parts.html",
    "zh/page.html",
    "zh/words.html",
    "zh/subject.txt",
    "zh/foot.txt",
    "zh/list.txt",
    "zh/alerts.txt",
    "zh/alerts.html",
    "zh/digest.txt",
    "zh/digest.html",
    "zh/storm.txt",
    "zh/storm.html",
    "zh/explain.txt",
    "zh/explain.html",
    "zh/message.txt",
    "zh/message.html",
    "en/page.html",
    "en/words.html",
    "en/subject.txt",
    "en/foot.txt",
    "en/list.txt",
    "en/alerts.txt",
    "en/alerts.html",
    "en/digest.txt",
    "en/digest.html",
    "en/storm.txt",
    "en/storm.html",
    "en/explain.txt",
    "en/explain.html",
    "en/message.txt",
    "en/message.html",
);

/// The template of a reason, without language and ending.
fn base(reason: Reason) -> &'static str {
    match reason {
        Reason::First
        | Reason::New
        | Reason::SomeEnded
        | Reason::AllEnded
        | Reason::Escalated
        | Reason::Answered
        | Reason::Unanswered
        | Reason::Repeat => "alerts",
        Reason::Digest => "digest",
        Reason::Storm => "storm",
        Reason::Explain => "explain",
        Reason::Approval | Reason::Daemon | Reason::Test => "message",
    }
}

/// The templates in use.
#[derive(Debug)]
pub struct Templates {
    built_in: Environment<'static>,
    own: Option<Environment<'static>>,
}

/// What the templates make of a notification.
#[derive(Debug)]
pub(super) struct Texts {
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Default for Templates {
    /// The built-in ones alone.
    fn default() -> Self {
        Self { built_in: environment(&BTreeMap::new()), own: None }
    }
}

impl Templates {
    /// The built-in templates with those of a folder over them: `zh/alerts.html` and so on; a name that begins with
    /// `_` is a part that others include.
    ///
    /// # Errors
    /// Everything that is wrong with the user's: names that replace nothing, syntax, and what a trial on made-up
    /// notifications of every reason shows.
    pub fn load(dir: Option<&Path>) -> Result<Self, Vec<Diagnostic>> {
        let Some(dir) = dir else { return Ok(Self::default()) };
        let files = read(dir)?;
        let mut problems: Vec<_> = files.keys().filter_map(|name| unknown(dir, name)).collect();
        let mut check = Environment::new();
        for (name, text) in &files {
            if let Err(e) = check.add_template(name, text) {
                problems.push(diagnostic(dir, name, &e));
            }
        }
        drop(check);
        if problems.is_empty() {
            let templates = Self { own: Some(environment(&files)), ..Self::default() };
            problems = templates.try_all(dir);
            if problems.is_empty() {
                return Ok(templates);
            }
        }
        Err(problems)
    }

    /// The user's texts, of a view for the subject and one for the bodies; `None` if there are no templates of the user's.
    pub(super) fn own(
        &self,
        views: (&View, &mut View),
        reason: Reason,
        language: Language,
    ) -> Option<Result<Texts, String>> {
        let own = self.own.as_ref()?;
        Some(render(own, views, reason, language).map_err(|(name, e)| format!("{name}: {}", told(&e))))
    }

    pub(super) fn built_in(
        &self,
        views: (&View, &mut View),
        reason: Reason,
        language: Language,
    ) -> Result<Texts, String> {
        render(&self.built_in, views, reason, language).map_err(|(name, e)| format!("{name}: {}", told(&e)))
    }

    fn try_all(&self, dir: &Path) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let Ok(calendar) = Calendar::new("UTC", 1, 1) else { return problems };
        let urls = [Some("https://fiscwatch.example.gov.cn"), None];
        for language in [Language::Zh, Language::En] {
            for (reason, url) in REASONS.iter().flat_map(|reason| urls.map(|url| (*reason, url))) {
                let style = Style { external_url: url, reply_to: url, ..Style::new(language, &calendar) };
                let view = || View::new(&sample(reason, language), &style, url.map(|_| "evidence.csv"));
                let Some(own) = &self.own else { continue };
                if let Err((name, e)) = render(own, (&view(), &mut view()), reason, language) {
                    let problem = diagnostic(dir, e.name().unwrap_or(&name), &e);
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                    // It would take as long each time.
                    if e.kind() == minijinja::ErrorKind::OutOfFuel {
                        return problems;
                    }
                }
            }
        }
        problems
    }
}

fn environment(files: &BTreeMap<String, String>) -> Environment<'static> {
    let mut environment = Environment::new();
    // A name that is nowhere is a mistake, not an empty text.
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Loops in loops would take for ever, and nobody else would be told meanwhile.
    environment.set_fuel(Some(STEPS));
    add_filters(&mut environment);
    let built_in = BUILT_IN.iter().filter(|(name, _)| !files.contains_key(*name));
    let built_in = built_in.map(|(name, text)| (Cow::Borrowed(*name), Cow::Borrowed(*text)));
    let own = files.iter().map(|(name, text)| (Cow::Owned(name.clone()), Cow::Owned(text.clone())));
    for (name, text) in built_in.chain(own) {
        if let Err(e) = environment.add_template_owned(name.clone(), text) {
            // Those of the user were parsed before, and a test parses the built-in ones.
            tracing::error!("the template {name} cannot be used: {}", describe(&e));
        }
    }
    environment
}

/// Steps that one text may take, with the bytes that it writes.
const STEPS: u64 = 2_000_000;

/// Renders the subject of the first view and the bodies of the second.
fn render(
    environment: &Environment<'_>,
    (head, view): (&View, &mut View),
    reason: Reason,
    language: Language,
) -> Result<Texts, (String, Error)> {
    let code = super::words::code(language);
    let one = |name: String, view: &View| {
        let text = environment.get_template(&name).and_then(|t| t.render(context! { ..Serde(view) }));
        let text = text.and_then(|text| match text.trim().is_empty() {
            true => Err(Error::new(minijinja::ErrorKind::InvalidOperation, say!("the text is empty"))),
            false => Ok(text),
        });
        text.map_err(|e| (name, e))
    };
    view.subject = super::view::one_line(&one(format!("{code}/subject.txt"), head)?, SUBJECT_MAX);
    Ok(Texts {
        subject: view.subject.clone(),
        text: one(format!("{code}/{}.txt", base(reason)), view)?,
        html: one(format!("{code}/{}.html", base(reason)), view)?,
    })
}

/// The longest subject, in characters.
const SUBJECT_MAX: usize = 120;

/// The user's templates by name.
fn read(dir: &Path) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut files = BTreeMap::new();
    let mut problems = Vec::new();
    for folder in ["", "zh", "en"] {
        let path = dir.join(folder);
        if !folder.is_empty() && !path.exists() {
            continue;
        }
        for file in list(&path).unwrap_or_else(|e| {
            problems.push(problem(&path, &unreadable(&e), &say!("name a folder in `templates`")));
            Vec::new()
        }) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let name = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    files.insert(name, text);
                }
                Err(e) => {
                    problems.push(problem(&file, &unreadable(&e), &say!("it must be UTF-8 text")));
                }
            }
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// The templates in a folder; other files may lie beside them.
fn list(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let is_template = path.extension().is_some_and(|ending| ending == "html" || ending == "txt");
        if is_template && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A file that replaces nothing would be left unused in silence.
fn unknown(dir: &Path, name: &str) -> Option<Diagnostic> {
    let is_part = name.rsplit('/').next().is_some_and(|file| file.starts_with('_'));
    let known = || BUILT_IN.iter().map(|(name, _)| *name);
    (!is_part && known().all(|known| known != name)).then(|| {
        let hint = say!("{meant} A part that others include begins with _", meant = suggest(name, known()));
        problem(&dir.join(name), &say!("replaces no built-in template"), &hint)
    })
}

fn unreadable(error: &std::io::Error) -> String {
    say!("cannot be read: {reason}", reason = os_reason(error))
}

fn problem(path: &Path, message: &str, hint: &str) -> Diagnostic {
    Diagnostic::of_file(&path.display().to_string(), message, Some(hint.to_owned()))
}

fn diagnostic(dir: &Path, name: &str, error: &Error) -> Diagnostic {
    Diagnostic {
        file: dir.join(name).display().to_string(),
        line: error.line().unwrap_or(0),
        column: usize::from(error.line().is_some()),
        message: describe(error),
        hint: Some(say!("docs/notifications.md lists what templates can use")),
    }
}

/// An error with the line of the template, for a log and the mail itself.
fn told(error: &Error) -> String {
    let text = describe(error);
    error.line().map_or_else(|| text.clone(), |line| say!("line {line}: {text}", line, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{finding::Severity, notify::render::render as render_all};

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    fn problems(files: &[(&str, &str)]) -> String {
        let dir = folder(files);
        let problems = Templates::load(Some(dir.path())).unwrap_err();
        let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
        text.join("\n").replace(&dir.path().display().to_string(), "templates")
    }

    #[test]
    fn the_users_template_replaces_one_and_leaves_the_others() {
        let dir = folder(&[
            (
                "zh/alerts.txt",
                "{% include 'zh/_greeting.txt' %}{{ alerts[0].summary }} {{ alerts[0].evidence[0].values[1].value|money }}",
            ),
            ("zh/_greeting.txt", "各位同事:"),
            ("README.md", "not a template"),
        ]);
        let templates = Templates::load(Some(dir.path())).unwrap();
        let calendar = Calendar::new("UTC", 1, 1).unwrap();
        let style = Style::new(Language::Zh, &calendar);
        let mail = render_all(&templates, &sample(Reason::First, Language::Zh), &style);
        assert!(mail.text.starts_with("各位同事:市第一中学提取现金"), "{}", mail.text);
        assert!(mail.text.ends_with("60,000.00"), "{}", mail.text);
        assert!(mail.html.contains("<html") && mail.trouble.is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        insta::assert_snapshot!(problems(&[
            ("zh/alert.txt", "x"),
            ("en/alerts.html", "{% if %}"),
            ("en/digest.txt", "line one\n{{ alerts }"),
        ]));
    }

    #[test]
    fn a_text_that_takes_for_ever_or_writes_without_end_is_refused() {
        let started = std::time::Instant::now();
        for text in [
            "{% for a in range(90000) %}{% for b in range(90000) %}{{ a * b }}{% endfor %}{% endfor %}",
            "{{ 'x' * 2000000000 }}",
        ] {
            let said = problems(&[("zh/alerts.txt", text)]);
            assert!(said.contains("it takes too many steps"), "{said}");
        }
        assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    }

    #[test]
    fn a_trial_finds_names_that_are_nowhere_and_empty_texts() {
        insta::assert_snapshot!(problems(&[
            ("zh/alerts.txt", "{{ alerts[0].summary }}\n{{ alerts[0].sumary }}"),
            ("en/message.txt", "  {% if false %}x{% endif %} "),
            ("en/subject.txt", "{{ reason|no_such_filter }}"),
        ]));
    }

    #[test]
    fn a_template_that_fails_later_gives_way_to_the_built_in_text() {
        // The sample's severity is another one, so the trial passes.
        let text = "{% if severity == 'low' %}{{ nowhere }}{% endif %}{{ alerts|length }}";
        let dir = folder(&[("en/alerts.txt", text)]);
        let templates = Templates::load(Some(dir.path())).unwrap();
        let calendar = Calendar::new("UTC", 1, 1).unwrap();
        let mut notification = sample(Reason::First, Language::En);
        notification.alerts[0].alert.severity = Severity::Medium;
        let mut other = notification.clone();
        other.alerts[0].alert.severity = Severity::Low;
        let style = Style::new(Language::En, &calendar);
        assert_eq!(render_all(&templates, &notification, &style).trouble, None);
        let mail = render_all(&templates, &other, &style);
        assert_eq!(
            mail.trouble.as_deref(),
            Some("en/alerts.txt: line 1: undefined value: `nowhere` is undefined")
        );
        assert!(mail.text.contains("The First School drew 60,000.00 in cash"), "{}", mail.text);
        let last = mail.text.trim_end().lines().last().unwrap();
        assert_eq!(
            last,
            "Note: your own template failed, so this is the built-in text (en/alerts.txt: line 1: undefined value: `nowhere` is undefined)"
        );
        assert!(mail.html.contains("your own template failed"), "{}", mail.html);
    }
}
