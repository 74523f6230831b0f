//! Our names for the types of values, and for what Chinese spreadsheets call their columns and values.

use arrow::datatypes::DataType;

use crate::say;

/// A type as people call it.
#[must_use]
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => say!("a missing value"),
        DataType::Boolean => say!("true or false"),
        DataType::Decimal32(_, 2) | DataType::Decimal64(_, 2) | DataType::Decimal128(_, 2) => {
            say!("an amount")
        }
        t if t.is_decimal() => say!("a decimal number"),
        t if t.is_integer() => say!("a whole number"),
        t if t.is_floating() => say!("a number"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => say!("a text"),
        DataType::Dictionary(_, value) => type_name(value),
        DataType::Timestamp(..) => say!("an instant"),
        DataType::Date32 | DataType::Date64 => say!("a day"),
        DataType::Time32(_) | DataType::Time64(_) => say!("a time of day"),
        DataType::Interval(_) | DataType::Duration(_) => say!("a length of time"),
        t if t.is_list() => say!("a list of values"),
        _ => say!("another kind of value"),
    }
}

/// What a type is called in a message of the query engine.
#[must_use]
pub(crate) fn type_named(word: &str) -> Option<String> {
    let (name, scale) = match word.split_once('(') {
        Some((name, inner)) => (name, inner.trim_end_matches(')').rsplit(',').next().unwrap_or("").trim()),
        None => (word, ""),
    };
    Some(match name {
        "Null" => say!("a missing value"),
        "Boolean" => say!("true or false"),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" if scale == "2" => say!("an amount"),
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => say!("a decimal number"),
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
            say!("a whole number")
        }
        "Float16" | "Float32" | "Float64" => say!("a number"),
        "Utf8" | "LargeUtf8" | "Utf8View" => say!("a text"),
        "Timestamp" => say!("an instant"),
        "Date32" | "Date64" => say!("a day"),
        "Time32" | "Time64" => say!("a time of day"),
        "Interval" | "Duration" => say!("a length of time"),
        "List" | "LargeList" | "FixedSizeList" | "ListView" => say!("a list of values"),
        _ => return None,
    })
}

/// What officers and their spreadsheets call the columns of the data dictionary.
const COLUMNS: &[(&str, &str)] = &[
    ("支付凭证号", "event_id"),
    ("凭证号", "event_id"),
    ("业务类型", "type"),
    ("类型", "type"),
    ("发生时间", "occurred_at"),
    ("支付时间", "occurred_at"),
    ("支付日期", "occurred_at"),
    ("日期", "occurred_at"),
    ("时间", "occurred_at"),
    ("录入时间", "recorded_at"),
    ("指标编号", "budget_line_id"),
    ("指标", "budget_line_id"),
    ("调入指标", "to_budget_line_id"),
    ("操作", "action"),
    ("支付金额", "amount"),
    ("金额", "amount"),
    ("预算年度", "fiscal_year"),
    ("年度", "fiscal_year"),
    ("区划编码", "region_code"),
    ("财政区划", "region_code"),
    ("区划", "region_code"),
    ("单位编码", "unit_code"),
    ("预算单位编码", "unit_code"),
    ("单位", "unit_code"),
    ("单位名称", "unit_name"),
    ("预算单位", "unit_name"),
    ("支出功能分类", "function_code"),
    ("功能分类", "function_code"),
    ("部门预算支出经济分类", "economic_code"),
    ("支出经济分类", "economic_code"),
    ("经济分类", "economic_code"),
    ("项目编码", "project_code"),
    ("项目", "project_code"),
    ("资金性质", "fund_type"),
    ("支付方式", "payment_mode"),
    ("结算方式", "settlement"),
    ("付款账号", "payer_account"),
    ("付款人账号", "payer_account"),
    ("收款人", "payee_name"),
    ("收款人名称", "payee_name"),
    ("收款账号", "payee_account"),
    ("收款人账号", "payee_account"),
    ("账号", "payee_account"),
    ("收款人类型", "payee_type"),
    ("实际收款人", "actual_payee_name"),
    ("实际收款账号", "actual_payee_account"),
    ("币种", "currency"),
    ("用途", "purpose"),
    ("摘要", "purpose"),
    ("合同号", "contract_no"),
    ("合同编号", "contract_no"),
    ("发票号", "invoice_no"),
    ("发票号码", "invoice_no"),
    ("采购编号", "procurement_no"),
    ("债券代码", "bond_code"),
    ("受益人编号", "beneficiary_id"),
    ("支付申请号", "application_id"),
    ("申请号", "application_id"),
    ("原凭证号", "original_event_id"),
    ("原因", "reason"),
    ("标签", "tags"),
    ("绩效指标编号", "indicator_id"),
    ("绩效指标", "indicator_name"),
    ("目标值", "target"),
    ("实际值", "actual"),
    ("方向", "direction"),
    ("到期时间", "due"),
    ("回单状态", "status"),
    ("银行流水号", "bank_ref"),
    ("本方账号", "account"),
    ("收款账户", "account"),
    ("付款人", "payer_name"),
    ("付款人名称", "payer_name"),
    ("预算数", "budget.total"),
    ("指标总额", "budget.total"),
    ("已执行", "budget.executed"),
    ("执行数", "budget.executed"),
    ("可用余额", "budget.available"),
    ("余额", "budget.available"),
    ("已清算", "budget.cleared"),
    ("未清算", "budget.uncleared"),
    ("执行率", "budget.executed_ratio"),
    ("超支率", "budget.overspend_ratio"),
    ("时间进度", "budget.year_elapsed"),
];

