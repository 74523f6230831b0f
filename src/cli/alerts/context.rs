//! What stands around an alert: the balances of its budget lines, what else its payee was paid, the other alerts of its
//! unit, and the payments behind a finding about more than one event.

use std::sync::Arc;

use anyhow::anyhow;
use datafusion::logical_expr::{col, lit};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    app::{JournalEvent, Search},
    cli::{
        officer::now,
        table::{Cell, Table, TableColumn, plain, title},
    },
    config::Config,
    decode::Decoder,
    event::{EventType, TimeDelta, schema::field},
    finding::Finding,
    http::{AlertDetail, lens::Lens, view::AlertView},
    ledger::report::line_object,
    personal::{
        name,
        number::{self, NumberTail},
    },
    say,
    store::{CaseFilter, Cases, Reader},
};

/// Rows of each list.
const SHOWN: usize = 10;
/// How far back payments are looked for: a year.
const BACK: TimeDelta = TimeDelta::days(365);

/// What stands around an alert.
#[derive(Debug, Default, Serialize)]
pub(crate) struct AlertContext {
    /// The balances of its budget lines.
    pub lines: Vec<Map<String, Value>>,
    /// What is behind its latest finding, if that is about a window or a tick.
    pub behind: Option<Behind>,
    /// What its payee was paid besides.
    pub payee: Option<PayeeContext>,
    /// The other alerts of its unit.
    pub unit: Option<UnitContext>,
    /// Why something is missing.
    pub trouble: Option<String>,
}

/// The payments that have the key of a finding, in its window, or in the year before its tick.
#[derive(Debug, Serialize)]
pub(crate) struct Behind {
    /// The latest of them.
    pub events: Vec<JournalEvent>,
    /// Whether there are more.
    pub more: bool,
}

/// A payee with its payments of a year that are not in the alert.
#[derive(Debug, Serialize)]
pub(crate) struct PayeeContext {
    pub name: Option<String>,
    /// Its account, by which its payments are found.
    pub account: Option<String>,
    /// The latest of them.
    pub payments: Vec<JournalEvent>,
    /// Whether there are more.
    pub more: bool,
}

/// A unit with its other alerts.
#[derive(Debug, Serialize)]
pub(crate) struct UnitContext {
    pub code: String,
    /// The latest of them, with what became of each.
    pub alerts: Vec<AlertView>,
    /// How many there are.
    pub count: u64,
}

impl AlertContext {
    /// Reads it. What takes too long or cannot be read is left out, and that is said.
    ///
    /// # Errors
    /// If the alerts cannot be read.
    pub(crate) async fn read(
        config: &Config,
        cases: &Cases,
        detail: &AlertDetail,
        lens: Lens,
    ) -> anyhow::Result<Self> {
        let alert = &detail.alert;
        let label = |name: &str| alert.labels.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut context = Self::default();
        if let [code, ..] = label("unit_code") {
            context.unit = Some(others(config, (cases, lens), code, &alert.alert_id)?);
        }
        let limit = config.query_limits.time;
        let read = async {
            context.lines = lines(config, label("budget_line_id"))?;
            let around = Around { config, journal: Search::open(config)? };
            context.behind = around.behind(detail.findings.first()).await?;
            context.payee = around.payee(&detail.findings).await?;
            Ok::<_, anyhow::Error>(())
        };
        let late =
            || anyhow!(say!("it takes more than {limit} (engine.query_time)", limit = format!("{limit:?}")));
        let read = tokio::time::timeout(limit, read).await.unwrap_or_else(|_| Err(late()));
        context.trouble = read.err().map(|e| format!("{e:#}"));
        if lens == Lens::Masked {
            context.mask();
        }
        Ok(context)
    }

    /// Takes accounts and names of persons out of the events.
    fn mask(&mut self) {
        self.behind.iter_mut().flat_map(|behind| &mut behind.events).for_each(JournalEvent::mask);
        if let Some(payee) = &mut self.payee {
            payee.name = payee.name.take().map(|name| name::masked_owner(&name));
            payee.account = payee.account.take().map(|account| number::masked(&account, NumberTail::Shown));
            payee.payments.iter_mut().for_each(JournalEvent::mask);
        }
    }
}

fn others(
    config: &Config,
    (cases, lens): (&Cases, Lens),
    code: &str,
    alert_id: &str,
) -> anyhow::Result<UnitContext> {
    // One more: the alert itself is among them.
    let limit = u32::try_from(SHOWN + 1).ok();
    let filter = CaseFilter { unit: Some(code.to_owned()), limit, ..CaseFilter::default() };
    let wanted = filter.understood(&config.calendar, now()).map_err(|message| anyhow!(message))?;
    let found = cases.list(&wanted)?;
    let others = found.into_iter().filter(|alert| alert.alert_id != alert_id).take(SHOWN);
    let others = others.map(|alert| lens.alert(alert, cases, &config.calendar));
    Ok(UnitContext {
        code: code.to_owned(),
        alerts: others.collect::<Result<_, _>>()?,
        count: cases.count(&wanted)?.saturating_sub(1),
    })
}

