//! The words of notifications in both languages.

use crate::{
    alert::{Reason, State},
    rule::{Handling, Language, Severity},
};

/// How a severity looks: its words and colours, dark for text and edges, light behind text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeverityStyle {
    zh: &'static str,
    en: &'static str,
    /// For text and edges.
    pub dark: &'static str,
    /// Behind text.
    pub light: &'static str,
}

impl SeverityStyle {
    /// That of a severity; without one it says nothing.
    #[must_use]
    pub(crate) const fn of(severity: Option<Severity>) -> Self {
        match severity {
            Some(Severity::Critical) => {
                Self { zh: "红色", en: "Critical", dark: "#b42318", light: "#fef3f2" }
            }
            Some(Severity::High) => Self { zh: "橙色", en: "High", dark: "#c4500c", light: "#fff4ed" },
            Some(Severity::Medium) => Self { zh: "黄色", en: "Medium", dark: "#946200", light: "#fefbe8" },
            Some(Severity::Low) => Self { zh: "蓝色", en: "Low", dark: "#175cd3", light: "#eff8ff" },
            None => Self { zh: "", en: "", dark: "#475467", light: "#f2f4f7" },
        }
    }

    /// The word that people read.
    #[must_use]
    pub(crate) fn word(self, language: Language) -> &'static str {
        language.pick(self.zh, self.en)
    }
}

/// 建议处置: what the rule advises to do, with what has happened already. Once the money has left there is nothing to hold.
#[must_use]
pub(crate) fn advice(handling: Handling, event_type: Option<&str>, language: Language) -> String {
    let (unpaid, paid) = (event_type == Some("application"), event_type == Some("payment"));
    let (zh, en) = match (handling, unpaid, paid) {
        (Handling::Block, true, _) => ("拦截申请，暂不支付", "hold the application, do not pay"),
        (Handling::Block, _, true) => {
            ("追回款项或停止后续支付", "recover the money or stop further payments")
        }
        (Handling::Block, ..) => ("暂停相关支付并核查", "hold the payments concerned and look into it"),
        (Handling::Explain, true, _) => ("单位说明情况后再支付", "pay only after the unit has explained"),
        (Handling::Explain, ..) => ("请单位说明情况", "ask the unit to explain"),
        (Handling::Warn, true, _) => ("核实后再支付", "verify, then pay"),
        (Handling::Warn, ..) => ("核实情况", "verify"),
        (Handling::Remind, true, _) => ("支付前予以关注", "bear it in mind before paying"),
        (Handling::Remind, ..) => ("予以关注", "bear it in mind"),
        (Handling::Record, ..) => ("仅作记录，无需处置", "none, for the record only"),
    };
    let advice = language.pick(zh, en);
    match (happened(event_type, language), language) {
        (None, _) => advice.to_owned(),
        (Some(happened), Language::Zh) => format!("{advice}（{happened}）"),
        (Some(happened), Language::En) => format!("{advice} ({happened})"),
    }
}

/// The same of a handling's word, which a daemon of another version may have more of.
#[must_use]
pub(crate) fn advice_of(word: &str, event_type: Option<&str>, language: Language) -> String {
    Handling::parse(word).map_or_else(|| word.to_owned(), |handling| advice(handling, event_type, language))
}

/// What has happened when events of a type come.
fn happened(event_type: Option<&str>, language: Language) -> Option<&'static str> {
    let (zh, en) = match event_type? {
        "application" => ("款项尚未支付", "nothing is paid yet"),
        "payment" => ("款项已支付", "the money is paid"),
        "withdrawal" => ("申请已退回", "the application is withdrawn"),
        "refund" => ("款项已退回", "the money came back"),
        "correction" => ("更正已入账", "the correction is booked"),
        "confirmation" => ("银行已回单", "the bank has confirmed"),
        "receipt" => ("款项已到账", "the money has come in"),
        "reversal" => ("原支付已红冲", "the payment is taken out of the books"),
        "budget" => ("指标调整已生效", "the change of the budget line is in force"),
        _ => return None,
    };
    Some(language.pick(zh, en))
}

/// What the number of an event of a type is called.
#[must_use]
pub(crate) fn document(event_type: Option<&str>, language: Language) -> &'static str {
    let (zh, en) = match event_type {
        Some("application") => ("支付申请号", "application"),
        Some("payment") => ("支付凭证号", "voucher"),
        Some("refund") => ("退款凭证号", "refund"),
        Some("confirmation") => ("回单号", "confirmation"),
        Some("receipt") => ("收款单号", "receipt"),
        Some("reversal") => ("红冲凭证号", "reversal"),
        _ => ("单据号", "document"),
    };
    language.pick(zh, en)
}

