//! Sliding windows that several rules share: one state for the same stream, filter, key and window.

use std::{fmt::Write, sync::Arc};

use super::{
    ById, Id, RuleId, RuleMode, WindowId,
    asks::with_lists,
    compile::{CompiledRule, CompiledView, Condition, KeyPart, OverWindow},
    window::{Over, View},
};
use crate::{
    event::{TypeSet, period::Reach},
    lists::Lists,
    rule::plan::{Aggregate, LANES_MAX, Lane, Layout, WindowPlan},
};

/// A sliding window with all that any of its rules measures.
#[derive(Debug, Clone)]
pub struct SharedWindow {
    /// Stream, filter with the lists that it asks, key and window as text: what makes it the same as another one.
    pub identity: String,
    /// The event types, as [`crate::event::EventType::bit`]s.
    pub types: TypeSet,
    pub filter: Option<Condition>,
    pub by: Vec<KeyPart>,
    /// How far back it reaches.
    pub reach: Reach,
    /// The values that the aggregates read.
    pub lanes: Vec<Lane>,
    /// How events are held, and the aggregates.
    pub plan: Arc<WindowPlan>,
    /// The rules that measure it.
    pub users: Vec<RuleId>,
}

impl SharedWindow {
    /// Whether the same events with the same values are held as in another one, so that its state can go on.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let lanes = self.lanes.iter().zip(&other.lanes).all(|(a, b)| a.same(b));
        let kinds = |w: &Self| w.plan.aggregates.iter().map(|a| format!("{a:?}")).collect::<Vec<_>>();
        self.identity == other.identity
            && self.lanes.len() == other.lanes.len()
            && lanes
            && kinds(self) == kinds(other)
    }
}

/// Gives every rule with a sliding window its place in a shared one. Events that a filter lets in are others over other
/// `lists`.
pub(crate) fn share(rules: &mut [CompiledRule], lists: &Lists) -> ById<WindowId, SharedWindow> {
    let mut windows: ById<WindowId, Building> = ById::default();
    let live = rules.iter_mut().enumerate().filter(|(_, rule)| rule.rule.mode != RuleMode::Disabled);
    for (number, rule) in live {
        let (View::Sliding(overs), CompiledView::Sliding(own)) = (&rule.rule.view, &mut rule.view) else {
            continue;
        };
        let filter = rule.filter.as_ref();
        for (over, own) in overs.iter().zip(own) {
            let at = place(&mut windows, (rule.rule.trigger, filter), over, own, lists);
            let users = &mut windows[at].window.users;
            // A rule may have one window twice.
            if users.last() != Some(&RuleId::new(number)) {
                users.push(RuleId::new(number));
            }
        }
    }
    windows.into_iter().map(Building::finish).collect()
}

/// Gives one window its place: in one that is there already, or in a new one.
fn place(
    windows: &mut ById<WindowId, Building>,
    (types, filter): (TypeSet, Option<&Condition>),
    over: &Over,
    own: &mut OverWindow,
    lists: &Lists,
) -> WindowId {
    let by: Vec<_> = own.by.iter().map(|part| part.text(lists)).collect();
    let mut identity = format!("{types:#b} by {by:?} {} ", over.reach);
    if let Some((_, since)) = &own.since {
        let _ = write!(identity, "since {} ", with_lists(since, lists));
    }
    let asked = filter.map_or(String::new(), |filter| with_lists(&filter.text, lists));
    let _ = write!(identity, "{} where {asked}", if over.current { "" } else { "before" });
    let fits = |w: &Building| {
        w.window.identity == identity && w.window.lanes.len() + own.measures.lanes.len() < LANES_MAX
    };
    let at = windows.find(fits).unwrap_or_else(|| {
        windows.push(Building::new(SharedWindow {
            identity,
            types,
            filter: filter.cloned(),
            by: own.by.clone(),
            reach: over.reach,
            lanes: Vec::new(),
            plan: Arc::new(WindowPlan {
                layout: Layout::new(&[]),
                aggregates: Vec::new(),
                current: over.current,
                since: None,
            }),
            users: Vec::new(),
        }))
    });
    own.window = Some(at);
    let lanes: Vec<_> = own.measures.lanes.iter().map(|lane| windows[at].lane(lane)).collect();
    let place =
        |aggregate: &Aggregate| Aggregate { lane: aggregate.lane.map(|l| lanes[l]), ..aggregate.clone() };
    let since = own.since.as_ref().map(|(lane, _)| windows[at].lane(lane));
    windows[at].since = since;
    own.lanes.clone_from(&lanes);
    own.results = own.measures.aggregates.iter().map(|a| windows[at].aggregate(place(a))).collect();
    at
}

impl KeyPart {
    /// What it is known by.
    pub(crate) fn text(&self, lists: &Lists) -> String {
        match self {
            Self::Column(column) => format!("{column:?}"),
            Self::Computed(expression) => with_lists(&expression.text, lists),
        }
    }
}

struct Building {
    window: SharedWindow,
    aggregates: Vec<Aggregate>,
    since: Option<usize>,
}

impl Building {
    fn new(window: SharedWindow) -> Self {
        Self { window, aggregates: Vec::new(), since: None }
    }

    fn lane(&mut self, lane: &Lane) -> usize {
        let lanes = &mut self.window.lanes;
        lanes.iter().position(|known| known.same(lane)).unwrap_or_else(|| {
            lanes.push(lane.clone());
            lanes.len() - 1
        })
    }

    fn aggregate(&mut self, aggregate: Aggregate) -> usize {
        let text = format!("{aggregate:?}");
        self.aggregates.iter().position(|known| format!("{known:?}") == text).unwrap_or_else(|| {
            self.aggregates.push(aggregate);
            self.aggregates.len() - 1
        })
    }

    fn finish(mut self) -> SharedWindow {
        let plan = WindowPlan {
            layout: Layout::new(&self.window.lanes),
            aggregates: self.aggregates,
            current: self.window.plan.current,
            since: self.since,
        };
        self.window.plan = Arc::new(plan);
        self.window
    }
}
