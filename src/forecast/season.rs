//! The usual share of a year by now, and the usual use of budgets, pooled from a line itself up to all lines.

use std::collections::HashMap;

use super::{LineYear, YearPosition, cents, combine::Methods, float};

/// Lines at which a group's own season counts as much as that of the group above (Bühlmann's k).
const SEASON: f64 = 10.0;
/// The same for the use of budgets.
const USE: f64 = 4.0;
/// What the open year tells of the use of budgets, against a closed one.
const OPEN: f64 = 0.5;
/// No group is expected to use its budgets more often than so many times over.
const MOST_USED: f64 = 4.0;
/// A line that nothing is known of is not expected to execute more than so many times what it has.
const LEAST_SHARE: f64 = 0.05;

/// Sums of lines, in cents.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    lines: u32,
    early: i128,
    executed: i128,
    /// Of those with a budget by the same point: how many, their totals then, and what they executed.
    budgeted: u32,
    total: i128,
    spent: i128,
}

impl Sums {
    fn of(line: &LineYear<'_>) -> Self {
        let (early, executed) = (line.early_executed, line.executed);
        let budgeted = line.early_total > 0;
        Self {
            lines: 1,
            early,
            executed,
            budgeted: budgeted.into(),
            total: line.early_total.max(0),
            spent: if budgeted { executed } else { 0 },
        }
    }

    fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.early += other.early;
        self.executed += other.executed;
        self.budgeted += other.budgeted;
        self.total += other.total;
        self.spent += other.spent;
    }
}

/// Lines that belong together: sums of each closed year, and of the open one.
#[derive(Debug, Default)]
struct Group {
    closed: Vec<(i32, Sums)>,
    open: Sums,
}

impl Group {
    fn add(&mut self, line: &LineYear<'_>, year: i32, open: bool) {
        let sums = Sums::of(line);
        if open {
            return self.open.add(&sums);
        }
        match self.closed.iter_mut().find(|(of, _)| *of == year) {
            Some((_, of_year)) => of_year.add(&sums),
            None => self.closed.push((year, sums)),
        }
    }

    fn without(&self, year: Option<i32>) -> (Sums, Sums) {
        let mut closed = Sums::default();
        self.closed.iter().filter(|(of, _)| Some(*of) != year).for_each(|(_, sums)| closed.add(sums));
        (closed, self.open)
    }
}

/// Where a line stands: the groups it is in, and the next line with its own key.
#[derive(Debug, Clone, Copy)]
struct Place {
    class: u32,
    unit_class: u32,
    own: u32,
}

/// The usual course of a year.
pub(super) struct Season<'l, 'a> {
    lines: &'l [LineYear<'a>],
    position: &'l YearPosition,
    all: Group,
    /// By class, and by unit and class.
    groups: Vec<Group>,
    places: Vec<Place>,
    /// The lines with one key of their own, over the years.
    own: Vec<Vec<u32>>,
}

/// What tells that lines of different years are the same: unit, class, and the id around its year.
type OwnKey<'a> = (&'a str, &'a str, &'a str, &'a str);

fn own_key<'a>(line: &LineYear<'a>) -> OwnKey<'a> {
    let year = line.year.map(|year| year.to_string()).filter(|year| year.len() == 4);
    let (before, after) = year.and_then(|year| line.id.split_once(&year)).unwrap_or((line.id, ""));
    (line.unit, line.class, before, after)
}

