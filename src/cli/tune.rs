//! `fiscwatch tune`: what a rule would find with other values of a constant.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::{anyhow, bail};
use clap::Args;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    ConfigArg, EventsArg,
    backtest::{days, span_with},
    problems, runtime,
    table::{Cell, Screen, Table, TableColumn},
};
use crate::{
    config::Config,
    diagnostic::suggest,
    engine::{Committable, EngineError, MemoryTables, Output},
    event::{EventType, Instant, time::Calendar},
    rule::{
        Param, Rule,
        compile::Compiler,
        load::{self, RuleAdjustment},
    },
    say,
    text::quoted,
    trial::tune::{Tried, bar, candidates, propose},
};

/// The longest bar of the chart.
const CHART: usize = 40;

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    /// The rule
    rule: String,
    /// Which of its constants; not needed if only one is a number
    #[arg(long)]
    param: Option<String>,
    /// The values to try; multiples of the present one otherwise
    #[arg(long, value_delimiter = ',')]
    values: Vec<String>,
    /// How many alerts a day this rule may raise: the value that keeps to it is proposed. Without this option none is
    #[arg(long, value_parser = alerts_a_day)]
    alerts_a_day: Option<f64>,
    #[command(flatten)]
    events: EventsArg,
    /// A rule file or folder
    #[arg(long)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn alerts_a_day(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| say!("must be a number that is not negative, such as 5 or 0.5"))
}

pub(crate) fn tune(args: &TuneArgs) -> anyhow::Result<ExitCode> {
    let mut config = args.config.load_beside(&args.events)?;
    if !args.rules.is_empty() {
        config.rule_paths.clone_from(&args.rules);
        config.overrides.clear();
    }
    let lists = config.read_lists().map_err(problems)?;
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let rule = find(&config, &compiler, &args.rule)?;
    let (name, present) = constant(&rule, args.param.as_deref())?;
    let values = values(args, present)?;
    let variants: Vec<_> = values.iter().map(|value| variant(&config, &rule.id, name, value)).collect();
    let rules = load::variants(&config.rule_paths, &compiler, &config.calendar, &rule.id, &variants);
    let replay = args.events.replay(&config)?;
    let mut counting = Counting::new(Arc::clone(&replay.tables), Arc::clone(&config.calendar), values.len());
    let rules = Arc::new(rules.map_err(problems)?);
    let (judged, read) = runtime()?.block_on(replay.run(&config, rules, &mut counting));
    judged?;
    read?;
    let at = values.iter().position(|value| value == present).unwrap_or(0);
    let proposed = args.alerts_a_day.and_then(|wanted| propose(&counting.tried(), at, wanted));
    let tuned = Tuned { args, name, values: &values, present, counting: &counting, proposed };
    if args.json {
        println!("{}", tuned.json());
    } else {
        tuned.print();
    }
    Ok(ExitCode::SUCCESS)
}

fn find(config: &Config, compiler: &Compiler, id: &str) -> anyhow::Result<Arc<Rule>> {
    let loaded = load::load(&config.rule_paths, compiler, &config.calendar, &config.overrides);
    if !loaded.problems.is_empty() {
        return Err(problems(loaded.problems));
    }
    let rules: Vec<_> = loaded.set.rules.into_iter().map(|compiled| compiled.rule).collect();
    let hint = || suggest(id, rules.iter().map(|rule| rule.id.as_str()));
    let found = rules.iter().find(|rule| rule.id == id);
    found
        .cloned()
        .ok_or_else(|| anyhow!("{}", say!("there is no rule {id}: {hint}", id = quoted(id), hint = hint())))
}

/// The constant that is tuned, and its present value.
fn constant<'r>(rule: &'r Rule, wanted: Option<&str>) -> anyhow::Result<(&'r str, &'r Param)> {
    let id = &rule.id;
    let names = || rule.params.iter().map(|(name, _)| name.as_str());
    let numbers: Vec<_> = rule.params.iter().filter(|(_, value)| matches!(value, Param::Number(_))).collect();
    let found = match (wanted, &numbers[..]) {
        (Some(name), _) => rule.params.iter().find(|(param, _)| param == name),
        (None, [only]) => Some(*only),
        (None, []) => bail!("{}", say!("the rule {id} has no constant that is a number", id)),
        (None, several) => {
            let names: Vec<_> = several.iter().map(|(name, _)| name.as_str()).collect();
            bail!(
                "{}",
                say!(
                    "the rule {id} has several constants: name one with --param {names}",
                    id,
                    names = names.join("|")
                )
            )
        }
    };
    let missing = || {
        let name = wanted.unwrap_or_default();
        let hint = suggest(name, names());
        anyhow!("{}", say!("the rule {id} has no constant {name}: {hint}", id, name = quoted(name), hint))
    };
    found.map(|(name, value)| (name.as_str(), value)).ok_or_else(missing)
}

