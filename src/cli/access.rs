//! `fiscwatch access show`

use std::process::ExitCode;

use clap::Subcommand;
use serde::Serialize;

use super::table::{Cell, ListFormat, Table, TableColumn};
use crate::{access::Action, http::ROUTES, say};

#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// Show which roles may do what, by which requests and commands
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    form: ListFormat,
}

/// What each command on the state asks for. The others read no state, or are for whoever runs the machine.
pub(crate) const COMMANDS: &[(&str, Action)] = &[
    ("alerts ack", Action::WorkAlerts),
    ("alerts approve", Action::ReviewAlerts),
    ("alerts assign", Action::WorkAlerts),
    ("alerts close", Action::WorkAlerts),
    ("alerts comment", Action::WorkAlerts),
    ("alerts confirm", Action::WorkAlerts),
    ("alerts dismiss", Action::WorkAlerts),
    ("alerts due", Action::WorkAlerts),
    ("alerts hand-over", Action::WorkAlerts),
    ("alerts inquire", Action::WorkAlerts),
    ("alerts list", Action::ReadAlerts),
    ("alerts merge", Action::WorkAlerts),
    ("alerts rectify", Action::WorkAlerts),
    ("alerts register", Action::ExportAlerts),
    ("alerts report", Action::ExportAlerts),
    ("alerts return", Action::ReviewAlerts),
    ("alerts revoke", Action::WorkAlerts),
    ("alerts show", Action::ReadAlerts),
    ("alerts withdraw", Action::WorkAlerts),
    ("approvals approve", Action::JudgeMatters),
    ("approvals list", Action::ReadMatters),
    ("approvals propose", Action::ProposeBudget),
    ("approvals refuse", Action::JudgeMatters),
    ("approvals show", Action::ReadMatters),
    ("approvals show --json", Action::ExportMatters),
    ("approvals withdraw", Action::WithdrawMatters),
    ("ask", Action::QueryState),
    ("audit export", Action::ReadAudit),
    ("audit list", Action::ReadAudit),
    ("audit verify", Action::ReadAudit),
    ("budget adjustments", Action::ReadBudget),
    ("budget export", Action::ExportBudget),
    ("budget indicators", Action::ReadBudget),
    ("budget propose", Action::ExportBudget),
    ("budget show", Action::ReadBudget),
    ("budget top", Action::ReadBudget),
    ("completeness", Action::ReadBudget),
    ("evidence", Action::ExportFindings),
    ("findings export", Action::ExportFindings),
    ("findings list", Action::ReadFindings),
    ("notify list", Action::ReadNotifications),
    ("notify retry", Action::RetryNotifications),
    ("notify test", Action::TestSinks),
    ("publish", Action::ExportBudget),
    ("rejects export", Action::ReadQuarantine),
    ("rejects list", Action::ReadQuarantine),
    ("rejects replay", Action::ReplayQuarantine),
    ("rules approve", Action::ApproveRules),
    ("rules pilot", Action::ReadFindings),
    ("rules propose", Action::ProposeRules),
    ("rules show", Action::ReadRules),
    ("rules status", Action::ReadRules),
    ("rules withdraw", Action::ApproveRules),
    ("settle", Action::ExportBudget),
    ("settle --freeze", Action::SettleYear),
    ("silence add", Action::OrderSilences),
    ("silence expire", Action::OrderSilences),
    ("silence list", Action::ReadSilences),
    ("state backup", Action::BackUpState),
    ("state drill", Action::BackUpState),
    ("state info", Action::ReadState),
    ("state lake", Action::BackUpState),
    ("state query", Action::QueryState),
    ("state replicate", Action::BackUpState),
    ("state restore", Action::BackUpState),
    ("state verify", Action::ReadState),
    ("token add", Action::ManageUsers),
    ("token list", Action::ReadUsers),
    ("token revoke", Action::ManageUsers),
    ("user add", Action::ManageUsers),
    ("user disable", Action::ManageUsers),
    ("user enable", Action::ManageUsers),
    ("user list", Action::ReadUsers),
    ("user password", Action::ManageUsers),
    ("user roles", Action::ManageUsers),
    ("user totp", Action::ManageUsers),
];

pub(crate) fn access(command: &AccessCommand) -> anyhow::Result<ExitCode> {
    let AccessCommand::Show(args) = command;
    show(args)
}

/// A row as JSON has it.
#[derive(Serialize)]
struct Row {
    action: &'static str,
    roles: Vec<&'static str>,
    requests: Vec<String>,
    commands: Vec<&'static str>,
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let mut table = Table::new([
        TableColumn::new("action", say!("permission")),
        TableColumn::new("roles", say!("roles")).shrinks(20),
        TableColumn::new("requests", say!("requests")).shrinks(16),
        TableColumn::new("commands", say!("commands")).shrinks(16),
    ]);
    let rows: Vec<Row> = Action::ALL.iter().map(|action| row(*action)).collect();
    for (row, action) in rows.iter().zip(Action::ALL) {
        let roles: Vec<_> = action.roles().iter().map(|role| role.titled()).collect();
        table.row([
            Cell::text(row.action),
            Cell::text(roles.join(", ")),
            Cell::text(row.requests.join(", ")),
            Cell::text(row.commands.join(", ")),
        ]);
    }
    args.form.print(&table, &rows, &[])?;
    Ok(ExitCode::SUCCESS)
}

fn row(action: Action) -> Row {
    let requests = ROUTES.iter().filter(|(.., asked)| *asked == Some(action));
    let commands = COMMANDS.iter().filter(|(_, asked)| *asked == action);
    // It is asked for beside what is read.
    let beside = (action == Action::ShowPersonal).then(|| String::from("GET with X-Unmasked: true"));
    Row {
        action: action.word(),
        roles: action.roles().iter().map(|role| role.word()).collect(),
        requests: requests.map(|(method, path, _)| format!("{method} {path}")).chain(beside).collect(),
        commands: commands.map(|(command, _)| *command).collect(),
    }
}