/// What the span of time of a window is called.
#[must_use]
pub(crate) fn period(language: Language) -> &'static str {
    language.pick("期间", "period")
}

/// What a finding of a letter is about.
#[must_use]
pub(crate) fn matter(language: Language) -> &'static str {
    language.pick("需说明的事项", "what to explain")
}

/// The name of an office that the configuration does not name.
#[must_use]
pub(crate) fn nameless(language: Language) -> &'static str {
    language.pick("财政国库支付动态监控", "Treasury payment monitoring")
}

/// A day as letters write it.
#[must_use]
pub(crate) fn day(day: jiff::civil::Date, language: Language) -> String {
    let (year, month) = (day.year(), day.month());
    match language {
        Language::Zh => format!("{year}年{month}月{}日", day.day()),
        Language::En => day.strftime("%-d %B %Y").to_string(),
    }
}

/// Where an alert stands.
#[must_use]
pub(crate) fn state(state: State, language: Language) -> &'static str {
    language.pick(state.zh(), state.word())
}

/// Why a notification is sent, for the subject; empty where the severity says enough.
#[must_use]
pub(crate) fn reason(reason: Reason, language: Language) -> &'static str {
    let (zh, en) = match reason {
        Reason::First => ("", ""),
        Reason::New => ("新增", "New"),
        Reason::SomeEnded => ("部分已结束", "Some ended"),
        Reason::AllEnded => ("已结束", "Ended"),
        Reason::Escalated => ("逾期未受理", "Overdue"),
        Reason::Repeat => ("仍未受理", "Still open"),
        Reason::Digest => ("每日摘要", "Daily digest"),
        Reason::Storm => ("预警激增", "Many alerts"),
        Reason::Explain => ("请予说明", "Please explain"),
        Reason::Answered => ("单位已答复", "Answered"),
        Reason::Unanswered => ("询问函未获答复", "No answer"),
        Reason::Approval => ("待您审批", "To be approved"),
        Reason::Daemon => ("系统运行", "System"),
        Reason::Test => ("测试", "Test"),
    };
    language.pick(zh, en)
}

/// A column's name as people read it; a rule's own measure keeps its name.
#[must_use]
pub(crate) fn column(name: &str, language: Language) -> &str {
    known_column(name, language).unwrap_or(name)
}

/// The name of a column that is not a rule's own.
#[must_use]
pub(crate) fn known_column(name: &str, language: Language) -> Option<&'static str> {
    let known = COLUMNS.iter().find(|(column, ..)| *column == name);
    known.map(|(_, zh, en)| language.pick(*zh, *en))
}

