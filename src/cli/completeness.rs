//! `fiscwatch completeness`: the three-way match of a day.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{
    ConfigArg,
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::Action,
    clock::{Clock, SystemClock},
    decode::Decoder,
    http::{CompletenessView, FigureView, day_span},
    say,
    store::{JournalView, Reader},
};

#[derive(Debug, Args)]
pub(crate) struct CompletenessArgs {
    /// The local day, such as 2026-03-05; yesterday if it is not given
    #[arg(long)]
    day: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn completeness(args: &CompletenessArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadBudget)?;
    let (day, span) = day_span(&config.calendar, args.day.as_deref(), SystemClock.now())
        .map_err(anyhow::Error::msg)
        .context("--day")?;
    let decoder = Decoder::new(config.calendar.clone());
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = reader.ledger(decoder.schema())?;
    let approved = |line: &str| ledger.line(line).is_some_and(|(_, attributes)| attributes.approved);
    let statement = JournalView::open(&config.state_dir, decoder.schema())?.completeness(span, &approved)?;
    let statement = CompletenessView::new(day, &statement);
    args.form.print(&table(&statement), [&statement], &notes(&statement))?;
    Ok(ExitCode::SUCCESS)
}

fn table(statement: &CompletenessView) -> Table {
    let mut table = Table::new([
        TableColumn::new("item", say!("item")).shrinks(8),
        TableColumn::new("count", say!("count")).right(),
        TableColumn::new("amount", say!("amount")).right(),
    ]);
    let rows = [
        ("ordered", say!("ordered"), &statement.ordered),
        ("cleared", say!("  cleared by the bank"), &statement.cleared),
        ("open", say!("  open"), &statement.open),
        ("budgeted", say!("  on approved lines"), &statement.budgeted),
        ("unbudgeted", say!("  on lines that nobody approved"), &statement.unbudgeted),
        ("confirmed", say!("confirmed by the bank"), &statement.confirmed),
        ("matched", say!("  of a payment"), &statement.matched),
        ("without_order", say!("  without an order"), &statement.without_order),
        ("quarantined", say!("in quarantine"), &statement.quarantined),
    ];
    for (item, title, FigureView { count, amount }) in rows {
        let cells =
            [Cell::Word(item.to_owned(), title), Cell::Count(count.to_string()), Cell::Money(amount.clone())];
        table.row(cells);
    }
    table
}

fn notes(statement: &CompletenessView) -> Vec<String> {
    let CompletenessView { day, quarantined_without_amount: unreadable, .. } = statement;
    let mut notes = vec![say!(
        "{day}: ordered is cleared and open, and on approved lines and on others; confirmed is of a payment and without an order",
        day
    )];
    if *unreadable > 0 {
        notes.push(say!(
            "in {unreadable} of the records in quarantine no amount can be read: `fiscwatch rejects list`",
            unreadable
        ));
    }
    notes
}
