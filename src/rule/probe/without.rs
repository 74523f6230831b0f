//! A query without one of its conditions: which of them keeps a row out.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr as Sql, Query, Select, SetExpr, Statement, VisitMut, VisitorMut,
};

use crate::rule::{budget_part::conjuncts, query::ScheduleRule};

impl ScheduleRule {
    /// The conditions that its SELECTs join by `and`, each with the query that lacks it; the first so many.
    #[must_use]
    pub(crate) fn without_each(&self, most: usize) -> Vec<(String, Self)> {
        let without = |(text, query)| {
            let mut without = self.clone();
            without.query = Box::new(query);
            (text, without)
        };
        each(&self.query, most).into_iter().map(without).collect()
    }
}

fn each(query: &Statement, most: usize) -> Vec<(String, Statement)> {
    let without = |nth: usize| {
        let (mut query, mut cut) = (query.clone(), Cut { nth, ..Cut::default() });
        let _: ControlFlow<()> = query.visit(&mut cut);
        Some((cut.found?, query))
    };
    (0..most).map_while(without).collect()
}

/// Takes out one condition, counted through all SELECTs.
#[derive(Default)]
struct Cut {
    nth: usize,
    seen: usize,
    found: Option<String>,
}

impl Cut {
    fn out_of(&mut self, condition: &mut Option<Sql>) {
        let Some(sql) = condition.as_ref() else { return };
        let mut parts = Vec::new();
        conjuncts(sql, &mut |part| parts.push(part.clone()));
        let at = self.nth.checked_sub(self.seen).filter(|at| *at < parts.len());
        self.seen += parts.len();
        if let Some(at) = at {
            self.found = Some(parts.remove(at).to_string());
            let and = |left, right| {
                let (left, right) = (Box::new(left), Box::new(right));
                Sql::BinaryOp { left, op: BinaryOperator::And, right }
            };
            // What stood in brackets keeps them: only what is joined by `and` was taken apart.
            *condition = parts.into_iter().map(|part| Sql::Nested(Box::new(part))).reduce(and);
        }
    }

    fn select(&mut self, select: &mut Select) {
        self.out_of(&mut select.selection);
        self.out_of(&mut select.having);
    }

    fn body(&mut self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            _ => {}
        }
    }
}

impl VisitorMut for Cut {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.body(&mut query.body);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::{dialect::GenericDialect, parser::Parser};

    use super::*;

    #[test]
    fn each_condition_is_taken_out_of_its_own_select() {
        let sql = "WITH a AS (SELECT x FROM t WHERE x > 1 AND (y = 2 OR z = 3)) SELECT x FROM a WHERE x < 9 GROUP BY x HAVING count(*) > 1 AND NOT x IN (SELECT x FROM u WHERE w)";
        let query = Parser::parse_sql(&GenericDialect {}, sql).unwrap().remove(0);
        let all = each(&query, 32);
        let texts: Vec<_> = all.iter().map(|(text, _)| text.as_str()).collect();
        let mut sorted = texts.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            ["NOT x IN (SELECT x FROM u WHERE w)", "count(*) > 1", "w", "x < 9", "x > 1", "y = 2 OR z = 3"]
        );
        for (text, query) in &all {
            let query = query.to_string();
            assert!(!query.contains(text.as_str()), "{text}: {query}");
            assert!(texts.iter().filter(|other| query.contains(**other)).count() >= 4, "{query}");
        }
        assert_eq!(each(&query, 2).len(), 2);
    }
}
