//! Conditions that are asked in parts (`rule/parts.rs`): what several of them share is asked once a batch.

use std::cell::OnceCell;

use arrow::{
    array::{Array, AsArray, BooleanArray},
    buffer::BooleanBuffer,
    compute::filter_record_batch,
    record_batch::RecordBatch,
};
use datafusion::common::Result;

use super::condition::{RuleCounts, RuleTable, SPARSE, holds, project, spread};
use crate::rule::{
    compile::Condition,
    parts::{ConditionPart, ConditionParts},
};

/// What the parts that several conditions share say of a batch, each asked when it is needed.
#[derive(Debug)]
pub(crate) struct SharedParts<'r> {
    of: &'r [Condition],
    truths: Vec<OnceCell<Option<Truth>>>,
}

/// On which rows a condition is true, and on which it is not false: to be NULL is neither.
#[derive(Debug, Clone)]
struct Truth {
    holds: BooleanBuffer,
    may_hold: BooleanBuffer,
}

impl<'r> SharedParts<'r> {
    /// Nothing is asked yet of these.
    pub(crate) fn new(of: &'r [Condition]) -> Self {
        Self { of, truths: vec![OnceCell::new(); of.len()] }
    }

    /// The rows among `left` on which a condition is true, as [`holds`] tells them.
    pub(crate) fn holds(
        &self,
        (condition, parts): (&Condition, Option<&ConditionParts>),
        table: &RuleTable,
        left: &BooleanBuffer,
        counts: &mut RuleCounts,
    ) -> BooleanBuffer {
        match parts {
            // Of few rows it is not worth it to ask all the others too.
            Some(parts) if left.count_set_bits() * SPARSE > left.len() => {
                // Which rows a part fails on, only the whole condition tells: what stands before it may spare them.
                self.all_hold(parts, table, left).unwrap_or_else(|| holds(condition, table, left, counts))
            }
            _ => holds(condition, table, left, counts),
        }
    }

    /// `None` if a part fails.
    fn all_hold(
        &self,
        parts: &ConditionParts,
        table: &RuleTable,
        left: &BooleanBuffer,
    ) -> Option<BooleanBuffer> {
        let (mut holds, mut may_hold) = (left.clone(), left.clone());
        for part in parts {
            if may_hold.count_set_bits() == 0 {
                break;
            }
            let own;
            let truth = match part {
                ConditionPart::Shared(at) => {
                    self.truths[*at].get_or_init(|| truth(&self.of[*at], table)).as_ref()?
                }
                ConditionPart::Own(condition) => {
                    own = truth_within(condition, table, &may_hold)?;
                    &own
                }
            };
            (holds, may_hold) = (&holds & &truth.holds, &may_hold & &truth.may_hold);
        }
        Some(holds)
    }
}

/// What a condition says of all rows; `None` if it fails on one.
fn truth(condition: &Condition, table: &RuleTable) -> Option<Truth> {
    truth_of(condition, &project(condition, table)).ok()
}

/// What a condition says of the rows in `left`; `None` if it fails on one of them.
fn truth_within(condition: &Condition, table: &RuleTable, left: &BooleanBuffer) -> Option<Truth> {
    let batch = project(condition, table);
    if left.count_set_bits() * SPARSE > left.len()
        && let Ok(truth) = truth_of(condition, &batch)
    {
        return Some(truth);
    }
    let selected = filter_record_batch(&batch, &BooleanArray::new(left.clone(), None)).ok()?;
    let Truth { holds, may_hold } = truth_of(condition, &selected).ok()?;
    Some(Truth { holds: spread(&holds, left), may_hold: spread(&may_hold, left) })
}

