//! `fiscwatch completeness`: the three-way match of a day.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::{
    ConfigArg,
    table::{Cell, Column, Form, Table},
};
use crate::{
    clock::{Clock, SystemClock},
    daemon::completeness,
    decode::Decoder,
    event::money::format_cents,
    say,
    store::{DayStatement, History, Reader},
};

#[derive(Debug, Args)]
pub struct CompletenessArgs {
    /// The local day, such as 2026-03-05; yesterday if it is not given
    #[arg(long)]
    day: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: Form,
}

pub fn completeness(args: &CompletenessArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let (day, span) = completeness::span(&config.calendar, args.day.as_deref(), SystemClock.now())
        .map_err(anyhow::Error::msg)
        .context("--day")?;
    let decoder = Decoder::new(config.calendar.clone());
    let mut reader = Reader::open(&config.state_dir)?;
    reader.agrees(&config.calendar)?;
    let ledger = reader.ledger(decoder.schema())?;
    let approved = |line: &str| ledger.line(line).is_some_and(|(_, attributes)| attributes.approved);
    let statement = History::open(&config.state_dir, decoder.schema())?.completeness(span, &approved)?;
    let object = completeness::object(&day, &statement);
    args.form.print(&table(&statement), [&object], &notes(&day, &statement))?;
    Ok(ExitCode::SUCCESS)
}

fn table(statement: &DayStatement) -> Table {
    let mut table = Table::new([
        Column::new("item", say!("item")).shrinks(8),
        Column::new("count", say!("count")).right(),
        Column::new("amount", say!("amount")).right(),
    ]);
    for (item, figure) in completeness::figures(statement) {
        let cells = [
            Cell::Word(item.to_owned(), title(item)),
            Cell::Count(figure.count.to_string()),
            Cell::Money(format_cents(figure.cents)),
        ];
        table.row(cells);
    }
    table
}

fn title(item: &str) -> String {
    match item {
        "ordered" => say!("ordered"),
        "cleared" => say!("  cleared by the bank"),
        "open" => say!("  open"),
        "budgeted" => say!("  on approved lines"),
        "unbudgeted" => say!("  on lines that nobody approved"),
        "confirmed" => say!("confirmed by the bank"),
        "matched" => say!("  of a payment"),
        "without_order" => say!("  without an order"),
        _ => say!("in quarantine"),
    }
}

fn notes(day: &str, statement: &DayStatement) -> Vec<String> {
    let unreadable = statement.unreadable;
    let mut notes = vec![say!(
        "{day}: ordered is cleared and open, and on approved lines and on others; confirmed is of a payment and without an order",
        day
    )];
    if unreadable > 0 {
        notes.push(say!(
            "in {unreadable} of the records in quarantine no amount can be read: `fiscwatch rejects list`",
            unreadable
        ));
    }
    notes
}