fn values(args: &TuneArgs, present: &Param) -> anyhow::Result<Vec<Param>> {
    let tried = if args.values.is_empty() { candidates(present) } else { named(&args.values, present)? };
    anyhow::ensure!(
        !tried.is_empty(),
        say!("this constant is no number other than 0: name values with --values a,b,c")
    );
    // The present value stays as it is written, so that it is recognised; none is tried twice.
    let mut values: Vec<Param> = Vec::with_capacity(tried.len() + 1);
    for value in tried {
        let value = if is_same(&value, present) { present.clone() } else { value };
        if !values.iter().any(|earlier| is_same(earlier, &value)) {
            values.push(value);
        }
    }
    if !values.contains(present) {
        values.insert(0, present.clone());
    }
    Ok(values)
}

/// The values of `--values`, of the same kind as the present one.
fn named(texts: &[String], present: &Param) -> anyhow::Result<Vec<Param>> {
    let value = |text: &String| match present {
        Param::Number(_) => {
            let number = text.trim();
            anyhow::ensure!(
                number.parse::<Decimal>().is_ok(),
                say!("--values: {text} is no number, and the constant is one", text = quoted(text))
            );
            Ok(Param::Number(number.to_owned()))
        }
        _ => Ok(Param::Text(text.clone())),
    };
    texts.iter().map(value).collect()
}

/// Whether two values are one, however they are written: `500` and `500.0`.
fn is_same(one: &Param, other: &Param) -> bool {
    let number = |value: &Param| match value {
        Param::Number(text) => text.parse::<Decimal>().ok(),
        _ => None,
    };
    one == other || number(one).is_some_and(|one| number(other) == Some(one))
}

/// The rule under a name that tells the value, alive whatever its mode is.
fn variant(config: &Config, rule: &str, name: &str, value: &Param) -> (String, RuleAdjustment) {
    let mut changes = config.overrides.get(rule).cloned().unwrap_or_default();
    changes.mode = Some(crate::rule::RuleMode::Live);
    changes.params.insert(name.to_owned(), value.clone());
    (format!("{rule}@{}", text(value)), changes)
}

fn text(value: &Param) -> String {
    match value {
        Param::Number(text) | Param::Text(text) => text.clone(),
        Param::Bool(yes) => yes.to_string(),
        Param::List(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
    }
}

/// Counts the findings of each variant.
struct Counting {
    tables: Arc<MemoryTables>,
    calendar: Arc<Calendar>,
    findings: Vec<u64>,
    keys: Vec<HashSet<String>>,
    errors: Vec<u64>,
    payments: u64,
    span: Option<(Instant, Instant)>,
    places: BTreeMap<String, usize>,
}

impl Counting {
    fn new(tables: Arc<MemoryTables>, calendar: Arc<Calendar>, variants: usize) -> Self {
        Self {
            tables,
            calendar,
            findings: vec![0; variants],
            keys: vec![HashSet::new(); variants],
            errors: vec![0; variants],
            payments: 0,
            span: None,
            places: BTreeMap::new(),
        }
    }

    fn days(&self) -> f64 {
        days(self.span, &self.calendar)
    }

    #[allow(clippy::cast_precision_loss)]
    fn tried(&self) -> Vec<Tried> {
        let a_day = |keys: &HashSet<String>| keys.len() as f64 / self.days();
        let all = self.keys.iter().zip(&self.errors);
        all.map(|(keys, errors)| Tried { alerts_a_day: a_day(keys), errors: *errors }).collect()
    }
}

impl Output for Counting {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for mut batch in batches {
            self.tables.keep(&batch);
            self.span = span_with(self.span, &batch);
            if self.places.is_empty() {
                let ids = batch.rules.rules.iter().map(|compiled| compiled.rule.id.clone());
                self.places = ids.zip(0..).collect();
            }
            let payments =
                batch.accepted.iter().filter(|(_, event_type, _)| *event_type == EventType::Payment);
            self.payments += payments.map(|(.., count)| count).sum::<u64>();
            for (errors, counts) in self.errors.iter_mut().zip(&batch.evaluation.counts) {
                *errors += counts.errors;
            }
            for (.., finding) in batch.evaluation.take_findings() {
                let Some(&place) = self.places.get(&finding.rule_id) else { continue };
                self.findings[place] += 1;
                self.keys[place].insert(Value::Object(finding.key).to_string());
            }
        }
        Ok(())
    }
}

