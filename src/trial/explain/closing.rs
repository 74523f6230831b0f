//! Rules on windows that close: the window that the event is in, what it was compared with, and whether it is over.

use serde_json::{Map, Value};

use super::{
    EVENTS_MAX, EventVerdict, ExplainRequest, Explained, ExplainedWindow, Holds, failed, play::Played,
};
use crate::{
    evaluate::windows_of,
    event::{Column, Instant, period::Stretch, time::Calendar},
    finding::Finding,
    personal::Kinds,
    rule::{
        Id, RuleId,
        compile::{ClosingRule, KeyPart},
        probe::{Of, Probes, RulePart},
        window::{Anomaly, AnomalyMethod, Season},
    },
    say,
};

/// Windows before it that are shown, the latest.
const BEFORE_MAX: usize = 120;

/// What a window was compared with: the windows of its key before it.
#[derive(Debug)]
pub(crate) struct Baseline {
    pub measure: String,
    pub method: &'static str,
    /// What is usual; none if there are too few windows, or the measure has no value.
    pub usual: Option<Value>,
    /// How far this one is from it.
    pub score: Option<Value>,
    /// With fewer windows there is no score.
    pub least: usize,
    /// The windows that it was compared with, the oldest first: their first instants and their values.
    pub before: Vec<(Instant, Value)>,
}

impl ExplainRequest<'_> {
    /// What the rule says of the windows that the event is in.
    pub(super) fn of_window(&self, probes: &Probes, view: &ClosingRule, played: Played) -> Explained {
        let own = |of: &Of| probes.part(of).and_then(|number| played.own.get(&number));
        let mut values = own(&Of::Asked).map(|finding| finding.values.clone()).unwrap_or_default();
        let mut parts = parts_of(probes, &played);
        let Some(counted) = own(&Of::Counted) else {
            let without = match own(&Of::LeftOut) {
                Some(_) => Explained::without(EventVerdict::LeftOut, Vec::new()),
                None => Explained::without(EventVerdict::Unknown, vec![failed(played.errors.clone())]),
            };
            return Explained { parts, values, ..without };
        };
        // By other parts of the key what was played is told apart already.
        let columns = view.by.iter().filter_map(|part| match part {
            KeyPart::Column(at) => Column::ALL.get(at.number()),
            KeyPart::Computed(_) => None,
        });
        let names = columns.map(|column| column.spec().name);
        let key = names.filter_map(|name| Some((name.to_owned(), counted.values.get(name)?.clone())));
        let windows = FoundWindows { probes, played: &played, key: key.collect(), calendar: self.calendar };
        let all = match view.is_on_calendar() {
            true => windows_of(view, self.calendar, self.event.1.as_micros()),
            false => windows.with(self.event.1),
        };
        let Some((stretch, passed)) = windows.chosen(all) else {
            return Explained { parts, values, ..in_no_window(view, played.errors) };
        };
        let holds = |of: &Of, part: RuleId| (!matches!(of, Of::Where)).then(|| windows.has(part, stretch));
        for (number, part) in probes.parts.entries().filter(|(_, part)| !part.of.is_shown()) {
            let same = |shown: &&mut Holds| shown.of == part.of && shown.text == part.text;
            if let (Some(answer), Some(shown)) = (holds(&part.of, number), parts.iter_mut().find(same)) {
                shown.holds = Some(answer);
            }
        }
        let all = parts.iter().filter(|part| part.of == Of::When).all(|part| part.holds == Some(true));
        let is_over = played.closed.is_past(stretch.end.as_micros());
        let is_excepted = || parts.iter().any(|part| is_exception(part) && part.holds == Some(true));
        let has = |of: &Of| probes.part(of).is_some_and(|part| windows.has(part, stretch));
        let verdict = match (is_over, has(&Of::Whole), all) {
            (false, ..) => EventVerdict::Waiting,
            (true, true, _) => EventVerdict::Found,
            (true, false, true) if is_excepted() => EventVerdict::Excepted,
            (true, false, false) if !has(&Of::Refuted) => EventVerdict::Unknown,
            (true, false, _) => EventVerdict::NotFound,
        };
        let baseline = view.anomaly.as_ref().map(|(anomaly, at)| {
            let measure = view.measures.fields[*at].name().clone();
            self.baseline((anomaly, measure), stretch, &passed, windows.before(stretch))
        });
        values.remove("amount");
        values.extend(passed.values.clone());
        let (key, limits) = (passed.key.clone(), limits(verdict, all, played.errors.as_ref()));
        if verdict == EventVerdict::Unknown {
            parts.iter_mut().for_each(|part| part.holds = part.holds.filter(|holds| *holds));
        }
        let window = Some(in_stretch(played.passed, stretch, is_over));
        let kinds = kinds(view);
        Explained { parts, values, key, kinds, window, baseline, ..Explained::without(verdict, limits) }
    }

    fn baseline(
        &self,
        (anomaly, measure): (&Anomaly, String),
        stretch: Stretch,
        passed: &Finding,
        before: Vec<&Finding>,
    ) -> Baseline {
        let start = |finding: &Finding| {
            finding.window.as_ref().and_then(|window| self.calendar.parse(&window.start).ok())
        };
        let mut before: Vec<(Instant, Value)> = before
            .into_iter()
            .filter_map(|finding| Some((start(finding)?, finding.values.get(&measure)?.clone())))
            .filter(|(at, value)| !value.is_null() && self.same_season(anomaly, *at, stretch.start))
            .collect();
        before.sort_by_key(|(at, _)| *at);
        before.drain(..before.len().saturating_sub(anomaly.history.min(BEFORE_MAX)));
        let value = |name: &str| passed.values.get(name).filter(|value| !value.is_null()).cloned();
        let method = anomaly.method.word();
        let (usual, score, least) = (value("baseline"), value("score"), anomaly.min_history);
        Baseline { measure, method, usual, score, least, before }
    }

    fn same_season(&self, anomaly: &Anomaly, a: Instant, b: Instant) -> bool {
        let (a, b) = (self.calendar.local(a).date(), self.calendar.local(b).date());
        match anomaly.season {
            _ if anomaly.method != AnomalyMethod::Seasonal => true,
            Season::Weekday => a.weekday() == b.weekday(),
            Season::Month => a.month() == b.month(),
            Season::DayOfMonth => a.day() == b.day(),
        }
    }
}

