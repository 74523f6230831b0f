//! A few events through the loop of the daemon, without a store and without a clock: what tests of rules and packs of
//! evidence are judged by.

use std::sync::{Arc, atomic::AtomicBool};

use parking_lot::RwLock;

use crate::{
    decode::Decoder,
    engine::{Dedup, Engine, MemoryTables, Output, OutputDetail, Scheduler, Sequencer, Watermark, Windowing},
    evaluate::{Evaluator, schedule::QueryLimits},
    event::TimeDelta,
    ledger::Ledger,
    rule::{RuleSet, limits::STACK},
    stream::Block,
};

/// Runs events through the rules, and gives the balances after them; what comes of them is the output's.
///
/// # Errors
/// In words, if the loop fails.
pub(crate) fn run(
    rules: Arc<RuleSet>,
    decoder: Decoder,
    lateness: TimeDelta,
    block: Block,
    (tables, output): (Arc<MemoryTables>, &mut impl Output),
    calendar: &Arc<crate::event::time::Calendar>,
) -> Result<Ledger, String> {
    let ledger = Arc::new(RwLock::new(Ledger::default()));
    let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(calendar)));
    // Every event is meant.
    let watermark = Watermark::new(lateness, None);
    let engine = Engine {
        decoder: Arc::new(decoder),
        sequencer: Sequencer::new(Arc::clone(&ledger), Dedup::default(), watermark, None),
        windowing: Windowing::new(&evaluator, None, (TimeDelta::MAX, u64::MAX), (None, None), None)
            .map_err(|e| e.to_string())?,
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: OutputDetail::Events,
        scheduler: Some(Scheduler::new(tables as _, QueryLimits::default(), Arc::default())),
        time_max: Arc::new(|| None),
        parallel: 1,
        bounded: Arc::new(AtomicBool::new(true)),
        asked: None,
        silence: None,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().thread_stack_size(STACK).build();
    let runtime = runtime.map_err(|e| e.to_string())?;
    let played = runtime.block_on(async {
        let (sender, batches) = tokio::sync::mpsc::channel(1);
        let (sent, ended) = tokio::join!(
            async move { sender.send(vec![block]).await.map_err(|e| e.to_string()) },
            engine.run(batches, output)
        );
        sent.and(ended.map_err(|e| e.to_string()))
    });
    played?;
    Ok(Arc::into_inner(ledger).map(RwLock::into_inner).unwrap_or_default())
}