/// What came of it.
struct Tuned<'t> {
    args: &'t TuneArgs,
    name: &'t str,
    values: &'t [Param],
    present: &'t Param,
    counting: &'t Counting,
    proposed: Option<usize>,
}

impl Tuned<'_> {
    #[allow(clippy::cast_precision_loss)]
    fn print(&self) {
        let Counting { findings, keys, errors, payments, .. } = self.counting;
        let most = findings.iter().copied().max().unwrap_or(0);
        let tried = self.counting.tried();
        let right = |name: &str, title: String| TableColumn::new(name, title).right();
        let mut table = Table::new([
            right("value", self.name.to_owned()),
            right("findings", say!("findings")),
            right("for_1000_payments", say!("for 1,000 payments")),
            right("alerts", say!("alerts")),
            right("alerts_a_day", say!("alerts a day")),
            TableColumn::new("now", String::new()),
            TableColumn::new("chart", String::new()).shrinks(8),
        ]);
        for (place, value) in self.values.iter().enumerate() {
            let marks = [
                (value == self.present, say!("now")),
                (self.proposed == Some(place), say!("proposed")),
                (errors[place] > 0, say!("fails on {count} events", count = errors[place])),
            ];
            let marks: Vec<_> = marks.into_iter().filter_map(|(is, mark)| is.then_some(mark)).collect();
            table.row([
                Cell::text(text(value)),
                Cell::count(findings[place]),
                Cell::text(format!("{:.2}", 1_000.0 * findings[place] as f64 / (*payments).max(1) as f64)),
                Cell::count(keys[place].len()),
                Cell::text(format!("{:.2}", tried[place].alerts_a_day)),
                Cell::Text(marks.join(&say!(", "))),
                Cell::Text(bar(findings[place], most, CHART)),
            ]);
        }
        print!("{}", table.render(Screen::stdout()));
        let days_told = format!("{:.0}", self.counting.days());
        println!("{}", say!("{payments} payments in {days} days", payments, days = days_told));
        if errors.iter().any(|errors| *errors > 0) {
            let text = say!("the rule could not be evaluated on some events: see `fiscwatch backtest`");
            println!("{text}");
        }
        match (self.proposed, self.args.alerts_a_day) {
            (Some(place), Some(wanted)) => self.advise(place, wanted),
            _ => println!(
                "{}",
                say!(
                    "no value is proposed: say how many alerts a day the rule may raise (--alerts-a-day N), or choose one from the table"
                )
            ),
        }
    }

    fn advise(&self, place: usize, wanted: f64) {
        let (rule, value) = (&self.args.rule, &self.values[place]);
        let a_day = self.counting.tried()[place].alerts_a_day;
        if a_day > wanted {
            println!(
                "{}",
                say!(
                    "none of these values keeps it at {wanted} alerts a day; {value} comes nearest",
                    wanted,
                    value = text(value)
                )
            );
        } else if value == self.present {
            println!(
                "{}",
                say!(
                    "{value} stays: it is the nearest to {wanted} alerts a day that does not go beyond",
                    value = text(value),
                    wanted
                )
            );
        } else {
            println!(
                "{}",
                say!(
                    "for at most {wanted} alerts a day: {name} = {value} ({a_day}). In the configuration:",
                    wanted,
                    name = self.name,
                    value = text(value),
                    a_day = format!("{a_day:.2}")
                )
            );
            println!(
                "    rules: {{ overrides: {{ {rule}: {{ params: {{ {}: {} }} }} }} }}",
                self.name,
                text(value)
            );
        }
    }

    fn json(&self) -> Value {
        let tried = self.counting.tried();
        let rows = self.values.iter().enumerate().map(|(place, value)| {
            json!({
                "value": text(value), "findings": self.counting.findings[place],
                "alerts": self.counting.keys[place].len(), "alerts_a_day": tried[place].alerts_a_day,
                "errors": tried[place].errors,
            })
        });
        json!({
            "rule": self.args.rule, "param": self.name, "present": text(self.present),
            "payments": self.counting.payments, "days": self.counting.days(),
            "values": rows.collect::<Vec<_>>(), "proposed": self.proposed.map(|place| text(&self.values[place])),
        })
    }
}
