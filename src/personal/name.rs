//! Names of natural persons: which names are one, and what is left of them.

/// A person's name with its first character alone, which is the family name of most.
#[must_use]
pub(crate) fn masked(name: &str) -> String {
    let mut characters = name.chars();
    let first: String = characters.next().into_iter().collect();
    format!("{first}{}", "*".repeat(characters.count().clamp(1, 3)))
}

/// A name of an account's owner, the persons in it masked: one name, several, or one with a remark in brackets.
#[must_use]
pub(crate) fn masked_owner(owner: &str) -> String {
    parts(owner, |c| "、；;/|\n".contains(c), masked_with_remark)
}

/// A list of names as a query writes it, such as `[张三, 某公司]`.
#[must_use]
pub(crate) fn masked_list(names: &str) -> String {
    parts(names, |c| ",，、；;/|[]\"\n".contains(c), masked_with_remark)
}

/// A text that names stand in, every word of which may be one.
#[must_use]
pub(crate) fn masked_words(text: &str) -> String {
    let word = |word: &str| if is_person_in_words(word) { masked(word) } else { word.to_owned() };
    // Stars are of names that are masked already.
    parts(text, |c| !c.is_alphabetic() && c != '·' && c != '*', word)
}

/// `王小明（劳务费）`, or the shop of somebody who is named in brackets.
fn masked_with_remark(name: &str) -> String {
    let (owner, remark) = name.split_at(name.find(is_bracket).unwrap_or(name.len()));
    let owner = match is_person(owner) {
        true => owner.replacen(owner.trim(), &masked(owner.trim()), 1),
        false => owner.to_owned(),
    };
    let beside = |part: &str| if is_person_beside(part) { masked(part) } else { part.to_owned() };
    owner + &parts(remark, is_bracket, beside)
}

fn is_bracket(character: char) -> bool {
    "()（）【】".contains(character)
}

/// The parts between delimiters, each masked.
fn parts(text: &str, delimiter: impl Fn(char) -> bool, masked: impl Fn(&str) -> String) -> String {
    let mut all = String::with_capacity(text.len());
    for part in text.split_inclusive(&delimiter) {
        let name = part.trim_end_matches(&delimiter);
        all.push_str(&masked(name));
        all.push_str(&part[name.len()..]);
    }
    all
}

/// Endings that no person's name has.
const ORGANISATIONS: &[&str] = &[
    "公司",
    "集团",
    "局",
    "校",
    "厂",
    "店",
    "部",
    "所",
    "中心",
    "站",
    "社",
    "室",
    "处",
    "队",
    "馆",
    "户",
    "办",
    "委",
    "厅",
    "库",
    "基金",
    "银行",
    "政府",
    "大学",
    "中学",
    "小学",
    "医院",
    "法院",
    "学院",
    "公园",
    "工会",
    "协会",
    "学会",
    "村委会",
    "居委会",
    "委员会",
    "支行",
    "分行",
    "农场",
    "商行",
    "书院",
    "研究院",
    "敬老院",
    "幼儿园",
    "产业园",
    "商会",
    "基金会",
    "市场",
    "机场",
    "剧场",
    "体育场",
];
/// Endings that a person's given name may have as well: they tell an organisation of a name too long for a person, or
/// without a family name.
const AMBIGUOUS: &[&str] = &["院", "会", "学", "行", "园", "场"];
const ORGANISATION_WORDS: &[&str] = &[
    "ltd",
    "limited",
    "inc",
    "llc",
    "plc",
    "co",
    "corp",
    "company",
    "group",
    "bank",
    "school",
    "university",
    "hospital",
    "office",
    "bureau",
    "council",
    "trust",
    "association",
    "services",
    "gmbh",
    "and",
    "&",
    "the",
];
/// The family names of nine in ten people, and those of two characters.
const SURNAMES: &str = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊\
    金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文肖闫庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢骆岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺";
const COMPOUND: &[&str] =
    &["欧阳", "司马", "上官", "诸葛", "司徒", "皇甫", "东方", "令狐", "慕容", "尉迟", "端木", "夏侯", "南宫"];
/// The longest name of a person in Chinese characters, without a dot.
const PERSON_MAX: usize = 4;
/// The longest name without an ending of an organisation that may be a person's, as minority languages are written.
const FOREIGN_MAX: usize = 7;

