//! What the columns of a rule tell of persons: the kinds of the source columns go through expressions and queries. It is
//! found out once, when a rule is compiled. Where it cannot be known, more is taken for personal, never less.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::{
    common::{
        Column, DFSchema, ScalarValue,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Distinct, Expr, ExprSchemable, Join, JoinType, LogicalPlan, Operator, WindowFunctionDefinition,
        utils::grouping_set_to_exprlist,
    },
};

use crate::{
    lists::Lists,
    personal::{Kinds, PersonalKind, number},
    rule::{ColumnId, Id},
    sql::tables::{ALERTS, FINDINGS},
};

/// The kinds of the columns that events and budget lines have, in the order of a schema.
pub(crate) fn of_schema(schema: &Schema) -> Vec<PersonalKind> {
    schema.fields().iter().map(|field| PersonalKind::of_column(field.name()).unwrap_or_default()).collect()
}

/// The kinds of some columns, by name.
pub(crate) fn named(
    schema: &Schema,
    kinds: &[PersonalKind],
    columns: impl Iterator<Item = ColumnId>,
) -> Kinds {
    let mut named = Kinds::default();
    let kind = |column: ColumnId| kinds.get(column.number()).copied().unwrap_or_default();
    columns.for_each(|column| named.add(column.field(schema).name(), kind(column)));
    named
}

/// What an expression over columns of events and budget lines is made of.
pub(crate) fn of_expression(expr: &Expr, schema: &DFSchema, lists: &Lists) -> PersonalKind {
    let kinds = of_schema(schema.as_arrow());
    // The type beside a name is that of one event, not of what is made of several.
    Walk::new(lists).expression(expr, &Row { schema, kinds: &kinds }).without(PersonalKind::TYPED)
}

/// What each column that a query returns is made of.
pub(crate) fn of_query(plan: &LogicalPlan, lists: &Lists) -> Vec<PersonalKind> {
    Walk::new(lists).plan(plan)
}

/// The columns that an expression sees.
#[derive(Clone, Copy)]
struct Row<'r> {
    schema: &'r DFSchema,
    kinds: &'r [PersonalKind],
}

impl Row<'_> {
    fn of(&self, column: &Column) -> Option<PersonalKind> {
        let at = self.schema.maybe_index_of_column(column)?;
        self.kinds.get(at).copied()
    }
}

struct Walk<'w> {
    lists: &'w Lists,
    /// The rows around a subquery, the nearest last.
    outer: Vec<(Arc<DFSchema>, Vec<PersonalKind>)>,
}

/// Functions that give back one of their arguments.
const CHOOSING: &[&str] = &["coalesce", "nvl", "ifnull", "nvl2", "nullif", "greatest", "least"];
/// Functions that put values beside each other, or beside other words.
const JOINING: &[&str] = &[
    "concat",
    "concat_ws",
    "make_array",
    "array_append",
    "array_prepend",
    "array_concat",
    "array_to_string",
    "struct",
    "named_struct",
    "map",
    "format",
    "replace",
    "regexp_replace",
    "overlay",
    "lpad",
    "rpad",
];
/// Aggregates that make a list of whole values.
const LISTING: &[&str] = &["array_agg", "string_agg"];
/// Aggregates that count, whatever they count.
const COUNTING: &[&str] = &["count", "approx_distinct", "grouping"];
/// Functions that make a number of a text's own digits; all others that take text and give a number measure it.
const CASTING: &[&str] = &["arrow_cast", "arrow_try_cast"];

impl<'w> Walk<'w> {
    fn new(lists: &'w Lists) -> Self {
        Self { lists, outer: Vec::new() }
    }

