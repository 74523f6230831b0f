//! What becomes of a record between two of its versions, as events: each with what stands of the record after it.

use arrow::array::AsArray;
use serde_json::{Map, Value, json};

use super::state::{BankAnswer, Issued, StandingEvents};
use crate::{
    decode::{
        Decoded,
        versions::{RowVersion, Stated, VersionEffect, derived_id, fields, of_interest, time},
    },
    event::{BankStatus, Column, EventType, schema::FIELDS},
};

/// An event of a difference.
#[derive(Debug)]
pub(crate) enum StepEvent {
    /// A decoded row, as it is.
    Row(usize),
    /// One that is made of these fields.
    Made(Map<String, Value>),
}

/// The steps from one version to the next.
pub(crate) struct VersionDifference<'d> {
    decoded: &'d Decoded,
    version: &'d RowVersion,
    standing: StandingEvents,
    /// The application that this version withdraws.
    withdrawn: Option<String>,
    /// Each event, and what stands after it.
    pub steps: Vec<(StepEvent, StandingEvents)>,
}

/// What a version wants to stand.
struct Wanted {
    row: usize,
    content: u64,
}

impl<'d> VersionDifference<'d> {
    /// What leads from what stands to a version.
    pub(crate) fn new(decoded: &'d Decoded, version: &'d RowVersion, standing: StandingEvents) -> Self {
        let mut difference = Self { decoded, version, standing, withdrawn: None, steps: Vec::new() };
        difference.find();
        difference
    }

    /// Whether a version says what stands.
    pub(crate) fn is_none(&self) -> bool {
        self.steps.is_empty()
    }

    fn find(&mut self) {
        let (version, stated) = (self.version, self.version.stated);
        let content = |row: usize| of_interest(&self.decoded.events, self.decoded.contents[row], row);
        let wanted = |row: usize| Some(Wanted { row, content: content(row) });
        let (application, payment, answer) = match stated {
            Stated::Void | Stated::Refused => (None, None, None),
            // What such a record was before, and what it may not become, is refused (`cannot_become`).
            Stated::Other => return self.take(content(version.row)),
            Stated::Application => (wanted(version.row), None, None),
            Stated::Payment => (None, wanted(version.row), None),
            Stated::Confirmed(status, hash) => (None, wanted(version.row), Some((status, hash))),
        };
        let same = |issued: Option<&Issued>, wanted: Option<&Wanted>| {
            issued.is_some_and(|issued| wanted.is_some_and(|wanted| wanted.content == issued.content))
        };
        let stays = same(self.standing.payment.as_ref(), payment.as_ref());
        let answered = self.standing.bank.as_ref().map(|bank| bank.content);
        if !stays || answered != answer.map(|(_, hash)| hash) {
            // Where the payment stays, a return is what the version itself tells.
            let tells = stays && answer.is_some_and(|(status, _)| status == BankStatus::Returned);
            if !tells {
                self.take_back_answer();
            }
        }
        if !stays {
            self.reverse();
        }
        if !same(self.standing.application.as_ref(), application.as_ref()) && payment.is_none() {
            self.withdraw();
        }
        if let Some(wanted) = application.filter(|_| self.standing.application.is_none()) {
            self.apply(&wanted);
        }
        if let Some(wanted) = payment.filter(|_| self.standing.payment.is_none()) {
            self.pay(&wanted);
        }
        if let Some((status, hash)) = answer {
            self.answer(status, hash);
        }
    }

    /// Takes an event of another type, the first time.
    fn take(&mut self, content: u64) {
        if self.standing.other.replace(content).is_none() {
            self.step(StepEvent::Row(self.version.row));
        }
    }

    fn step(&mut self, event: StepEvent) {
        self.steps.push((event, self.standing.clone()));
    }

    /// An id that follows from the version.
    fn id(&self, base: &str, role: VersionEffect) -> String {
        derived_id(base, &self.version.shown, role)
    }

    /// When the record changed, or else the time of what it is about.
    fn changed_at(&self, of: &Map<String, Value>) -> Value {
        let own = || of.get("occurred_at").cloned().unwrap_or_default();
        self.version.changed_at.map_or_else(own, |at| Value::String(time(at)))
    }

    /// The bank's answer to a payment that goes, or that it no longer holds of.
    fn take_back_answer(&mut self) {
        let Some(bank) = self.standing.bank.take() else { return };
        let Some(payment) = self.standing.payment.clone().filter(|_| bank.cleared) else { return };
        let event = json!({
            "event_id": self.id(&payment.base, VersionEffect::Recalled),
            "type": "confirmation",
            "occurred_at": self.changed_at(&payment.fields),
            "original_event_id": payment.id,
            "budget_line_id": payment.fields.get("budget_line_id"),
            "amount": payment.fields.get("amount"),
            "status": "returned",
        });
        self.step(made(event));
    }

