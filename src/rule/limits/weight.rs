//! What a syntax tree weighs when every name is replaced by what it stands for: the planner does that, and a text of
//! 1 KB can stand for a million tables.

use std::{collections::HashSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    Expr as Sql, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Visit, Visitor,
};

/// What is in an expression or a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExpressionSize {
    /// Tables, as often as they are read.
    pub relations: u64,
    /// Expressions that are no plain values, as often as they are computed.
    pub nodes: u64,
    /// The expressions that the heaviest of its columns is made of.
    column: u64,
    /// Expressions within one another, and parts of one UNION.
    pub depth: usize,
    /// Whether it reads itself.
    pub recursive: bool,
}

impl ExpressionSize {
    /// A table as it is stored.
    const TABLE: Self = Self { relations: 1, nodes: 0, column: 1, depth: 0, recursive: false };

    /// Both, side by side.
    fn and(self, other: Self) -> Self {
        Self {
            relations: self.relations.saturating_add(other.relations),
            nodes: self.nodes.saturating_add(other.nodes),
            column: self.column.max(other.column),
            depth: self.depth.max(other.depth),
            recursive: self.recursive || other.recursive,
        }
    }
}

/// An expression by itself, whose columns are columns.
pub(crate) fn of_expression(sql: &Sql) -> ExpressionSize {
    let mut scale = Scale::default();
    scale.weigh(sql, 1, HashSet::new())
}

pub(crate) fn of_query(query: &Query) -> ExpressionSize {
    Scale::default().query(query)
}

/// Weighs, and knows what the names of WITH stand for.
#[derive(Default)]
struct Scale {
    named: Vec<(String, ExpressionSize)>,
}

impl Scale {
    fn query(&mut self, query: &Query) -> ExpressionSize {
        let outside = self.named.len();
        let mut weight = ExpressionSize::default();
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let of = self.query(&cte.query);
            // One that nobody names is planned all the same.
            weight = weight.and(ExpressionSize { relations: 0, column: 0, ..of });
            self.named.push((cte.alias.name.value.to_lowercase(), of));
        }
        weight.recursive |= query.with.as_ref().is_some_and(|with| with.recursive);
        let body = self.body(&query.body);
        weight = ExpressionSize { column: body.column, ..weight.and(body) };
        for part in [
            query.order_by.as_ref().map(|part| self.weigh(part, body.column, HashSet::new())),
            query.limit_clause.as_ref().map(|part| self.weigh(part, 1, HashSet::new())),
        ] {
            let part = part.unwrap_or_default();
            weight = weight.and(ExpressionSize { column: 0, ..part });
        }
        self.named.truncate(outside);
        weight
    }

    /// A chain of UNION leans to the left: it is walked and not descended.
    fn body(&mut self, body: &SetExpr) -> ExpressionSize {
        let (mut weight, mut rest, mut parts) = (ExpressionSize::default(), body, 0);
        while let SetExpr::SetOperation { left, right, .. } = rest {
            weight = weight.and(self.part(right));
            (rest, parts) = (left, parts + 1);
        }
        let weight = weight.and(self.part(rest));
        ExpressionSize { depth: weight.depth.max(parts), ..weight }
    }

    fn part(&mut self, part: &SetExpr) -> ExpressionSize {
        match part {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { .. } => self.body(part),
            SetExpr::Values(values) => self.weigh(values, 1, HashSet::new()),
            SetExpr::Table(table) => {
                table.table_name.as_ref().map_or(ExpressionSize::TABLE, |name| self.table(name))
            }
            _ => ExpressionSize::default(),
        }
    }

    fn select(&mut self, select: &Select) -> ExpressionSize {
        let mut derived = HashSet::new();
        let from = select.from.iter().map(|from| self.from(from, &mut derived));
        let from = from.fold(ExpressionSize::default(), ExpressionSize::and);
        let inside = from.column.max(1);
        let own = self.weigh(select, inside, derived);
        let column = select.projection.iter().map(|item| self.item(item, inside)).max();
        ExpressionSize { column: column.unwrap_or(inside), ..from.and(ExpressionSize { column: 0, ..own }) }
    }

    /// What a column of the result is made of.
    fn item(&mut self, item: &SelectItem, inside: u64) -> u64 {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                self.weigh(expr, inside, HashSet::new()).nodes.max(1)
            }
            _ => inside,
        }
    }

    fn from(&mut self, from: &TableWithJoins, derived: &mut HashSet<*const Query>) -> ExpressionSize {
        let joins = from.joins.iter().map(|join| &join.relation);
        let depth = from.joins.len();
        let relations = std::iter::once(&from.relation).chain(joins);
        let weight = relations
            .map(|table| self.factor(table, derived))
            .fold(ExpressionSize::default(), ExpressionSize::and);
        ExpressionSize { depth: weight.depth.max(depth), ..weight }
    }

    fn factor(&mut self, factor: &TableFactor, derived: &mut HashSet<*const Query>) -> ExpressionSize {
        match factor {
            TableFactor::Table { name, .. } => self.table(name),
            TableFactor::Derived { subquery, .. } => {
                derived.insert(std::ptr::from_ref(subquery.as_ref()));
                self.query(subquery)
            }
            TableFactor::NestedJoin { table_with_joins, .. } => self.from(table_with_joins, derived),
            _ => ExpressionSize::TABLE,
        }
    }

    fn table(&self, name: &impl ToString) -> ExpressionSize {
        let name = name.to_string().trim_matches('"').to_lowercase();
        self.named
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
            .map_or(ExpressionSize::TABLE, |(_, weight)| *weight)
    }

    /// The expressions of a part of the tree, whose columns weigh so much each, and the queries within them, but for the
    /// tables in `derived`, which are weighed already.
    fn weigh(&mut self, part: &impl Visit, column: u64, derived: HashSet<*const Query>) -> ExpressionSize {
        let mut walk = Walk { column, derived, ..Walk::default() };
        let _ = part.visit(&mut walk);
        let Walk { mut weight, queries, .. } = walk;
        for query in queries {
            let of = self.query(&query);
            weight = weight.and(ExpressionSize { column: 0, ..of });
        }
        weight
    }
}

/// Walks the expressions of one query, and collects the queries within them.
#[derive(Default)]
struct Walk {
    column: u64,
    derived: HashSet<*const Query>,
    weight: ExpressionSize,
    /// Expressions around the current one.
    inside: usize,
    /// Queries around the current one.
    within: usize,
    queries: Vec<Query>,
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.within == 0 && !self.derived.contains(&std::ptr::from_ref(query)) {
            self.queries.push(query.clone());
        }
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Sql) -> ControlFlow<()> {
        self.inside += 1;
        self.weight.depth = self.weight.depth.max(self.inside);
        if self.within == 0 {
            let nodes = match expr {
                Sql::Identifier(_) | Sql::CompoundIdentifier(_) => self.column,
                Sql::Value(_) => 0,
                _ => 1,
            };
            self.weight.nodes = self.weight.nodes.saturating_add(nodes);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Sql) -> ControlFlow<()> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }
}
