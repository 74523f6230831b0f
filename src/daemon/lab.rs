//! Rules tried over the own journal while the daemon goes on: one backtest at a time, on one thread, and the latest ones kept
//! until the daemon ends.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::Shared;
use crate::{
    config::Config,
    diagnostic::{Diagnostic, os_reason, suggest},
    event::{Instant, schema::event_schema},
    rule::{
        RuleMode, RuleSet,
        compile::{CompiledRule, Compiler},
        load,
    },
    say,
    store::JournalView,
    text::quoted,
    trial::{
        journal::Progress,
        lab::{self, LabComparison},
    },
};

/// Backtests that are kept.
const KEPT: usize = 20;

#[derive(Debug, Clone)]
pub enum LabVariant {
    /// A rule in force with other constants.
    Params {
        rule: String,
        /// The constants that are others.
        params: Map<String, Value>,
    },
    /// The text of a rule, which is in force in another form or not at all.
    Text(String),
}

#[derive(Debug)]
pub struct Job {
    pub id: u64,
    pub rule: String,
    pub tried: LabVariant,
    pub by: String,
    pub begun_at: Instant,
    /// Events that there are to go through.
    pub events: u64,
    /// How far it is.
    pub progress: Arc<Progress>,
    end: Mutex<Option<(Instant, BacktestEnd)>>,
}

/// How a backtest ended.
#[derive(Debug, Clone)]
pub enum BacktestEnd {
    Done(Arc<LabComparison>),
    Stopped,
    /// It could not be done, and why.
    Failed(String),
}

impl Job {
    /// How it ended and when; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<(Instant, BacktestEnd)> {
        self.end.lock().clone()
    }
}

/// Why a backtest does not begin.
#[derive(Debug)]
pub(crate) enum BacktestRefused {
    Busy(Arc<Job>),
    /// There is no such rule.
    Missing(String),
    /// What is wrong with what is tried.
    Wrong(Vec<Diagnostic>),
    /// The state cannot be read, or there is no thread.
    Failed(String),
}

/// The backtests that run or ran, the latest of them.
#[derive(Debug, Default)]
pub struct Lab {
    jobs: Mutex<VecDeque<Arc<Job>>>,
    last: AtomicU64,
}

impl Lab {
    /// The backtests, the latest first.
    #[must_use]
    pub fn jobs(&self) -> Vec<Arc<Job>> {
        self.locked(|jobs| jobs.iter().cloned().collect())
    }

    #[must_use]
    pub(crate) fn job(&self, id: u64) -> Option<Arc<Job>> {
        self.locked(|jobs| jobs.iter().find(|job| job.id == id).cloned())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut VecDeque<Arc<Job>>) -> T) -> T {
        act(&mut self.jobs.lock())
    }

    fn running(&self) -> Option<Arc<Job>> {
        self.locked(|jobs| jobs.iter().find(|job| job.end().is_none()).cloned())
    }

    /// Takes a backtest in, unless one runs.
    fn take(&self, job: Arc<Job>) -> Result<(), BacktestRefused> {
        self.locked(|jobs| match jobs.iter().find(|job| job.end().is_none()) {
            Some(running) => Err(BacktestRefused::Busy(Arc::clone(running))),
            None => {
                jobs.truncate(KEPT - 1);
                jobs.push_front(job);
                Ok(())
            }
        })
    }
}

/// Begins a backtest. It takes a moment: rules are compiled, so that what is wrong with them is told at once.
///
/// # Errors
/// If another one runs, or what is tried is wrong.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    tried: LabVariant,
    by: String,
) -> Result<Arc<Job>, BacktestRefused> {
    if let Some(running) = shared.lab.running() {
        return Err(BacktestRefused::Busy(running));
    }
    let (config, lists) = {
        let watched = shared.lists.lock();
        (Arc::clone(watched.config()), watched.lists().clone())
    };
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let (rule, rules) = forms(&shared.rules_in_force(), &config, &compiler, &tried)?;
    let failed = |e: String| BacktestRefused::Failed(e);
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name))
        .map_err(|e| failed(e.to_string()))?;
    let job = Arc::new(Job {
        id: shared.lab.last.fetch_add(1, Ordering::Relaxed) + 1,
        rule,
        tried,
        by,
        begun_at: shared.clock.now(),
        events: history.events().map_err(|e| failed(e.to_string()))?,
        progress: Arc::default(),
        end: Mutex::default(),
    });
    shared.lab.take(Arc::clone(&job))?;
    let (shared, running) = (Arc::clone(shared), Arc::clone(&job));
    let work = move || {
        let worked = std::panic::AssertUnwindSafe(|| run(&config, rules, &running, &history));
        let broke = |_| BacktestEnd::Failed(say!("the backtest broke off; please report this"));
        let end = std::panic::catch_unwind(worked).unwrap_or_else(broke);
        let mut ended = running.end.lock();
        *ended = Some((shared.clock.now(), end));
    };
    let begun = std::thread::Builder::new().name(String::from("lab")).spawn(work);
    if let Err(e) = begun {
        let end = BacktestEnd::Failed(os_reason(&e));
        *job.end.lock() = Some((job.begun_at, end));
    }
    Ok(job)
}

