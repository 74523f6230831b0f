//! The events of one key in one stretch of time, added up.

use std::cell::RefCell;

use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::Accumulator,
    physical_expr::aggregate::AggregateFunctionExpr,
};

use super::aggregate::{Aggregate, Kind, Layout, Others, Output, Row, Tally};

/// What is kept of the events of a pane.
#[derive(Debug)]
pub struct Pane {
    tallies: Box<[Tally]>,
    /// For the aggregates that only `DataFusion` knows.
    others: Vec<(usize, RefCell<Partial>)>,
}

/// One of `DataFusion`'s aggregates: what it has seen, and values that it has not seen yet, which it takes in several at
/// a time.
#[derive(Debug)]
struct Partial {
    accumulator: Box<dyn Accumulator>,
    waiting: Vec<Box<[ScalarValue]>>,
}

/// Values that wait at most.
const WAITING: usize = 64;

impl Partial {
    fn new(function: &AggregateFunctionExpr) -> Result<Self> {
        Ok(Self { accumulator: function.create_accumulator()?, waiting: Vec::new() })
    }

    fn add(&mut self, values: &[ScalarValue]) -> Result<()> {
        self.waiting.push(values.into());
        if self.waiting.len() >= WAITING { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let Some(first) = waiting.first() else { return Ok(()) };
        let column = |at: usize| ScalarValue::iter_to_array(waiting.iter().map(|row| row[at].clone()));
        let columns = (0..first.len()).map(column).collect::<Result<Vec<_>>>()?;
        self.accumulator.update_batch(&columns)
    }

    /// What it has seen. Some accumulators give their state away, so it is given back.
    fn state(&mut self, function: &AggregateFunctionExpr) -> Result<Vec<ScalarValue>> {
        self.flush()?;
        let state = self.accumulator.state()?;
        self.accumulator = function.create_accumulator()?;
        merge(self.accumulator.as_mut(), &state)?;
        Ok(state)
    }
}

impl Pane {
    /// A pane without events.
    #[must_use]
    pub fn new(aggregates: &[Aggregate], layout: &Layout) -> Self {
        let tallies = aggregates.iter().map(|aggregate| Tally::new(aggregate, layout)).collect();
        Self { tallies, others: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If one of `DataFusion`'s aggregates refuses it.
    pub fn add(
        &mut self,
        aggregates: &[Aggregate],
        layout: &Layout,
        words: &[u64],
        others: Option<&Others>,
    ) -> Result<()> {
        for (number, (tally, aggregate)) in self.tallies.iter_mut().zip(aggregates).enumerate() {
            let (Kind::Other(function), Some(lane)) = (&aggregate.kind, aggregate.lane) else {
                tally.add(layout, aggregate.lane, Row { words, others }, 0);
                continue;
            };
            let Some(values) = others.and_then(|others| others[layout.beside(lane)].as_deref()) else {
                continue;
            };
            match self.others.iter_mut().find(|(n, _)| *n == number) {
                Some((_, partial)) => partial.get_mut().add(values)?,
                None => {
                    let mut partial = Partial::new(function)?;
                    partial.add(values)?;
                    self.others.push((number, RefCell::new(partial)));
                }
            }
        }
        Ok(())
    }

    /// Adds the aggregates over several panes to `outputs`, one for each aggregate.
    pub fn merge(aggregates: &[Aggregate], layout: &Layout, panes: &[&Self], outputs: &mut [Output]) {
        for (number, (aggregate, output)) in aggregates.iter().zip(outputs).enumerate() {
            match (&aggregate.kind, panes) {
                (Kind::Other(function), panes) => output.push_value(Self::evaluate(function, number, panes)),
                (_, [pane]) => output.push(aggregate, &pane.tallies[number]),
                (_, panes) => {
                    let mut tally = Tally::new(aggregate, layout);
                    panes.iter().for_each(|pane| tally.merge(&pane.tallies[number]));
                    output.push(aggregate, &tally);
                }
            }
        }
    }

    /// One of `DataFusion`'s aggregates over several panes.
    fn evaluate(function: &AggregateFunctionExpr, number: usize, panes: &[&Self]) -> Result<ScalarValue> {
        let mut accumulator = function.create_accumulator()?;
        for (_, partial) in panes.iter().flat_map(|pane| &pane.others).filter(|(n, _)| *n == number) {
            merge(accumulator.as_mut(), &partial.borrow_mut().state(function)?)?;
        }
        accumulator.evaluate()
    }
}

fn merge(accumulator: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<()> {
    let arrays: Vec<_> = state.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
    accumulator.merge_batch(&arrays)
}
