//! 绩效: what programmes are to achieve and say they have achieved.

use super::anomalies::Deed;
use super::calendar::{HOUR, MINUTE};
use super::dice::{choose, fraction_of, mix, scale};
use super::simulation::{Simulation, Task};
use super::units::Money;
use super::{AnomalyKind, LabelKey, LocalStamp, calendar};

/// One in so many lines of project money is a programme with indicators.
const PROGRAMME_OF: u64 = 4;
/// What is counted: the name, the smallest and largest target, and whether less is better.
const KINDS: [(&str, u64, u64, bool); 6] = [
    ("培训人次", 100, 900, false),
    ("按期完成率（%）", 95, 100, false),
    ("服务对象满意度（%）", 85, 95, false),
    ("新建改造面积（平方米）", 500, 9000, false),
    ("平均办结时间（天）", 5, 20, true),
    ("设备故障率（‰）", 10, 40, true),
];
/// By when, every year.
const DUE: (i8, i8) = (11, 30);
/// The share of its money that a programme has spent by summer when its results are behind.
const SPENT_BY_SUMMER: f64 = 0.4;
/// When it is reported how far things are, and what was achieved.
const REPORTS: [(Report, i8, i8); 2] = [(Report::Half, 7, 8), (Report::Final, 12, 4)];

/// What a statement says beyond the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    Target,
    /// How far things are in summer.
    Half,
    Final,
}

/// What becomes of a programme in which something is planted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failing {
    /// Not known yet of one that is to fall behind its money: it needs some that is spent.
    line: Option<u32>,
    year: i16,
    anomaly: &'static AnomalyKind,
}

impl Simulation<'_> {
    /// States the targets of the year this evening, and arranges the reports.
    pub(super) fn arrange_programmes(&mut self) {
        let programmes: Vec<u32> = self.programmes().collect();
        let year = self.day().date.year();
        let mut days = vec![(self.today, Report::Target)];
        for (report, month, day) in REPORTS {
            let from = jiff::civil::date(year, month, day);
            let all = self.treasury.calendar.days.iter();
            days.extend(
                all.clone()
                    .position(|d| d.working && d.date >= from && d.date.year() == year)
                    .map(|d| (d, report)),
            );
        }
        for (day, report) in days {
            let evening = self.treasury.calendar.days[day].midnight + 17 * HOUR + 31 * MINUTE;
            for (turn, &line) in (0i64..).zip(&programmes) {
                let at = evening + (turn * 100).min(20 * MINUTE);
                self.arrange(at, Task::State { line, report });
            }
        }
    }

    /// The lines whose money is a programme's.
    fn programmes(&self) -> impl Iterator<Item = u32> + '_ {
        let lines = &self.treasury.lines;
        let chosen = |&line: &u32| {
            lines[line as usize].money == Money::Project
                && mix(self.treasury.plan.seed, 0x1D00 + u64::from(line)).is_multiple_of(PROGRAMME_OF)
        };
        (0..lines.len() as u32).filter(chosen)
    }

    /// Chooses the programme of a unit, or of any if it has none, in which something goes wrong this year.
    pub(super) fn plant_programme(&mut self, anomaly: &'static AnomalyKind, unit: u32) {
        let year = self.day().date.year();
        if anomaly.deed == Deed::FallBehind {
            return self.failing.push(Failing { line: None, year, anomaly });
        }
        let taken =
            |line: u32| self.failing.iter().any(|failing| failing.line == Some(line) && failing.year == year);
        let free: Vec<u32> = self.programmes().filter(|&line| !taken(line)).collect();
        let own = free.iter().copied().find(|&line| self.treasury.lines[line as usize].unit == unit);
        let Some(line) = own.or(free.first().copied()) else { return };
        self.failing.push(Failing { line: Some(line), year, anomaly });
    }

    /// The share of a line's money that is spent.
    fn spent(&self, line: u32) -> f64 {
        let account = &self.book.accounts[line as usize];
        account.spent as f64 / account.total.max(1) as f64
    }

    /// Lets a programme that has spent much fall behind, if one is to.
    fn fall_behind(&mut self, line: u32, year: i16) {
        let spent = self.spent(line);
        let taken = self.failing.iter().any(|failing| failing.line == Some(line) && failing.year == year);
        if spent < SPENT_BY_SUMMER || taken {
            return;
        }
        if let Some(failing) =
            self.failing.iter_mut().find(|failing| failing.line.is_none() && failing.year == year)
        {
            failing.line = Some(line);
        }
    }

    /// Writes down what is said about the two indicators of a programme.
    pub(super) fn state(&mut self, line: u32, report: Report, at: i64) {
        let year = self.day().date.year();
        if report == Report::Half {
            self.fall_behind(line, year);
        }
        let failing = self.failing.iter().find(|failing| failing.line == Some(line) && failing.year == year);
        let failing = failing.map(|failing| failing.anomaly);
        let deed = failing.map(|anomaly| anomaly.deed);
        if let Some(anomaly) = failing.filter(|a| a.deed == Deed::ReportNothing)
            && report == Report::Final
        {
            let stamp = |at| LocalStamp { at: calendar::timestamp(at), offset: self.day().offset };
            let unit_code = self.treasury.unit_of(line).code.clone();
            let key = LabelKey { unit_code, ..LabelKey::default() };
            self.labels.add_span(anomaly, key, stamp(at), stamp(at + 60 * 24 * HOUR));
            return;
        }
        let planted = match report {
            Report::Target => None,
            Report::Half => failing.filter(|_| deed == Some(Deed::FallBehind)),
            Report::Final => failing.filter(|_| deed == Some(Deed::MissTarget)),
        };
        let spent = self.spent(line);
        for number in 0..2 {
            // What goes wrong does so for the first of them.
            let planted = planted.filter(|_| number == 0);
            let mut simulated = self.clerk.indicator(line, at);
            let salt =
                mix(self.treasury.plan.seed ^ 0x1D, u64::from(line) << 17 | (year as u64) << 1 | number);
            let achieved =
                achieved(report, planted.is_some(), spent, fraction_of(mix(salt, 2 + report as u64)));
            fill(&mut simulated.event, (salt, number), year, achieved);
            if let Some(anomaly) = planted {
                self.labels.add_event(anomaly, &simulated.event);
            }
            self.emit(simulated);
        }
    }
}

