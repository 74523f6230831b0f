//! The parts that conditions on single events share, each asked of a batch once.

use std::sync::Arc;

use arrow::{array::RecordBatchOptions, buffer::BooleanBuffer, record_batch::RecordBatch};

use super::row::{RuleCounts, SPARSE, Table, evaluate, on_rows_left};
use crate::rule::{
    RuleSet,
    terms::{Cost, Joined, Term},
};

/// Below one of so many rows left, a part that nobody else asks is evaluated on those rows alone.
const HALF: usize = 2;

/// A batch, and what it has answered.
pub(crate) struct Asked {
    rules: Arc<RuleSet>,
    /// The columns that any part reads.
    batch: RecordBatch,
    answers: Vec<Answer>,
}

#[derive(Debug, Clone)]
enum Answer {
    NotAsked,
    /// The rows on which the part is true.
    Rows(BooleanBuffer),
    /// It fails for a row, so it is evaluated on the rows that are left.
    Fails,
}

impl Asked {
    /// A batch in the columns of a rule's table.
    #[must_use]
    pub(crate) fn new(rules: &Arc<RuleSet>, table: &Table) -> Self {
        let terms = &rules.terms;
        let columns = terms.inputs.iter().map(|at| Arc::clone(&table.columns[*at])).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(table.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&terms.schema), columns, &options)
            .expect("the columns of terms are those of their rules' table");
        Self { rules: Arc::clone(rules), batch, answers: vec![Answer::NotAsked; terms.terms.len()] }
    }

    /// The rows among `left` on which all parts are true. A row on which one fails that all before it are true on is counted
    /// as an error, and is not among them.
    pub(crate) fn holds(
        &mut self,
        joined: &Joined,
        left: &BooleanBuffer,
        counts: &mut RuleCounts,
    ) -> BooleanBuffer {
        let rules = Arc::clone(&self.rules);
        joined
            .0
            .iter()
            .fold(left.clone(), |left, number| self.part(*number, &rules.terms.terms[*number], left, counts))
    }

    fn part(
        &mut self,
        number: usize,
        term: &Term,
        left: BooleanBuffer,
        counts: &mut RuleCounts,
    ) -> BooleanBuffer {
        let rows = left.count_set_bits();
        if rows == 0 {
            return left;
        }
        if let Answer::Rows(known) = &self.answers[number] {
            return &left & known;
        }
        let enough = if term.cost == Cost::Much && term.users == 1 { HALF } else { SPARSE };
        if rows * enough > left.len() && !matches!(self.answers[number], Answer::Fails) {
            if let Ok(found) = evaluate(&term.whole, &self.batch) {
                let both = &left & &found;
                self.answers[number] = Answer::Rows(found);
                return both;
            }
            self.answers[number] = Answer::Fails;
        }
        let columns = term.places.iter().map(|at| Arc::clone(self.batch.column(*at))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(left.len()));
        match RecordBatch::try_new_with_options(Arc::clone(&term.own.schema), columns, &options) {
            Ok(batch) => on_rows_left(&term.own, batch, &left, counts),
            Err(_) => BooleanBuffer::new_unset(left.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{ArrayRef, Decimal128Array, NullArray, StringViewArray},
        datatypes::DataType,
    };
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::{super::row::holds, *};
    use crate::{
        event::{Column, time::Calendar},
        lists::Lists,
        rule::{
            Language,
            compile::{CompiledView, Compiler},
        },
    };

    const RULES: &str = "rules:
  - { id: a, severity: low, trigger: payment, key: [unit_code], where: amount > 500 and settlement = 'cash', when: purpose like '%费%' }
  - { id: b, severity: low, trigger: payment, key: [unit_code], when: settlement = 'cash' and amount > 500 and purpose is null }
  - { id: c, severity: low, trigger: payment, key: [unit_code], when: 1000 / (amount - 700) > 1 and settlement = 'cash' }
  - { id: d, severity: low, trigger: payment, key: [unit_code], when: settlement = 'cash' and amount > 900 and normal_name(payee_name) = '甲公司' }
  - { id: e, severity: low, trigger: payment, key: [unit_code], when: amount > 500 or settlement = 'cash' }
  - { id: f, severity: low, trigger: payment, key: [unit_code], where: payee_account is null, over: { by: [unit_code], last: 1d }, measure: { n: count(*) }, when: n > 1 }
";

    fn table(rng: &mut ChaCha8Rng, compiler: &Compiler) -> Table {
        let rows = rng.random_range(1..200);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(NullArray::new(0)); compiler.columns().fields().len()];
        let texts = [
            (Column::Settlement, [Some("cash"), Some("transfer"), Some("transfer")]),
            (Column::Purpose, [None, Some("会议费"), Some("劳务")]),
            (Column::PayeeName, [Some("甲公司"), Some("乙"), Some(" 甲公司 ")]),
            (Column::PayeeAccount, [None, Some("62"), None]),
        ];
        for (column, values) in texts {
            let values = (0..rows).map(|_| values[rng.random_range(0..values.len())]);
            columns[column.index()] = Arc::new(values.collect::<StringViewArray>());
        }
        let cents = (0..rows).map(|_| rng.random_range(1..11i128) * 10_000);
        let amounts = Decimal128Array::from_iter_values(cents);
        let of: DataType = compiler.columns().field(Column::Amount.index()).data_type().clone();
        columns[Column::Amount.index()] = Arc::new(amounts.with_data_type(of));
        Table { columns, rows }
    }

    /// Taken apart and asked once, conditions hold on the rows on which they hold as a whole, and no row fails that did not
    /// fail before.
    #[test]
    fn parts_hold_where_the_whole_does() {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        let rules = RuleSet::from_text(RULES, &compiler, &calendar).unwrap();
        let terms = &rules.terms;
        let shared: Vec<_> =
            terms.terms.iter().filter(|term| term.users > 1).map(|term| term.users).collect();
        assert_eq!(shared, [2, 4], "amount > 500 and settlement = 'cash'");
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut found, mut failed) = (0, 0);
        for _ in 0..200 {
            let table = table(&mut rng, &compiler);
            let mut asked = Asked::new(&rules, &table);
            let chance = rng.random_range(1..20);
            let left = BooleanBuffer::collect_bool(table.rows, |_| rng.random_ratio(1, chance));
            for (number, rule) in rules.rules.iter().enumerate() {
                let window = matches!(rule.view, CompiledView::Sliding(_)).then(|| terms.window(0)).flatten();
                let pairs = [
                    (rule.filter.as_ref(), terms.filter(number).or(window)),
                    (rule.when.as_ref(), terms.condition(number)),
                ];
                for (whole, parts) in pairs {
                    let (Some(whole), Some(parts)) = (whole, parts) else { continue };
                    let (mut before, mut after) = (RuleCounts::default(), RuleCounts::default());
                    let expected = holds(whole, &table, &left, &mut before);
                    assert_eq!(asked.holds(parts, &left, &mut after), expected, "{}", whole.text);
                    assert!(after.errors <= before.errors, "{}", whole.text);
                    found += expected.count_set_bits();
                    failed += after.errors;
                }
            }
        }
        assert!(found > 1000 && failed > 100, "{found} rows, {failed} errors");
    }
}