    /// Takes the payment out of the books.
    fn reverse(&mut self) {
        let Some(payment) = self.standing.payment.take() else { return };
        self.standing.bank = None;
        let id = self.id(&payment.base, VersionEffect::Reversal);
        let Issued { id: original, fields: mut event, .. } = payment;
        let others = ["application_id", "recorded_at"];
        others.iter().for_each(|name| drop(event.remove(*name)));
        let own = [
            ("event_id", Value::String(id)),
            ("type", Value::from(EventType::Reversal.name())),
            ("original_event_id", Value::String(original)),
            ("reason", Value::from(self.version.shown.as_ref())),
        ];
        // Its time is that of the payment, so that every window that has the one has the other.
        let recorded = self.version.changed_at.map(|at| ("recorded_at", Value::String(time(at))));
        event.extend(own.into_iter().chain(recorded).map(|(name, value)| (name.to_owned(), value)));
        self.step(StepEvent::Made(event));
    }

    /// Gives up what the application reserves.
    fn withdraw(&mut self) {
        let Some(application) = self.standing.application.take() else { return };
        self.withdrawn = Some(application.id.clone());
        let event = json!({
            "event_id": self.id(&application.base, VersionEffect::Withdrawal),
            "type": "withdrawal",
            "occurred_at": application.fields.get("occurred_at"),
            "recorded_at": self.version.changed_at.map(time),
            "original_event_id": application.id,
            "budget_line_id": application.fields.get("budget_line_id"),
        });
        self.step(made(event));
    }

    fn apply(&mut self, wanted: &Wanted) {
        let mut fields = fields(&self.decoded.events, wanted.row);
        let base = self.event_id(wanted.row).to_owned();
        let (mut id, mut event) = (base.clone(), StepEvent::Row(wanted.row));
        if std::mem::replace(&mut self.standing.applied, true) {
            id = self.id(&base, VersionEffect::Payment);
            fields.insert(String::from("event_id"), Value::from(id.as_str()));
            // If the one that it replaces was settled, so is this one.
            let before = self.withdrawn.take().unwrap_or_else(|| base.clone());
            fields.insert(String::from("application_id"), Value::from(before));
            event = StepEvent::Made(fields.clone());
        }
        fields.retain(|name, _| matches!(name.as_str(), "budget_line_id" | "occurred_at"));
        self.standing.application = Some(Issued { id, base, content: wanted.content, fields });
        self.step(event);
    }

    fn pay(&mut self, wanted: &Wanted) {
        let mut fields = fields(&self.decoded.events, wanted.row);
        let base = self.event_id(wanted.row).to_owned();
        let (mut id, settled) = (base.clone(), self.standing.application.take());
        let again = std::mem::replace(&mut self.standing.paid, true);
        if again {
            id = self.id(&base, VersionEffect::Payment);
            fields.insert(String::from("event_id"), Value::from(id.as_str()));
        }
        if let Some(application) = &settled {
            fields.insert(String::from("application_id"), Value::from(application.id.as_str()));
        }
        let is_other = again || settled.is_some();
        let event = if is_other { StepEvent::Made(fields.clone()) } else { StepEvent::Row(wanted.row) };
        self.standing.payment = Some(Issued { id, base, content: wanted.content, fields });
        self.step(event);
    }

    /// What the bank did, if that is new.
    fn answer(&mut self, status: BankStatus, hash: u64) {
        let known = self.standing.bank.as_ref();
        if known.is_some_and(|bank| bank.content == hash) {
            return;
        }
        let was_cleared = known.is_some_and(|bank| bank.cleared);
        let returned = status == BankStatus::Returned;
        if returned && known.is_some_and(|bank| !bank.cleared) {
            // The money came back before. What the bank writes of that now moves none.
            return;
        }
        let Some((payment, base)) = self.standing.payment.as_ref().map(|p| (p.id.clone(), p.base.clone()))
        else {
            return;
        };
        if returned && !was_cleared {
            // What came back was paid before, in a version that nobody saw.
            self.standing.bank = Some(BankAnswer { content: 0, cleared: true });
            let paid = self.answered(&payment, self.id(&base, VersionEffect::Paid), Some(BankStatus::Paid));
            self.step(paid);
        }
        self.standing.bank = Some(BankAnswer { content: hash, cleared: !returned });
        let role = if returned { VersionEffect::Returned } else { VersionEffect::Paid };
        let event = match payment == base {
            true => StepEvent::Row(self.version.row + 1),
            false => self.answered(&payment, self.id(&base, role), None),
        };
        self.step(event);
    }

    /// The version's confirmation, of this payment and under this id.
    fn answered(&self, payment: &str, id: String, status: Option<BankStatus>) -> StepEvent {
        let mut confirmation = fields(&self.decoded.events, self.version.row + 1);
        let status = status.map(|status| ("status", status.name().to_owned()));
        let own = [("event_id", id), ("original_event_id", payment.to_owned())].into_iter().chain(status);
        confirmation.extend(own.map(|(name, text)| (name.to_owned(), Value::String(text))));
        StepEvent::Made(confirmation)
    }

    fn event_id(&self, row: usize) -> &'d str {
        let decoded = self.decoded;
        decoded.events.column(Column::EventId.index()).as_string_view().value(row)
    }
}

/// An event of an object, without the fields that it lacks.
fn made(event: Value) -> StepEvent {
    let Value::Object(mut fields) = event else { return StepEvent::Made(Map::new()) };
    fields.retain(|_, value| !value.is_null());
    debug_assert!(fields.keys().all(|name| FIELDS.iter().any(|field| field.name == name)));
    debug_assert!(fields.contains_key(FIELDS[Column::EventId.index()].name));
    StepEvent::Made(fields)
}
