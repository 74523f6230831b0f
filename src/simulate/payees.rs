//! Who receives money: suppliers, offices, staff and beneficiaries, all derived from small numbers so that
//! millions of them take no memory.

use super::dice::{choose, mix};
use super::units::{PROVINCE, Region, Unit};

/// What a supplier deals in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Trade {
    Stationery,
    Printing,
    Consulting,
    Property,
    Travel,
    Repair,
    Lease,
    Venue,
    Training,
    Catering,
    Materials,
    Canteen,
    Vehicle,
    Software,
    Equipment,
    Construction,
    Water,
    Power,
    Telecom,
}

/// The words that name the business of a company, by trade; utilities have names of their own.
const BUSINESS: [&str; 16] = [
    "办公用品",
    "印务",
    "管理咨询",
    "物业服务",
    "商旅服务",
    "维修工程",
    "资产经营",
    "酒店管理",
    "教育培训",
    "餐饮管理",
    "科技材料",
    "食品配送",
    "汽车服务",
    "信息技术",
    "仪器设备",
    "建设工程",
];
const FORMS: [&str; 3] = ["有限公司", "有限责任公司", "股份有限公司"];
const BRAND: [&str; 48] = [
    "华", "盛", "恒", "瑞", "安", "鑫", "宏", "泰", "嘉", "诚", "信", "达", "博", "远", "创", "新", "东",
    "方", "天", "海", "金", "利", "德", "兴", "隆", "祥", "正", "中", "联", "众", "科", "智", "云", "启",
    "明", "凯", "宇", "飞", "龙", "腾", "永", "康", "美", "佳", "和", "顺", "通", "源",
];
const SURNAMES: [&str; 48] = [
    "王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "胡", "朱", "高", "林", "何",
    "郭", "马", "罗", "梁", "宋", "郑", "谢", "韩", "唐", "冯", "于", "董", "萧", "程", "曹", "袁", "邓",
    "许", "傅", "沈", "曾", "彭", "吕", "苏", "卢", "蒋", "蔡", "贾", "丁", "魏", "薛",
];
const GIVEN: [&str; 56] = [
    "伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "军", "洋", "勇", "艳", "杰", "娟", "涛", "明", "超",
    "霞", "平", "刚", "桂", "英", "华", "玉", "兰", "萍", "红", "建", "国", "文", "辉", "力", "志", "鹏",
    "宇", "浩", "然", "欣", "怡", "佳", "慧", "琳", "晨", "阳", "雪", "梅", "春", "秀", "珍", "海", "波",
    "斌", "宁", "峰", "婷", "雨",
];
/// Leading digits of account numbers at the banks of the province, with the number of digits that follow.
const ENTITY_BANKS: [(&str, u32); 5] = [("1202", 15), ("3300", 15), ("4050", 14), ("1038", 13), ("8110", 12)];
const CARD_BANKS: [(&str, u32); 4] = [("6222", 15), ("6217", 15), ("6228", 15), ("6230", 15)];

/// Distinct supplier names in one trade.
const NAMES: u64 = 11 * 48 * 48 * 3;
/// Suppliers of a trade that do business; higher ranks are blacklisted or appear once.
pub(super) const LARGEST_POOL: u32 = 40_000;
const BLACKLISTED_FROM: u32 = 41_000;
pub(super) const BLACKLISTED: u32 = 40;
const NEWCOMERS_FROM: u32 = 42_000;

/// A payee, small enough to keep by the million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payee {
    /// A company by trade and popularity.
    Supplier(Trade, u32),
    /// The social insurance or housing fund office of a region.
    Fund(u16),
    /// The bank account of a region from which wages go on to the staff.
    Payroll(u16),
    /// A person by a number of its own: staff, beneficiaries, experts.
    Person(u64),
    /// The paying unit's own basic account.
    Own,
    /// The basic account of another unit.
    Unit(u32),
}

impl Payee {
    pub(super) fn staff(unit: u32, number: u64) -> Self {
        Self::Person(u64::from(unit) << 28 | number)
    }

    pub(super) fn beneficiary(line: u32, number: u64) -> Self {
        Self::Person(1 << 62 | u64::from(line) << 32 | number)
    }

    pub(super) fn blacklisted(number: u32) -> Self {
        Self::Supplier(Trade::Construction, BLACKLISTED_FROM + number % BLACKLISTED)
    }