/// The share of a target that is achieved where more is better, and where less is, as far as it is reported.
fn achieved(report: Report, failed: bool, spent: f64, luck: f64) -> Option<(f64, f64)> {
    let share = match (report, failed) {
        (Report::Target, _) => return None,
        // Work keeps up with the money that it is paid with.
        (Report::Half, false) => (0.55 + 0.1 * luck).max(spent - 0.15 * luck),
        (Report::Half, true) => 0.02 + 0.06 * luck,
        (Report::Final, false) => 0.93 + 0.15 * luck,
        (Report::Final, true) => 0.45 + 0.3 * luck,
    };
    // Where less is better, the measure stands at its level all year.
    let level = if (report, failed) == (Report::Half, false) { 0.95 + 0.1 * luck } else { share };
    Some((share, 1.0 / level))
}

fn fill(event: &mut super::Event, (salt, number): (u64, u64), year: i16, achieved: Option<(f64, f64)>) {
    let &(name, low, high, at_most) = choose(&KINDS, salt);
    let target = low + scale(mix(salt, 1), high - low + 1);
    let line = event.budget_line_id.clone().unwrap_or_default();
    event.indicator_id = Some(format!("JX-{line}-{}", number + 1));
    event.indicator_name = Some(name.into());
    event.target = Some(target.to_string());
    event.direction = Some(if at_most { "at_most" } else { "at_least" }.into());
    event.due = Some(format!("{year}-{:02}-{:02}", DUE.0, DUE.1));
    let Some((more, less)) = achieved else { return };
    let hundredths = (target as f64 * if at_most { less } else { more } * 100.0) as u64;
    event.actual = Some(format!("{}.{:02}", hundredths / 100, hundredths % 100));
}
