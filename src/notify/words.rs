//! The words of notifications in both languages.

use super::Reason;
use crate::{alert::State, rule::Language};

/// A severity's words and colours: dark for text and edges, light behind text.
#[derive(Debug, Clone, Copy)]
pub struct Severity {
    word: &'static str,
    zh: &'static str,
    en: &'static str,
    /// For text and edges.
    pub dark: &'static str,
    /// Behind text.
    pub light: &'static str,
}

/// Worst first, and what an unknown word is taken for at the end.
const SEVERITIES: [Severity; 5] = [
    Severity { word: "critical", zh: "红色", en: "Critical", dark: "#b42318", light: "#fef3f2" },
    Severity { word: "high", zh: "橙色", en: "High", dark: "#c4500c", light: "#fff4ed" },
    Severity { word: "medium", zh: "黄色", en: "Medium", dark: "#946200", light: "#fefbe8" },
    Severity { word: "low", zh: "蓝色", en: "Low", dark: "#175cd3", light: "#eff8ff" },
    Severity { word: "", zh: "", en: "", dark: "#475467", light: "#f2f4f7" },
];

impl Severity {
    /// By its word in rules and findings.
    #[must_use]
    pub fn of(word: &str) -> Self {
        SEVERITIES[Self::rank(word)]
    }

    /// 0 is the worst.
    #[must_use]
    pub fn rank(word: &str) -> usize {
        SEVERITIES.iter().position(|s| s.word == word).unwrap_or(SEVERITIES.len() - 1)
    }

    /// The word that people read.
    #[must_use]
    pub fn word(self, language: Language) -> &'static str {
        pick(language, self.zh, self.en)
    }
}

/// What is done about an alert.
#[must_use]
pub fn handling(word: &str, language: Language) -> &str {
    match word {
        "block" => pick(language, "拦截", "block"),
        "explain" => pick(language, "须说明", "needs an explanation"),
        "warn" => pick(language, "预警", "warn"),
        "remind" => pick(language, "提醒", "remind"),
        "record" => pick(language, "记录", "record"),
        other => other,
    }
}

/// Where an alert stands.
#[must_use]
pub fn state(state: State, language: Language) -> &'static str {
    pick(language, state.zh(), state.word())
}

/// Why a notification is sent, for the subject; empty where the severity says enough.
#[must_use]
pub fn reason(reason: Reason, language: Language) -> &'static str {
    let (zh, en) = match reason {
        Reason::First => ("", ""),
        Reason::New => ("新增", "New"),
        Reason::SomeEnded => ("部分办结", "Some ended"),
        Reason::AllEnded => ("已办结", "Ended"),
        Reason::Escalated => ("升级", "Escalated"),
        Reason::Repeat => ("未办结", "Still open"),
        Reason::Digest => ("每日摘要", "Digest"),
        Reason::Storm => ("预警激增", "Many alerts"),
        Reason::Explain => ("请予说明", "Please explain"),
        Reason::Daemon => ("系统运行", "System"),
        Reason::Test => ("测试", "Test"),
    };
    pick(language, zh, en)
}

/// A column's name as people read it; a rule's own measure keeps its name.
#[must_use]
pub fn column(name: &str, language: Language) -> &str {
    let known = COLUMNS.iter().find(|(column, ..)| *column == name);
    known.map_or(name, |(_, zh, en)| pick(language, zh, en))
}

fn pick<'w>(language: Language, zh: &'w str, en: &'w str) -> &'w str {
    match language {
        Language::Zh => zh,
        Language::En => en,
    }
}

const COLUMNS: &[(&str, &str, &str)] = &[
    ("event_id", "事件号", "event"),
    ("budget_line_id", "预算指标", "budget line"),
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
    ("application_id", "支付申请", "application"),
    ("original_event_id", "原事件号", "original event"),
    ("reason", "原因", "reason"),
    ("occurred_at", "发生时间", "time"),
    ("recorded_at", "录入时间", "recorded at"),
    ("budget.total", "指标总额", "budget total"),
    ("budget.executed", "已执行", "executed"),
    ("budget.available", "可用余额", "available"),
    ("budget.reserved", "已占用", "reserved"),
    ("budget.frozen", "已冻结", "frozen"),
    ("budget.planned", "用款计划", "planned"),
    ("budget.plan_available", "计划可用", "left of the plan"),
    ("budget.opening", "期初已执行", "executed before the journal"),
    ("budget.executed_ratio", "执行率", "executed share"),
    ("budget.overspend_ratio", "超支率", "overspend share"),
];

/// The language's code.
#[must_use]
pub fn code(language: Language) -> &'static str {
    pick(language, "zh", "en")
}
