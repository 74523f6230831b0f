//! The events of one key in one stretch of time, added up.

use arrow::array::ArrayRef;
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::Accumulator,
};

use super::aggregate::{Aggregate, Kind, Layout, Others, Output, Tally};

/// What is kept of the events of a pane.
#[derive(Debug)]
pub struct Pane {
    tallies: Box<[Tally]>,
    /// `DataFusion`'s partial states, for the aggregates that only it knows.
    states: Vec<(usize, Vec<ScalarValue>)>,
}

impl Pane {
    /// A pane without events.
    #[must_use]
    pub fn new(aggregates: &[Aggregate], layout: &Layout) -> Self {
        let tallies = aggregates.iter().map(|aggregate| Tally::new(aggregate, layout)).collect();
        Self { tallies, states: Vec::new() }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If one of `DataFusion`'s aggregates refuses it.
    pub fn add(
        &mut self,
        aggregates: &[Aggregate],
        layout: &Layout,
        row: &[u64],
        others: Option<&Others>,
    ) -> Result<()> {
        for (number, (tally, aggregate)) in self.tallies.iter_mut().zip(aggregates).enumerate() {
            let (Kind::Other(function), Some(lane)) = (&aggregate.kind, aggregate.lane) else {
                tally.add(layout, aggregate.lane, row, 0);
                continue;
            };
            let Some(values) = others.and_then(|others| others[layout.beside(lane)].as_deref()) else {
                continue;
            };
            let state = self.states.iter_mut().find(|(n, _)| *n == number);
            let mut accumulator = function.create_accumulator()?;
            if let Some((_, state)) = &state {
                merge(accumulator.as_mut(), state)?;
            }
            let values: Vec<_> = values.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
            accumulator.update_batch(&values)?;
            let next = accumulator.state()?;
            match state {
                Some((_, state)) => *state = next,
                None => self.states.push((number, next)),
            }
        }
        Ok(())
    }

    /// One aggregate over several rows of panes, a value a row, with the rows that it failed for.
    ///
    /// # Errors
    /// If the values do not fit one another.
    pub fn results(
        aggregates: &[Aggregate],
        layout: &Layout,
        number: usize,
        rows: &[Vec<&Self>],
    ) -> Result<(ArrayRef, Vec<(usize, String)>)> {
        let aggregate = &aggregates[number];
        let mut output = Output::new(aggregate, rows.len());
        for panes in rows {
            match (&aggregate.kind, &panes[..]) {
                (Kind::Other(function), panes) => {
                    let value = function.create_accumulator().and_then(|mut accumulator| {
                        let states = panes.iter().flat_map(|pane| &pane.states).filter(|(n, _)| *n == number);
                        states.into_iter().try_for_each(|(_, state)| merge(accumulator.as_mut(), state))?;
                        accumulator.evaluate()
                    });
                    output.push_value(value);
                }
                (_, [pane]) => output.push(aggregate, &pane.tallies[number]),
                (_, panes) => {
                    let mut tally = Tally::new(aggregate, layout);
                    panes.iter().for_each(|pane| tally.merge(&pane.tallies[number]));
                    output.push(aggregate, &tally);
                }
            }
        }
        output.finish()
    }
}

fn merge(accumulator: &mut dyn Accumulator, state: &[ScalarValue]) -> Result<()> {
    let arrays: Vec<_> = state.iter().map(ScalarValue::to_array).collect::<Result<_>>()?;
    accumulator.merge_batch(&arrays)
}
