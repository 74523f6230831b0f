//! Reference lists of a running daemon. A file that was changed and is then left alone is read again by itself, and
//! nothing else with it: the rules are those in force.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::Shared;
use crate::{
    approval::rows::ListAmendment,
    config::{Config, lists::ListSpec},
    diagnostic::Diagnostic,
    evaluate::Evaluator,
    lists::{List, Lists, key_of},
    rule::compile::Compiler,
    say,
    telemetry::Metrics,
};

/// What a file's metadata says: when it was changed last, and its size; `None` where there is no file.
type Stamp = Option<(SystemTime, u64)>;

/// The lists in force, and the files that they came from.
#[derive(Debug)]
pub struct WatchedLists {
    config: Arc<Config>,
    lists: Lists,
    files: BTreeMap<String, Watched>,
}

/// The file of a list.
#[derive(Debug)]
struct Watched {
    spec: ListSpec,
    /// As it was when the list in force was read.
    read: Stamp,
    /// As it was when it was refused, if it is.
    refused: Option<Stamp>,
    /// As it was when it was looked at last, and since when it is so.
    seen: Stamp,
    since: std::time::Instant,
}

impl WatchedLists {
    /// The lists that a configuration names, which were read a moment ago.
    #[must_use]
    pub fn new(config: Arc<Config>, lists: Lists) -> Self {
        let files = config.list_specs().map(|(name, spec)| (name.to_owned(), Watched::new(spec)));
        let files = files.collect();
        Self { config, lists, files }
    }

    /// The names of the files that have changed since they were read, and not for a while.
    fn settled(&mut self, now: std::time::Instant) -> Vec<String> {
        let settle = self.config.list_settle;
        let files = self.files.iter_mut();
        files.filter_map(|(name, file)| file.settled(now, settle).then(|| name.clone())).collect()
    }

    /// Notes what became of files that were like this.
    fn mark(&mut self, files: &[(String, Stamp)], note: impl Fn(&mut Watched, Stamp)) {
        for (name, stamp) in files {
            if let Some(file) = self.files.get_mut(name) {
                note(file, *stamp);
            }
        }
    }

    /// A list as another configuration wants it, if it is at hand.
    fn unchanged(&self, name: &str, spec: &ListSpec) -> Option<&Arc<List>> {
        let file = self.files.get(name)?;
        self.lists.get(name).filter(|_| file.spec == *spec && file.read == stamp(&spec.path))
    }
}

impl Watched {
    fn new(spec: &ListSpec) -> Self {
        let now = stamp(&spec.path);
        Self { spec: spec.clone(), read: now, refused: None, seen: now, since: std::time::Instant::now() }
    }