fn lines(config: &Config, ids: &[String]) -> anyhow::Result<Vec<Map<String, Value>>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let decoder = Decoder::new(Arc::clone(&config.calendar));
    let ledger = Reader::open(&config.state_dir)?.ledger(decoder.schema())?;
    let known = ids.iter().take(SHOWN).filter_map(|id| ledger.line(id));
    Ok(known.map(|(line, attributes)| line_object(line, attributes, &config.calendar)).collect())
}

/// Looks around in the journal.
struct Around<'c> {
    config: &'c Config,
    journal: Search<'c>,
}

impl Around<'_> {
    async fn behind(&self, finding: Option<&Finding>) -> anyhow::Result<Option<Behind>> {
        let Some(finding) = finding.filter(|finding| finding.event_id.is_none()) else { return Ok(None) };
        let parse = |text: &str| self.config.calendar.parse(text).map_err(|e| anyhow!("{text}: {e}"));
        let end = parse(&finding.at)?;
        let start = match &finding.window {
            Some(window) => parse(&window.start)?,
            None => end.saturating_sub(BACK),
        };
        let named = finding.key.iter().filter(|(name, _)| field(name).is_some());
        let mut conditions: Vec<_> =
            named.filter_map(|(name, value)| Some(col(name.as_str()).eq(lit(value.as_str()?)))).collect();
        if conditions.is_empty() {
            return Ok(None);
        }
        conditions.push(
            col("occurred_at")
                .gt_eq(self.journal.time(start))
                .and(col("occurred_at").lt(self.journal.time(end))),
        );
        let (events, more) = self.journal.latest(&[EventType::Payment], conditions, SHOWN).await?;
        Ok(Some(Behind { events, more }).filter(|behind| !behind.events.is_empty()))
    }

    /// The payee of the latest finding that has one, and what it was paid besides.
    async fn payee(&self, findings: &[Finding]) -> anyhow::Result<Option<PayeeContext>> {
        let Some(latest) = findings.first() else { return Ok(None) };
        let at = self.config.calendar.parse(&latest.at).map_err(|e| anyhow!("{}: {e}", latest.at))?;
        let named = |name: &str| {
            let value = latest.key.get(name).or_else(|| latest.values.get(name));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let (mut name, mut account) = (named("payee_name"), named("payee_account"));
        if let Some(id) = &latest.event_id {
            let conditions =
                vec![col("occurred_at").eq(self.journal.time(at)), col("event_id").eq(lit(id.as_str()))];
            if let Some(event) = self.journal.latest(&EventType::ALL, conditions, SHOWN).await?.0.pop() {
                (name, account) = (event.payee_name.or(name), event.payee_account.or(account));
            }
        }
        let payee = match (&account, &name) {
            (Some(account), _) => col("payee_account").eq(lit(account.as_str())),
            (None, Some(name)) => col("payee_name").eq(lit(name.as_str())),
            (None, None) => return Ok(None),
        };
        let mut conditions =
            vec![payee, col("occurred_at").gt_eq(self.journal.time(at.saturating_sub(BACK)))];
        let own: Vec<_> = findings.iter().filter_map(|f| f.event_id.as_deref()).map(lit).collect();
        if !own.is_empty() {
            conditions.push(col("event_id").in_list(own, true));
        }
        let (payments, more) = self.journal.latest(&[EventType::Payment], conditions, SHOWN).await?;
        Ok(Some(PayeeContext { name, account, payments, more }))
    }
}

impl AlertContext {
    /// The balances of the lines concerned.
    pub(crate) fn lines_table(&self) -> Table {
        let money = ["total", "executed", "reserved", "available"];
        let mut table = Table::new(
            [TableColumn::new("budget_line_id", title("budget_line_id")).shrinks(10)]
                .into_iter()
                .chain(money.map(|name| TableColumn::new(name, title(name)).right()))
                .chain([TableColumn::new("executed_ratio", title("executed_ratio")).right().spare()]),
        );
        for line in &self.lines {
            let text = |name: &str| line.get(name).map(plain).unwrap_or_default();
            let share = Some(text("executed_ratio")).filter(|share| !share.is_empty());
            table.row(
                [Cell::text(text("budget_line_id"))]
                    .into_iter()
                    .chain(money.map(|name| Cell::Money(text(name))))
                    .chain([share.map_or(Cell::Missing, Cell::Share)]),
            );
        }
        table
    }
}
