//! What money is spent on: the economic classes with their amounts, payees and purposes.

use super::dice::{Dice, normal_of};
use super::payees::Trade;

/// Whom a class is usually paid to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipient {
    /// Each employee once a month.
    Staff,
    /// Each beneficiary once a month, through 一卡通.
    Beneficiary,
    /// The office that collects social insurance or the housing fund.
    Fund,
    /// A member of staff who is reimbursed, or a supplier of the trade.
    Traveller(Trade),
    /// A person paid for work.
    Expert,
    /// Suppliers of a trade, some more often than others.
    Supplier(Trade),
    /// The same supplier for years, with bills of much the same amount.
    Regular(Trade),
}

/// An economic class of the departments' budget.
#[derive(Debug)]
pub(super) struct Class {
    pub code: &'static str,
    pub name: &'static str,
    pub recipient: Recipient,
    /// The median payment in yuan.
    median: f64,
    /// The spread of the logarithm of the amount.
    spread: f64,
    /// No payment of the class is larger, in yuan.
    cap: f64,
    /// How often it is paid, relative to the other classes.
    pub weight: f64,
    pub purposes: &'static [&'static str],
}

use Recipient::{Beneficiary, Expert, Fund, Regular, Staff, Supplier, Traveller};

macro_rules! classes {
    ($($code:literal $name:literal $recipient:expr, $median:literal $spread:literal $cap:literal
        $weight:literal: $($purpose:literal)+;)*) => {
        pub(super) const CLASSES: &[Class] = &[$(Class {
            code: $code, name: $name, recipient: $recipient, median: $median, spread: $spread, cap: $cap,
            weight: $weight, purposes: &[$($purpose),+],
        }),*];
    };
}