    fn expression(&mut self, expr: &Expr, row: &Row<'_>) -> PersonalKind {
        let data_type = expr.get_type(row.schema).ok();
        // True or false, and an instant, tell nobody's name or number.
        if data_type.as_ref().is_some_and(|t| *t == DataType::Boolean || t.is_temporal()) {
            return PersonalKind::ORDINARY;
        }
        match expr {
            Expr::Column(column) => row.of(column).unwrap_or_else(|| self.of_outer(column)),
            Expr::OuterReferenceColumn(_, column) => self.of_outer(column),
            Expr::Literal(value, _) => literal(value),
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
                results.fold(PersonalKind::ORDINARY, |kind, result| kind.and(self.expression(result, row)))
            }
            Expr::BinaryExpr(binary) => {
                let sides = [&binary.left, &binary.right].map(|side| self.expression(side, row));
                let kind = sides[0].and(sides[1]);
                if binary.op == Operator::StringConcat { mixed(kind) } else { kind }
            }
            Expr::ScalarFunction(call) if call.name() == "lookup" => self.lookup(&call.args),
            Expr::ScalarFunction(call) => {
                let kind = self.call(call.name(), &call.args, data_type.as_ref(), row);
                if JOINING.contains(&call.name()) { mixed(kind) } else { kind }
            }
            Expr::AggregateFunction(call) => {
                self.aggregate(call.func.name(), &call.params.args, data_type.as_ref(), row)
            }
            Expr::WindowFunction(call) => {
                let name = match &call.fun {
                    WindowFunctionDefinition::AggregateUDF(function) => function.name(),
                    WindowFunctionDefinition::WindowUDF(function) => function.name(),
                };
                self.aggregate(name, &call.params.args, data_type.as_ref(), row)
            }
            Expr::ScalarSubquery(query) => {
                let kinds = self.within(row, |walk| walk.plan(&query.subquery));
                kinds.first().copied().unwrap_or_default()
            }
            other => {
                let mut kind = PersonalKind::ORDINARY;
                let _ = other.apply_children(|child| {
                    kind = kind.and(self.expression(child, row));
                    Ok(TreeNodeRecursion::Continue)
                });
                kind
            }
        }
    }

    fn aggregate(
        &mut self,
        name: &str,
        args: &[Expr],
        result: Option<&DataType>,
        row: &Row<'_>,
    ) -> PersonalKind {
        match name {
            name if COUNTING.contains(&name) => PersonalKind::ORDINARY,
            // The second argument of string_agg stands between the values.
            name if LISTING.contains(&name) => {
                let kind = self.call(name, args.get(..1).unwrap_or_default(), result, row);
                if kind.is_ordinary() { kind } else { kind.and(PersonalKind::LIST) }
            }
            _ => self.call(name, args, result, row),
        }
    }

    /// What comes out of a function by what goes in.
    fn call(&mut self, name: &str, args: &[Expr], result: Option<&DataType>, row: &Row<'_>) -> PersonalKind {
        let kinds: Vec<PersonalKind> = args.iter().map(|arg| self.expression(arg, row)).collect();
        let kind = kinds.iter().fold(PersonalKind::ORDINARY, |all, kind| all.and(*kind));
        if kind.is_ordinary() {
            return kind;
        }
        let takes_text = args
            .iter()
            .zip(&kinds)
            .filter(|(_, kind)| !kind.is_ordinary())
            .all(|(arg, _)| arg.get_type(row.schema).is_ok_and(|data_type| data_type.is_string()));
        let measures = takes_text && result.is_some_and(DataType::is_numeric) && !CASTING.contains(&name);
        if measures {
            return PersonalKind::ORDINARY;
        }
        let several = kinds.iter().filter(|kind| !kind.is_ordinary()).count() > 1;
        if several && !CHOOSING.contains(&name) { mixed(kind) } else { kind }
    }

    /// `lookup('list', key, 'column')` tells what the list has, and not the key.
    fn lookup(&self, args: &[Expr]) -> PersonalKind {
        let constant = |at: usize| match args.get(at) {
            Some(Expr::Literal(value, _)) => value.try_as_str().flatten(),
            _ => None,
        };
        let list = constant(0).and_then(|name| self.lists.get(name));
        let column = list.zip(constant(2)).and_then(|(list, column)| list.column(column));
        column.map_or(PersonalKind::ANYTHING, |(_, kind)| kind.personal())
    }

    fn of_outer(&self, column: &Column) -> PersonalKind {
        let rows = self.outer.iter().rev();
        let mut known = rows.filter_map(|(schema, kinds)| Row { schema, kinds }.of(column));
        known.next().or_else(|| PersonalKind::of_column(&column.name)).unwrap_or(PersonalKind::UNKNOWN)
    }

    /// Walks a subquery of which `row` is the row around.
    fn within<T>(&mut self, row: &Row<'_>, walk: impl FnOnce(&mut Self) -> T) -> T {
        self.outer.push((Arc::new(row.schema.clone()), row.kinds.to_vec()));
        let result = walk(self);
        self.outer.pop();
        result
    }

    fn plan(&mut self, plan: &LogicalPlan) -> Vec<PersonalKind> {
        let width = plan.schema().fields().len();
        let kinds = match plan {
            LogicalPlan::Projection(p) => self.each(&p.expr, &p.input),
            LogicalPlan::Distinct(Distinct::On(on)) => self.each(&on.select_expr, &on.input),
            LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Distinct(Distinct::All(_))
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_) => self.all(plan),
            LogicalPlan::Aggregate(a) => {
                let groups = grouping_set_to_exprlist(&a.group_expr).unwrap_or_default();
                let mut kinds = self.each(groups, &a.input);
                // A set of groupings has its number behind its columns.
                kinds
                    .resize(width.saturating_sub(a.aggr_expr.len()).max(kinds.len()), PersonalKind::ORDINARY);
                kinds.extend(self.each(&a.aggr_expr, &a.input));
                kinds
            }
            LogicalPlan::Window(w) => {
                let mut kinds = self.plan(&w.input);
                kinds.extend(self.each(&w.window_expr, &w.input));
                kinds
            }
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => {
                let sides: Vec<_> = union.inputs.iter().map(|input| self.plan(input)).collect();
                sides.into_iter().reduce(|all, side| together(&all, &side)).unwrap_or_default()
            }
            LogicalPlan::Values(values) => self.values(&values.values, &values.schema),
            LogicalPlan::TableScan(scan) => {
                let columns = scan.projected_schema.fields().iter();
                columns.map(|field| self.stored(scan.table_name.table(), field.name())).collect()
            }
            LogicalPlan::Unnest(unnest) => {
                let input = self.plan(&unnest.input);
                let of = |at: &usize| {
                    input.get(*at).copied().unwrap_or(PersonalKind::ANYTHING).without(PersonalKind::LIST)
                };
                unnest.dependency_indices.iter().map(of).collect()
            }
            LogicalPlan::EmptyRelation(_) => vec![PersonalKind::ORDINARY; width],
            other => vec![self.all(other).into_iter().fold(PersonalKind::ORDINARY, PersonalKind::and); width],
        };
        match kinds.len() == width {
            true => kinds,
            // A plan of a shape that is not known here: every column may hold what any of them does.
            false => vec![kinds.into_iter().fold(PersonalKind::ORDINARY, PersonalKind::and); width],
        }
    }

    fn join(&mut self, join: &Join) -> Vec<PersonalKind> {
        let left = self.plan(&join.left);
        let row = Row { schema: join.left.schema(), kinds: &left };
        // What stands at the right of a lateral join sees the left.
        let right = self.within(&row, |walk| walk.plan(&join.right));
        match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            JoinType::RightSemi | JoinType::RightAnti => right,
            JoinType::LeftMark => [left, vec![PersonalKind::ORDINARY]].concat(),
            JoinType::RightMark => [right, vec![PersonalKind::ORDINARY]].concat(),
            _ => [left, right].concat(),
        }
    }

    /// The columns of all inputs.
    fn all(&mut self, plan: &LogicalPlan) -> Vec<PersonalKind> {
        plan.inputs().into_iter().flat_map(|input| self.plan(input)).collect()
    }

    fn each<'e>(
        &mut self,
        expressions: impl IntoIterator<Item = &'e Expr>,
        input: &LogicalPlan,
    ) -> Vec<PersonalKind> {
        let kinds = self.plan(input);
        let row = Row { schema: input.schema(), kinds: &kinds };
        expressions.into_iter().map(|expr| self.expression(expr, &row)).collect()
    }

    fn values(&mut self, rows: &[Vec<Expr>], schema: &DFSchema) -> Vec<PersonalKind> {
        let row = Row { schema, kinds: &[] };
        let kinds = rows.iter().map(|cells| cells.iter().map(|cell| self.expression(cell, &row)).collect());
        kinds.collect::<Vec<Vec<_>>>().into_iter().reduce(|all, row| together(&all, &row)).unwrap_or_default()
    }

    /// The kind of a column as it is stored.
    fn stored(&self, table: &str, column: &str) -> PersonalKind {
        match (table, column) {
            (FINDINGS | ALERTS, "key" | "summary") => PersonalKind::ANYTHING,
            (FINDINGS | ALERTS, _) => PersonalKind::ORDINARY,
            _ => {
                let list = self.lists.get(table).and_then(|list| list.column(column));
                let kind = list.map(|(_, kind)| kind.personal()).or_else(|| PersonalKind::of_column(column));
                kind.unwrap_or_default().without(PersonalKind::TYPED)
            }
        }
    }
}

