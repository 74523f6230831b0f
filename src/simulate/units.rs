//! The province: regions, departments and their budget units, and which lines each kind of unit has.

use super::classes::Class;
use super::dice::{Dice, mix};

pub(super) const PROVINCE: &str = "云岭省";
pub(super) const CITIES: [&str; 11] =
    ["云州", "清源", "临泽", "安陵", "怀江", "南浦", "平溪", "东岭", "永和", "长汀", "宁山"];
/// The first is the city itself.
const COUNTIES: [&str; 9] =
    ["", "青山区", "城关区", "临江区", "高坪县", "石桥县", "白鹿县", "双河县", "龙泉县"];
const PLACES: [&str; 24] = [
    "红旗", "光明", "新华", "和平", "育才", "建设", "东风", "解放", "胜利", "人民", "南湖", "北关", "柳林",
    "大营", "马坊", "石门", "清泉", "杨庄", "双桥", "龙潭", "凤凰", "长乐", "太平", "永安",
];

/// A region of the province.
#[derive(Debug)]
pub(super) struct Region {
    /// 财政区划, 9 digits.
    pub code: String,
    pub name: String,
}

#[derive(Debug)]
pub(super) struct Unit {
    /// Region, department and number; the first nine digits are the department.
    pub code: String,
    pub name: String,
    pub region: u16,
    pub kind: u8,
    /// How much it pays relative to others.
    pub size: f64,
}

/// The nature of the money on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Money {
    /// 基本支出
    Basic,
    /// 项目支出
    Project,
    /// 专项债券
    Bond,
}

impl Money {
    pub(super) fn fund_type(self) -> &'static str {
        match self {
            Self::Basic => "111",
            Self::Project => "112",
            Self::Bond => "122",
        }
    }
}

/// A kind of unit.
#[derive(Debug)]
pub(super) struct Kind {
    name: &'static str,
    department: u16,
    function: &'static str,
    project_function: &'static str,
    size: f64,
    /// The lines that set this kind apart.
    own: &'static [(&'static str, Money)],
}

use Money::{Basic, Bond, Project};

const fn kind(
    name: &'static str,
    department: u16,
    functions: (&'static str, &'static str),
    size: f64,
    own: &'static [(&'static str, Money)],
) -> Kind {
    Kind { name, department, function: functions.0, project_function: functions.1, size, own }
}

/// Every region has each of the bureaus once, and schools, hospitals and townships as many as it takes.
const KINDS: [Kind; 22] = [
    kind(
        "教育局",
        105,
        ("2050101", "2050299"),
        2.5,
        &[("31001", Project), ("30308", Project), ("31001", Bond)],
    ),
    kind("小学", 105, ("2050202", "2050202"), 0.8, &[("30308", Project), ("31006", Project)]),
    kind(
        "公安局",
        112,
        ("2040201", "2040220"),
        3.0,
        &[("31003", Project), ("31007", Project), ("31002", Project)],
    ),
    kind(
        "人民医院",
        123,
        ("2100201", "2100201"),
        2.0,
        &[("30218", Basic), ("31003", Project), ("31003", Bond)],
    ),
    kind(
        "镇人民政府",
        0,
        ("2010301", "2130126"),
        1.0,
        &[("30305", Project), ("30310", Project), ("31005", Project)],
    ),
    kind("卫生健康委员会", 123, ("2100101", "2100408"), 1.5, &[("30218", Project), ("31003", Project)]),
    kind("民政局", 114, ("2080201", "2081001"), 1.8, &[("30305", Project), ("30306", Project)]),
    kind("交通运输局", 121, ("2140101", "2140106"), 2.2, &[("31005", Bond), ("31005", Project)]),
    kind("初级中学", 105, ("2050203", "2050203"), 1.0, &[("30308", Project), ("31002", Basic)]),
    kind("财政局", 101, ("2010601", "2010607"), 0.8, &[("31007", Project), ("30203", Project)]),
    kind("水利局", 119, ("2130301", "2130305"), 1.5, &[("31005", Project), ("31005", Bond)]),
    kind("农业农村局", 120, ("2130101", "2130122"), 1.6, &[("30310", Project), ("31005", Project)]),
    kind("人力资源和社会保障局", 115, ("2080101", "2080799"), 1.0, &[("30305", Project), ("31007", Project)]),
    kind("住房和城乡建设局", 117, ("2120101", "2120303"), 1.8, &[("31005", Bond), ("31005", Project)]),
    kind("退役军人事务局", 128, ("2082801", "2080801"), 0.9, &[("30304", Project), ("30305", Project)]),
    kind("应急管理局", 129, ("2240101", "2240106"), 0.8, &[("30306", Project), ("31003", Project)]),
    kind("市场监督管理局", 130, ("2013801", "2013816"), 1.0, &[("30218", Project), ("31003", Project)]),
    kind("生态环境局", 118, ("2110101", "2110301"), 1.0, &[("31003", Project), ("31005", Project)]),
    kind("文化和旅游局", 122, ("2070101", "2070109"), 0.8, &[("31006", Project), ("31002", Basic)]),
    kind("自然资源和规划局", 116, ("2200101", "2200106"), 1.0, &[("31007", Project), ("31005", Project)]),
    kind("人民政府办公室", 102, ("2010301", "2010302"), 1.0, &[("31002", Basic), ("31007", Project)]),
    kind("中心卫生院", 123, ("2100302", "2100302"), 0.9, &[("30218", Basic), ("31003", Project)]),
];
/// The kinds of which a region has many.
const INSTITUTIONS: [u8; 5] = [1, 4, 8, 21, 3];
/// Lines that every unit has, the most common first.
const COMMON: &[(&str, Money)] = &[
    ("30201", Basic),
    ("30101", Basic),
    ("30211", Basic),
    ("30206", Basic),
    ("30102", Basic),
    ("30213", Basic),
    ("30217", Basic),
    ("30107", Basic),
    ("30231", Basic),
    ("30226", Basic),
    ("30113", Basic),
    ("30227", Project),
    ("30202", Basic),
    ("30209", Basic),
    ("30207", Basic),
    ("30108", Basic),
    ("30216", Project),
    ("30299", Basic),
    ("30103", Basic),
    ("30205", Basic),
    ("30302", Basic),
    ("30239", Basic),
    ("30215", Basic),
    ("30110", Basic),
    ("30214", Basic),
    ("31002", Basic),
    ("30229", Basic),
    ("30218", Project),
    ("30203", Basic),
];