// code, name, recipient, median, spread of the logarithm, cap, frequency: purposes
classes! {
    "30101" "基本工资" Staff, 5200.0 0.25 15000.0 9.0: "基本工资" "在职人员基本工资";
    "30102" "津贴补贴" Staff, 3600.0 0.35 12000.0 8.0: "规范津贴补贴" "乡镇工作补贴";
    "30103" "奖金" Staff, 4800.0 0.4 20000.0 3.0: "年度考核奖金" "基础绩效奖";
    "30107" "绩效工资" Staff, 4200.0 0.35 15000.0 8.0: "奖励性绩效工资" "基础性绩效工资";
    "30108" "机关事业单位基本养老保险缴费" Fund, 38000.0 0.8 400_000.0 0.8: "单位缴纳养老保险费";
    "30110" "职工基本医疗保险缴费" Fund, 17000.0 0.8 200_000.0 0.8: "单位缴纳医疗保险费";
    "30113" "住房公积金" Fund, 30000.0 0.8 300_000.0 0.8: "单位缴存住房公积金";
    "30201" "办公费" Supplier(Trade::Stationery), 2400.0 1.0 80000.0 9.0: "购买办公用品" "购置打印耗材" "购买档案盒及文件柜" "订阅报刊杂志";
    "30202" "印刷费" Supplier(Trade::Printing), 3800.0 0.9 90000.0 3.0: "印制宣传资料" "会议材料印刷费" "试卷印刷费";
    "30203" "咨询费" Supplier(Trade::Consulting), 18000.0 0.8 240_000.0 0.8: "项目可行性咨询费" "法律顾问咨询费";
    "30205" "水费" Regular(Trade::Water), 1500.0 0.9 60000.0 2.0: "办公楼水费" "单位用水费用";
    "30206" "电费" Regular(Trade::Power), 6200.0 1.0 180_000.0 3.5: "办公用电费" "办公区电费";
    "30207" "邮电费" Regular(Trade::Telecom), 1900.0 0.8 60000.0 3.0: "宽带专线通信费" "固定电话费" "文件邮寄费";
    "30209" "物业管理费" Regular(Trade::Property), 16000.0 0.8 240_000.0 2.0: "物业管理服务费" "保洁保安服务费";
    "30211" "差旅费" Traveller(Trade::Travel), 1800.0 0.8 30000.0 11.0: "赴省参加业务培训差旅费" "下乡督导检查差旅费" "赴外地调研差旅费" "参加工作会议差旅费";
    "30213" "维修(护)费" Supplier(Trade::Repair), 7500.0 1.1 300_000.0 4.5: "办公楼屋面防水维修" "空调设备维修保养" "电梯维护保养费" "校舍门窗维修";
    "30214" "租赁费" Regular(Trade::Lease), 21000.0 0.6 200_000.0 1.2: "办公用房租金" "业务用房租金";
    "30215" "会议费" Supplier(Trade::Venue), 9000.0 0.8 120_000.0 1.5: "年度工作会议费" "专题工作推进会会议费";
    "30216" "培训费" Supplier(Trade::Training), 8200.0 0.9 150_000.0 2.5: "业务骨干培训费" "继续教育培训费" "安全生产培训费";
    "30217" "公务接待费" Supplier(Trade::Catering), 850.0 0.6 6000.0 1.6: "上级检查组公务接待餐费" "兄弟单位来访公务接待";
    "30218" "专用材料费" Supplier(Trade::Materials), 15000.0 1.1 450_000.0 5.0: "采购医用耗材" "采购实验材料" "购置专业器材";
    "30226" "劳务费" Expert, 1800.0 0.8 20000.0 5.0: "专家评审劳务费" "临时用工劳务费" "授课讲课劳务费";
    "30227" "委托业务费" Supplier(Trade::Consulting), 32000.0 1.0 480_000.0 4.0: "委托第三方检测服务费" "委托规划编制费" "绩效评价委托服务费";
    "30229" "福利费" Supplier(Trade::Canteen), 3200.0 0.8 40000.0 1.5: "职工体检费用" "职工食堂食材采购";
    "30231" "公务用车运行维护费" Supplier(Trade::Vehicle), 1300.0 0.7 15000.0 3.0: "公务用车加油费" "公务用车维修保养费" "公务用车保险费" "公务用车过路过桥费";
    "30239" "其他交通费用" Traveller(Trade::Travel), 900.0 0.8 12000.0 3.0: "租用车辆交通费" "公务交通补贴";
    "30299" "其他商品和服务支出" Supplier(Trade::Software), 4200.0 1.1 150_000.0 4.0: "网络安全等级测评费" "信息系统运行维护费" "宣传栏制作费";
    "30302" "退休费" Beneficiary, 3100.0 0.3 9000.0 2.0: "退休人员补贴" "退休人员生活补助";
    "30304" "抚恤金" Beneficiary, 1600.0 0.4 9000.0 2.0: "优抚对象定期抚恤" "伤残人员抚恤";
    "30305" "生活补助" Beneficiary, 620.0 0.4 5000.0 6.0: "特困人员生活补助" "最低生活保障补助" "高龄老人生活津贴";
    "30306" "救济费" Beneficiary, 1400.0 0.6 12000.0 3.0: "困难群众临时救济" "受灾群众生活救助";
    "30308" "助学金" Beneficiary, 750.0 0.3 4000.0 5.0: "家庭经济困难学生助学金" "义务教育生活补助";
    "30310" "个人农业生产补贴" Beneficiary, 480.0 0.7 9000.0 5.0: "耕地地力保护补贴" "农机购置补贴";
    "31001" "房屋建筑物购建" Supplier(Trade::Construction), 260_000.0 1.1 6_000_000.0 0.8: "教学楼建设工程进度款" "业务用房改造工程款";
    "31002" "办公设备购置" Supplier(Trade::Equipment), 14000.0 1.0 450_000.0 2.0: "购置台式计算机" "购置多功能一体机" "购置会议系统设备";
    "31003" "专用设备购置" Supplier(Trade::Equipment), 68000.0 1.1 2_500_000.0 1.8: "购置医疗设备" "购置教学仪器设备" "购置执法装备";
    "31005" "基础设施建设" Supplier(Trade::Construction), 320_000.0 1.2 9_000_000.0 1.6: "道路改造工程进度款" "河道治理工程进度款" "农田水利设施工程款";
    "31006" "大型修缮" Supplier(Trade::Construction), 110_000.0 1.0 1_800_000.0 0.8: "办公楼修缮工程款" "校舍加固修缮工程款";
    "31007" "信息网络及软件购置更新" Supplier(Trade::Software), 85000.0 0.9 1_500_000.0 1.0: "信息化平台建设款" "业务系统升级改造款";
    "31013" "公务用车购置" Supplier(Trade::Vehicle), 165_000.0 0.15 250_000.0 0.03: "执法执勤车辆购置";
}

