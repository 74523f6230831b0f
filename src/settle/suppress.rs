//! Chooses the cells of a table to leave out, so that nobody can compute a confidential one from the published sums. Rows, columns and
//! the whole have their sums published; a cell can be computed exactly if and only if no cycle of cells that are left out
//! leads through it, so each gets one, along the way that costs least.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A cell, or the sum of a row or column.
#[derive(Debug, Clone, Copy)]
struct Edge {
    row: usize,
    column: usize,
    cost: u128,
    hidden: bool,
}

/// What is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// For each cell, in their order.
    pub cells: Vec<bool>,
    pub rows: Vec<bool>,
    pub columns: Vec<bool>,
}

/// A cell of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableCell {
    pub row: usize,
    pub column: usize,
    /// How much is lost with it.
    pub worth: u128,
    /// It must not be told.
    pub sensitive: bool,
}

/// Chooses what is left out; `None` if a cell cannot be kept from being computed, as in a table of one.
pub(crate) fn hidden(cells: &[TableCell], rows: usize, columns: usize) -> Option<Hidden> {
    let all = cells.iter().fold(1_u128, |all, cell| all.saturating_add(cell.worth));
    let cell =
        |of: &TableCell| Edge { row: of.row, column: of.column, cost: of.worth.max(1), hidden: of.sensitive };
    let mut edges: Vec<Edge> = cells.iter().map(cell).collect();
    // Sums are what people read first: a sum is left out only where cells do not help.
    let sum = |row, column| Edge { row, column, cost: all.saturating_mul(4), hidden: false };
    edges.extend((0..rows).map(|row| sum(row, columns)));
    edges.extend((0..columns).map(|column| sum(rows, column)));
    let mut graph = Graph::new(&edges, rows + 1, columns + 1);
    for at in (0..cells.len()).filter(|at| cells[*at].sensitive) {
        for on_the_way in graph.around(&edges, at)? {
            edges[on_the_way].hidden = true;
        }
    }
    let hidden =
        |from: usize, count: usize| edges[from..from + count].iter().map(|edge| edge.hidden).collect();
    Some(Hidden {
        cells: hidden(0, cells.len()),
        rows: hidden(cells.len(), rows),
        columns: hidden(cells.len() + rows, columns),
    })
}

/// Rows and columns as points, cells as ways between them.
struct Graph {
    rows: usize,
    /// The edges at each point.
    at: Vec<Vec<usize>>,
    cost: Vec<u128>,
    by: Vec<Option<usize>>,
}

impl Graph {
    fn new(edges: &[Edge], rows: usize, columns: usize) -> Self {
        let mut at = vec![Vec::new(); rows + columns];
        for (number, edge) in edges.iter().enumerate() {
            at[edge.row].push(number);
            at[rows + edge.column].push(number);
        }
        let points = at.len();
        Self { rows, at, cost: vec![u128::MAX; points], by: vec![None; points] }
    }

    /// The cheapest way from an edge's row to its column that is not the edge itself: the others of its cycle. What is
    /// hidden already costs nothing.
    fn around(&mut self, edges: &[Edge], except: usize) -> Option<Vec<usize>> {
        let (from, to) = (edges[except].row, self.rows + edges[except].column);
        self.cost.fill(u128::MAX);
        self.by.fill(None);
        self.cost[from] = 0;
        let mut next = BinaryHeap::from([Reverse((0_u128, from))]);
        while let Some(Reverse((cost, point))) = next.pop() {
            if point == to {
                break;
            }
            if cost > self.cost[point] {
                continue;
            }
            for number in self.at[point].iter().copied().filter(|number| *number != except) {
                let other = self.other(&edges[number], point);
                let step = if edges[number].hidden { 0 } else { edges[number].cost };
                let cost = cost.saturating_add(step);
                if cost < self.cost[other] {
                    self.cost[other] = cost;
                    self.by[other] = Some(number);
                    next.push(Reverse((cost, other)));
                }
            }
        }
        let (mut way, mut point) = (Vec::new(), to);
        while point != from {
            let number = self.by[point]?;
            way.push(number);
            point = self.other(&edges[number], point);
        }
        Some(way)
    }

