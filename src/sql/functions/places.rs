//! Places (行政区划) before or in the names of companies and offices, by their endings and a short list of those
//! that are written without one.

use super::company::long;

/// Provinces and cities of that rank.
const PROVINCES: [&str; 34] = [
    "北京",
    "天津",
    "上海",
    "重庆",
    "河北",
    "山西",
    "辽宁",
    "吉林",
    "黑龙江",
    "江苏",
    "浙江",
    "安徽",
    "福建",
    "江西",
    "山东",
    "河南",
    "湖北",
    "湖南",
    "广东",
    "海南",
    "四川",
    "贵州",
    "云南",
    "陕西",
    "甘肃",
    "青海",
    "台湾",
    "内蒙古",
    "广西",
    "西藏",
    "宁夏",
    "新疆",
    "香港",
    "澳门",
];
/// Capitals of provinces and other large cities.
const CITIES: [&str; 40] = [
    "石家庄",
    "太原",
    "呼和浩特",
    "沈阳",
    "长春",
    "哈尔滨",
    "南京",
    "杭州",
    "合肥",
    "福州",
    "南昌",
    "济南",
    "郑州",
    "武汉",
    "长沙",
    "广州",
    "南宁",
    "海口",
    "成都",
    "贵阳",
    "昆明",
    "拉萨",
    "西安",
    "兰州",
    "西宁",
    "银川",
    "乌鲁木齐",
    "大连",
    "宁波",
    "厦门",
    "青岛",
    "深圳",
    "苏州",
    "无锡",
    "常州",
    "温州",
    "东莞",
    "佛山",
    "珠海",
    "烟台",
];
/// The rest of a province's whole name.
const PROVINCE_ENDINGS: [&str; 7] =
    ["维吾尔自治区", "回族自治区", "壮族自治区", "自治区", "特别行政区", "省", "市"];
/// The fewest characters that are left when a place is taken off: 杭州银行 is not 银行.
const LEFT_MIN: usize = 3;

/// Province, city and county, as far as a name has them, without their endings.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaceNames<'n>([Option<&'n str>; 3]);

impl<'n> PlaceNames<'n> {
    /// Puts a place in at its rank if the name has none there.
    pub(crate) fn add(&mut self, name: &'n str) {
        if let Some((rank, place, _)) = (0..3).find_map(|rank| at(name, rank)) {
            self.0[rank].get_or_insert(place);
        }
    }

    /// Whether both name a place of one rank, not the same, and neither's narrowest place is among the other's.
    #[must_use]
    pub(crate) fn differ(&self, other: &Self) -> bool {
        let narrowest = |places: &Self| places.0.iter().rev().copied().flatten().next();
        let (Some(a), Some(b)) = (narrowest(self), narrowest(other)) else { return false };
        let ranks = self.0.iter().zip(&other.0);
        let apart = ranks.into_iter().any(|(a, b)| a.is_some() && b.is_some() && a != b);
        apart && !self.0.contains(&Some(b)) && !other.0.contains(&Some(a))
    }
}

/// The places that a name begins with, and what follows them.
#[must_use]
pub(crate) fn leading(name: &str) -> (PlaceNames<'_>, &str) {
    let mut places = PlaceNames::default();
    let mut rest = name;
    for rank in 0..3 {
        if let Some((_, place, left)) = at(rest, rank)
            && long(left, LEFT_MIN)
        {
            places.0[rank] = Some(place);
            rest = left;
        }
    }
    (places, rest)
}

/// The text, if it is one place and nothing else.
#[must_use]
pub(crate) fn whole(text: &str) -> Option<&str> {
    (0..3).any(|rank| at(text, rank).is_some_and(|(_, _, left)| left.is_empty())).then_some(text)
}

/// A place of this rank at the beginning: its rank, its name without ending, and what follows.
fn at(name: &str, rank: usize) -> Option<(usize, &str, &str)> {
    let known = |places: &'static [&str]| {
        places.iter().find_map(|place| name.strip_prefix(place).map(|left| (&name[..place.len()], left)))
    };
    let found = match rank {
        0 => known(&PROVINCES)
            .map(|(place, rest)| (place, without(rest, &PROVINCE_ENDINGS)))
            .or_else(|| ended(name, '省', 2..=3, "")),
        1 => known(&CITIES)
            .map(|(place, rest)| (place, without(rest, &["市"])))
            .or_else(|| ended(name, '市', 2..=4, "超都门夜股集"))
            .or_else(|| ended(name, '州', 4..=10, "").filter(|(place, _)| place.ends_with("自治"))),
        // Towns of a county's rank are called 市 as well.
        _ => ended(name, '市', 2..=3, "超都门夜股集")
            .or_else(|| ended(name, '县', 1..=8, ""))
            .or_else(|| ended(name, '区', 2..=4, "社园小景校地特山库战厂街片专税发")),
    };
    found.map(|(place, left)| (rank, place, left))
}

fn without<'n>(rest: &'n str, endings: &[&str]) -> &'n str {
    endings.iter().find_map(|ending| rest.strip_prefix(ending)).unwrap_or(rest)
}

/// The text up to the first `last`, if that many characters come before it and the nearest is none of `but_after`
/// (超市 is no city), and the text after it.
fn ended<'n>(
    text: &'n str,
    last: char,
    chars: std::ops::RangeInclusive<usize>,
    but_after: &str,
) -> Option<(&'n str, &'n str)> {
    let mut before = None;
    for (n, (at, c)) in text.char_indices().enumerate().take(chars.end() + 1) {
        if c == last {
            let fits = chars.contains(&n) && before.is_some_and(|c| !but_after.contains(c));
            return fits.then(|| (&text[..at], &text[at + c.len_utf8()..]));
        }
        before = Some(c);
    }
    None
}
