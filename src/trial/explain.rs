//! Why a rule found something about an event, or why it did not: the parts of the rule are rules of their own
//! (`rule/probe.rs`), and go through ledger, windows and evaluation as the rule does: those on events with the events up to
//! this one, those on windows with all of the windows that it is in, those on a schedule at the tick that saw it.

mod closing;
mod lists;
mod narrow;
mod play;
mod schedule;

use std::{path::Path, sync::Arc, time::Duration};

use arrow::datatypes::Field;
use serde_json::{Map, Value};

use crate::{
    evaluate::schedule::QueryLimits,
    event::{EventType, Instant, TimeDelta, event_schema, period::Reaches, time::Calendar},
    finding::Finding,
    lists::Lists,
    personal::Kinds,
    rule::{
        Language, RuleSet,
        compile::{CompiledRule, CompiledView, Compiler, OverWindow},
        probe::{Of, Probes},
        window::View,
    },
    say,
    store::{JournalView, StoreError},
};

pub(crate) use closing::Baseline;
pub(crate) use lists::ListRow;
pub(crate) use schedule::Tick;

use play::Played;

/// Events of a window that are shown, the latest.
const EVENTS_MAX: usize = 50;
pub(crate) struct ExplainRequest<'a> {
    pub dir: &'a Path,
    /// The time zone and fiscal year.
    pub calendar: &'a Arc<Calendar>,
    /// The rules in force.
    pub rules: &'a RuleSet,
    pub rule: &'a CompiledRule,
    /// The event, and its time.
    pub event: (&'a str, Instant),
    /// How long the journal is read.
    pub time: Duration,
    /// How much later than others events may be.
    pub lateness: TimeDelta,
    /// From when on the journal is said to be complete.
    pub journal_from: Option<Instant>,
    /// What a query may use.
    pub query: QueryLimits,
    /// The tick that is asked for; without it the one that found something, or the first that saw the event.
    pub tick: Option<Instant>,
}

/// What the rule said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventVerdict {
    Found,
    /// An exception took it out.
    Excepted,
    /// `when` does not hold.
    NotFound,
    /// `where` does not hold.
    LeftOut,
    /// The rule does not look at events of this type.
    NotAsked,
    /// The event's window is open, or the rule was not due since.
    Waiting,
    /// It is not known; `limits` says why.
    Unknown,
}

/// A part of the rule, and whether it holds.
#[derive(Debug)]
#[allow(clippy::struct_field_names)]
pub(crate) struct Holds {
    /// What it is of.
    pub of: Of,
    pub text: String,
    /// Whether it holds; `None` for what was not asked, because `where` does not hold.
    pub holds: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct Explained {
    /// What the rule said.
    pub verdict: EventVerdict,
    /// The conditions of `where`, of `when`, and the exceptions.
    pub parts: Vec<Holds>,
    /// What they read, by the names of columns and measures.
    pub values: Map<String, Value>,
    /// The columns of the key.
    pub key: Map<String, Value>,
    /// What measures tell of persons.
    pub kinds: Kinds,
    /// What is in its window.
    pub window: Option<ExplainedWindow>,
    /// What its window was compared with.
    pub baseline: Option<Baseline>,
    /// The tick of a rule on a schedule.
    pub tick: Option<Tick>,
    /// The rows of reference lists that tell of the event.
    pub lists: Vec<ListRow>,
    /// What could not be done.
    pub limits: Vec<String>,
}

/// What is in a window.
#[derive(Debug)]
pub(crate) struct ExplainedWindow {
    /// Its first instant, the first after it, and whether it is over; `None` of windows that end with the event.
    pub stretch: Option<(Instant, Instant, bool)>,
    /// The latest events, in the order in which they were accepted, with their times and amounts.
    pub events: Vec<(String, Instant, Value)>,
    /// How many there are.
    pub total: usize,
}

impl Explained {
    fn without(verdict: EventVerdict, limits: Vec<String>) -> Self {
        Self {
            verdict,
            parts: Vec::new(),
            values: Map::new(),
            key: Map::new(),
            kinds: Kinds::default(),
            window: None,
            baseline: None,
            tick: None,
            lists: Vec::new(),
            limits,
        }
    }

    /// The stored finding that tells of the event: of it, of its window, or of the tick.
    pub(crate) fn stored<'s>(&self, known: &'s [(Instant, Finding)], event: &str) -> Option<&'s Finding> {
        let window = self.window.as_ref().and_then(|window| window.stretch);
        // Of windows from events several may end together.
        let about = |finding: &Finding, (start, end): (Instant, Instant)| {
            let named = finding.named_by(end);
            let (start, end) = (start.as_micros(), end.as_micros());
            named == end.to_string() || named == format!("{start} {end}")
        };
        let own = self.tick.as_ref().map(|tick| (tick.at, &tick.own));
        let is_told = |(at, finding): &&(Instant, Finding)| match (window, own) {
            (Some((start, end, _)), _) => {
                *at == end && finding.key == self.key && about(finding, (start, end))
            }
            (_, Some((tick, own))) => *at == tick && own.iter().any(|own| own.key == finding.key),
            _ => finding.event_id.as_deref() == Some(event),
        };
        known.iter().find(is_told).map(|(_, finding)| finding)
    }

    fn too_long() -> Self {
        Self::without(
            EventVerdict::Unknown,
            vec![say!("the journal is longer than there is time to read it")],
        )
    }
}