/// What they call values out of a closed set.
const VALUES: &[(&str, &str)] = &[
    ("现金", "cash"),
    ("转账", "transfer"),
    ("公务卡", "card"),
    ("刷卡", "card"),
    ("支票", "cheque"),
    ("直接支付", "direct"),
    ("授权支付", "authorized"),
    ("授权", "authorized"),
    ("直接", "direct"),
    ("单位", "entity"),
    ("企业", "entity"),
    ("个人", "person"),
    ("本单位", "self"),
    ("期初", "opening"),
    ("批复", "approve"),
    ("追加", "supplement"),
    ("追减", "reduce"),
    ("调剂", "transfer"),
    ("冻结", "freeze"),
    ("解冻", "unfreeze"),
    ("结转", "carry_over"),
    ("收回", "reclaim"),
    ("用款计划下达", "plan"),
    ("计划收回", "plan_reduce"),
    ("支付", "payment"),
    ("支付申请", "application"),
    ("申请退回", "withdrawal"),
    ("退款", "refund"),
    ("更正", "correction"),
    ("预算", "budget"),
    ("回单", "confirmation"),
    ("收款", "receipt"),
    ("红冲", "reversal"),
    ("红字冲销", "reversal"),
    ("已支付", "paid"),
    ("部分支付", "partial"),
    ("退汇", "returned"),
    ("红", "critical"),
    ("红色", "critical"),
    ("橙", "high"),
    ("橙色", "high"),
    ("高", "high"),
    ("黄", "medium"),
    ("黄色", "medium"),
    ("中", "medium"),
    ("蓝", "low"),
    ("蓝色", "low"),
    ("低", "low"),
    ("拦截", "block"),
    ("预警须说明", "explain"),
    ("预警", "warn"),
    ("提醒", "remind"),
    ("记录", "record"),
    ("启用", "live"),
    ("停用", "disabled"),
    ("试运行", "shadow"),
    ("定时", "schedule"),
    ("窗口", "window"),
];

/// Our name of a column that is written in Chinese.
#[must_use]
pub fn column_of(chinese: &str) -> Option<&'static str> {
    of(COLUMNS, chinese.trim())
}

/// Our word for a value that is written in Chinese, if it is among `known`.
#[must_use]
pub fn value_of<'k>(chinese: &str, known: &[&'k str]) -> Option<&'k str> {
    let chinese = chinese.trim();
    let ours = VALUES.iter().filter(|(word, _)| *word == chinese).map(|(_, ours)| *ours);
    ours.filter_map(|ours| known.iter().find(|known| **known == ours)).copied().next()
}

fn of(table: &[(&str, &'static str)], word: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == word).map(|(_, ours)| *ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::schema::{FIELDS, FieldKind, field};

    /// Every field can be named in Chinese, and every name leads to a field.
    #[test]
    fn the_table_is_that_of_the_data_dictionary() {
        for spec in FIELDS {
            assert!(COLUMNS.iter().any(|(_, ours)| *ours == spec.name), "{} has no Chinese name", spec.name);
        }
        for (chinese, ours) in COLUMNS {
            let known = field(ours).is_some()
                || ours.strip_prefix("budget.").is_some_and(|name| {
                    crate::ledger::columns::BUDGET_COLUMNS.iter().any(|(known, _)| *known == name)
                });
            assert!(known, "{chinese} leads to {ours}, which is no column");
        }
        for spec in FIELDS {
            let FieldKind::Choice(words) = spec.kind else { continue };
            for word in words.iter().filter(|word| !["indicator", "at_least", "at_most"].contains(word)) {
                assert!(
                    VALUES.iter().any(|(_, ours)| ours == word),
                    "{word} of {} has no Chinese",
                    spec.name
                );
            }
        }
    }
}
