//! `over`, `window`, `anomaly` and schedules.

use std::str::FromStr;

use super::{Trigger, event_type, list, optional, required, required_node};
use crate::{
    event::{
        TimeDelta, TypeSet,
        period::{Length, Reach},
        tick::Ticks,
    },
    rule::window::{
        Anomaly, AnomalyMethod, Closing, Direction, Measure, Over, Schedule, Season, View, WindowForm,
    },
    say,
    yaml::{Document, MappingFields, Node, Placed},
};

/// Fields that only some rules have, with what they need.
const FIELDS: &[(&str, &[Kind])] = &[
    ("over", &[Kind::Event]),
    ("measure", &[Kind::Event, Kind::Window]),
    ("also", &[Kind::Event]),
    ("group", &[Kind::Event]),
    ("where", &[Kind::Event, Kind::Window]),
    ("when", &[Kind::Event, Kind::Window]),
    ("of", &[Kind::Window]),
    ("window", &[Kind::Window]),
    ("anomaly", &[Kind::Window]),
    ("every", &[Kind::Schedule]),
    ("cron", &[Kind::Schedule]),
    ("sql", &[Kind::Schedule]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    Window,
    Schedule,
}

impl Kind {
    fn trigger(self) -> &'static str {
        match self {
            Self::Event => "payment",
            Self::Window => "window",
            Self::Schedule => "schedule",
        }
    }
}

/// The event types of the stream that a rule looks at, and how it looks at them. Without types there is a problem
/// that keeps the rule from being compiled.
pub(crate) fn view<'t>(
    d: &mut Document<'t>,
    record: &MappingFields<'_, 't>,
    trigger: Trigger,
) -> (TypeSet, View) {
    let kind = match trigger {
        Trigger { window: true, .. } => Kind::Window,
        Trigger { schedule: true, .. } => Kind::Schedule,
        _ => Kind::Event,
    };
    for (name, kinds) in
        FIELDS.iter().filter(|(name, kinds)| record.get(name).is_some() && !kinds.contains(&kind))
    {
        let triggers: Vec<_> = kinds.iter().map(|kind| format!("`trigger: {}`", kind.trigger())).collect();
        let hint = say!("it belongs to a rule with {triggers}", triggers = triggers.join(", "));
        d.problem(record.place(name), say!("this rule cannot have `{name}`", name), Some(hint));
    }
    if record.get("group").is_some() && record.get("over").is_some() {
        let hint = say!("make two rules of it: one with `group`, one with `over`");
        d.problem(record.place("group"), say!("a rule with a window cannot have `group`"), Some(hint));
    }
    match kind {
        Kind::Event => match sliding(d, record) {
            Some(view) => (trigger.types, view),
            None => (0, View::Event),
        },
        Kind::Window => {
            let of = required_node(d, record, "of").map(|node| d.scalars(node, "of")).unwrap_or_default();
            let types = of.iter().fold(0, |types, word| types | event_type(d, word, &say!("stream")));
            match closing(d, record) {
                Some(closing) => (types, View::Window(closing)),
                None => (0, View::Event),
            }
        }
        Kind::Schedule => (0, schedule(d, record).map_or(View::Event, View::Schedule)),
    }
}

fn sliding<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<View> {
    if record.get("over").is_none() {
        if let Some(name) = ["measure", "also"].into_iter().find(|name| record.get(name).is_some()) {
            let hint = say!("name the window, such as `over: {{ by: [unit_code], last: 7d }}`");
            d.problem(record.place(name), say!("a measure needs a window"), Some(hint));
            return None;
        }
        return Some(View::Event);
    }
    let mut windows = vec![over(d, record)];
    if let Some(node) = record.get("also") {
        for item in d.sequence(node, "also") {
            let record = d.record(item, &say!("a window of `also`"), &["over", "measure"]);
            windows.push(over(d, &record));
        }
    }
    windows.into_iter().collect::<Option<Vec<_>>>().map(View::Sliding)
}