/// Whether a name whose owner's type is unknown may be a natural person's. In doubt it is.
#[must_use]
pub(crate) fn is_person(name: &str) -> bool {
    let name = first_of_several(name).trim();
    let name: String = match name.chars().any(is_chinese) {
        true => name.chars().filter(|c| !c.is_whitespace()).collect(),
        false => return is_latin_person(name),
    };
    let count = name.chars().count();
    if name.contains(['·', '•', '．']) {
        return count <= 20 && !ends_like_an_organisation(&name);
    }
    let compound = COMPOUND.iter().any(|surname| name.starts_with(surname)) && (3..=4).contains(&count);
    let plain = name.chars().next().is_some_and(|first| SURNAMES.contains(first)) && (2..=3).contains(&count);
    if compound || plain {
        return !ORGANISATIONS.iter().any(|ending| name.ends_with(ending));
    }
    count <= FOREIGN_MAX && !ends_like_an_organisation(&name) && (count <= PERSON_MAX || !is_place(&name))
}

/// `张三` of `张三等3人`.
fn first_of_several(name: &str) -> &str {
    match name.split_once('等') {
        Some((first, rest)) if rest.chars().all(|c| c.is_ascii_digit() || "人名户".contains(c)) => first,
        _ => name,
    }
}

/// A word of a text: one character is no name.
fn is_person_in_words(word: &str) -> bool {
    word.chars().count() > 1 && !word.contains('*') && is_person(word)
}

/// A part of a longer name, such as what stands in brackets behind a company's, is a person if it begins like one.
fn is_person_beside(part: &str) -> bool {
    let begins =
        part.chars().next().is_some_and(|first| SURNAMES.contains(first) || first.is_ascii_alphabetic());
    let is_compound = COMPOUND.iter().any(|surname| part.starts_with(surname));
    (begins || is_compound || part.contains('·')) && is_person(part)
}

fn ends_like_an_organisation(name: &str) -> bool {
    ORGANISATIONS.iter().chain(AMBIGUOUS).any(|ending| name.ends_with(ending))
}

/// Names of places and of businesses have these characters, names of persons hardly.
fn is_place(name: &str) -> bool {
    name.contains(['省', '市', '县', '区', '镇', '乡', '村', '街', '路', '号', '款', '费', '账', '金'])
}

fn is_chinese(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '〇' | '\u{e000}'..='\u{f8ff}')
}

/// A name in Latin or other letters.
fn is_latin_person(name: &str) -> bool {
    let words: Vec<_> = name.split_whitespace().map(|w| w.trim_matches(['.', ',']).to_lowercase()).collect();
    let letters = name.chars().any(char::is_alphabetic);
    letters && words.len() <= 4 && !words.iter().any(|word| ORGANISATION_WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn persons_and_organisations_are_told_apart() {
        for person in [
            "张三",
            "欧阳小明",
            "阿里木·买买提",
            "买买提艾力",
            "Jane Smith",
            "Smith, J.",
            "José García",
            "王志学",
            "李园",
            "孙建行",
            "张 三",
            "张三等3人",
        ] {
            assert!(is_person(person), "{person}");
        }
        for organisation in [
            "市教育局",
            "杭州某建设有限公司",
            "第一中学",
            "林业局",
            "张家店",
            "王村小学",
            "工会",
            "Acme Ltd.",
            "The Kings School",
            "某市工商银行西湖支行",
            "省高等法院",
            "12345",
            "",
        ] {
            assert!(!is_person(organisation), "{organisation}");
        }
    }

    #[test]
    fn owners_keep_what_is_no_person() {
        let cases = [
            ("张三", "张*"),
            ("王", "王*"),
            ("王小明（劳务费）", "王**（劳务费）"),
            ("某某食品店（李四）", "某某食品店（李*）"),
            ("杭州某公司（杭州）", "杭州某公司（杭州）"),
            ("张三、李四", "张*、李*"),
            ("杭州某建设有限公司", "杭州某建设有限公司"),
            ("Jane Smith", "J***"),
        ];
        for (owner, expected) in cases {
            assert_eq!(masked_owner(owner), expected);
        }
        assert_eq!(masked_list("[张三, 杭州某公司, 李小四]"), "[张*, 杭州某公司, 李**]");
        assert_eq!(masked_words("市教育局 张三/622848"), "市教育局 张*/622848");
    }
}