    /// A company nobody has paid before.
    pub(super) fn newcomer(number: u32) -> Self {
        Self::Supplier(Trade::Equipment, NEWCOMERS_FROM + number)
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Supplier(..) | Self::Fund(_) | Self::Payroll(_) | Self::Unit(_) => "entity",
            Self::Person(_) => "person",
            Self::Own => "self",
        }
    }

    pub(super) fn name(self, seed: u64, unit: &Unit, regions: &[Region]) -> String {
        match self {
            Self::Supplier(trade, rank) => company(seed, trade, rank, regions),
            Self::Fund(region) => {
                format!("{}社会保险与住房公积金征缴中心", place(regions, u32::from(region)))
            }
            Self::Payroll(region) => {
                format!("{PROVINCE}农商银行{}支行代发工资专户", place(regions, u32::from(region)))
            }
            Self::Person(number) => person(mix(seed, number)),
            Self::Own | Self::Unit(_) => unit.name.clone(),
        }
    }

    pub(super) fn account(self, seed: u64, unit: &Unit) -> String {
        match self {
            Self::Supplier(trade, rank) => {
                account(&ENTITY_BANKS, mix(seed ^ 0xC0, (trade as u64) << 32 | u64::from(rank)))
            }
            Self::Fund(region) => account(&ENTITY_BANKS, mix(seed ^ 0xF0, u64::from(region))),
            Self::Payroll(region) => account(&ENTITY_BANKS, mix(seed ^ 0xB0, u64::from(region))),
            Self::Person(number) => account(&CARD_BANKS, mix(seed ^ 0xA0, number)),
            Self::Own | Self::Unit(_) => own_account(seed, &unit.code, OwnAccount::Basic),
        }
    }
}

/// The accounts a unit keeps.
#[derive(Debug, Clone, Copy)]
pub(super) enum OwnAccount {
    /// 零余额账户
    ZeroBalance = 1,
    /// 基本存款账户
    Basic = 2,
}

pub(super) fn own_account(seed: u64, unit_code: &str, which: OwnAccount) -> String {
    let code = unit_code.parse().unwrap_or(0u64);
    account(&ENTITY_BANKS, mix(seed ^ 0x0A, code << 2 | which as u64))
}

/// The account of a region's treasury from which direct payments are made.
pub(super) fn treasury_account(seed: u64, region: u16) -> String {
    account(&ENTITY_BANKS, mix(seed ^ 0x7A, u64::from(region)))
}

fn account(banks: &[(&str, u32)], hash: u64) -> String {
    let (bank, digits) = *choose(banks, hash);
    let number = mix(hash, 1) % 10u64.pow(digits);
    format!("{bank}{number:0width$}", width = digits as usize)
}

fn company(seed: u64, trade: Trade, rank: u32, regions: &[Region]) -> String {
    match trade {
        Trade::Water => format!("{}自来水有限公司", place(regions, rank)),
        Trade::Power => format!("{PROVINCE}电力有限公司{}供电公司", place(regions, rank)),
        Trade::Telecom => format!("{PROVINCE}通信股份有限公司{}分公司", place(regions, rank)),
        _ => {
            // A bijection, so that no two companies of a trade share a name.
            let mut rest = (u64::from(rank) * 40_009 + seed % NAMES) % NAMES;
            let mut digit = |base: usize| {
                let value = (rest % base as u64) as usize;
                rest /= base as u64;
                value
            };
            let (first, second) = (BRAND[digit(48)], BRAND[digit(48)]);
            let (city, form) = (super::units::CITIES[digit(11)], FORMS[digit(3)]);
            format!("{city}市{first}{second}{}{form}", BUSINESS[trade as usize & 15])
        }
    }
}

fn place(regions: &[Region], index: u32) -> &str {
    regions.get(index as usize).map_or(PROVINCE, |region| region.name.as_str())
}

fn person(hash: u64) -> String {
    let surname = SURNAMES[super::dice::zipf(super::dice::fraction_of(hash), 48) as usize];
    let (first, second) = (choose(&GIVEN, mix(hash, 1)), choose(&GIVEN, mix(hash, 2)));
    if hash.is_multiple_of(5) { format!("{surname}{first}") } else { format!("{surname}{first}{second}") }
}