fn over<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Over> {
    let node = required_node(d, record, "over")?;
    let over = d.record(node, "over", &["by", "last", "to_date", "since", "current"]);
    let by = by(d, &over);
    let measures = measures(d, record);
    let last = over.get("last").and_then(|node| length(d, node, "last"));
    let to_date = over.get("to_date").and_then(|node| {
        let words = [("month", Length::Month), ("quarter", Length::Quarter), ("year", Length::Year)];
        d.choice(node, "to_date", &words)
    });
    let current = over
        .get("current")
        .and_then(|node| d.choice(node, "current", &[("include", true), ("exclude", false)]));
    let reach = match (last, to_date, over.get("last").is_some() && over.get("to_date").is_some()) {
        (Some(Length::Month | Length::Quarter | Length::Year), ..) => {
            let hint = say!("write `to_date: month`, or a number of days such as 30d");
            d.problem(over.place("last"), say!("`last` is a number of s, m, h, d or w"), Some(hint));
            return None;
        }
        (Some(last), None, false) => Reach::Last(last),
        (None, Some(to_date), false) => Reach::ToDate(to_date),
        (None, None, false) if over.get("last").is_some() || over.get("to_date").is_some() => {
            return None;
        }
        _ => {
            let hint = say!("such as `last: 7d`, `last: 90m` or `to_date: year`");
            d.problem(over.span, say!("`over` needs either `last` or `to_date`"), Some(hint));
            return None;
        }
    };
    let since = over.get("since").and_then(|node| d.scalar(node, "since"));
    let over = Over { by, reach, since, current: current.unwrap_or(true), measures };
    (!over.measures.is_empty()).then_some(over)
}

fn by<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Vec<Placed> {
    let by = list(d, record, "by");
    if record.get("by").is_none() {
        let hint = say!("name the columns, such as `by: [unit_code]`, or `by: []` for one window over all");
        d.problem(record.span, say!("the window has no `by`"), Some(hint));
    }
    by
}

/// A length of time.
pub(crate) fn length<'t>(d: &mut Document<'t>, node: &Node<'t>, what: &str) -> Option<Length> {
    let placed = d.scalar(node, what)?;
    let length = Length::parse(&placed.text);
    if length.is_none() {
        let hint = say!("write 90s, 15m, 24h, 30d or 2w; windows may also be a month, quarter or year");
        d.problem(
            placed.span,
            say!("{what}: \"{placed}\" is not a length of time", what, placed = placed.text),
            Some(hint),
        );
    }
    length
}

fn measures<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Vec<Measure> {
    let Some(node) = required_node(d, record, "measure") else { return Vec::new() };
    let entries = d.mapping(node, "measure");
    let mut measures = Vec::new();
    for (name, node) in entries {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !name.text.starts_with(|c: char| c.is_ascii_lowercase()) || !name.text.chars().all(fits) {
            let hint = say!("use small letters, digits and underscores, such as total");
            d.problem(
                name.span,
                say!("\"{name}\" cannot be the name of a measure", name = name.text),
                Some(hint),
            );
        }
        measures.extend(d.scalar(node, &say!("the measure")).map(|expression| Measure { name, expression }));
    }
    measures
}

fn closing<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Closing> {
    let measures = measures(d, record);
    let anomaly = record.get("anomaly").and_then(|node| anomaly(d, node));
    let node = required_node(d, record, "window")?;
    let window = d.record(node, "window", &["by", "size", "slide", "gap", "from", "within"]);
    let by = by(d, &window);
    let ((size, slide), form) = match ["gap", "from", "within"].map(|name| window.get(name).is_some()) {
        [false, false, false] => (on_the_calendar(d, &window)?, WindowForm::Calendar),
        [true, false, false] => session(d, &window)?,
        [false, true, true] => from_events(d, &window)?,
        _ => {
            let hint =
                say!("such as `size: 1d`, or `gap: 3d`, or `from: type = 'payment'` with `within: 5d`");
            d.problem(
                window.span,
                say!("a window has a `size`, a `gap`, or `from` and `within`"),
                Some(hint),
            );
            return None;
        }
    };
    if anomaly.is_some() && !matches!(form, WindowForm::Calendar) {
        let hint = say!("compare windows on the calendar: `size: 7d`");
        d.problem(record.place("anomaly"), say!("windows of any length are not compared"), Some(hint));
    }
    Some(Closing { by, form, size, slide, measures, anomaly })
}

