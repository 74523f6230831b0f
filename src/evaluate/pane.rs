//! The events of one key in one stretch of time, added up.

use std::cell::RefCell;

use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::Accumulator,
    physical_expr::aggregate::AggregateFunctionExpr,
};

use super::{
    aggregate::{AggregateColumn, LaneValues, Tally, Texts, WindowRow},
    foreign::{self, AccumulatorSize},
};
use crate::rule::plan::{Aggregate, AggregateKind, Layout};

/// What is kept of the events of a pane.
#[derive(Debug)]
pub(crate) struct Pane {
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
    weight: AccumulatorSize,
}

/// Values that wait at most.
const WAITING: usize = 64;

impl Partial {
    fn new(function: &AggregateFunctionExpr) -> Result<Self> {
        let accumulator = function.create_accumulator()?;
        Ok(Self { accumulator, waiting: Vec::new(), weight: AccumulatorSize::of(function) })
    }

    fn bytes(&self) -> usize {
        let values = |row: &[ScalarValue]| row.iter().map(ScalarValue::size).sum::<usize>();
        let waiting: usize = self.waiting.iter().map(|row| values(row)).sum();
        self.accumulator.size() + waiting + self.waiting.capacity() * size_of::<Box<[ScalarValue]>>()
    }

    fn add(&mut self, function: &AggregateFunctionExpr, values: Box<[ScalarValue]>) -> Result<()> {
        let had_room = self.weight.within(function).is_ok();
        if !function.is_distinct() {
            self.weight.add(&values);
        }
        if self.weight.within(function).is_err() {
            // There is no result any more, which is told when it is asked for.
            if had_room {
                self.waiting = Vec::new();
                self.accumulator = function.create_accumulator()?;
            }
            return Ok(());
        }
        self.waiting.push(values);
        if self.waiting.len() >= WAITING { self.flush(function) } else { Ok(()) }
    }

    fn flush(&mut self, function: &AggregateFunctionExpr) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let Some(args) = waiting.first().map(|row| row.len()) else { return Ok(()) };
        let mut columns = Vec::with_capacity(args);
        for at in 0..args {
            let values = waiting.iter_mut().map(|row| std::mem::replace(&mut row[at], ScalarValue::Null));
            columns.push(ScalarValue::iter_to_array(values)?);
        }
        self.accumulator.update_batch(&columns)?;
        if function.is_distinct() {
            self.weight.set(self.accumulator.as_ref());
        }
        Ok(())
    }

    /// What it has seen. Some accumulators give their state away, so it is given back.
    fn state(&mut self, function: &AggregateFunctionExpr) -> Result<Vec<ScalarValue>> {
        self.flush(function)?;
        let state = self.accumulator.state()?;
        self.accumulator = function.create_accumulator()?;
        merge(self.accumulator.as_mut(), &state)?;
        Ok(state)
    }
}

impl Pane {
    /// Bytes beside the pane itself.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let tallies: usize = self.tallies.iter().map(Tally::bytes).sum();
        let others: usize = self.others.iter().map(|(_, partial)| partial.borrow().bytes()).sum();
        tallies
            + others
            + size_of_val(&*self.tallies)
            + self.others.capacity() * size_of::<(usize, RefCell<Partial>)>()
    }

    /// A pane without events.
    #[must_use]
    pub(crate) fn new(aggregates: &[Aggregate], layout: &Layout) -> Self {
        let tallies = aggregates.iter().map(|aggregate| Tally::growing(aggregate, layout)).collect();
        Self { tallies, others: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If one of `DataFusion`'s aggregates refuses it.
    pub(crate) fn add(
        &mut self,
        aggregates: &[Aggregate],
        layout: &Layout,
        row: WindowRow<'_>,
        (beside, place): (&[LaneValues], usize),
    ) -> Result<()> {
        for (number, (tally, aggregate)) in self.tallies.iter_mut().zip(aggregates).enumerate() {
            let (Some(function), Some(lane)) = (aggregate.kind.function(), aggregate.lane) else {
                tally.add(layout, aggregate.lane, row, 0);
                continue;
            };
            let values = if let AggregateKind::Listed(_) = aggregate.kind {
                let value = || row.texts.text(layout, lane, row.words).map(str::to_owned);
                Layout::has(row.words, lane).then(|| Box::from([ScalarValue::Utf8View(value())]))
            } else {
                beside.get(layout.beside(lane)).and_then(|beside| beside.values(place))
            };
            let Some(values) = values else { continue };
            match self.others.iter_mut().find(|(n, _)| *n == number) {
                Some((_, partial)) => partial.get_mut().add(function, values)?,
                None => {
                    let mut partial = Partial::new(function)?;
                    partial.add(function, values)?;
                    self.others.push((number, RefCell::new(partial)));
                }
            }
        }
        Ok(())
    }

    /// Adds the aggregates over several panes to `outputs`, one for each aggregate.
    pub(crate) fn merge(
        aggregates: &[Aggregate],
        layout: &Layout,
        panes: &[&Self],
        outputs: &mut [AggregateColumn],
    ) {
        // Panes hold their texts themselves.
        let none = Texts::default();
        for (number, (aggregate, output)) in aggregates.iter().zip(outputs).enumerate() {
            match (aggregate.kind.function(), panes) {
                (Some(function), panes) => output.push_value(Self::evaluate(function, number, panes)),
                (None, [pane]) => output.push(aggregate, &pane.tallies[number], &none),
                (None, panes) => {
                    let mut tally = Tally::growing(aggregate, layout);
                    panes.iter().for_each(|pane| tally.merge(&pane.tallies[number]));
                    output.push(aggregate, &tally, &none);
                }
            }
        }
    }

    /// One of `DataFusion`'s aggregates over several panes.
    fn evaluate(function: &AggregateFunctionExpr, number: usize, panes: &[&Self]) -> Result<ScalarValue> {
        let mut accumulator = function.create_accumulator()?;
        let parts = || panes.iter().flat_map(|pane| &pane.others).filter(|(n, _)| *n == number);
        let mut weight = AccumulatorSize::of(function);
        parts().for_each(|(_, partial)| weight.merge(partial.borrow().weight));
        weight.within(function)?;
        for (_, partial) in parts() {
            merge(accumulator.as_mut(), &partial.borrow_mut().state(function)?)?;
        }
        foreign::result(function, accumulator.as_mut())
    }
}

fn merge(accumulator: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<()> {
    let arrays: Vec<_> = state.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
    accumulator.merge_batch(&arrays)
}
