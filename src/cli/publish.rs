//! `fiscwatch publish`

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;

use super::ConfigArg;
use crate::{
    access::Action,
    diagnostic::os_reason,
    event::{Cents, event_schema, money::parse_amount},
    private, say,
    settle::{
        persons::PaidPersons,
        publish::{DisclosureLimits, Publication, published},
        statement,
    },
    store::JournalView,
};

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// The fiscal year, which must be frozen (`settle --freeze`)
    year: i32,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave out what is of fewer natural persons than this
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    persons: u16,
    /// Leave out cells with less executed than this
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    least: String,
    #[command(flatten)]
    config: ConfigArg,
}

pub(crate) fn publish(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ExportBudget)?;
    let least = match args.least.trim() {
        "0" => Cents::ZERO,
        text => parse_amount(text).context("--least")?,
    };
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name))?;
    history.agrees(&config.calendar)?;
    let year = args.year;
    let frozen = history.frozen(year)?;
    let frozen =
        frozen.with_context(|| say!("{year} is not frozen: what is published must not change", year))?;
    let statement = statement(&history, year, frozen.until, &config.calendar)?;
    anyhow::ensure!(
        statement.problems.is_empty() && statement.print() == frozen.print,
        say!(
            "the journal does not give the statement any more that was frozen; `fiscwatch state verify` tells whether the state is damaged"
        )
    );
    let limits = DisclosureLimits { persons: usize::from(args.persons), least };
    let known = PaidPersons::read(&history, frozen.until)?;
    let made = published(&statement, &known, limits, (&*config.calendar, config.currency.code()));
    let Publication { files, cells, sensitive, besides, sums } = made.map_err(anyhow::Error::msg)?;
    written(&args.out, &files.into_iter().collect::<Vec<_>>())?;
    println!(
        "{}",
        say!(
            "{cells} cells: {sensitive} are left out, {besides} more so that these cannot be computed, and {sums} sums",
            cells,
            sensitive,
            besides,
            sums
        )
    );
    Ok(ExitCode::SUCCESS)
}

/// Writes files that belong together, all of them or none, and says what is wrong in words.
pub(super) fn written<B: AsRef<[u8]>>(folder: &Path, files: &[(String, B)]) -> anyhow::Result<()> {
    let made = private::create_dir_all(folder).and_then(|()| private::write_all(folder, files));
    made.map_err(|error| anyhow::anyhow!("{}: {}", folder.display(), os_reason(&error)))
}