fn on_the_calendar<'t>(d: &mut Document<'t>, window: &MappingFields<'_, 't>) -> Option<(Length, Length)> {
    let size = required_node(d, window, "size").and_then(|node| length(d, node, "size"))?;
    let slide = match window.get("slide") {
        Some(node) => length(d, node, "slide")?,
        None => size,
    };
    if let Err(hint) = check_slide(size, slide) {
        let place = window.place(if size == slide { "size" } else { "slide" });
        d.problem(place, say!("windows of {size} every {slide} cannot be made", size, slide), Some(hint));
        return None;
    }
    Some((size, slide))
}

/// A session lies within a month, quarter or fiscal year, so that no event reaches further back than that.
fn session<'t>(
    d: &mut Document<'t>,
    window: &MappingFields<'_, 't>,
) -> Option<((Length, Length), WindowForm)> {
    let gap = short(d, window, "gap")?;
    let words = [("month", Length::Month), ("quarter", Length::Quarter), ("year", Length::Year)];
    let size = match window.get("size") {
        Some(node) => d.choice(node, "size", &words)?,
        None => Length::Year,
    };
    without_slide(d, window);
    Some(((size, size), WindowForm::Session(gap)))
}

fn from_events<'t>(
    d: &mut Document<'t>,
    window: &MappingFields<'_, 't>,
) -> Option<((Length, Length), WindowForm)> {
    let from = window.get("from").and_then(|node| d.scalar(node, "from"));
    let within = short(d, window, "within")?;
    if window.get("size").is_some() {
        let hint = say!("leave `size` out: `within` says how long the window is");
        d.problem(window.place("size"), say!("a window from an event has no `size`"), Some(hint));
    }
    without_slide(d, window);
    // The day of the event is a part of the window too.
    let size = match within {
        Length::Days(days) => Length::Days(days.saturating_add(1)),
        within => within,
    };
    Some(((size, size), WindowForm::From(from?, within)))
}

/// A length in s, m, h, d or w.
fn short<'t>(d: &mut Document<'t>, window: &MappingFields<'_, 't>, name: &str) -> Option<Length> {
    let node = required_node(d, window, name)?;
    let length = length(d, node, name)?;
    if let Length::Month | Length::Quarter | Length::Year = length {
        let hint = say!("write a number of days such as 30d");
        d.problem(window.place(name), say!("`{name}` is a number of s, m, h, d or w", name), Some(hint));
        return None;
    }
    Some(length)
}

fn without_slide<'t>(d: &mut Document<'t>, window: &MappingFields<'_, 't>) {
    if window.get("slide").is_some() {
        let hint = say!("leave `slide` out: these windows begin with events");
        d.problem(window.place("slide"), say!("this window cannot have a `slide`"), Some(hint));
    }
}

/// Panes are as long as the slide, so a window must be made of whole ones.
fn check_slide(size: Length, slide: Length) -> Result<(), String> {
    const DAY: TimeDelta = TimeDelta::DAY;
    const ZERO: TimeDelta = TimeDelta::ZERO;
    match (size, slide) {
        (Length::Exact(whole), _) if whole > DAY || DAY % whole != ZERO && size == slide => {
            Err(say!("a size in s, m or h must divide the day; write days as 1d, 2d, …"))
        }
        (Length::Exact(size), Length::Exact(slide))
            if slide <= size && size % slide == ZERO && DAY % slide == ZERO =>
        {
            Ok(())
        }
        (Length::Days(size), Length::Days(slide)) if slide <= size && size % slide == 0 => Ok(()),
        (Length::Days(_), Length::Exact(slide)) if DAY % slide == ZERO => {
            Err(say!("windows of days slide by days, such as `slide: 1d`"))
        }
        (size, slide) if size == slide => Ok(()),
        (Length::Exact(_), Length::Exact(_)) | (Length::Days(_), Length::Days(_)) => Err(say!(
            "the size must be a multiple of the slide, and a slide in s, m or h must divide the day"
        )),
        _ => Err(say!("months, quarters and years do not overlap: leave `slide` out")),
    }
}

