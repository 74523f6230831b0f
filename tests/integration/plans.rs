//! Plans of queries that are kept from tick to tick, against plans that are made again at every tick, in memory and over
//! a journal.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use fiscwatch::{
    decode::Decoder,
    engine::{
        Committable, Dedup, Engine, EngineError, MemoryTables, Output, OutputDetail, Scheduler, Sequencer,
        Watermark, Windowing,
    },
    evaluate::{Evaluator, schedule::Tables},
    event::{EventType, TimeDelta},
    finding::Finding,
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler},
    stream::Payload,
};
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::support::{Bench, assert_same, block, calendar, lines, random_events, run as command, run_once};

/// What `now` can stand in, joins of every kind, subqueries, totals of nothing, tables that stay empty, and ticks at which a
/// condition is the same for all rows.
const QUERIES: &[&str] = &[
    "SELECT unit_code, count(*) AS n, sum(amount) AS total, min(occurred_at) AS since, now AS tick FROM payments
     WHERE occurred_at >= now - interval '3 days' AND occurred_at < now - interval '1 day' GROUP BY unit_code",
    "WITH c AS (SELECT original_event_id, count(*) AS n FROM confirmations WHERE now - interval '9 days' < occurred_at
       GROUP BY original_event_id)
     SELECT p.event_id, p.unit_code, coalesce(c.n, 0) AS n FROM payments p LEFT JOIN c ON c.original_event_id = p.event_id
     WHERE p.occurred_at BETWEEN now - interval '5 days' AND now - interval '4 days' AND is_workday(now)
       AND workdays_between(p.occurred_at, now) >= 2 AND (SELECT count(*) FROM c) > 1",
    "SELECT c.event_id, c.amount, extract(dow FROM now) AS day FROM confirmations c LEFT JOIN payments p
       ON p.event_id = c.original_event_id AND p.occurred_at > now - cast(concat(20, ' days') AS interval)
     WHERE c.occurred_at >= now - interval '1 day' AND c.occurred_at < now AND p.event_id IS NULL",
    "SELECT event_id, lag(amount) OVER (PARTITION BY unit_code ORDER BY occurred_at, event_id) AS before FROM payments
     WHERE occurred_at >= now - interval '2 days' ORDER BY event_id LIMIT 3",
    "SELECT r.event_id, sum(p.amount) AS paid FROM receipts r JOIN payments p ON p.occurred_at <= r.occurred_at
       AND p.occurred_at > r.occurred_at - interval '6 days' WHERE r.occurred_at >= now - interval '1 day'
     GROUP BY r.event_id",
    "SELECT count(*) AS event_id, max(amount) AS most FROM indicator_statements
     WHERE occurred_at = now - interval '1 day'",
    "SELECT unit_code AS event_id FROM budget_lines WHERE executed > total AND now > last_event_at + interval '2 days'
       AND unit_code NOT IN (SELECT unit_code FROM payments WHERE occurred_at > now - interval '1 day' AND unit_code IS NOT NULL)
     GROUP BY unit_code",
    "SELECT event_id FROM payments WHERE occurred_at > now - interval '2 days' AND settlement = 'cash' UNION
     SELECT event_id FROM refunds WHERE occurred_at > now - interval '2 days'",
    "SELECT a.event_id, b.event_id AS other FROM refunds a FULL JOIN corrections b ON a.budget_line_id = b.budget_line_id
       AND a.occurred_at > now - interval '3 days' WHERE coalesce(a.occurred_at, b.occurred_at) > now - interval '4 days'",
    "SELECT region_code, count(DISTINCT cast(occurred_at AS date)) AS event_id FROM payments
     WHERE occurred_at >= date_trunc('day', now) - interval '8 days' AND is_workday(now - interval '1 day')
       AND EXISTS (SELECT 1 FROM withdrawals w WHERE w.occurred_at > now - interval '1 day')
     GROUP BY GROUPING SETS ((region_code), ())",
    "SELECT unit_code, date_trunc('week', now) AS week, max(now - interval '1 hour') AS before, count(*) AS n,
       CASE WHEN extract(dow FROM now) = 1 THEN 'monday' ELSE cast(cast(now AS date) AS text) END AS day,
       sum(CASE WHEN occurred_at < date_trunc('month', now - interval '1 day') THEN 1 ELSE 0 END) AS older
     FROM payments WHERE occurred_at >= date_trunc('week', now) - interval '5 days'
       AND cast(occurred_at AS date) <> cast(now - interval '1 day' AS date)
     GROUP BY unit_code, date_trunc('week', now), extract(dow FROM now), cast(cast(now AS date) AS text)
     ORDER BY date_trunc('day', now), unit_code",
];

/// Tables whose plans cannot be kept.
struct Anew(Arc<MemoryTables>);

impl Tables for Anew {
    fn events(&self, types: &[EventType]) -> Result<Arc<dyn TableProvider>, String> {
        self.0.events(types)
    }

    fn findings(&self) -> Result<Arc<dyn TableProvider>, String> {
        self.0.findings()
    }