/// Classes that are paid by official card rather than in cash.
const CARD_CATALOGUE: &[&str] = &[
    "30201", "30202", "30203", "30204", "30205", "30206", "30207", "30209", "30211", "30213", "30214",
    "30215", "30216", "30217", "30218", "30231", "30239",
];

/// Names of catalogue classes that nobody in the simulated world uses.
const RARE_NAMES: &[(&str, &str)] = &[("30204", "手续费")];

impl Class {
    /// The index of a class in [`CLASSES`]; tables only name classes that exist.
    pub(super) fn index_of(code: &str) -> u8 {
        CLASSES.iter().position(|class| class.code == code).unwrap_or(0) as u8
    }

    pub(super) fn is_payroll(&self) -> bool {
        self.is_personnel() || self.code.starts_with("303")
    }

    /// 基本工资, which every unit pays each month.
    pub(super) fn is_wages(&self) -> bool {
        self.code == "30101"
    }

    pub(super) fn is_personnel(&self) -> bool {
        self.code.starts_with("301")
    }

    pub(super) fn is_capital(&self) -> bool {
        self.code.starts_with("310")
    }

    /// 三公经费: travel abroad, official receptions, official cars.
    pub(super) fn is_three_public(&self) -> bool {
        matches!(self.code, "30212" | "30217" | "30231" | "31013")
    }

    pub(super) fn in_card_catalogue(&self) -> bool {
        CARD_CATALOGUE.contains(&self.code)
    }

    /// An amount in cents.
    pub(super) fn draw(&self, dice: &mut Dice) -> i64 {
        let cents = (self.at(dice.normal()) * 100.0) as i64;
        if cents >= 200_000 && dice.chance(0.08) && !self.is_payroll() {
            cents / 10_000 * 10_000
        } else {
            cents
        }
    }

    /// The usual bill, in yuan, of a regular payee known by the hash of its budget line.
    pub(super) fn usual_bill(&self, hash: u64) -> f64 {
        self.at(normal_of(hash)).round()
    }

    /// The mean payment in yuan, by quadrature over the same distribution.
    pub(super) fn mean(&self) -> f64 {
        let points = (-40..=40).map(|step| f64::from(step) / 10.0);
        let (mut sum, mut mass) = (0.0, 0.0);
        for z in points {
            let density = (-z * z / 2.0).exp();
            sum += density * self.at(z);
            mass += density;
        }
        sum / mass
    }

    fn at(&self, deviations: f64) -> f64 {
        (self.median * (self.spread * deviations).exp()).clamp(20.0, self.cap)
    }
}

/// The rows of the official-card catalogue: code and name.
pub(super) fn card_catalogue() -> impl Iterator<Item = (&'static str, &'static str)> {
    CARD_CATALOGUE.iter().map(|&code| {
        let used = CLASSES.iter().map(|class| (class.code, class.name));
        let name = used.chain(RARE_NAMES.iter().copied()).find(|row| row.0 == code).map_or("", |row| row.1);
        (code, name)
    })
}
