//! `fiscwatch alerts list`

use std::process::ExitCode;

use clap::Args;

use crate::{
    access::Action as Permit,
    alert::{Alert, State, inquiry::Stage},
    cli::{
        ConfigArg,
        filter::{FilterArgs, states},
        persons::PersonsArg,
        socket::Socket,
        table::{Cell, ListFormat, Table, TableColumn, more, pairs},
    },
    event::time::Calendar,
    http::view::AlertView,
    say,
    store::{ACTIVE, CaseFilter, Cases},
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only in this state; `active` are those that are not over
    #[arg(long, default_value = ACTIVE, value_parser = states())]
    state: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only those whose letter to the unit is a draft
    #[arg(long)]
    drafts: bool,
    /// Only those after this one in the list
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    persons: PersonsArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    if let Some(socket) = Socket::of(&args.config.load_or_default()?)? {
        return remote(&socket, args);
    }
    let (config, lens) = args.config.shown(Permit::ReadAlerts, args.persons)?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let before = args.before.as_deref().map(|id| cases.complete(id)).transpose()?;
    let inquiry = args.drafts.then(|| Stage::Draft.word().to_owned());
    let page = CaseFilter { inquiry, before, limit: Some(args.limit), ..CaseFilter::default() };
    let wanted = match args.filter.wanted(Some(&args.state), page, &config) {
        Ok(wanted) => wanted,
        Err(code) => return Ok(code),
    };
    let found = cases.list(&wanted)?.into_iter().map(|alert| lens.seen(alert, &cases));
    let found: Vec<_> = found.collect::<Result<_, _>>()?;
    let left = more(found.len(), cases.count(&wanted)?);
    let views = found.iter().map(|alert| AlertView::new(alert, &config.calendar));
    args.form.print(&alert_table(&found, &config.calendar), views, left.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

/// The same through the daemon's socket, where the state is another user's.
fn remote(socket: &Socket, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let inquiry = args.drafts.then(|| Stage::Draft.word().to_owned());
    let page = CaseFilter {
        inquiry,
        before: args.before.clone(),
        limit: Some(args.limit),
        totals: true,
        ..CaseFilter::default()
    };
    let query = serde_json::to_value(args.filter.filter(Some(&args.state), page))?;
    let page = socket.read(&["alerts"], &query, args.persons.unmasked)?;
    let alerts = page["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut table = empty_table();
    for alert in alerts {
        let text = |key: &str| alert[key].as_str().unwrap_or_default();
        let state = serde_json::from_value::<State>(alert["state"].clone());
        table.row([
            Cell::Id(text("alert_id").to_owned()),
            Cell::Severity(text("severity").to_owned()),
            Cell::word(text("state"), state.map_or("", State::zh)),
            Cell::instant(text("opened_at"), &config.calendar),
            Cell::instant(text("last_at"), &config.calendar),
            Cell::count(alert["findings"].as_u64().unwrap_or_default()),
            Cell::maybe(alert["owner"].as_str()),
            Cell::text(text("rule_id")),
            Cell::text(text("title")),
            Cell::text(alert["key"].as_object().map(pairs).unwrap_or_default()),
            Cell::text(text("summary")),
        ]);
    }
    let left = more(alerts.len(), page["total"].as_u64().unwrap_or_default());
    args.form.print(&table, alerts, left.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

/// Alerts, a line each.
pub(crate) fn alert_table(alerts: &[Alert], calendar: &Calendar) -> Table {
    let mut table = empty_table();
    for alert in alerts {
        table.row([
            Cell::Id(alert.alert_id.clone()),
            Cell::Severity(alert.severity.word().to_owned()),
            Cell::word(alert.state.word(), alert.state.zh()),
            Cell::time(alert.opened_at, calendar),
            Cell::time(alert.last_at, calendar),
            Cell::count(alert.findings),
            Cell::maybe(alert.owner.as_deref()),
            Cell::text(&*alert.rule_id),
            Cell::text(&*alert.title),
            Cell::text(pairs(&alert.key)),
            Cell::text(&*alert.summary),
        ]);
    }
    table
}

fn empty_table() -> Table {
    Table::new([
        TableColumn::new("alert_id", say!("alert")),
        TableColumn::new("severity", say!("severity")),
        TableColumn::new("state", say!("state")),
        TableColumn::new("opened_at", say!("opened")).spare(),
        TableColumn::new("last_at", say!("event time")),
        TableColumn::new("findings", say!("findings")).right().spare(),
        TableColumn::new("owner", say!("officer")).shrinks(8).spare(),
        TableColumn::new("rule_id", say!("rule id")).unseen(),
        TableColumn::new("title", say!("rule")).shrinks(10),
        TableColumn::new("key", say!("key")).shrinks(12).spare(),
        TableColumn::new("summary", say!("summary")).shrinks(10),
    ])
}