const COLUMNS: &[(&str, &str, &str)] = &[
    ("rule", "监控规则", "rule"),
    ("severity", "级别", "severity"),
    ("tag", "标签", "tag"),
    ("event_id", "支付凭证号", "voucher"),
    ("budget_line_id", "指标编号", "budget line"),
    ("to_budget_line_id", "调入指标", "budget line charged instead"),
    ("amount", "金额", "amount"),
    ("fiscal_year", "预算年度", "fiscal year"),
    ("region_code", "财政区划", "region"),
    ("unit_code", "单位代码", "unit"),
    ("unit_name", "单位名称", "unit name"),
    ("function_code", "功能分类", "function"),
    ("economic_code", "经济分类", "economic class"),
    ("project_code", "项目代码", "project"),
    ("fund_type", "资金性质", "fund type"),
    ("payment_mode", "支付方式", "payment mode"),
    ("settlement", "结算方式", "settlement"),
    ("payer_account", "付款账号", "payer's account"),
    ("payee_name", "收款人", "payee"),
    ("payee_account", "收款账号", "payee's account"),
    ("payee_type", "收款人类型", "kind of payee"),
    ("actual_payee_name", "实际收款人", "actual payee"),
    ("actual_payee_account", "实际收款账号", "actual payee's account"),
    ("currency", "币种", "currency"),
    ("purpose", "用途", "purpose"),
    ("contract_no", "合同号", "contract"),
    ("invoice_no", "发票号", "invoice"),
    ("procurement_no", "采购编号", "procurement"),
    ("bond_code", "债券代码", "bond"),
    ("beneficiary_id", "受益人", "beneficiary"),
    ("application_id", "支付申请号", "application"),
    ("original_event_id", "原支付凭证号", "original voucher"),
    ("original.type", "原业务类型", "original type"),
    ("original.occurred_at", "原支付时间", "original time"),
    ("original.amount", "原金额", "original amount"),
    ("original.budget_line_id", "原指标编号", "original budget line"),
    ("original.unit_code", "原支付单位编码", "original unit"),
    ("original.unit_name", "原支付单位", "original unit's name"),
    ("original.payee_name", "原收款人", "original payee"),
    ("original.payee_account", "原收款账号", "original payee's account"),
    ("original.payer_account", "原付款账号", "original payer's account"),
    ("original.actual_payee_name", "原实际收款人", "original actual payee"),
    ("original.actual_payee_account", "原实际收款账号", "original actual payee's account"),
    ("original.refunded", "累计已退款", "refunded of it"),
    ("original.refunds", "退款次数", "refunds of it"),
    ("original.corrected", "累计已更正", "corrected of it"),
    ("original.reversals", "红冲次数", "reversals of it"),
    ("original.withdrawals", "退回次数", "withdrawals of it"),
    ("original.cleared", "累计已清算", "cleared of it"),
    ("original.left", "指标上尚余", "left of it on the line"),
    ("status", "回单状态", "bank status"),
    ("bank_ref", "银行流水号", "bank reference"),
    ("account", "收款账户", "account"),
    ("payer_name", "付款人", "payer"),
    ("reason", "原因", "reason"),
    ("occurred_at", "发生时间", "time"),
    ("recorded_at", "录入时间", "recorded at"),
    ("type", "业务类型", "type"),
    ("budget.total", "指标总额", "budget total"),
    ("budget.executed", "已执行", "executed"),
    ("budget.available", "可用余额", "available"),
    ("budget.reserved", "已占用", "reserved"),
    ("budget.frozen", "已冻结", "frozen"),
    ("budget.planned", "用款计划", "planned"),
    ("budget.plan_available", "计划可用", "left of the plan"),
    ("budget.opening", "期初已执行", "executed before the journal"),
    ("budget.cleared", "已清算", "cleared"),
    ("budget.uncleared", "未清算", "not cleared"),
    ("budget.executed_ratio", "执行率", "executed share"),
    ("budget.overspend_ratio", "超支率", "overspend share"),
    ("group.key", "控制组", "group of lines"),
    ("group.lines", "本组指标数", "lines of the group"),
    ("group.total", "本组预算", "budget of the group"),
    ("group.executed", "本组已执行", "executed of the group"),
    ("group.reserved", "本组在途", "reserved of the group"),
    ("group.used", "本组已执行和在途", "executed and reserved of the group"),
    ("group.available", "本组可用余额", "available of the group"),
    ("group.frozen", "本组已冻结", "frozen of the group"),
    ("group.planned", "本组用款计划", "planned of the group"),
    ("group.plan_available", "本组计划可用", "left of the group's plan"),
    ("group.opening", "本组期初已执行", "executed of the group before the journal"),
    ("group.cleared", "本组已清算", "cleared of the group"),
    ("group.uncleared", "本组未清算", "not cleared of the group"),
    ("group.executed_ratio", "本组执行率", "executed share of the group"),
    ("group.used_ratio", "本组使用率", "used share of the group"),
];

#[must_use]
pub(crate) fn code(language: Language) -> &'static str {
    language.pick("zh", "en")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every handling with every type of event: what is to be done fits what has happened.
    #[test]
    fn advice_says_what_to_do_and_what_has_happened() {
        let mut table = String::new();
        for language in [Language::Zh, Language::En] {
            for (word, handling) in Handling::WORDS {
                for event_type in [
                    None,
                    Some("application"),
                    Some("payment"),
                    Some("withdrawal"),
                    Some("refund"),
                    Some("correction"),
                    Some("budget"),
                    Some("indicator"),
                    Some("confirmation"),
                    Some("receipt"),
                    Some("reversal"),
                ] {
                    let advice = advice(*handling, event_type, language);
                    table.push_str(&format!("{word:8} {:12} {advice}\n", event_type.unwrap_or("–")));
                    let holds = advice.contains("拦截") || advice.contains("hold the application");
                    assert_eq!(
                        holds,
                        *handling == Handling::Block && event_type == Some("application"),
                        "{advice}"
                    );
                }
            }
        }
        insta::assert_snapshot!(table);
    }
}
