//! The sinks of a configuration.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;

use super::{
    Sink, SinkLimits, Sinks, alertmanager::Alertmanager, email::Email, kafka::Kafka, letter::Links,
    log::LogSink, template::Templates, webhook::Webhook,
};
use crate::{
    clock::Clock,
    config::{Config, office::Office, sinks::SinkSpec},
    diagnostic::Diagnostic,
    event::time::Calendar,
    lists::Lists,
    rule::Language,
    say,
    telemetry::Metrics,
    text::quoted,
};

/// What sinks are built with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The language of what people read, unless a sink has its own.
    pub language: Language,
    /// The zone of times that people read.
    pub calendar: Arc<Calendar>,
    /// What tells texts and sinks the time.
    pub clock: Arc<dyn Clock>,
    /// The texts of each sink, built in or configured.
    pub templates: Arc<Templates>,
    /// In whose name mails and letters are written.
    pub office: Arc<Office>,
    /// The address of this daemon for links, without a slash at its end.
    pub external_url: Option<String>,
    /// The links by which units answer letters, if they have any.
    pub links: Option<Arc<Links>>,
    /// What counts attempts and what came of them.
    pub metrics: Arc<Metrics>,
    /// What codes are called: the lists in force, which change while the sinks stay.
    pub names: Arc<RwLock<Lists>>,
}

/// Lists that may change.
pub(crate) type SharedLists = Arc<RwLock<Lists>>;

impl Setup {
    /// That of a configuration; its templates are read and tried.
    ///
    /// # Errors
    /// What is wrong with the templates.
    pub fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Vec<Diagnostic>> {
        Ok(Self {
            language: config.language,
            calendar: config.calendar.clone(),
            clock,
            templates: Arc::new(Templates::load(config.templates.as_deref())?),
            office: Arc::clone(&config.office),
            external_url: config.external_url.clone(),
            links: Links::new(config).map(Arc::new),
            metrics,
            names: SharedLists::default(),
        })
    }
}

/// The most notifications that may be under way to one sink.
const CONCURRENCY_MAX: usize = 64;

/// How much the sinks take at a time, by name.
#[must_use]
pub fn limits(specs: &[SinkSpec]) -> BTreeMap<String, SinkLimits> {
    let limits = |spec: &SinkSpec| SinkLimits { concurrency: spec.concurrency, per_minute: spec.per_minute };
    specs.iter().map(|spec| (spec.name.clone(), limits(spec))).collect()
}

/// Makes the sinks: everything that can be checked without asking a server is, and secrets are read.
///
/// # Errors
/// Everything that is wrong with them; `file` is the configuration for the messages.
pub fn build(file: &str, specs: &[SinkSpec], setup: &Setup) -> Result<Sinks, Vec<Diagnostic>> {
    let mut sinks = Sinks::new();
    let mut problems = Vec::new();
    for spec in specs {
        let mut problem = |message: String| {
            problems.push(Diagnostic::of_file(
                file,
                say!("sink {name}: {message}", name = quoted(&spec.name), message),
                None,
            ));
        };
        if !is_name(&spec.name) {
            problem(say!("a name is made of letters, digits, - and _, at most 40"));
        }
        if !(1..=CONCURRENCY_MAX).contains(&spec.concurrency) {
            problem(say!(
                "concurrency is {given}, but must be from 1 to {most}",
                given = spec.concurrency,
                most = CONCURRENCY_MAX
            ));
        }
        if spec.per_minute == Some(0) {
            problem(say!("per_minute is 0, which would tell nobody anything: leave it away for no limit"));
        }
        match one(spec, setup) {
            Err(message) => problem(message),
            Ok(sink) => {
                if sinks.insert(spec.name.clone(), sink).is_some() {
                    problem(say!("the name is taken; every sink needs a name of its own"));
                }
            }
        }
    }
    if problems.is_empty() { Ok(sinks) } else { Err(problems) }
}

fn one(spec: &SinkSpec, setup: &Setup) -> Result<Arc<dyn Sink>, String> {
    let SinkSpec { name, email, alertmanager, webhook, kafka, log, concurrency: _, per_minute: _ } = spec;
    match (email, alertmanager, webhook, kafka, log) {
        (Some(spec), None, None, None, None) => Ok(Arc::new(Email::new(name, spec, setup)?)),
        (None, Some(spec), None, None, None) => Ok(Arc::new(Alertmanager::new(name, spec, setup)?)),
        (None, None, Some(spec), None, None) => Ok(Arc::new(Webhook::new(spec, setup)?)),
        (None, None, None, Some(spec), None) => Ok(Arc::new(Kafka::new(spec, setup)?)),
        (None, None, None, None, Some(_)) => Ok(Arc::new(LogSink)),
        _ => Err(say!("give it exactly one of email, alertmanager, webhook, kafka, log")),
    }
}

/// Names stand in labels of metrics and in mails.
fn is_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= 40 && name.chars().all(valid)
}