    fn settled(&mut self, now: std::time::Instant, settle: Duration) -> bool {
        let stamp = stamp(&self.spec.path);
        if stamp != self.seen {
            (self.seen, self.since) = (stamp, now);
        }
        // One that was refused is read again when it is as it was before, too: it is no fault any more.
        let is_news = if self.refused.is_some() { self.refused != Some(stamp) } else { stamp != self.read };
        is_news && now.duration_since(self.since) >= settle
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads the lists of a configuration; of those in force only what has changed.
///
/// # Errors
/// Everything that is wrong with them. A list that would lose more than half of its rows is refused, unless `force` or the
/// configuration allows it.
pub(crate) fn read(
    shared: &Shared,
    config: &Arc<Config>,
    force: bool,
) -> Result<WatchedLists, Vec<Diagnostic>> {
    let watched = shared.lists.lock();
    // Looked at before they are read, so that a change in between is seen the next time.
    let mut next = WatchedLists::new(Arc::clone(config), Lists::default());
    let mut problems = Vec::new();
    for (name, spec) in config.list_specs() {
        let list = match watched.unchanged(name, spec) {
            Some(list) => Ok(Arc::clone(list)),
            None => again(&shared.metrics, config, (name, spec), watched.lists.get(name), force),
        };
        match list {
            Ok(list) => next.lists.share(name, list),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(next) } else { Err(problems) }
}

/// Reads a list again, and tells what became of its rows.
fn again(
    metrics: &Metrics,
    config: &Config,
    (name, spec): (&str, &ListSpec),
    old: Option<&Arc<List>>,
    force: bool,
) -> Result<Arc<List>, Diagnostic> {
    let read = config.read_list(name).and_then(|list| match old {
        Some(old) if list.len() < old.len().div_ceil(2) && !(force || spec.shrink) => {
            Err(shrinks(config, name, (old.len(), list.len())))
        }
        _ => Ok(list),
    });
    metrics.list_reads.with_label_values(&[name, if read.is_ok() { "read" } else { "refused" }]).inc();
    let list = read?;
    let changes = old.map(|old| list.changes(old)).unwrap_or_default();
    let (rows, added, removed, changed) = (list.len(), changes.added, changes.removed, changes.changed);
    tracing::info!(list = name, rows, added, removed, changed, "a list is read again");
    for (change, n) in [("added", added), ("removed", removed), ("changed", changed)] {
        metrics.list_changes.with_label_values(&[name, change]).inc_by(n);
    }
    Ok(Arc::new(list))
}

fn shrinks(config: &Config, name: &str, (before, after): (usize, usize)) -> Diagnostic {
    let message = say!(
        "{key}: the file has {after} rows and the list in force {before}; what loses more than half of its rows may be half written",
        key = key_of(name),
        after,
        before
    );
    let hint = say!(
        "if it is whole, reload by POST /-/reload?force=true, or set {key}.shrink to true",
        key = key_of(name)
    );
    Diagnostic::of_file(&config.file, message, Some(hint))
}

/// Reads the lists again whose files have changed and settled. A list that cannot be taken is told once, and the old one
/// stays until its file changes again. Says whether the rules should be read again as well: one that was left out may have
/// wanted what a list has only now.
pub(crate) fn refresh(shared: &Shared) -> bool {
    let settled = || shared.lists.lock().settled(std::time::Instant::now());
    if settled().is_empty() {
        return false;
    }
    let _alone = shared.reloads.alone();
    // Another reload may have read them meanwhile.
    let names = settled();
    let mut watched = shared.lists.lock();
    let (config, mut lists) = (Arc::clone(&watched.config), watched.lists.clone());
    let mut taken = Vec::new();
    for name in names {
        let Some(file) = watched.files.get_mut(&name) else { continue };
        let seen = file.seen;
        match again(&shared.metrics, &config, (&name, &file.spec), lists.get(&name), false) {
            Ok(list) => {
                lists.share(&name, list);
                taken.push((name, seen));
            }
            Err(problem) => {
                file.refused = Some(seen);
                shared.metrics.reload_successful.set(0);
                tracing::error!("reload refused, the old list stays: {problem}");
            }
        }
    }
    if taken.is_empty() {
        return false;
    }
    let compiler = Compiler::new(&config.calendar, lists.clone(), config.language);
    match shared.rules_in_force().with_lists(&compiler) {
        Ok(rules) => {
            watched.lists = lists;
            watched.mark(&taken, |file, stamp| (file.read, file.refused) = (stamp, None));
            let leaves_out = !rules.skipped.is_empty();
            shared.take_rules(Evaluator::new(rules, Arc::clone(&config.calendar)));
            shared.receivers.send_modify(|receivers| receivers.take_lists(&watched.lists));
            gauge_rows(&shared.metrics, &watched.lists);
            shared.metrics.reload_successful.set(1);
            leaves_out
        }
        Err(problems) => {
            watched.mark(&taken, |file, stamp| file.refused = Some(stamp));
            shared.metrics.reload_successful.set(0);
            problems
                .iter()
                .for_each(|p| tracing::error!("reload refused, the rules in force need the old lists: {p}"));
            false
        }
    }
}

/// Has the lists read again of which people agreed on other rows; the next look at the files does it.
pub(crate) fn take_agreed(shared: &Shared, agreed: BTreeMap<String, Vec<ListAmendment>>) {
    let mut watched = shared.lists.lock();
    let mut config = Config::clone(&watched.config);
    config.take_agreed_rows(agreed);
    for (name, spec) in config.list_specs() {
        if let Some(file) = watched.files.get_mut(name)
            && file.spec != *spec
        {
            (file.spec, file.read, file.refused) = (spec.clone(), None, None);
        }
    }
    watched.config = Arc::new(config);
}

/// How many rows the lists in force have.
pub(crate) fn gauge_rows(metrics: &Metrics, lists: &Lists) {
    for (name, _, rows) in lists.prints() {
        #[allow(clippy::cast_precision_loss)]
        metrics.list_rows.with_label_values(&[name]).set(rows as f64);
    }
}

impl WatchedLists {
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The configuration that names them: the one in force.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }
}
