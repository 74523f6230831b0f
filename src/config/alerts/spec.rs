//! What the section `alerts` says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alert::inquiry;

/// What happens with alerts.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlertSpec {
    /// How long an alert of a severity may be unacknowledged before it is escalated; one that is not named never is.
    pub escalate_after: BTreeMap<String, String>,
    /// How often an alert is escalated at most.
    pub escalations_max: u32,
    /// By which day an alert of a severity is to be over: so many workdays after it was opened, by the list `holidays`; one
    /// that is not named has no last day. An alert that is past it is escalated.
    pub due: BTreeMap<String, u16>,
    /// What a second officer decides.
    pub review: ReviewSpec,
    /// Within which time alerts of a severity should be acknowledged and over, for metrics and lists.
    pub service_levels: BTreeMap<String, ServiceLevelSpec>,
    /// What a graver alert mutes.
    pub inhibit: Vec<InhibitSpec>,
    /// Hours in which alerts wait.
    pub quiet_hours: Vec<QuietSpec>,
    /// When the digest goes out: a cron expression in local time.
    pub digest: String,
    /// When there are too many notifications.
    pub storm: StormSpec,
    /// How letters ask units to explain (handling `explain`).
    pub explain: Option<ExplainSpec>,
    /// How officers are told what became of the letters that they sent, and what waits for them.
    pub officers: Option<OfficersSpec>,
    /// How much the files of cases may take.
    pub files: FilesSpec,
    /// When the daemon itself is unwell, and who is told.
    pub watch: WatchSpec,
    /// A dead man's switch that is told that the daemon lives.
    pub heartbeat: Option<HeartbeatSpec>,
}

impl Default for AlertSpec {
    fn default() -> Self {
        let by =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(s, t)| ((*s).to_owned(), (*t).to_owned())).collect();
        let level = |severity: &str, acknowledge: &str, close: &str| {
            let level =
                ServiceLevelSpec { acknowledge: Some(acknowledge.to_owned()), close: Some(close.to_owned()) };
            (severity.to_owned(), level)
        };
        let graver = |source: &str, target: &str| InhibitSpec {
            source: vec![source.to_owned()],
            target: vec![target.to_owned()],
            equal: vec![String::from("budget_line_id")],
        };
        Self {
            escalate_after: by(&[("critical", "30m"), ("high", "4h"), ("medium", "24h")]),
            escalations_max: 3,
            due: [("critical", 3), ("high", 5), ("medium", 10), ("low", 20)]
                .map(|(severity, days)| (severity.to_owned(), days))
                .into(),
            review: ReviewSpec::default(),
            service_levels: BTreeMap::from([
                level("critical", "1h", "5d"),
                level("high", "8h", "10d"),
                level("medium", "48h", "30d"),
                level("low", "7d", "60d"),
            ]),
            // Only the same thing said more gravely: a suspicion is not to vanish behind another one.
            inhibit: vec![
                graver("rule=\"line-exhausted\"", "rule=~\"line-use-.*\""),
                graver("rule=\"overspend-rate-critical\"", "rule=\"overspend-rate\""),
            ],
            quiet_hours: Vec::new(),
            digest: String::from("30 8 * * *"),
            storm: StormSpec::default(),
            explain: None,
            officers: None,
            files: FilesSpec::default(),
            watch: WatchSpec::default(),
            heartbeat: None,
        }
    }
}

/// What a second officer decides.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReviewSpec {
    /// The severities whose alerts one officer proposes to dismiss, and another one dismisses.
    pub dismiss: Vec<String>,
    /// The severities whose alerts one officer proposes to close, and another one closes.
    pub close: Vec<String>,
    /// Whether a case is closed only with an outcome. The console asks for one in any case.
    pub outcome: bool,
}

impl Default for ReviewSpec {
    fn default() -> Self {
        Self { dismiss: vec![String::from("critical")], close: Vec::new(), outcome: false }
    }
}

/// When the daemon itself is unwell.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WatchSpec {
    /// The sinks that are told directly, past routes and outbox; all of them without it.
    pub sinks: Option<Vec<String>>,
    /// No event for so long; `never` to leave it.
    pub silent_after: String,
    /// Sources are so many records behind.
    pub lag_records: u64,
    /// What is due waits so long for a sink.
    pub outbox_age: String,
    /// So many records are put into quarantine within an hour.
    pub rejects_per_hour: u64,
    /// So little of the state's disk is left, in MiB.
    pub disk_free_mib: u64,
    /// How long until what is still wrong is told again.
    pub repeat: String,
}