/// Windows that a value is compared with when nobody says how many.
const HISTORY: usize = 90;
const HISTORY_MAX: usize = 10_000;

fn anomaly<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Option<Anomaly> {
    let known = ["of", "method", "history", "min_history", "direction", "season", "alpha"];
    let record = d.record(node, "anomaly", &known);
    let of = required(d, &record, "of");
    let method = required_node(d, &record, "method")
        .and_then(|node| d.choice(node, "method", AnomalyMethod::WORDS))?;
    let history = number(d, &record, "history", 2..=HISTORY_MAX).unwrap_or(HISTORY);
    let least = if method == AnomalyMethod::Ratio { 1 } else { 2 };
    let min_history = number(d, &record, "min_history", least..=history).unwrap_or(20.min(history));
    let direction = record.get("direction").and_then(|node| d.choice(node, "direction", Direction::WORDS));
    let season = record.get("season").and_then(|node| d.choice(node, "season", Season::WORDS));
    if (method == AnomalyMethod::Seasonal) != record.get("season").is_some() {
        let hint = say!("`method: seasonal` and `season: weekday|month|day_of_month` go together");
        d.problem(record.span, say!("season and method do not fit"), Some(hint));
    }
    let alpha = optional(d, &record, "alpha").map(|placed| {
        let alpha = f64::from_str(&placed.text).ok().filter(|alpha| *alpha > 0.0 && *alpha <= 1.0);
        if alpha.is_none() || method != AnomalyMethod::Ewma {
            let hint =
                say!("`alpha` is the weight of the newest value for `method: ewma`, above 0 and at most 1");
            d.problem(
                placed.span,
                say!("alpha cannot be \"{placed}\" here", placed = placed.text),
                Some(hint),
            );
        }
        alpha.unwrap_or(1.0)
    });
    Some(Anomaly {
        of: of?,
        method,
        history,
        min_history,
        direction: direction.unwrap_or(Direction::Above),
        season: season.unwrap_or(Season::Weekday),
        alpha: alpha.unwrap_or(0.3),
    })
}

fn number<'t>(
    d: &mut Document<'t>,
    record: &MappingFields<'_, 't>,
    name: &str,
    range: std::ops::RangeInclusive<usize>,
) -> Option<usize> {
    let placed = optional(d, record, name)?;
    let number = placed.text.parse().ok().filter(|n| range.contains(n));
    if number.is_none() {
        let hint =
            say!("write a whole number from {start} to {end}", start = range.start(), end = range.end());
        d.problem(placed.span, say!("{name} cannot be \"{placed}\"", name, placed = placed.text), Some(hint));
    }
    number
}

fn schedule<'t>(d: &mut Document<'t>, record: &MappingFields<'_, 't>) -> Option<Schedule> {
    let sql = required(d, record, "sql");
    let every = record.get("every").and_then(|node| length(d, node, "every")).map(Ticks::Every);
    let cron = record.get("cron").and_then(|node| cron(d, node));
    let given = usize::from(record.get("every").is_some()) + usize::from(record.get("cron").is_some());
    if given != 1 {
        let hint = say!("such as `every: 1d` (at local midnight) or `cron: \"0 9 1 * *\"`");
        d.problem(record.span, say!("a schedule needs either `every` or `cron`"), Some(hint));
    }
    if let Some(Ticks::Every(Length::Exact(length))) = &every
        && TimeDelta::DAY % *length != TimeDelta::ZERO
    {
        let hint = say!("ticks are counted from local midnight: 15m, 1h, 6h, 1d, …");
        d.problem(record.place("every"), say!("`every` in s, m or h must divide the day"), Some(hint));
    }
    Some(Schedule { ticks: every.or(cron)?, sql: sql? })
}

fn cron<'t>(d: &mut Document<'t>, node: &Node<'t>) -> Option<Ticks> {
    let placed = d.scalar(node, "cron")?;
    let ticks = Ticks::cron(&placed.text);
    if ticks.is_err() {
        let hint = say!("five fields: minute, hour, day of month, month, day of week");
        d.problem(
            placed.span,
            say!("\"{placed}\" is not a cron expression", placed = placed.text),
            Some(hint),
        );
    }
    ticks.ok()
}