impl<'l, 'a> Season<'l, 'a> {
    pub(super) fn new(lines: &'l [LineYear<'a>], position: &'l YearPosition) -> Self {
        let mut season = Self {
            lines,
            position,
            all: Group::default(),
            groups: Vec::new(),
            places: Vec::with_capacity(lines.len()),
            own: Vec::new(),
        };
        let mut names: HashMap<(Option<&str>, &str), u32> = HashMap::new();
        let mut own: HashMap<OwnKey<'_>, u32> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            let next = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            let mut group = |unit: Option<&'a str>| {
                *names.entry((unit, line.class)).or_insert_with(|| {
                    season.groups.push(Group::default());
                    next(season.groups.len() - 1)
                })
            };
            let (class, unit_class) = (group(None), group(Some(line.unit)));
            let own = *own.entry(own_key(line)).or_insert_with(|| {
                season.own.push(Vec::new());
                next(season.own.len() - 1)
            });
            season.places.push(Place { class, unit_class, own });
            let open = line.year == Some(position.year());
            let Some(year) = line.year.filter(|_| open || season.is_closed(line)) else { continue };
            season.own[own as usize].push(next(at));
            season.all.add(line, year, open);
            season.groups[class as usize].add(line, year, open);
            season.groups[unit_class as usize].add(line, year, open);
        }
        season
    }

    /// Whether the line is of an earlier year that is looked at, and known.
    pub(super) fn is_closed(&self, line: &LineYear<'_>) -> bool {
        line.is_known && line.year.is_some_and(|year| self.position.same_point(year).is_some())
    }

    fn own(&self, at: usize) -> impl Iterator<Item = &LineYear<'a>> {
        self.own[self.places[at].own as usize].iter().map(|other| &self.lines[*other as usize])
    }

    /// The share of a year that is over by now, and the use of a budget, as a line's groups have them.
    fn shape(&self, at: usize, without: Option<i32>) -> (f64, f64) {
        let place = self.places[at];
        let mut own = Group::default();
        for line in self.own(at) {
            own.add(line, line.year.unwrap_or_default(), line.year == Some(self.position.year()));
        }
        let groups =
            [&self.all, &self.groups[place.class as usize], &self.groups[place.unit_class as usize], &own];
        let (mut share, mut used) = (self.position.elapsed(), 1.0);
        for group in groups {
            let (closed, open) = group.without(without);
            if closed.executed > 0 {
                let part = (float(closed.early) / float(closed.executed)).clamp(0.0, 1.0);
                share = blend(share, part, f64::from(closed.lines), SEASON);
            }
            // A part of a year is a part of an observation.
            let weight = OPEN * share;
            let lines = f64::from(closed.budgeted) + f64::from(open.budgeted) * weight;
            let total = float(closed.total) + float(open.total) * weight;
            let spent = float(closed.spent) + float(open.spent) * OPEN;
            if total > 0.0 {
                used = blend(used, (spent / total).clamp(0.0, MOST_USED), lines, USE);
            }
        }
        (share, used)
    }

    /// What each method expects of a line as it is given, by what is known without a year.
    pub(super) fn methods(&self, at: usize, line: &LineYear<'_>, without: Option<i32>) -> Methods {
        let (share, used) = self.shape(at, without);
        let before = line.year.map(|year| year - 1).filter(|year| Some(*year) != without);
        let of_last_year = |what: fn(&LineYear<'_>) -> i128| {
            self.own(at).filter(|other| other.year == before).map(what).reduce(|sum, more| sum + more)
        };
        let expected = if line.total > 0 {
            float(line.total) * used
        } else if let Some(executed) = of_last_year(|other| other.executed) {
            float(executed.max(0))
        } else {
            // Chain ladder: there is nothing else to go by.
            let share = share.max(self.position.elapsed() / 2.0).max(LEAST_SHARE);
            float(line.executed.max(0)) / share
        };
        let budget = line.executed + cents((1.0 - share) * expected);
        let pace = self.position.pace(self.position.year(), line.executed);
        let rest = of_last_year(|other| other.executed - other.early_executed);
        [Some(budget), pace, rest.map(|rest| line.executed + rest.max(0))]
    }
}

/// Bühlmann's credibility: the more lines, the less of what the group above says.
fn blend(above: f64, own: f64, lines: f64, k: f64) -> f64 {
    let z = lines / (lines + k);
    z * own + (1.0 - z) * above
}
