//! Plants the anomalies that show in a unit's month, quarter or year as a whole.

use jiff::ToSpan;

use super::anomalies::Deed;
use super::plant::{Series, YUAN};
use super::schedule::WAKES_AFTER;
use super::simulation::{Simulation, Task};
use super::voucher::{Credit, Voucher};
use super::{AnomalyKind, LabelKey, LocalStamp, calendar};

impl Simulation<'_> {
    /// The payments of an anomaly of a unit, if it is one.
    pub(super) fn of_unit(&mut self, deed: Deed, unit: u32, at: i64) -> Option<Series> {
        Some(match deed {
            Deed::RushAtYearEnd => {
                let total = self.budget(unit, |class| !class.starts_with("301") && !class.starts_with("303"));
                self.large("31003", unit, (total * 6 / 10).max(600_000 * YUAN), &[0, 0, 1, 1, 2, 2, 3, 4], at)
            }
            Deed::PayInLastDays => {
                self.large("30227", unit, 260_000 * YUAN, &[0, 0, 1, 1, 1, 2, 2, 2, 3, 3], at)
            }
            Deed::Surge => self.surge(unit, at),
            Deed::OnePayee => {
                let total = self.budget(unit, |class| class.starts_with("302"));
                let mut series = self.large(
                    "30227",
                    unit,
                    (total * 3 / 2).max(330_000 * YUAN),
                    &[2, 14, 26, 38, 50, 62],
                    at,
                );
                let payee = series[0].1.payee;
                series.iter_mut().for_each(|(_, voucher)| voucher.payee = payee);
                series
            }
            Deed::OtherClasses => {
                let total = self.budget(unit, |_| true);
                self.large("30299", unit, (total * 12 / 10).max(800_000 * YUAN), &[2, 14, 26, 38, 50, 62], at)
            }
            Deed::CapReached => self.receptions(unit, &[41, 43, 39], at),
            Deed::CapPace => self.receptions(unit, &[15, 14], at),
            _ => return None,
        })
    }

    /// What happens without a payment of its own.
    pub(super) fn plant_omission(&mut self, anomaly: &'static AnomalyKind, unit: u32, at: i64) {
        match anomaly.deed {
            Deed::LeaveBehind | Deed::LeaveIdle => {
                let voucher = self.special(Some(unit), "31003", (260_000.0, 400_000.0));
                let whole =
                    if anomaly.deed == Deed::LeaveBehind { 3 * self.budget(unit, |_| true) } else { 0 };
                let event = self.approve_special(&voucher, voucher.amount.max(whole), at);
                self.labels.add_event(anomaly, &event);
            }
            Deed::MissTarget | Deed::FallBehind | Deed::ReportNothing => self.plant_programme(anomaly, unit),
            Deed::RefundUnknown => {
                let event =
                    self.clerk.refund_unknown(self.treasury.lines_of(unit).next().unwrap_or_default(), at);
                self.labels.add_event(anomaly, &event.event);
                self.emit(event);
            }
            Deed::ClearNothing => {
                let voucher = self.special(Some(unit), "30227", (20_000.0, 150_000.0));
                let event = self.clerk.confirmation_unknown(&voucher, at);
                self.labels.add_event(anomaly, &event.event);
                self.emit(event);
            }
            Deed::KeepFunds => {
                let voucher = self.special(Some(unit), "30227", (200_000.0, 500_000.0));
                let event = self.clerk.receipt(&voucher, Credit::Funds, at);
                self.labels.add_event(anomaly, &event.event);
                self.emit(event);
            }
            Deed::SilenceFeed => self.silence(anomaly, unit),
            Deed::WakeAccount => {
                let voucher = self.special(Some(unit), "30227", (20_000.0, 90_000.0));
                let event = self.clerk.receipt(&voucher, Credit::Idle, at);
                self.emit(event);
                let wakes = &self.treasury.calendar.days[self.today + WAKES_AFTER];
                let at = wakes.midnight + (at - self.day().midnight);
                self.arrange(at, Task::Wake { voucher: Box::new(voucher), anomaly });
            }
            Deed::StopWages => {
                let month = self.day().date.month();
                self.without_wages.push((unit, month));
                self.label_span(anomaly, unit, 1);
            }
            _ => {
                self.cooking = Some((unit, (self.day().date.month() - 1) / 3));
                self.label_span(anomaly, unit, 3);
            }
        }
    }

    /// Nothing is paid in the unit's region on the next working day.
    fn silence(&mut self, anomaly: &'static AnomalyKind, unit: u32) {
        let region = self.treasury.units[unit as usize].region;
        let day = self.treasury.calendar.workday_after(self.today, 1);
        self.silent = Some((region, day));
        let day = &self.treasury.calendar.days[day];
        let stamp = |at| LocalStamp { at: calendar::timestamp(at), offset: day.offset };
        let region_code = self.treasury.regions[usize::from(region)].code.clone();
        let key = LabelKey { region_code, ..LabelKey::default() };
        self.labels.add_span(anomaly, key, stamp(day.midnight), stamp(day.end()));
    }

    fn label_span(&mut self, anomaly: &'static AnomalyKind, unit: u32, months: i8) {
        let day = self.day();
        let length = day.date.until(day.date.saturating_add(i32::from(months).months()));
        let days = length.map_or(30, |span| i64::from(span.get_days()));
        let stamp = |at| LocalStamp { at: calendar::timestamp(at), offset: day.offset };
        let (from, to) = (stamp(day.midnight), stamp(day.midnight + days.max(28) * 24 * calendar::HOUR));
        let unit_code = self.treasury.units[unit as usize].code.clone();
        self.labels.add_span(anomaly, LabelKey { unit_code, ..LabelKey::default() }, from, to);
    }

    /// The year's budgets of a unit for some classes, in cents.
    fn budget(&self, unit: u32, wanted: impl Fn(&str) -> bool) -> i64 {
        let lines = self.treasury.lines_of(unit);
        let lines = lines.filter(|&line| wanted(self.treasury.lines[line as usize].class().code));
        lines.map(|line| self.book.accounts[line as usize].budget).sum()
    }

    /// A sum in about equal payments with all papers to known suppliers, so many working days from now.
    fn large(&mut self, class: &str, unit: u32, total: i64, workdays: &[usize], at: i64) -> Series {
        let voucher = self.special(Some(unit), class, (1.0, 2.0));
        self.approve_special(&voucher, total * 11 / 10, at);
        let each = total as f64 / workdays.len() as f64;
        let parts = workdays.iter().map(|&days| {
            let mut part = Voucher { salt: self.dice.bits(), ..voucher.clone() };
            part.amount = (each * self.dice.between(0.92, 1.08)) as i64;
            part.payee = self.known_supplier(&voucher);
            (self.later(at, days), part)
        });
        parts.collect()
    }

    fn known_supplier(&mut self, voucher: &Voucher) -> super::payees::Payee {
        let mut payee = self.payee_of_trade(voucher.line, voucher.class());
        for _ in 0..100 {
            if self.times_paid(payee).is_none_or(|times| times > 0) {
                break;
            }
            payee = self.payee_of_trade(voucher.line, voucher.class());
        }
        payee
    }

    /// Far more in a day than the unit spends on any other.
    fn surge(&mut self, unit: u32, at: i64) -> Series {
        let year = self.budget(unit, |class| !class.starts_with("301") && !class.starts_with("303"));
        let mut series = self.large("31003", unit, year.max(2_400_000 * YUAN), &[1; 8], at);
        // All of them on the next working day.
        let first = series.iter().map(|(time, _)| *time).min().unwrap_or(at);
        for (step, (time, _)) in (0..).zip(&mut series) {
            *time = first + 60_000 * step;
        }
        series
    }

    /// Receptions that take so many hundredths of the unit's cap each.
    fn receptions(&mut self, unit: u32, shares: &[i64], at: i64) -> Series {
        let line = self.treasury.reception_line(unit).unwrap_or_default();
        let cap = super::lists::cap_of(self.book.accounts[line as usize].budget);
        let voucher = self.special(Some(unit), "30217", (1.0, 2.0));
        self.approve_special(&voucher, 2 * cap, at);
        let parts = (1..).zip(shares).map(|(step, share)| {
            let mut part = Voucher { salt: self.dice.bits(), ..voucher.clone() };
            part.amount = cap * share / 100 - 11 * step as i64;
            part.payee = self.payee_of_trade(voucher.line, voucher.class());
            (self.later(at, 3 * step), part)
        });
        parts.collect()
    }
}