    fn alerts(&self) -> Result<Arc<dyn TableProvider>, String> {
        self.0.alerts()
    }
}

struct Found(Arc<MemoryTables>, Vec<Finding>);

impl Output for Found {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for batch in batches {
            self.0.keep(&batch);
            let failed = batch.evaluation.counts.iter().find_map(|counts| counts.last_error.as_ref());
            assert!(failed.is_none(), "{failed:?}");
            self.1.extend(batch.evaluation.findings);
        }
        Ok(())
    }
}

fn run(rules: &Arc<RuleSet>, events: &str, keeps: bool) -> Vec<String> {
    let calendar = calendar();
    let tables = Arc::new(MemoryTables::new(&calendar));
    let asked: Arc<dyn Tables> =
        if keeps { Arc::clone(&tables) as _ } else { Arc::new(Anew(Arc::clone(&tables))) };
    let evaluator = Arc::new(Evaluator::new(Arc::clone(rules), Arc::clone(&calendar)));
    let limits = crate::simulation::config().query_limits;
    let engine = Engine {
        decoder: Arc::new(Decoder::new(Arc::clone(&calendar))),
        sequencer: Sequencer::new(
            Arc::default(),
            Dedup::default(),
            Watermark::new(TimeDelta::ZERO, None),
            None,
        ),
        windowing: Windowing::new(
            &evaluator,
            None,
            (fiscwatch::event::TimeDelta::ZERO, u64::MAX),
            (None, None),
            None,
        )
        .unwrap(),
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: OutputDetail::Events,
        scheduler: Some(Scheduler::new(asked, limits, Arc::default())),
        asked: None,
        time_max: Arc::new(|| None),
        parallel: 0,
        bounded: Arc::new(true.into()),
        silence: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut found = Found(tables, Vec::new());
    runtime.block_on(async {
        let (send, batches) = tokio::sync::mpsc::channel(1);
        send.send(vec![block(Payload::JsonLines(events.as_bytes().to_vec().into()))]).await.unwrap();
        drop(send);
        engine.run(batches, &mut found).await.unwrap();
    });
    found.1.iter().map(|finding| serde_json::to_string(finding).unwrap()).collect()
}

/// Events of fifty days in the order of their times.
fn events() -> String {
    let mut events = random_events(11, 1500);
    let at = |event: &Value| event["occurred_at"].as_i64().unwrap_or(0);
    events.retain(|event| at(event) > 0);
    for event in &mut events {
        let since = at(event) - 1_735_660_800_000;
        event["occurred_at"] = json!(1_735_660_800_000 + since * 50 / 365);
    }
    events.sort_by_key(at);
    lines(&events)
}

/// A rule for each query, due every night.
fn rules() -> String {
    let rule = |(n, sql): (usize, &&str)| {
        let key = if sql.contains("event_id") { "event_id" } else { "unit_code" };
        json!({"id": format!("q{n}"), "severity": "low", "trigger": "schedule", "cron": "0 2 * * *", "sql": sql, "key": [key]})
    };
    json!({"rules": QUERIES.iter().enumerate().map(rule).collect::<Vec<_>>()}).to_string()
}

#[test]
fn a_plan_that_is_kept_finds_what_one_made_at_the_tick_finds() {
    let calendar = calendar();
    let compiler = Compiler::new(&calendar, Lists::default(), Language::default());
    let rules = RuleSet::from_text(&rules(), &compiler, &calendar);
    let rules = Arc::new(rules.unwrap_or_else(|problems| panic!("{problems:?}")));
    let events = events();
    let (kept, anew) = (run(&rules, &events, true), run(&rules, &events, false));
    for n in 0..QUERIES.len() {
        let id = format!("\"rule_id\":\"q{n}\"");
        let of = |found: &[String]| found.iter().filter(|f| f.contains(&id)).cloned().collect::<Vec<_>>();
        let (kept, anew) = (of(&kept), of(&anew));
        assert!(!anew.is_empty(), "q{n} finds nothing, so it compares nothing");
        assert_eq!(kept, anew, "q{n}");
    }
}

#[test]
fn plans_over_the_journal_find_what_plans_over_memory_find() {
    let bench = Bench::new(
        &events(),
        "sources: [{ name: core, file: { path: events.jsonl } }]\nstate: { dir: state }\nengine: { batch_rows: 100 }\n",
    );
    std::fs::write(bench.path().join("rules/rules.yaml"), rules()).unwrap();
    let expected = bench.backtest(&[]);
    for n in 0..QUERIES.len() {
        let id = format!("\"rule_id\":\"q{n}\"");
        assert!(expected.0.iter().any(|found| found.contains(&id)), "q{n} finds nothing");
    }
    assert!(run_once(&bench).wait().unwrap().success());
    assert_same(&bench.state(), &expected, "the journal");
    // Once more, of the journal as it was at each tick.
    let verify = ["state", "verify", "--findings", "--config", "fiscwatch.yaml"];
    let (code, out, err) = command(bench.path(), &verify);
    assert_eq!(code, Some(0), "{out}{err}");
}
