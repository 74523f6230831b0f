//! Rule files: parsed, compiled, and if they load, run.

use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use fiscwatch::{
    decode::Decoder,
    engine::{
        Committable, Dedup, Engine, EngineError, MemoryTables, Output, OutputDetail, Scheduler, Sequencer,
        Watermark, Windowing,
    },
    evaluate::Evaluator,
    event::{TimeDelta, time::Calendar},
    lists::Lists,
    rule::{Language, RuleSet, compile::Compiler, template::Template},
    stream::Payload,
};
use serde_json::json;

use super::{fuzz, seeds};
use crate::support::{block, calendar, lines, random_events};

struct Nothing(Arc<MemoryTables>);

impl Output for Nothing {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        batches.iter().for_each(|batch| self.0.keep(batch));
        Ok(())
    }
}

/// Runs rules that load over events that have everything.
fn run(rules: Arc<RuleSet>, calendar: &Arc<Calendar>) -> Result<(), EngineError> {
    static EVENTS: LazyLock<String> = LazyLock::new(|| lines(&random_events(5, 40)));
    let tables = Arc::new(MemoryTables::new(calendar));
    let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(calendar)));
    let limits = crate::simulation::config().query_limits;
    let engine = Engine {
        decoder: Arc::new(Decoder::new(Arc::clone(calendar))),
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
        )?,
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: OutputDetail::Events,
        scheduler: Some(Scheduler::new(Arc::clone(&tables) as _, limits, Arc::default())),
        time_max: Arc::new(|| None),
        parallel: 0,
        bounded: Arc::new(true.into()),
        asked: None,
        silence: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (send, batches) = tokio::sync::mpsc::channel(1);
        send.send(vec![block(Payload::JsonLines(EVENTS.as_bytes().into()))]).await.unwrap();
        drop(send);
        engine.run(batches, &mut Nothing(tables)).await
    })
}

#[test]
fn a_rule_is_refused_with_its_place_or_runs() {
    let calendar = calendar();
    let compiler = Compiler::new(&calendar, Lists::default(), Language::default());
    fuzz("rules", 200, &seeds("rules"), |input, _| {
        let text = String::from_utf8_lossy(input);
        match RuleSet::from_text(&text, &compiler, &calendar) {
            Ok(rules) => run(rules, &calendar).expect("rules that load run"),
            Err(problems) => {
                assert!(!problems.is_empty());
                for problem in problems {
                    assert!(!problem.message.is_empty());
                    let lines: Vec<_> = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).collect();
                    assert!((1..=lines.len().max(1) + 1).contains(&problem.line), "{problem}");
                    assert!(problem.column >= 1, "{problem}");
                }
            }
        }
    });
}

#[test]
fn a_template_is_refused_or_gives_a_line() {
    let seeds: Vec<Vec<u8>> = [
        "{{ budget_line_id }} {{ amount|money }} leaves {{ budget.available }} ({{ budget.overspend_ratio|percent }})",
        "{% if n > 3 %}{{ n }} payments{% else %}{{ payee_name or unit_code }}{% endif %}",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let values = json!({"budget_line_id": "L1", "amount": "1234567.50", "n": 5, "payee_name": null, "unit_code": "单位",
        "budget": {"available": "-1.00", "overspend_ratio": "0.1"}});
    fuzz("template", 1000, &seeds, |input, _| match Template::new(&String::from_utf8_lossy(input)) {
        Ok(template) => {
            let _ = template.columns();
            let _ = template.render(&values);
        }
        Err(problem) => assert!(!problem.is_empty()),
    });
}
