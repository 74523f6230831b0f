//! What goes into a pack is gathered from a state, beside a running daemon too.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    EVENTS_MAX, FINDINGS_MAX,
    pack::{CaseFile, Material, PackManifest, event_lines, tried},
    recipe::{Recipe, RowsByList},
    rule_text::{self, RuleText},
    select::{Chosen, EventSelector, Selection},
};
use crate::{
    config::Config,
    event::{Instant, TimeDelta, event_schema, normal_name},
    finding::Finding,
    lists::{CODE_COLUMNS, Lists},
    personal::event::mask,
    rule::{RuleSet, compile::CompiledRule},
    say,
    store::{InForce, JournalView},
};

/// What somebody asks for.
pub(crate) struct GatherRequest<'a> {
    pub alert_id: &'a str,
    /// The findings of the alert as they are stored, the latest first, and how many more there are.
    pub findings: Vec<Finding>,
    pub older: u64,
    pub case: CaseFile,
    /// When it is made, and by whom.
    pub made: (Instant, &'a str),
    /// Shows persons of a finding in part only, where they are to be; the case is given so.
    pub masked: Option<&'a dyn Fn(Finding) -> Finding>,
}

/// Rows of a list that are carried whole.
const ROWS_WHOLE: usize = 2_000;

/// Gathers it.
///
/// # Errors
/// If the state cannot be read, or the rule's text is gone.
pub(crate) fn gather(
    config: &Config,
    rules: &RuleSet,
    mut asked: GatherRequest<'_>,
) -> anyhow::Result<Material> {
    let history = JournalView::open(&config.state_dir, &event_schema(&config.calendar.zone_name))?;
    asked.older += asked.findings.len().saturating_sub(FINDINGS_MAX) as u64;
    asked.findings.truncate(FINDINGS_MAX);
    asked.findings.reverse();
    let Some(rule_id) = asked.findings.first().map(|finding| finding.rule_id.clone()) else {
        anyhow::bail!(say!("the alert has no finding that may be shown"));
    };
    let rule = rules.rules.iter().find(|compiled| compiled.rule.id == rule_id);
    let rule =
        rule.ok_or_else(|| anyhow::anyhow!(say!("the rule {rule_id} is not in force any more", rule_id)))?;
    let RuleText { text, recipe } =
        rule_text::written(config, &rule.rule, &rules.lists).map_err(anyhow::Error::msg)?;
    let made_at = config.calendar.format(asked.made.0);
    let mut facts = PackManifest::new(asked.alert_id, &rule_id, (made_at, asked.made.1));
    facts.rule_unchanged = is_unchanged(&history, rules, &rule_id, &asked.findings)?;
    if !facts.rule_unchanged {
        facts.not_carried.push(say!(
            "the rule or a list has changed since a finding was made; the pack has them as they are now"
        ));
    }
    if history.retired()? > 0 {
        facts.not_carried.push(say!("events that were deleted for state.retain"));
    }
    if asked.older > 0 {
        facts.not_carried.push(say!("{older} older findings of the alert", older = asked.older));
    }
    let chooser =
        Chooser { config, history: &history, rule, recipe: &recipe, text: &text, lists: &rules.lists };
    let (mut events, mut rows) = chooser.choose(&asked.findings, &mut facts)?;
    let GatherRequest { mut findings, mut case, .. } = asked;
    facts.not_carried.append(&mut case.left_out);
    case.codes = codes(&rules.lists, (&events, &findings), config);
    if let Some(seen) = asked.masked {
        facts.masked = true;
        findings = findings.into_iter().map(seen).collect();
        events.iter_mut().for_each(|(_, event)| mask(event));
        rows.values_mut().for_each(Vec::clear);
        facts.not_carried.push(say!("rows of the reference lists, which may name persons"));
    }
    Ok(Material { facts, recipe, rule: text, rows, events, findings, case })
}

