//! How other systems call what we call a field.

use unicode_normalization::UnicodeNormalization;

/// How sure a name is that is known as it stands.
pub(crate) const EXACT: u8 = 2;

/// Names of a field in exports, squeezed, the most telling first.
const NAMES: &[(&str, &[&str])] = &[
    (
        "event_id",
        &[
            "支付凭证号",
            "支付凭证编号",
            "支付令号",
            "凭证号码",
            "凭证编号",
            "凭证号",
            "交易流水号",
            "流水号",
            "业务单号",
            "单据编号",
            "单据号",
            "支付申请号",
            "支付申请编号",
            "endtoendid",
            "paymentid",
            "transactionid",
            "transactionno",
            "transactionnumber",
            "transno",
            "voucherno",
            "vouchernumber",
            "documentno",
            "documentnumber",
            "checknumber",
            "checkno",
            "referenceno",
            "uniqueid",
            "invoicevoucherno",
            "payvoucherno",
            "id",
        ],
    ),
    (
        "occurred_at",
        &[
            "支付日期",
            "付款日期",
            "支付时间",
            "交易日期",
            "交易时间",
            "记账日期",
            "清算日期",
            "业务日期",
            "凭证日期",
            "办理日期",
            "日期",
            "paymentdate",
            "paiddate",
            "datepaid",
            "dateofpayment",
            "transactiondate",
            "checkdate",
            "issuedate",
            "postingdate",
            "effectivedate",
            "invoicedate",
            "date",
            "reqdexctndt",
            "vtdate",
        ],
    ),
    (
        "budget_line_id",
        &[
            "指标编号",
            "指标编码",
            "指标代码",
            "指标id",
            "预算指标编号",
            "预算指标",
            "指标文号",
            "指标号",
            "budgetlineid",
            "budgetline",
            "budgetcode",
            "bgtid",
        ],
    ),
    (
        "fiscal_year",
        &["预算年度", "财政年度", "会计年度", "年度", "fiscalyear", "budgetyear", "year", "styear"],
    ),
    (
        "region_code",
        &[
            "财政区划代码",
            "财政区划",
            "行政区划代码",
            "行政区划编码",
            "区划代码",
            "区划编码",
            "行政区划",
            "区划",
            "regioncode",
            "admdivcode",
        ],
    ),
    (
        "unit_code",
        &[
            "预算单位编码",
            "预算单位代码",
            "单位编码",
            "单位代码",
            "基层预算单位编码",
            "一级预算单位编码",
            "departmentcode",
            "agencycode",
            "unitcode",
            "costcentrecode",
            "costcentercode",
            "costcentre",
            "costcenter",
            "departmentnumber",
            "agencynumber",
            "agencyno",
            "agencycode",
        ],
    ),
    (
        "unit_name",
        &[
            "预算单位名称",
            "预算单位",
            "单位名称",
            "基层预算单位名称",
            "基层预算单位",
            "付款单位",
            "付款人全称",
            "付款人名称",
            "付款人",
            "departmentname",
            "department",
            "agencyname",
            "agency",
            "bodyname",
            "body",
            "directorate",
            "servicearea",
            "servicedivision",
            "servicename",
            "service",
            "organisationalunit",
            "organisation",
        ],
    ),
    (
        "function_code",
        &[
            "支出功能分类科目编码",
            "支出功能分类编码",
            "功能分类编码",
            "功能科目编码",
            "支出功能分类科目",
            "支出功能分类",
            "功能分类",
            "功能科目",
            "expfunccode",
            "functioncode",
            "sercopdetailexpencode",
        ],
    ),
    (
        "economic_code",
        &[
            "部门预算支出经济分类编码",
            "部门经济分类编码",
            "经济分类科目编码",
            "支出经济分类编码",
            "经济分类编码",
            "经济科目编码",
            "部门预算支出经济分类",
            "部门经济分类",
            "支出经济分类",
            "经济分类",
            "经济科目",
            "depbgtecocode",
            "expecocode",
            "economiccode",
            "expensecode",
            "accountcode",
            "objectcode",
            "expensetype",
            "expenditurecategory",
            "expensearea",
            "accountname",
        ],
    ),
    ("project_code", &["项目编码", "项目代码", "项目编号", "projectcode", "procode", "projectno"]),
    ("fund_type", &["资金性质编码", "资金性质", "资金类型", "fundtypecode", "fundtype", "fund"]),
    ("payment_mode", &["支付方式编码", "支付方式", "paymentmode", "paytypecode"]),
    (
        "settlement",
        &["结算方式编码", "结算方式", "settlement", "setmodecode", "paymentmethod", "paymenttype"],
    ),
    (
        "payer_account",
        &[
            "付款人账号",
            "付款人帐号",
            "付款账号",
            "付款帐号",
            "付款账户",
            "payacctno",
            "payeraccount",
            "dbtracctidothrid",
            "dbtracctidiban",
        ],
    ),
    (
        "payee_name",
        &[
            "收款人全称",
            "收款人名称",
            "收款人户名",
            "收款户名",
            "收款单位名称",
            "收款单位",
            "收款方户名",
            "收款方名称",
            "收款人",
            "对方户名",
            "对方名称",
            "对方账户名称",
            "供应商名称",
            "供应商",
            "payeeacctname",
            "suppliername",
            "supplier",
            "vendorname",
            "vendor",
            "payeename",
            "payee",
            "beneficiaryname",
            "beneficiary",
            "merchantname",
            "creditorname",
            "cdtrnm",
        ],
    ),
    (
        "payee_account",
        &[
            "收款人账号",
            "收款人帐号",
            "收款人银行账号",
            "收款账号",
            "收款帐号",
            "收款账户",
            "收款方账号",
            "收款方帐号",
            "对方账号",
            "对方帐号",
            "对方账户",
            "payeeacctno",
            "payeeaccount",
            "beneficiaryaccount",
            "cdtracctidothrid",
            "cdtracctidiban",
            "supplierid",
            "suppliernumber",
            "supplierno",
            "vendornumber",
            "vendorid",
            "vendorno",
            "vendorcode",
        ],
    ),
    ("actual_payee_name", &["实际收款人全称", "实际收款人名称", "实际收款人"]),
    ("actual_payee_account", &["实际收款人账号", "实际收款账号"]),
    (
        "amount",
        &[
            "支付金额",
            "付款金额",
            "交易金额",
            "实付金额",
            "本次支付金额",
            "借方发生额",
            "支出金额",
            "借方金额",
            "发生额",
            "金额",
            "payamt",
            "amountpaid",
            "paymentamount",
            "transactionamount",
            "checkamount",
            "netamount",
            "amountexcvat",
            "amountexclvat",
            "grossamount",
            "totalamount",
            "lineamount",
            "amount",
            "netvalue",
            "value",
            "amtinstdamt",
            "intrbksttlmamt",
        ],
    ),
    ("currency", &["币种", "货币", "currency", "amtinstdamtccy"]),
    (
        "purpose",
        &[
            "用途",
            "资金用途",
            "款项用途",
            "摘要",
            "附言",
            "备注",
            "purpose",
            "description",
            "summaryofpurpose",
            "narrative",
            "transactiondescription",
            "paymentdescription",
            "rmtinfustrd",
            "paysummaryname",
            "comments",
        ],
    ),
    (
        "contract_no",
        &["合同编号", "合同号", "contractnumber", "contractno", "contractid", "purchaseordernumber"],
    ),
    (
        "invoice_no",
        &["发票号码", "发票号", "invoicenumber", "invoiceno", "invoiceid", "supplierinvoicenumber"],
    ),
];

