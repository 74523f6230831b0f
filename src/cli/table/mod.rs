//! Everything that commands show as a table. A row is one line and fits the terminal; into a file goes all of it.
//! What a list shows is what its CSV has: one declaration of columns serves both.

mod cell;
mod fit;
mod form;
mod names;
mod screen;
mod sheet;
mod visible;

use std::fmt::Write;

pub(crate) use cell::{Cell, pairs, plain, separated};
pub(crate) use form::{ListFormat, more};
pub(crate) use names::{handling, title};
pub(crate) use screen::{Colour, Screen, colour};
pub(crate) use sheet::FactSheet;
pub(crate) use visible::{cut, visible};

use fit::{Demand, GAP, fit};
use visible::width;

#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    name: String,
    title: String,
    right: bool,
    least: Option<usize>,
    spare: bool,
    seen: bool,
}

impl TableColumn {
    /// A column by its name for programs and its title for people.
    pub(crate) fn new(name: impl Into<String>, title: impl Into<String>) -> Self {
        Self { name: name.into(), title: title.into(), right: false, least: None, spare: false, seen: true }
    }

    /// For numbers: digits of one value stand below each other.
    pub(crate) fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// It may be cut down to so many columns of the terminal.
    pub(crate) fn shrinks(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }

    /// It is left out where room is short.
    pub(crate) fn spare(self) -> Self {
        Self { spare: true, ..self }
    }

    /// It is in CSV only.
    pub(crate) fn unseen(self) -> Self {
        Self { seen: false, ..self }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<TableColumn>,
    rows: Vec<Vec<Cell>>,
}

/// Titles stand out where there are colours.
const BOLD: &str = "1";

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl IntoIterator<Item = TableColumn>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, a cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<_> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines, each with its end. Where not even cut cells fit, each row stands upright.
    pub(crate) fn render(&self, screen: Screen) -> String {
        let shown: Vec<Vec<_>> = self.rows.iter().map(|row| row.iter().map(Cell::shown).collect()).collect();
        let titles: Vec<_> = self.columns.iter().map(|column| visible(&column.title)).collect();
        let demand = |(at, column): (usize, &TableColumn)| {
            let cells = shown.iter().map(|row| width(&row[at]));
            let natural = cells.chain([width(&titles[at])]).max().unwrap_or(0);
            Demand { natural, least: column.least, spare: column.spare }
        };
        let demands: Vec<_> = self.columns.iter().enumerate().map(demand).collect();
        let Some(widths) = self.widths(&demands, screen) else { return self.upright(screen) };
        let mut text = String::new();
        self.line(&mut text, screen, &widths, titles.iter().map(|title| (&**title, Some(BOLD))));
        for (row, shown) in self.rows.iter().zip(&shown) {
            let cells = row.iter().zip(shown).map(|(cell, shown)| (&**shown, cell.colour()));
            self.line(&mut text, screen, &widths, cells);
        }
        text
    }

    fn widths(&self, demands: &[Demand], screen: Screen) -> Option<Vec<Option<usize>>> {
        let seen: Vec<_> = (0..demands.len()).filter(|at| self.columns[*at].seen).collect();
        let wanted: Vec<_> = seen.iter().map(|at| demands[*at]).collect();
        let fitted = fit(&wanted, screen.width.unwrap_or(usize::MAX))?;
        let mut widths = vec![None; demands.len()];
        seen.into_iter().zip(fitted).for_each(|(at, width)| widths[at] = width);
        Some(widths)
    }

    fn line<'c>(
        &self,
        text: &mut String,
        screen: Screen,
        widths: &[Option<usize>],
        cells: impl Iterator<Item = (&'c str, Option<&'static str>)>,
    ) {
        let mut blanks = 0;
        for ((cell, colour), (column, room)) in cells.zip(self.columns.iter().zip(widths)) {
            let Some(room) = *room else { continue };
            let cell = cut(cell, room);
            let left = room - width(&cell);
            let (before, after) = if column.right { (left, 0) } else { (0, left) };
            // Blanks wait for what comes behind them: no line ends with any.
            let _ = write!(text, "{:1$}{2}", "", blanks + before, screen.paint(&cell, colour));
            blanks = after + GAP;
        }
        text.push('\n');
    }

    fn upright(&self, screen: Screen) -> String {
        let sheets = self.rows.iter().map(|row| {
            let mut sheet = FactSheet::default();
            for (column, cell) in self.columns.iter().zip(row).filter(|(column, _)| column.seen) {
                sheet.add(visible(&column.title), cell.clone());
            }
            sheet.render(screen)
        });
        sheets.collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cents;

    fn table() -> Table {
        let mut table = Table::new([
            TableColumn::new("severity", "等级"),
            TableColumn::new("amount", "金额").right(),
            TableColumn::new("summary", "摘要").shrinks(8),
        ]);
        let text = "杭州市第一中学 向同一收款人拆分支付\n三笔";
        table.row([
            Cell::Severity("critical".into()),
            Cell::money(Cents::new(123_456_789)),
            Cell::text(text),
        ]);
        table.row([Cell::Severity("low".into()), Cell::money(Cents::new(-5)), Cell::Missing]);
        table
    }

    fn on(width: Option<usize>, colours: bool) -> String {
        table().render(Screen { width, colours })
    }

    #[test]
    fn a_row_is_one_line_that_fits() {
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}",
            on(None, false),
            on(Some(40), false),
            on(Some(30), true)
        ));
        assert!(on(Some(40), false).lines().all(|line| width(line) <= 40 && !line.ends_with(' ')));
    }

    #[test]
    fn where_nothing_fits_rows_stand_upright() {
        insta::assert_snapshot!(on(Some(24), false));
    }
}