fn mixed(kind: PersonalKind) -> PersonalKind {
    if kind.is_ordinary() { kind } else { kind.and(PersonalKind::MIXED) }
}

/// Column by column, what is in either.
fn together(one: &[PersonalKind], other: &[PersonalKind]) -> Vec<PersonalKind> {
    one.iter().zip(other).map(|(a, b)| a.and(*b)).collect()
}

/// A constant is the author's own word, unless it looks like an account.
fn literal(value: &ScalarValue) -> PersonalKind {
    let text = value.try_as_str().flatten().unwrap_or_default();
    if number::digits(text).len() >= number::RUN { PersonalKind::TEXT } else { PersonalKind::ORDINARY }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::time::Calendar,
        lists::List,
        rule::{Language, RuleSet, compile::Compiler},
    };

    fn kinds(rule: &str) -> String {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let mut lists = Lists::default();
        lists.insert("people", List::of(&["id", "户名", "账号", "unit_code", "remark"], &[]));
        let compiler = Compiler::new(&calendar, lists, Language::Zh);
        let rule = format!("rules: [{{ id: a, title: t, severity: low, {rule} }}]");
        let rules =
            RuleSet::from_text(&rule, &compiler, &calendar).unwrap_or_else(|e| panic!("{rule}: {e:?}"));
        let kinds = rules.rules.first().unwrap().personal.iter();
        kinds.map(|(column, kind)| format!("{column}={kind}")).collect::<Vec<_>>().join(" ")
    }

    fn measure(expression: &str) -> String {
        let measure = format!("over: {{ by: [unit_code], last: 7d }}, measure: {{ m: \"{expression}\" }}");
        let kinds = kinds(&format!(
            "trigger: payment, {measure}, when: m is not null, key: [unit_code], summary: '{{{{ m }}}}'"
        ));
        kinds.strip_prefix("m=").unwrap_or_default().to_owned()
    }

    fn query(sql: &str) -> String {
        kinds(&format!("trigger: schedule, every: 1d, key: [], sql: \"{sql}\""))
    }

    #[test]
    fn kinds_go_through_measures() {
        let cases = [
            ("max(payee_name)", "name"),
            ("min(normal_name(payee_name))", "name"),
            ("min(try_cast(translate(payee_account, ' -', '') as decimal(38, 0)))", "account"),
            ("max(payee_account) filter (where type = 'payment')", "account"),
            ("max(coalesce(payee_name, payee_account))", "account+name"),
            ("max(case when payee_type = 'person' then payee_account else unit_code end)", "account"),
            ("max(concat(payee_name, '/', payee_account))", "account+name+mixed"),
            ("max(unit_code || payee_name)", "name+mixed"),
            ("max(substr(payee_account, 1, 8))", "account"),
            ("array_agg(distinct purpose)", "text+list"),
            ("string_agg(payee_name, '、')", "name+list"),
            ("max(lookup('people', unit_code, '账号'))", "account"),
            ("max(lookup('people', payee_account, '户名'))", "name"),
            ("max(lookup('people', payee_account, 'unit_code'))", ""),
            ("max(lookup('people', payee_account, 'remark'))", "text"),
            ("max(actual_payee_account)", "account"),
            ("max(coalesce(purpose, '6222021202000012345'))", "text"),
        ];
        for (expression, expected) in cases {
            assert_eq!(measure(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_only_measures_or_compares_tells_nothing() {
        for expression in [
            "count(*)",
            "count(distinct payee_account)",
            "sum(amount)",
            "max(character_length(payee_name))",
            "max(case when payee_name = 'x' then amount end)",
            "bool_or(payee_account = payer_account)",
            "max(name_similarity(payee_name, actual_payee_name))",
            "sum(amount) filter (where in_list('people', payee_account))",
            "max(concat(unit_code, ':', economic_code))",
        ] {
            assert_eq!(measure(expression), "", "{expression}");
        }
    }

    #[test]
    fn the_columns_that_a_finding_shows_have_their_own_kinds() {
        let kinds = kinds(
            "trigger: payment, when: amount > 1, key: [payee_account], summary: '{{ payee_name }} {{ purpose }} {{ unit_name }}'",
        );
        assert_eq!(kinds, "payee_account=account payee_name=name+typed purpose=text");
    }

    #[test]
    fn windows_keep_the_kinds_of_their_keys() {
        let kinds = kinds(
            "trigger: window, of: payment, window: { by: [unit_code, payee_account], size: 1d }, \
             measure: { n: count(*), who: max(payee_name) }, when: n > 1, key: [unit_code, payee_account], summary: '{{ who }}'",
        );
        assert_eq!(kinds, "payee_account=account who=name");
    }

    #[test]
    fn kinds_go_through_queries() {
        let cases = [
            (
                "select payee_name as x, payee_account as y, count(*) as n from payments group by 1, 2",
                "x=name y=account",
            ),
            ("select p.x from (select payee_account as x from payments) p", "x=account"),
            (
                "with s as (select max(payee_name) as who, unit_code from payments group by unit_code) select who, s.unit_code from s",
                "who=name",
            ),
            (
                "select a.payee_name as x, b.payee_account as y from payments a join payments b using (unit_code)",
                "x=name y=account",
            ),
            ("select unit_code as x from payments union all select payee_account from payments", "x=account"),
            ("select unit_code as x from payments except select payee_account from payments", ""),
            ("select lookup('people', unit_code, '账号') as x, unit_code from payments", "x=account"),
            ("select p.\\\"户名\\\" as x, p.remark from people p", "remark=text x=name"),
            (
                "select lag(payee_account) over (order by occurred_at) as x, count(payee_name) over () as n from payments",
                "x=account",
            ),
            (
                "select unit_code, (select max(payee_account) from payments q where q.unit_code = p.unit_code) as x from payments p",
                "x=account",
            ),
            (
                "select distinct case when amount > 1 then payee_name end as x from payments order by 1 limit 3",
                "x=name",
            ),
            ("select unnest(array_agg(payee_name)) as x from payments", "x=name"),
            ("select cast(payee_account as decimal(38, 0)) as x from payments", "x=account"),
            ("select key as x, rule_id from findings", "x=account+name+text+mixed"),
            ("select x from (values ('a', 1), ('b', 2)) v(x, y)", ""),
            (
                "select unit_code as u, payee_account as a, sum(amount) as s from payments group by rollup(unit_code, payee_account)",
                "a=account",
            ),
            ("select unit_code, executed from budget_lines", ""),
        ];
        for (sql, expected) in cases {
            assert_eq!(query(sql), expected, "{sql}");
        }
    }
}