/// Of an event that no window is found of: windows of the calendar hold every event, others need one that begins them.
fn in_no_window(view: &ClosingRule, error: Option<String>) -> Explained {
    if view.is_on_calendar() || error.is_some() {
        return Explained::without(EventVerdict::Unknown, vec![failed(error)]);
    }
    let why = say!("no window of the rule holds the event: none begins with it or with one before it");
    Explained::without(EventVerdict::NotFound, vec![why])
}

/// Why a window is not judged, if it is not.
fn limits(verdict: EventVerdict, all: bool, error: Option<&String>) -> Vec<String> {
    match verdict {
        EventVerdict::NotFound if all => {
            vec![say!("the journal does not hold the whole of this window, so it is not judged")]
        }
        EventVerdict::Unknown => vec![failed(error.cloned())],
        _ => Vec::new(),
    }
}

/// The parts of a rule that people see, as far as they are about the event alone.
fn parts_of(probes: &Probes, played: &Played) -> Vec<Holds> {
    let shown = probes.parts.entries().filter(|(_, part)| !part.of.is_shown());
    let holds = |(number, part): (RuleId, &RulePart)| Holds {
        of: part.of.clone(),
        text: part.text.clone(),
        holds: (part.of == Of::Where).then(|| played.own.contains_key(&number)),
    };
    shown.map(holds).collect()
}

const fn is_exception(part: &Holds) -> bool {
    matches!(part.of, Of::Exception(_))
}

/// The windows of the event's key that the parts found something about.
struct FoundWindows<'f> {
    probes: &'f Probes,
    played: &'f Played,
    key: Map<String, Value>,
    calendar: &'f Calendar,
}

impl<'f> FoundWindows<'f> {
    /// Those that a part found, with their stretches.
    fn of(&self, number: RuleId) -> impl Iterator<Item = (Stretch, &'f Finding)> + use<'_, 'f> {
        let is_own =
            |finding: &Finding| self.key.iter().all(|(name, value)| finding.values.get(name) == Some(value));
        let of_part = self.played.windows.iter().filter(move |(part, ..)| *part == number);
        let own = of_part.filter(move |(_, _, finding)| is_own(finding));
        own.filter_map(|(_, end, finding)| {
            let start = self.calendar.parse(&finding.window.as_ref()?.start).ok()?;
            Some((Stretch { start, end: *end }, finding))
        })
    }

    fn has(&self, number: RuleId, stretch: Stretch) -> bool {
        self.of(number).any(|(found, _)| found == stretch)
    }

    /// Of the windows that begin with events those that hold an instant.
    fn with(&self, at: Instant) -> Vec<Stretch> {
        let Some(passed) = self.probes.part(&Of::Passed) else { return Vec::new() };
        self.of(passed).map(|(stretch, _)| stretch).filter(|stretch| stretch.contains(at)).collect()
    }

    /// Of the windows that the event is in: the first that was found, else the one that most conditions hold for.
    fn chosen(&self, all: Vec<Stretch>) -> Option<(Stretch, Finding)> {
        let (whole, passed) = (self.probes.part(&Of::Whole)?, self.probes.part(&Of::Passed)?);
        let holding = |stretch: &Stretch| {
            let parts = self.probes.parts.entries();
            let holding = parts.filter(|(number, part)| part.of == Of::When && self.has(*number, *stretch));
            (self.has(whole, *stretch), holding.count(), std::cmp::Reverse(stretch.end))
        };
        let measured = all.into_iter().filter_map(|stretch| {
            let finding = self.of(passed).find(|(found, _)| *found == stretch)?.1.clone();
            Some((stretch, finding))
        });
        measured.max_by_key(|(stretch, _)| holding(stretch))
    }

    /// What is shown of the windows before one.
    fn before(&self, stretch: Stretch) -> Vec<&'f Finding> {
        let Some(passed) = self.probes.part(&Of::Passed) else { return Vec::new() };
        self.of(passed).filter(|(found, _)| found.end < stretch.end).map(|(_, finding)| finding).collect()
    }
}

fn in_stretch(events: Vec<(String, Instant, Value)>, stretch: Stretch, is_over: bool) -> ExplainedWindow {
    let mut events: Vec<_> = events.into_iter().filter(|(_, at, _)| stretch.contains(*at)).collect();
    let total = events.len();
    events.drain(..total.saturating_sub(EVENTS_MAX));
    ExplainedWindow { stretch: Some((stretch.start, stretch.end, is_over)), events, total }
}

/// What the measures tell of persons; what was usual is made of the same as what is compared with it.
fn kinds(view: &ClosingRule) -> Kinds {
    let mut kinds = Kinds::default();
    let measures = view.measures.fields.iter().zip(&view.measures.personal);
    measures.for_each(|(field, kind)| kinds.add(field.name(), *kind));
    if let Some((_, at)) = &view.anomaly {
        kinds.add("baseline", view.measures.personal[*at]);
    }
    kinds
}