fn run(config: &Config, rules: Arc<RuleSet>, job: &Job, history: &JournalView) -> BacktestEnd {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return BacktestEnd::Failed(os_reason(&e)),
    };
    let result = runtime.block_on(lab::beside(&config.course(), rules, &job.rule, history, &job.progress));
    match result {
        _ if job.progress.stop.is_cancelled() => BacktestEnd::Stopped,
        Ok(beside) => BacktestEnd::Done(Arc::new(beside)),
        Err(e) => BacktestEnd::Failed(e.to_string()),
    }
}

/// The rule's id, and both forms of it: as it is, if it is in force, and as it is tried. Both are live.
fn forms(
    in_force: &RuleSet,
    config: &Config,
    compiler: &Compiler,
    tried: &LabVariant,
) -> Result<(String, Arc<RuleSet>), BacktestRefused> {
    let find = |id: &str| in_force.rules.iter().find(|compiled| compiled.rule.id == id);
    let (id, other) = match tried {
        LabVariant::Text(text) => {
            let file = say!("the text that is tried");
            let rule =
                load::of_text(&file, text, compiler, &config.calendar).map_err(BacktestRefused::Wrong)?;
            (rule.rule.id.clone(), rule)
        }
        LabVariant::Params { rule, params } => {
            let present = find(rule).ok_or_else(|| {
                let hint = suggest(rule, in_force.rules.iter().map(|known| known.rule.id.as_str()));
                BacktestRefused::Missing(say!("there is no rule {id}: {hint}", id = quoted(rule), hint))
            })?;
            let mut changes = config.overrides.get(rule).cloned().unwrap_or_default();
            changes.params.extend(others(present, params)?);
            let variant = [(rule.clone(), changes)];
            let set = load::variants(&config.rule_paths, compiler, &config.calendar, rule, &variant);
            let rules = set.map_err(BacktestRefused::Wrong)?.rules;
            let other = rules.last().cloned().ok_or_else(|| BacktestRefused::Missing(rule.clone()))?;
            (rule.clone(), other)
        }
    };
    let [present, now] = lab::names(&id);
    let mut rules: Vec<_> = find(&id).map(|rule| named(rule, present)).into_iter().collect();
    rules.push(named(&other, now));
    Ok((id, Arc::new(RuleSet::new(rules, compiler))))
}

fn named(rule: &CompiledRule, name: String) -> CompiledRule {
    let mut rule = rule.clone();
    let inner = Arc::make_mut(&mut rule.rule);
    (inner.id, inner.mode) = (name, RuleMode::Live);
    rule
}

/// Constants as the rule has them.
pub(super) fn others(
    rule: &CompiledRule,
    given: &Map<String, Value>,
) -> Result<BTreeMap<String, crate::rule::Param>, BacktestRefused> {
    let wrong = |message: String, hint: String| {
        BacktestRefused::Wrong(vec![Diagnostic::of_file("params", message, Some(hint))])
    };
    let params = &rule.rule.params;
    let one = |(name, value): (&String, &Value)| {
        let (_, present) = params.iter().find(|(known, _)| known == name).ok_or_else(|| {
            let hint = suggest(name, params.iter().map(|(known, _)| known.as_str()));
            let id = quoted(&rule.rule.id);
            wrong(say!("the rule {id} has no constant {name}", id, name = quoted(name)), hint)
        })?;
        let value = present.of_json(value).ok_or_else(|| {
            let present = present.to_json().to_string();
            let hint =
                say!("it is {present} now: give a value of the same kind, a number in digits", present);
            wrong(say!("{name} cannot be {value}", name = quoted(name), value = value.to_string()), hint)
        })?;
        Ok((name.clone(), value))
    };
    given.iter().map(one).collect()
}
