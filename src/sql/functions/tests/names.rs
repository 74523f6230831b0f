use proptest::{collection::vec, prelude::*, sample::select};

use super::super::{company_core, name_similarity};

const ONE: i128 = 10i128.pow(18);

/// In thousandths, cut off.
fn similar(a: &str, b: &str) -> i128 {
    assert_eq!(name_similarity(a, b), name_similarity(b, a), "{a} {b}");
    name_similarity(a, b) * 1000 / ONE
}

#[test]
fn cores() {
    for (name, core) in [
        ("示例建筑有限公司", "示例建筑"),
        ("示例建筑有限责任公司", "示例建筑"),
        ("示例建筑股份有限公司", "示例建筑"),
        ("浙江省杭州市西湖区示例建筑有限公司", "示例建筑"),
        ("浙江示例建筑有限公司", "示例建筑"),
        ("新疆维吾尔自治区示例建筑公司", "示例建筑"),
        ("云岭省高坪县示例建筑有限公司", "示例建筑"),
        ("大理白族自治州示例建筑有限公司", "示例建筑"),
        ("示例建筑（杭州）有限公司", "示例建筑"),
        ("示例（杭州）建筑有限公司", "示例建筑"),
        ("示例建筑（集团）有限公司", "示例建筑集团"),
        ("示例投资(有限合伙)", "示例投资"),
        ("Example Co., Ltd.", "EXAMPLE"),
        // A branch is its company.
        ("云岭省通信股份有限公司城关区分公司", "云岭省通信"),
        ("云岭省电力有限公司城关区供电公司", "云岭省电力"),
        ("中国工商银行股份有限公司杭州分行", "中国工商银行"),
        ("中国工商银行杭州西湖支行", "中国工商银行"),
        // What is left must name something.
        ("杭州银行股份有限公司", "杭州银行"),
        ("有限公司", "有限公司"),
        ("海康有限公司", "海康"),
        // Words that only look like places, and names without a form.
        ("永辉超市股份有限公司", "永辉超市"),
        ("智慧城市科技有限公司", "智慧城市科技"),
        ("北京大学", "北京大学"),
        ("杭州市第一中学", "杭州市第一中学"),
        ("示例有限公司工会", "示例有限公司工会"),
        ("示例银行软件有限公司", "示例银行软件"),
        ("", ""),
        ("()", ""),
    ] {
        assert_eq!(company_core(name), core, "{name}");
    }
}

#[test]
fn one_company_under_several_names() {
    for (a, b, score) in [
        ("示例建筑有限公司", "示例建筑有限责任公司", 1000),
        ("杭州市示例建筑有限公司", "示例建筑有限公司", 1000),
        ("示例建筑（杭州）有限公司", "杭州示例建筑有限公司", 1000),
        ("示例建筑(集团)有限公司", "示例建筑集团有限公司", 1000),
        ("浙江省杭州市示例建筑有限公司", "杭州市示例建筑有限公司", 1000),
        ("义乌市示例建筑有限公司", "金华市义乌市示例建筑有限公司", 1000),
        ("中国工商银行股份有限公司杭州分行", "中国工商银行股份有限公司", 1000),
        // Short forms: the beginning, a part further inside, picked characters.
        ("杭州海康威视数字技术股份有限公司", "海康威视", 950),
        ("杭州海康威视数字技术股份有限公司", "杭州海康威视", 960),
        ("云南白药集团股份有限公司", "云南白药", 966),
        ("华为技术有限公司", "华为", 950),
        ("中国建设银行股份有限公司", "建设银行", 866),
        ("中国石油化工股份有限公司", "中国石化", 800),
        ("云岭省城关区教育局", "城关区教育局", 866),
        ("浙江大学医学院附属第一医院", "浙大一院", 800),
        ("市第一中学", "市一中", 800),
        // A slip of the pen.
        ("示例建筑工程有限公司", "示例建筑工埕有限公司", 833),
        ("示例建筑工程有限公司", "示例筑建工程有限公司", 833),
    ] {
        assert_eq!(similar(a, b), score, "{a} {b}");
    }
}

#[test]
fn different_payees() {
    for (a, b, score) in [
        ("杭州市示例建筑有限公司", "宁波市示例建筑有限公司", 700),
        ("浙江省杭州市示例建筑有限公司", "浙江省宁波市示例建筑有限公司", 700),
        ("市第一中学", "市第二中学", 700),
        ("市第十一中学", "市第11中学", 666),
        ("市第十一中学", "市第12中学", 666),
        ("示例建筑有限公司", "示例建筑装饰有限公司", 666),
        ("中国银行股份有限公司", "中国建设银行股份有限公司", 666),
        ("中国银行", "中国建设银行股份有限公司", 666),
        ("上海银行股份有限公司", "北京银行股份有限公司", 500),
        ("市教育局", "市教育局幼儿园", 571),
        ("浙江大学", "浙江工业大学", 666),
        ("中国", "中国移动通信集团有限公司", 250),
        ("张三", "张三丰", 666),
        ("张三", "李四", 0),
        ("", "张三", 0),
    ] {
        assert_eq!(similar(a, b), score, "{a} {b}");
    }
    assert_eq!(similar("", ""), 1000);
}

#[test]
fn the_time_of_a_comparison_is_bounded() {
    let (a, b) = ("甲".repeat(1 << 20), "乙".repeat(1 << 20));
    let started = std::time::Instant::now();
    assert_eq!(similar(&a, &b), 0);
    assert_eq!(similar(&"1".repeat(1 << 16), &"2".repeat(1 << 16)), 0);
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

fn name() -> impl Strategy<Value = String> {
    let pieces = [
        "浙江省",
        "杭州",
        "宁波市",
        "义乌市",
        "中国",
        "银行",
        "宏达",
        "建筑",
        "工程",
        "集团",
        "第",
        "一",
        "二",
        "十",
        "12",
        "（",
        "）",
        "有限",
        "公司",
        "有限公司",
        "股份有限公司",
        "分公司",
        "支行",
        "a",
        " ",
        "市",
        "区",
        "合伙",
    ];
    prop_oneof![vec(select(pieces.to_vec()), 0..7).prop_map(|pieces| pieces.concat()), "\\PC{0,9}"]
}

proptest! {
    #[test]
    fn similarity_is_a_likeness(a in name(), b in name()) {
        let score = name_similarity(&a, &b);
        prop_assert!((0..=ONE).contains(&score));
        prop_assert_eq!(score, name_similarity(&b, &a));
        prop_assert_eq!(name_similarity(&a, &a), ONE);
        let wide: String = a.chars().flat_map(|c| [c, '\u{3000}']).collect();
        prop_assert_eq!(name_similarity(&wide, &a), ONE);
    }

    #[test]
    fn a_company_is_like_its_short_form(
        place in select(vec!["", "浙江省", "杭州市", "云岭省城关区"]),
        brand in select(vec!["华为", "海康威视", "鑫宏泰", "云启"]),
        business in select(vec!["", "数字技术", "建筑工程", "（集团）", "印务"]),
        form in select(vec!["有限公司", "有限责任公司", "股份有限公司", " 股份 有限公司"]),
    ) {
        let full = format!("{place}{brand}{business}{form}");
        // A place is not taken off where two characters would be left.
        prop_assume!(place.is_empty() || brand.chars().count() > 2 || !business.is_empty());
        prop_assert!(similar(&full, brand) >= 800, "{} {}", full, brand);
        let without_form = format!("{brand}{business}");
        prop_assert!(similar(&full, &without_form) >= 800);
        prop_assert!(company_core(&full).starts_with(brand));
    }
}
