//! The columns that a query can read: what is kept of events for schedules where nothing is stored.

use std::collections::BTreeSet;

use datafusion::{
    common::{
        Result,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, LogicalPlan},
};

/// The names of the columns that a plan reads of its tables, and maybe of some more: it goes by names alone, so it does
/// not matter what the optimizer makes of the plan for one tick or another.
pub(crate) fn names(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    // What is returned is read, whether or not an expression names it.
    names.extend(fields(plan));
    plan.apply_with_subqueries(|node| {
        if !names_what_it_reads(node) {
            names.extend(fields(node));
            node.inputs().into_iter().for_each(|input| names.extend(fields(input)));
        }
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::Column(column) | Expr::OuterReferenceColumn(_, column) = expr {
                    names.insert(column.name.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(names)
}

/// Whether a node's expressions name all columns that it needs itself; others, such as DISTINCT, look at every column.
fn names_what_it_reads(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Subquery(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Values(_)
    )
}

fn fields(plan: &LogicalPlan) -> impl Iterator<Item = String> {
    plan.schema().fields().iter().map(|field| field.name().clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::{datasource::MemTable, prelude::SessionContext};

    use super::*;

    fn read(sql: &str) -> Vec<String> {
        let context = SessionContext::new();
        let fields = ["a", "b", "c", "d"].map(|name| Field::new(name, DataType::Int64, true));
        for table in ["t", "u"] {
            let rows = MemTable::try_new(Arc::new(Schema::new(fields.to_vec())), vec![vec![]]).unwrap();
            context.register_table(table, Arc::new(rows)).unwrap();
        }
        let plan = futures::executor::block_on(context.state().create_logical_plan(sql)).unwrap();
        let own = names(&plan).unwrap().into_iter();
        own.filter(|name| ["a", "b", "c", "d"].contains(&name.as_str())).collect()
    }

    #[test]
    fn a_column_is_read_wherever_it_stands() {
        let cases = [
            ("select count(*) from t", ""),
            ("select a from t where b > 1 order by c", "a b c"),
            ("select * from t", "a b c d"),
            ("select x from (select a as x, b as y from t)", "a b"),
            ("select x from t as s(x, y, z, w)", "a b c d"),
            ("select 1 from t where a in (select b from u where u.c = t.c)", "a b c"),
            ("select t.a from t join u using (b)", "a b"),
            ("select sum(a) over (partition by b order by c) from t", "a b c"),
            ("select a from (select * from t union select * from u)", "a b c d"),
            ("select a from t intersect select b from u", "a b"),
            ("select count(*) from (select distinct * from t)", "a b c d"),
            ("select max(a) filter (where b = 1) from t group by c having min(d) > 0", "a b c d"),
            ("with s as (select a, b from t) select a from s", "a b"),
        ];
        for (sql, expected) in cases {
            assert_eq!(read(sql).join(" "), expected, "{sql}");
        }
    }
}