/// That a rule failed, and on what, as far as that is known.
fn failed(error: Option<String>) -> String {
    match error {
        Some(error) => say!("the rule fails here, so it is not judged: {error}", error),
        None => say!("the rule fails here, so it is not judged"),
    }
}

impl ExplainRequest<'_> {
    /// Explains what the rule says of the event, which is of this type. `stored` are findings of the rule that may tell of it,
    /// with their times.
    ///
    /// # Errors
    /// If the state cannot be read, or the rule cannot be taken apart.
    pub(crate) fn explain(
        &self,
        of: EventType,
        stored: &[(Instant, Finding)],
    ) -> Result<Explained, StoreError> {
        let is_query = matches!(self.rule.view, CompiledView::Schedule(_));
        if !is_query && self.rule.rule.trigger & of.bit() == 0 {
            return Ok(Explained::without(EventVerdict::NotAsked, Vec::new()));
        }
        let compiler = Compiler::new(self.calendar, Lists::clone(&self.rules.lists), Language::Zh);
        let probes = Probes::new(&self.rule.rule, &compiler).map_err(StoreError::Request)?;
        let history = JournalView::open(self.dir, &event_schema(&self.calendar.zone_name))?;
        let Some((arrival, own)) = self.own(&history)? else { return Ok(Explained::too_long()) };
        let mut explained = match &self.rule.view {
            CompiledView::Schedule(_) => self.at_tick(&probes, &history, (arrival, &own), stored)?,
            _ => match self.play(&probes, &history, (arrival, &own))? {
                None => Explained::too_long(),
                Some(played) => match &self.rule.view {
                    CompiledView::Closing(view) => self.of_window(&probes, view, played),
                    _ => self.told(&probes, played),
                },
            },
        };
        explained.lists = self.rows_of_lists(&own, &explained.values);
        Ok(explained)
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Corrupt { path: self.dir.to_owned(), what }
    }

    /// What the parts found, put together.
    fn told(&self, probes: &Probes, mut played: Played) -> Explained {
        let finding = |of: &Of| probes.part(of).and_then(|number| played.own.get(&number));
        let is_judged = |contrary: &Of| finding(contrary).is_some();
        let has_passed = finding(&Of::Passed).is_some();
        let mut parts: Vec<Holds> = probes
            .parts
            .entries()
            .filter(|(_, part)| !part.of.is_shown())
            .map(|(number, part)| Holds {
                of: part.of.clone(),
                text: part.text.clone(),
                holds: (has_passed || part.of == Of::Where).then(|| played.own.contains_key(&number)),
            })
            .collect();
        let all = |of: &Of| parts.iter().filter(|part| part.of == *of).all(|part| part.holds == Some(true));
        let verdict = match (finding(&Of::Whole).is_some(), has_passed, all(&Of::When)) {
            (true, ..) => EventVerdict::Found,
            (false, false, _) if is_judged(&Of::LeftOut) => EventVerdict::LeftOut,
            (false, true, true) => EventVerdict::Excepted,
            (false, true, false) if is_judged(&Of::Refuted) => EventVerdict::NotFound,
            (false, ..) => EventVerdict::Unknown,
        };
        let mut limits = Vec::new();
        if verdict == EventVerdict::Unknown {
            limits.push(failed(played.errors.take()));
            parts.iter_mut().for_each(|part| part.holds = part.holds.filter(|holds| *holds));
        }
        let mut values = finding(&Of::Asked).map(|finding| finding.values.clone()).unwrap_or_default();
        values.extend(finding(&Of::Passed).map(|finding| finding.values.clone()).unwrap_or_default());
        let key = finding(&Of::Passed).map(|finding| finding.key.clone()).unwrap_or_default();
        let window = has_passed.then(|| self.sliding_window(played)).flatten();
        let mut kinds = Kinds::default();
        if let CompiledView::Sliding(windows) = &self.rule.view {
            for OverWindow { measures, .. } in windows {
                let names = measures.fields.iter().map(Field::name);
                names.zip(&measures.personal).for_each(|(name, kind)| kinds.add(name, *kind));
            }
        }
        Explained { parts, values, key, kinds, window, ..Explained::without(verdict, limits) }
    }

    /// What is in the event's window, of a rule on an event and those before it.
    fn sliding_window(&self, played: Played) -> Option<ExplainedWindow> {
        let View::Sliding(windows) = &self.rule.rule.view else { return None };
        let over = windows.first()?;
        let from = Reaches::new(self.calendar, over.reach).from(self.event.1);
        let is_in = |(_, at, _): &(String, Instant, Value)| *at >= from && *at <= self.event.1;
        let mut events: Vec<_> = played.passed.into_iter().filter(is_in).collect();
        // A window since an event begins at the last in it that is so, by time and then as they were accepted.
        let begins = |(_, (id, ..)): &(usize, &(String, Instant, Value))| {
            played.marks.contains(id) && (over.current || id != self.event.0)
        };
        let mark = events.iter().enumerate().filter(begins).map(|(place, (_, at, _))| (*at, place)).max();
        let mut place = 0..;
        events.retain(|(_, at, _)| place.next().map(|place| (*at, place)) >= mark);
        let total = events.len();
        events.drain(..total.saturating_sub(EVENTS_MAX));
        Some(ExplainedWindow { stretch: None, events, total })
    }
}