impl Kind {
    pub(super) fn of(index: u8) -> &'static Self {
        &KINDS[index as usize % KINDS.len()]
    }

    pub(super) fn all() -> &'static [Self] {
        &KINDS
    }

    /// The lines of such a unit in order of importance: one of its own after every two common ones.
    pub(super) fn lines(&self) -> Vec<(&'static str, Money)> {
        let mut own = self.own.iter();
        let pairs = COMMON.chunks(2).flat_map(|pair| pair.iter().chain(own.next()));
        pairs.copied().collect()
    }

    /// 支出功能分类 of a line of this kind of unit.
    pub(super) fn function_of(&self, class: &Class, money: Money) -> &'static str {
        match class.code {
            "30108" => "2080505",
            "30110" => "2101101",
            "30113" => "2210201",
            "30302" => "2080501",
            _ if money == Basic => self.function,
            _ => self.project_function,
        }
    }
}

/// The regions for a number of units.
pub(super) fn regions(units: u32) -> Vec<Region> {
    let count = (units / 60).clamp(1, (CITIES.len() * COUNTIES.len()) as u32) as usize;
    (0..count).map(region).collect()
}

fn region(index: usize) -> Region {
    // Cities take turns, so that a small world already has several of them.
    let (city, county) = (index % CITIES.len(), index / CITIES.len());
    let code = format!("38{:02}{county:02}000", city + 1);
    Region { code, name: format!("{}市{}", CITIES[city], COUNTIES[county]) }
}

/// The units of the province, spread evenly over its regions.
pub(super) fn units(count: u32, seed: u64, regions: &[Region]) -> Vec<Unit> {
    let mut dice = Dice::new(seed, 0x0417);
    let layout = layout(count as usize / regions.len() + 1);
    (0..count as usize)
        .map(|index| {
            let region = index % regions.len();
            let place = &layout[index / regions.len()];
            let kind = Kind::of(place.kind);
            let name = place.name(&regions[region].name, mix(seed, region as u64));
            let code = format!("{}{:03}{:03}", &regions[region].code[..6], place.department, place.number);
            let size = kind.size * (0.5 * dice.normal()).exp();
            Unit { code, name, region: region as u16, kind: place.kind, size }
        })
        .collect()
}

/// Where a unit stands in its region; all regions have the same layout.
struct Place {
    kind: u8,
    department: u16,
    /// Its number in the department.
    number: u16,
    /// Its number among those of its kind.
    nth: usize,
}

fn layout(count: usize) -> Vec<Place> {
    let mut in_department = [0u16; 1000];
    let mut of_kind = [0usize; KINDS.len()];
    (0..count)
        .map(|position| {
            let kind = match position.checked_sub(KINDS.len()) {
                None => position as u8,
                Some(further) => INSTITUTIONS[further % INSTITUTIONS.len()],
            };
            let nth = of_kind[kind as usize];
            of_kind[kind as usize] += 1;
            // A township is a department of its own.
            let department = match Kind::of(kind).department {
                0 => 600 + (nth % 400) as u16,
                department => department,
            };
            in_department[department as usize] += 1;
            Place { kind, department, number: in_department[department as usize], nth }
        })
        .collect()
}

impl Place {
    fn name(&self, region: &str, hash: u64) -> String {
        let kind = Kind::of(self.kind).name;
        if !INSTITUTIONS.contains(&self.kind) {
            return format!("{region}{kind}");
        }
        let turn = self.nth + (hash % 24) as usize;
        let place = PLACES[turn % 24];
        match self.nth / 24 {
            0 => format!("{region}{place}{kind}"),
            round => format!("{region}{place}{}{kind}", PLACES[(turn + round) % 24]),
        }
    }
}
