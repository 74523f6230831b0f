//! What a query reads of the budget lines.

use super::ScheduleRule;
use crate::sql::tables::BUDGET_LINES;

impl ScheduleRule {
    /// Whether the query needs the budget lines.
    #[must_use]
    pub fn reads_lines(&self) -> bool {
        self.forecasts || self.tables.contains(BUDGET_LINES)
    }

    /// Whether the query needs this column of the budget lines. Everybody who reads them needs the year: rows are counted
    /// by it, and its elapsed share is computed of it.
    #[must_use]
    pub fn reads_of_lines(&self, column: &str) -> bool {
        self.forecasts
            || self.tables.contains(BUDGET_LINES)
                && (column == "fiscal_year" || self.columns.contains(column))
    }
}