fn truth_of(condition: &Condition, batch: &RecordBatch) -> Result<Truth> {
    let array = condition.expr.evaluate(batch)?.into_array(batch.num_rows())?;
    let Some(result) = array.as_boolean_opt() else {
        let rows = batch.num_rows();
        return Ok(Truth { holds: BooleanBuffer::new_unset(rows), may_hold: BooleanBuffer::new_set(rows) });
    };
    Ok(match result.nulls() {
        Some(known) => {
            let holds = result.values() & known.inner();
            Truth { may_hold: &holds | &!known.inner(), holds }
        }
        None => Truth { holds: result.values().clone(), may_hold: result.values().clone() },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use arrow::{
        array::{ArrayRef, Decimal128Array, NullArray, StringViewArray, new_null_array},
        datatypes::DataType,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::time::Calendar,
        lists::Lists,
        rule::{
            RuleSet,
            compile::{Compiler, wide_schema},
        },
        text::Language,
    };

    /// Filters that share parts, in different places; what stands before a part spares it from failing, or does not.
    const FILTERS: [&str; 8] = [
        "payee_type = 'entity' and amount >= 5",
        "amount >= 5",
        "amount <> 3 and 12 / (amount - 3) > 1 and payee_type = 'entity'",
        "payee_type = 'entity' and 12 / (amount - 3) > 1",
        "invoice_no is not null and cast(invoice_no as bigint) > 2 and amount >= 5",
        "payee_type = 'entity' and cast(invoice_no as bigint) > 2 and substr(economic_code, 1, 3) in ('301', '303')",
        "substr(economic_code, 1, 3) in ('301', '303') and payee_type <> 'person' and amount < 8 and invoice_no is not null",
        "payee_type = settlement",
    ];

    static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
        let rule = |(n, filter)| {
            let when = format!(
                "payee_type = 'entity' and 12 / (amount - {n}) > 1 and cast(invoice_no as bigint) > {n} and amount >= 5"
            );
            format!(
                "{{ id: r{n}, severity: low, trigger: payment, where: \"{filter}\", when: \"{when}\", key: [unit_code] }}"
            )
        };
        let rules: Vec<_> = FILTERS.iter().enumerate().map(rule).collect();
        let calendar = Arc::new(Calendar::new("UTC", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        RuleSet::from_text(&format!("rules: [{}]", rules.join(",\n")), &compiler, &calendar).unwrap()
    });

    type Row = (Option<i128>, Option<&'static str>, Option<&'static str>, Option<&'static str>);

    fn row() -> impl Strategy<Value = Row> {
        let one_of =
            |words: &'static [&'static str]| proptest::option::weighted(0.8, proptest::sample::select(words));
        let amounts = proptest::option::weighted(0.9, 0..12i128);
        (amounts, one_of(&["entity", "person"]), one_of(&["1", "7", "x"]), one_of(&["30101", "30201", "303"]))
    }

    fn table(rows: &[Row]) -> RuleTable {
        let schema = wide_schema("UTC");
        let amounts = rows.iter().map(|row| row.0.map(|units| units * 100));
        let texts = |of: fn(&Row) -> Option<&'static str>| -> ArrayRef {
            Arc::new(rows.iter().map(of).collect::<StringViewArray>())
        };
        let column = |name: &str, data_type: &DataType| -> ArrayRef {
            match name {
                "amount" => {
                    let amounts: Decimal128Array = amounts.clone().collect();
                    Arc::new(amounts.with_data_type(data_type.clone()))
                }
                "payee_type" => texts(|row| row.1),
                "invoice_no" => texts(|row| row.2),
                "economic_code" => texts(|row| row.3),
                "settlement" => new_null_array(data_type, rows.len()),
                _ => Arc::new(NullArray::new(0)),
            }
        };
        let columns = schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
        RuleTable::new(columns, rows.len())
    }

    proptest! {
        /// Conditions that are asked in parts hold, and fail, on the rows that they do as a whole.
        #[test]
        fn parts_say_what_the_whole_says(
            rows in proptest::collection::vec(row(), 1..80),
            left in proptest::collection::vec(any::<bool>(), 80),
        ) {
            let (rules, table) = (&*RULES, table(&rows));
            let left = BooleanBuffer::collect_bool(table.rows, |row| left[row]);
            let shared = SharedParts::new(&rules.in_parts.shared);
            let own = rules.in_parts.conditions.iter().flatten().flatten();
            prop_assert!(own.filter(|part| matches!(part, ConditionPart::Own(_))).count() > 6);
            prop_assert!(rules.in_parts.shared.len() > 5);
            for (number, rule) in rules.rules.entries() {
                let both = [
                    (rule.filter.as_ref(), rules.in_parts.filters[number].as_ref()),
                    (rule.when.as_ref(), rules.in_parts.conditions[number].as_ref()),
                ];
                for (condition, parts) in both {
                    let condition = condition.unwrap();
                    let (mut in_parts, mut whole) = (RuleCounts::default(), RuleCounts::default());
                    let found = shared.holds((condition, parts), &table, &left, &mut in_parts);
                    let expected = holds(condition, &table, &left, &mut whole);
                    prop_assert_eq!(found, expected, "{}", condition.text);
                    prop_assert_eq!(in_parts, whole, "{}", condition.text);
                }
            }
        }
    }
}