impl Default for WatchSpec {
    fn default() -> Self {
        Self {
            sinks: None,
            silent_after: String::from("1d"),
            lag_records: 1_000_000,
            outbox_age: String::from("15m"),
            rejects_per_hour: 100,
            disk_free_mib: 1024,
            repeat: String::from("4h"),
        }
    }
}

/// A dead man's switch.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatSpec {
    /// Where to POST to.
    pub url: String,
    /// How often.
    #[serde(default = "every_minute")]
    pub every: String,
}

fn every_minute() -> String {
    String::from("1m")
}

/// The level of service for a severity.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceLevelSpec {
    /// From opened to acknowledged.
    pub acknowledge: Option<String>,
    /// From opened to over.
    pub close: Option<String>,
}

/// What a graver alert mutes.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InhibitSpec {
    /// Matchers of the graver alert.
    pub source: Vec<String>,
    /// Matchers of the lesser alert.
    pub target: Vec<String>,
    /// Labels that both must have, with equal values.
    pub equal: Vec<String>,
}

/// Hours in which alerts wait.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietSpec {
    /// Its name.
    pub name: String,
    /// Matchers of the alerts that wait.
    #[serde(rename = "match")]
    pub matchers: Vec<String>,
    /// The time of day, such as `22:00-06:30`.
    pub time: String,
    /// The days on which it starts, such as `[mon, tue]`; every day without it.
    pub days: Option<Vec<String>>,
}

/// When there are too many notifications.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StormSpec {
    /// A sink gets at most so many notifications within `window`; the rest comes as one summary.
    pub notifications: u32,
    /// The time that they are counted over.
    pub window: String,
}

impl Default for StormSpec {
    fn default() -> Self {
        Self { notifications: 60, window: String::from("10m") }
    }
}

/// How letters ask units to explain.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainSpec {
    /// The e-mail sink.
    pub sink: String,
    /// The reference list with the units' contacts, by `unit_code`.
    pub list: String,
    /// Its column with the address.
    pub column: String,
    /// The workdays that a unit has for its answer, unless the officer says otherwise.
    #[serde(default = "deadline")]
    pub deadline: u16,
    /// The office that signs letters; the bureau without it.
    pub sender: Option<String>,
    /// What stands under its name, such as who answers questions; several lines if it has them.
    pub signature: Option<String>,
    /// What links begin with by which units answer without an account, such as `https://answers.example.gov.cn`. Its
    /// proxy leads `/answer/` here. Without it letters have no link.
    pub answer_url: Option<String>,
    /// For how many days after the last day for the answer a link is good, 0 to 90.
    #[serde(default = "link_days")]
    pub link_days: u16,
}

const fn link_days() -> u16 {
    14
}

/// How officers are told what became of the letters that they sent: an answer, or none; without it, the routes of the alert
/// tell. Whoever can approve a proposal is told here that it waits.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfficersSpec {
    /// The e-mail sink. Who is not in the list is told at its own recipients.
    pub sink: String,
    /// The reference list with the addresses of officers, by the names under which they act.
    pub list: String,
    /// Its column with the address.
    pub column: String,
}

/// How much the files of cases may take.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSpec {
    /// MiB of one file, 1 to 100.
    pub file_mib: u32,
    /// MiB of all files of one case, 1 to 1000.
    pub case_mib: u32,
    /// Files of one case, 1 to 100.
    pub files: u32,
}

impl Default for FilesSpec {
    fn default() -> Self {
        Self { file_mib: 20, case_mib: 100, files: 20 }
    }
}

const fn deadline() -> u16 {
    inquiry::DEADLINE
}

/// One route; what it does not say is as in its parent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RouteSpec {
    /// Matchers, which must all match; the root takes everything.
    #[serde(rename = "match")]
    pub matchers: Vec<String>,
    /// Where its alerts go: names of sinks.
    pub sinks: Option<Vec<String>>,
    /// Labels by which alerts are told together; `[alert]` tells of each by itself.
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more.
    pub group_wait: Option<String>,
    /// How long a group that was told of waits before it is told of again.
    pub group_interval: Option<String>,
    /// How long until alerts that nobody acknowledged are told of again; `never` to leave it.
    pub repeat_interval: Option<String>,
    /// Whether it is told when alerts are over.
    pub tell_ended: Option<bool>,
    /// Whether its alerts wait for the digest.
    pub digest: Option<bool>,
    /// Whether letters to the units of its alerts go out by themselves; else an officer sends each.
    pub send_letters: Option<bool>,
    /// Whether the routes after it are tried too.
    #[serde(rename = "continue")]
    pub continues: bool,
    /// Its children.
    pub routes: Vec<RouteSpec>,
}