/// A name without what people put around and into it: blanks, dashes, brackets with a unit, wide letters.
pub(crate) fn squeezed(name: &str) -> String {
    let name: String = name.nfkc().collect::<String>().to_lowercase();
    let unit = |part: &str| {
        matches!(
            part,
            "元" | "万元"
                | "£"
                | "$"
                | "￥"
                | "¥"
                | "gbp"
                | "usd"
                | "cny"
                | "rmb"
                | "人民币元"
                | "单位:元"
                | "单位:万元"
        )
    };
    let mut plain = String::new();
    for part in name.split_inclusive(['(', ')']) {
        let inner = part.trim_end_matches([')', '(']).trim();
        if part.ends_with(')') && unit(inner) {
            continue;
        }
        plain.extend(inner.chars().filter(|c| c.is_alphanumeric()));
    }
    plain
}

/// The field that a column is called after, and how surely: 2 for a name that is known, 1 for one that has it in it.
pub(crate) fn field_of(name: &str) -> Option<(&'static str, u8)> {
    let name = squeezed(name);
    let known =
        |wanted: &&(&str, &[&str])| wanted.0.replace('_', "") == name || wanted.1.contains(&name.as_str());
    if let Some((field, _)) = NAMES.iter().find(known) {
        return Some((field, EXACT));
    }
    // The longest known name within it tells most: 收款人账号(主) is no 收款人.
    let within = |(field, names): &(&'static str, &[&'static str])| {
        let fitting = names.iter().filter(|known| known.chars().count() > 2 && name.contains(**known));
        fitting.map(|known| known.len()).max().map(|length| (length, *field))
    };
    NAMES.iter().filter_map(within).max_by_key(|(length, _)| *length).map(|(_, field)| (field, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::schema::field;

    #[test]
    fn every_field_is_one_of_the_dictionary() {
        for (name, _) in NAMES {
            assert!(field(name).is_some(), "{name}");
        }
    }

    #[test]
    fn headers_of_real_files_are_known() {
        for (header, wanted) in [
            ("收款人全称", "payee_name"),
            ("收 款 人 账 号", "payee_account"),
            ("支付金额（元）", "amount"),
            ("Amount (£)", "amount"),
            ("Supplier Name", "payee_name"),
            ("Payment Date", "occurred_at"),
            ("CHECK_DATE", "occurred_at"),
            ("收款人账号(主)", "payee_account"),
            ("本单位支付日期", "occurred_at"),
            ("payee_name", "payee_name"),
            ("Cdtr.Nm", "payee_name"),
            ("Amt.InstdAmt@Ccy", "currency"),
        ] {
            assert_eq!(field_of(header).map(|(field, _)| field), Some(wanted), "{header}");
        }
        assert_eq!(field_of("Irrelevant"), None);
    }
}