/// The rows of the tables of codes that the events and findings of a pack name, as they are when it is made.
fn codes(lists: &Lists, (events, findings): (&Events, &[Finding]), config: &Config) -> Vec<Value> {
    let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
    let of_findings = findings.iter().flat_map(|finding| [&finding.key, &finding.values]);
    for object in events.iter().map(|(_, event)| event).chain(of_findings) {
        for column in CODE_COLUMNS {
            named.extend(object.get(column).and_then(Value::as_str).map(|code| (column, code)));
        }
    }
    let mut rows = Vec::new();
    for column in CODE_COLUMNS {
        let Some(table) = lists.codes(column) else { continue };
        let day = |at: Option<Instant>| at.map(|at| config.calendar.local(at).date().to_string());
        let wanted = table.code_rows().filter(|row| named.contains(&(column, row.code)));
        rows.extend(wanted.map(|row| {
            json!({
                "column": column, "code": row.code, "name": row.name, "parent": row.parent,
                "from": day(row.from), "to": day(row.until.map(|until| until - TimeDelta::MICROSECOND)),
            })
        }));
    }
    rows
}

/// Whether the rule and what its lists held were in force before the oldest of these findings was made.
fn is_unchanged(
    history: &JournalView,
    rules: &RuleSet,
    id: &str,
    findings: &[Finding],
) -> anyhow::Result<bool> {
    let Some(InForce { digest, after_finding, .. }) = history.rules_in_force()?.remove(id) else {
        return Ok(false);
    };
    let mut digests = rules.rules.iter().zip(rules.digests());
    let is_same = digests.any(|(compiled, (_, now))| compiled.rule.id == id && now == digest);
    let wanted: BTreeSet<&str> = findings.iter().map(|finding| finding.finding_id.as_str()).collect();
    let mut since = true;
    if after_finding > 0 {
        history.each_finding(&mut |seq, _, finding: Finding| {
            since &= seq > after_finding || !wanted.contains(finding.finding_id.as_str());
        })?;
    }
    Ok(is_same && since)
}

/// Finds the events and rows that a pack needs.
struct Chooser<'c> {
    config: &'c Config,
    history: &'c JournalView,
    rule: &'c CompiledRule,
    recipe: &'c Recipe,
    text: &'c str,
    lists: &'c Lists,
}

type Events = Vec<(i64, Map<String, Value>)>;

impl Chooser<'_> {
    /// The narrowest choice that gives all findings again; else the one that gives the most.
    fn choose(&self, findings: &[Finding], facts: &mut PackManifest) -> anyhow::Result<(Events, RowsByList)> {
        let time = |text: &str| self.config.calendar.parse(text).map_err(|e| anyhow::anyhow!("{text}: {e}"));
        let timed = findings.iter().map(|finding| Ok((time(&finding.at)?, finding.clone())));
        let timed: Vec<(Instant, Finding)> = timed.collect::<anyhow::Result<_>>()?;
        let mut wanted = EventSelector::of(&timed, self.config.lateness);
        let first = timed.iter().map(|(at, _)| *at).min().unwrap_or(Instant::EPOCH);
        let recent = self
            .rule
            .horizon()
            .map(|reach| Selection::Recent(first.saturating_sub(reach.saturating_add(TimeDelta::DAY))));
        let mut best: Option<(usize, (Events, RowsByList))> = None;
        for choice in [Some(Selection::Own), recent, Some(Selection::All)].into_iter().flatten() {
            let Chosen::Events(events) = wanted.choose(self.history, choice, EVENTS_MAX)? else {
                facts.not_carried.push(say!(
                    "more than {most} events, where fewer did not give every finding again",
                    most = EVENTS_MAX
                ));
                break;
            };
            let rows = self.rows(&events);
            let (same, _) = tried(self.recipe, (self.text, &rows), &event_lines(&events), findings);
            if best.as_ref().is_none_or(|(most, _)| same.len() > *most) {
                choice.word().clone_into(&mut facts.events_carried);
                best = Some((same.len(), (events, rows)));
            }
            if same.len() == findings.len() {
                break;
            }
        }
        Ok(best.map(|(_, found)| found).unwrap_or_default())
    }

    /// Small lists whole; of large ones the rows that have something in common with an event.
    fn rows(&self, events: &Events) -> RowsByList {
        let mut rows = rule_text::whole(self.lists, self.recipe);
        if rows.values().all(|rows| rows.len() <= ROWS_WHOLE) {
            return rows;
        }
        let values = events.iter().flat_map(|(_, event)| event.values()).filter_map(Value::as_str);
        let named: BTreeSet<String> = values.map(|value| normal_name(value).into_owned()).collect();
        for rows in rows.values_mut().filter(|rows| rows.len() > ROWS_WHOLE) {
            rows.retain(|row| row.iter().any(|cell| named.contains(&*normal_name(cell))));
        }
        rows
    }
}
