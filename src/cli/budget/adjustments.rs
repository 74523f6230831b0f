//! `fiscwatch budget adjustments`: the book of adjustments.

use clap::Args;

use crate::{
    cli::{
        ConfigArg,
        table::{Cell, ListFormat, Table, TableColumn},
    },
    config::Config,
    event::event_schema,
    say,
    settle::book::{Adjustment, AdjustmentFilter, book},
    store::JournalView,
};

#[derive(Debug, Args)]
pub(crate) struct AdjustmentsArgs {
    /// Only lines of this fiscal year
    #[arg(long)]
    year: Option<i32>,
    /// Only of this line, also as the one that a transfer brings money to
    #[arg(long, value_name = "LINE")]
    line: Option<String>,
    /// Only of this unit, by its `unit_code`
    #[arg(long)]
    unit: Option<String>,
    #[command(flatten)]
    pub config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn adjustments(args: &AdjustmentsArgs, config: &Config) -> anyhow::Result<()> {
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name))?;
    history.agrees(&config.calendar)?;
    let wanted = AdjustmentFilter { year: args.year, line: args.line.clone(), unit: args.unit.clone() };
    let entries = book(&history, &wanted, &config.calendar)?;
    let mut table = Table::new([
        TableColumn::new("occurred_at", say!("event time")),
        TableColumn::new("budget_line_id", say!("budget line")).shrinks(8),
        TableColumn::new("action", say!("action")),
        TableColumn::new("amount", say!("amount")).right(),
        TableColumn::new("to_budget_line_id", say!("to")).shrinks(8),
        TableColumn::new("before", say!("total before")).right(),
        TableColumn::new("after", say!("total after")).right(),
        TableColumn::new("executed", say!("executed then")).right(),
        TableColumn::new("reserved", say!("reserved then")).right(),
        TableColumn::new("event_id", say!("event")).shrinks(8).spare(),
    ]);
    for entry in &entries {
        let Adjustment { occurred_at, budget_line_id, action, to_budget_line_id, event_id, .. } = entry;
        table.row([
            Cell::instant(occurred_at, &config.calendar),
            Cell::text(&**budget_line_id),
            Cell::Word((*action).to_owned(), title(action)),
            Cell::Money(entry.amount.clone()),
            Cell::maybe(to_budget_line_id.as_deref()),
            Cell::Money(entry.before.clone()),
            Cell::Money(entry.after.clone()),
            Cell::Money(entry.executed.clone()),
            Cell::Money(entry.reserved.clone()),
            Cell::text(&**event_id),
        ]);
    }
    args.form.print(&table, &entries, &[])
}

fn title(action: &str) -> String {
    match action {
        "approve" => say!("approved"),
        "supplement" => say!("supplemented"),
        "reduce" => say!("reduced"),
        "transfer" => say!("transferred"),
        "freeze" => say!("frozen"),
        "unfreeze" => say!("unfrozen"),
        "carry_over" => say!("carried over"),
        "reclaim" => say!("reclaimed"),
        other => other.to_owned(),
    }
}