    fn other(&self, edge: &Edge, point: usize) -> usize {
        if point < self.rows { self.rows + edge.column } else { edge.row }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    const PRIME: i64 = 1_000_003;

    /// The rank of a matrix, over a field that is large enough for small tables.
    fn rank(mut rows: Vec<Vec<i64>>) -> usize {
        let width = rows.first().map_or(0, Vec::len);
        let power = |mut base: i64| {
            let (mut result, mut exponent) = (1, PRIME - 2);
            while exponent > 0 {
                if exponent & 1 == 1 {
                    result = result * base % PRIME;
                }
                base = base * base % PRIME;
                exponent >>= 1;
            }
            result
        };
        let mut rank = 0;
        for column in 0..width {
            let Some(found) = (rank..rows.len()).find(|row| rows[*row][column] != 0) else { continue };
            rows.swap(rank, found);
            let inverse = power(rows[rank][column]);
            let pivot: Vec<i64> = rows[rank].iter().map(|value| value * inverse % PRIME).collect();
            for row in rows.iter_mut().skip(rank + 1) {
                let factor = row[column];
                row.iter_mut()
                    .zip(&pivot)
                    .for_each(|(value, of)| *value = (*value + (PRIME - factor) * of) % PRIME);
            }
            rank += 1;
        }
        rank
    }

    /// Whether somebody who solves all equations knows a hidden cell: its column is needed for the rank.
    fn is_known(cells: &[TableCell], hidden: &Hidden, of: usize) -> bool {
        let (rows, columns) = (hidden.rows.len(), hidden.columns.len());
        let mut unknown: Vec<(usize, usize, bool)> = Vec::new();
        unknown.extend(
            cells.iter().zip(&hidden.cells).filter(|(_, h)| **h).map(|(c, _)| (c.row, c.column, false)),
        );
        let place = cells[..of].iter().zip(&hidden.cells).filter(|(_, h)| **h).count();
        unknown.extend((0..rows).filter(|r| hidden.rows[*r]).map(|r| (r, columns, true)));
        unknown.extend((0..columns).filter(|c| hidden.columns[*c]).map(|c| (rows, c, true)));
        let equation = |is_row: bool, at: usize| {
            let value = |(row, column, is_sum): &(usize, usize, bool)| {
                let touches = if is_row { *row == at } else { *column == at };
                // A sum stands on the other side of the equation that it is the sum of.
                let is_own_sum = *is_sum && (is_row && *row < rows || !is_row && *column < columns);
                i64::from(touches) * if is_own_sum { PRIME - 1 } else { 1 }
            };
            unknown.iter().map(value).collect::<Vec<i64>>()
        };
        let equations: Vec<Vec<i64>> =
            (0..=rows).map(|r| equation(true, r)).chain((0..=columns).map(|c| equation(false, c))).collect();
        let without = equations.iter().map(|row| {
            let mut row = row.clone();
            row.remove(place);
            row
        });
        rank(without.collect()) < rank(equations.clone())
    }

    #[test]
    fn no_sensitive_cell_can_be_computed_from_what_is_published() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        let (mut tables, mut secrets, mut lost) = (0, 0, 0);
        for _ in 0..400 {
            let (rows, columns) = (rng.random_range(1..6), rng.random_range(1..6));
            let mut cells = Vec::new();
            for row in 0..rows {
                for column in 0..columns {
                    if rng.random_ratio(2, 3) {
                        let (worth, sensitive) = (rng.random_range(0..1000_u128), rng.random_ratio(1, 5));
                        cells.push(TableCell { row, column, worth, sensitive });
                    }
                }
            }
            let Some(hidden) = hidden(&cells, rows, columns) else {
                // A table whose cells stand alone in their rows and columns.
                continue;
            };
            tables += 1;
            for at in (0..cells.len()).filter(|at| cells[*at].sensitive) {
                assert!(hidden.cells[at]);
                assert!(!is_known(&cells, &hidden, at), "{cells:?} {hidden:?}");
                secrets += 1;
            }
            lost += hidden.cells.iter().filter(|hidden| **hidden).count();
        }
        assert!(tables > 300 && secrets > 400 && lost < 10 * secrets, "{tables} {secrets} {lost}");
    }

    #[test]
    fn the_test_knows_what_can_be_computed() {
        let cell = |row, column, sensitive| TableCell { row, column, worth: 1, sensitive };
        let cells = [cell(0, 0, true), cell(0, 1, false), cell(1, 0, false), cell(1, 1, false)];
        let alone =
            Hidden { cells: vec![true, false, false, false], rows: vec![false; 2], columns: vec![false; 2] };
        assert!(is_known(&cells, &alone, 0));
        let in_row = Hidden { cells: vec![true, true, false, false], ..alone.clone() };
        assert!(is_known(&cells, &in_row, 0));
        assert_eq!(hidden(&cells, 2, 2).unwrap().cells, [true; 4]);
        // A table of one cell is its own sum.
        assert_eq!(hidden(&cells[..1], 1, 1), None);
        // The cheapest cycle is taken.
        let mut wide: Vec<TableCell> =
            (0..2).flat_map(|row| (0..3).map(move |column| cell(row, column, false))).collect();
        wide[0].sensitive = true;
        wide[1].worth = 50;
        wide[4].worth = 50;
        assert_eq!(hidden(&wide, 2, 3).unwrap().cells, [true, false, true, true, false, true]);
    }
}
