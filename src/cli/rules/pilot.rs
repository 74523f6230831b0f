//! `fiscwatch rules pilot`: one page to decide by whether rules in shadow go live.

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde_json::json;

use crate::{
    access::Action,
    cli::{
        ConfigArg,
        officer::now,
        persons::PersonsArg,
        problems,
        table::{Cell, ListFormat, Table, TableColumn, visible},
    },
    daemon::load_rules,
    event::{TimeDelta, event_schema},
    rule::RuleMode,
    say,
    store::{Cases, JournalView},
    trial::pilot::{Pilot, Pilots},
};

#[derive(Debug, Args)]
pub(crate) struct PilotArgs {
    /// How many days back from the end are looked at
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// The end (a date, or RFC 3339); now if it is not given
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    persons: PersonsArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn pilot(args: &PilotArgs) -> anyhow::Result<ExitCode> {
    let (config, lens) = args.config.shown(Action::ReadFindings, args.persons)?;
    let calendar = &config.calendar;
    let parse = |text: &String| calendar.parse(text).map_err(|e| anyhow::anyhow!("--at {text}: {e}"));
    let until = args.at.as_ref().map(parse).transpose()?.unwrap_or_else(now);
    let from = until.saturating_sub(TimeDelta::days(i64::from(args.days)));
    let rules = load_rules(&config).map_err(problems)?;
    let mut pilots = Pilots::default();
    let history = JournalView::open(&config.state_dir, &event_schema(&calendar.zone_name))?;
    history.each_finding(&mut |_, at, finding| {
        if (from..until).contains(&at) {
            pilots.take(at, finding, calendar);
        }
    })?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let mut verdicts = BTreeMap::new();
    for rule in pilots.overlapping_rules() {
        verdicts.extend(cases.verdicts_of_findings(rule)?);
    }
    let shadow = rules.rules.iter().filter(|compiled| compiled.rule.mode == RuleMode::Shadow);
    let mut found: Vec<Pilot> = shadow.map(|compiled| pilots.of(&compiled.rule.id, &verdicts)).collect();
    found.sort_by(|a, b| b.key_days.cmp(&a.key_days).then_with(|| a.rule_id.cmp(&b.rule_id)));
    for pilot in &mut found {
        let sample = std::mem::take(&mut pilot.sample);
        pilot.sample = sample.into_iter().map(|finding| lens.finding(finding, &rules)).collect();
    }
    let days = f64::from(args.days);
    let objects = found.iter().map(|pilot| json!({ "days": args.days, "pilot": pilot }));
    args.form.print(&table(&found, days), objects, &notes(&found, args.days))?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::cast_precision_loss)] // Counts of alerts.
fn table(found: &[Pilot], days: f64) -> Table {
    let mut table = Table::new([
        TableColumn::new("rule_id", say!("rule")).shrinks(12),
        TableColumn::new("severity", say!("severity")),
        TableColumn::new("findings", say!("findings")).right(),
        TableColumn::new("keys", say!("keys")).right(),
        TableColumn::new("alerts_a_day", say!("alerts a day")).right(),
        TableColumn::new("worst_day", say!("worst day")).right(),
        TableColumn::new("overlapping", say!("known already")).right(),
        TableColumn::new("confirmed", say!("confirmed")).right(),
        TableColumn::new("dismissed", say!("dismissed")).right(),
        TableColumn::new("overlaps", say!("by live rules")).shrinks(12).spare(),
    ]);
    for pilot in found {
        let share = 100 * pilot.overlapping / pilot.findings.max(1);
        let overlaps = pilot.overlaps.iter().map(|(rule, n)| format!("{rule} {n}")).collect::<Vec<_>>();
        table.row([
            Cell::text(&*pilot.rule_id),
            match pilot.severity.as_str() {
                "" => Cell::Missing,
                severity => Cell::Severity(severity.to_owned()),
            },
            Cell::count(pilot.findings),
            Cell::count(pilot.keys),
            Cell::text(format!("{:.1}", pilot.key_days as f64 / days)),
            Cell::count(pilot.worst_day),
            Cell::text(format!("{share} %")),
            Cell::count(pilot.confirmed),
            Cell::count(pilot.dismissed),
            Cell::text(overlaps.join(", ")),
        ]);
    }
    table
}

/// How the page is read, and some of what was found.
fn notes(found: &[Pilot], days: u16) -> Vec<String> {
    let mut notes = vec![say!(
        "rules in shadow over {days} days: an alert a day and key, if each is over the same day; known already is what a live rule found about the same event, or the same key on that day, and what officers said of that",
        days
    )];
    let quiet = found.iter().filter(|pilot| pilot.findings == 0).count();
    if quiet > 0 {
        notes.push(say!("{quiet} of them found nothing", quiet));
    }
    for pilot in found.iter().filter(|pilot| !pilot.sample.is_empty()) {
        notes.push(format!("{}:", pilot.rule_id));
        notes.extend(
            pilot.sample.iter().map(|finding| format!("  {} {}", finding.at, visible(&finding.summary))),
        );
    }
    notes
}
