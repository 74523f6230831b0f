//! `alerts` and `routes` of the configuration.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    raw::Raw,
    resolve::{Resolver, link_base},
};
use crate::{
    alert::{
        Matchers, Policy, inquiry,
        mute::{Inhibition, QuietHours, parse_minutes},
        policy::{BySeverity, Explain, FileLimits, Officers, Reviews, ServiceLevel, Storm},
        route::{ALERT, Route},
    },
    config::office::{Office, Thresholds},
    event::{duration, tick::Ticks, time::Calendar},
    rule::Severity,
    say,
    text::quoted,
};

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
    /// How officers are told what became of the letters that they sent.
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

/// How the daemon looks after itself.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The sinks that are told; all of them without it.
    pub sinks: Option<Vec<String>>,
    /// From when on something is wrong.
    pub thresholds: Thresholds,
    /// Where the heartbeat goes, and how often.
    pub heartbeat: Option<(String, Duration)>,
}

/// Resolves `alerts.watch` and `alerts.heartbeat`.
pub(super) fn resolve_watch(r: &mut Resolver<'_>, raw: &Raw) -> Watch {
    let spec = &raw.alerts.watch;
    for sink in spec.sinks.iter().flatten().filter(|name| !raw.sinks.iter().any(|sink| sink.name == **name)) {
        r.problem(no_sink("alerts.watch.sinks", sink));
    }
    let silent_after = match spec.silent_after.as_str() {
        "never" => None,
        text => Some(r.micros("alerts.watch.silent_after", text)),
    };
    let thresholds = Thresholds {
        silent_after,
        lag_records: spec.lag_records,
        outbox_age: r.micros("alerts.watch.outbox_age", &spec.outbox_age),
        rejects_per_hour: r.within("alerts.watch.rejects_per_hour", spec.rejects_per_hour, (1, u64::MAX)),
        disk_free: spec.disk_free_mib << 20,
        repeat: r.micros_from("alerts.watch.repeat", &spec.repeat, "1m"),
    };
    let heartbeat = raw.alerts.heartbeat.as_ref().map(|spec| {
        if !spec.url.starts_with("http://") && !spec.url.starts_with("https://") {
            r.problem(say!("alerts.heartbeat.url: {url} is no http address", url = quoted(&spec.url)));
        }
        let every = r.micros_from("alerts.heartbeat.every", &spec.every, "1s");
        (spec.url.clone(), Duration::from_micros(every.unsigned_abs()))
    });
    Watch { sinks: spec.sinks.clone(), thresholds, heartbeat }
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

/// How officers are told what became of the letters that they sent: an answer, or none. Without it, the routes of the alert
/// tell.
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

/// The most workdays until an alert's last day.
const DUE_MAX: u16 = 250;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Resolves `alerts` and `routes`; what is wrong goes to the resolver.
pub(super) fn resolve(r: &mut Resolver<'_>, raw: &Raw, calendar: &Arc<Calendar>) -> Policy {
    let spec = &raw.alerts;
    let sinks: Vec<String> = raw.sinks.iter().map(|sink| sink.name.clone()).collect();
    let mut policy = Policy {
        routes: routes(r, raw.routes.as_ref(), &sinks),
        inhibitions: spec.inhibit.iter().map(|i| inhibition(r, i)).collect(),
        quiet_hours: spec.quiet_hours.iter().filter_map(|q| quiet_hours(r, q, calendar)).collect(),
        escalations_max: spec.escalations_max,
        storm: Storm {
            notifications: r.within("alerts.storm.notifications", spec.storm.notifications, (1, u32::MAX)),
            window: r.micros_from("alerts.storm.window", &spec.storm.window, "1s"),
        },
        digest: r
            .value("alerts.digest", digest(&spec.digest).map(Some))
            .unwrap_or(Ticks::Every(crate::event::period::Length::Days(1))),
        explain: spec.explain.as_ref().map(|e| explain(r, e, raw, &sinks)),
        officers: spec.officers.as_ref().map(|o| officers(r, o, raw, &sinks)),
        files: files(r, &spec.files),
        ..Policy::silent(raw.language, calendar)
    };
    for (severity, text) in &spec.escalate_after {
        let key = format!("alerts.escalate_after.{severity}");
        if let Some(at) = severity_at(r, &key, severity) {
            policy.escalate_after.0[at] = Some(r.micros(&key, text));
        }
    }
    for (severity, days) in &spec.due {
        let key = format!("alerts.due.{severity}");
        let days = r.within(&key, u64::from(*days), (1, u64::from(DUE_MAX)));
        if let Some(at) = severity_at(r, &key, severity) {
            policy.due_after.0[at] = u16::try_from(days).ok();
        }
    }
    let mut among = |key: &str, severities: &[String]| {
        let mut chosen = BySeverity::default();
        for severity in severities {
            if let Some(at) = severity_at(r, key, severity) {
                chosen.0[at] = true;
            }
        }
        chosen
    };
    policy.reviews = Reviews {
        dismiss: among("alerts.review.dismiss", &spec.review.dismiss),
        close: among("alerts.review.close", &spec.review.close),
        outcome: spec.review.outcome,
    };
    policy.service_levels = service_levels(r, &spec.service_levels);
    policy
}

fn digest(text: &str) -> Result<Ticks, String> {
    Ticks::cron(text).map_err(|e| {
        say!(
            "{text} is not a cron expression of five fields, such as 30 8 * * * for half past eight: {reason}",
            text = quoted(text),
            reason = e
        )
    })
}

fn service_levels(
    r: &mut Resolver<'_>,
    specs: &BTreeMap<String, ServiceLevelSpec>,
) -> BySeverity<ServiceLevel> {
    let mut levels = BySeverity::default();
    for (severity, spec) in specs {
        let key = format!("alerts.service_levels.{severity}");
        if let Some(at) = severity_at(r, &key, severity) {
            let mut time = |text: &Option<String>| text.as_ref().map(|text| r.micros(&key, text));
            levels.0[at] = ServiceLevel { acknowledge: time(&spec.acknowledge), close: time(&spec.close) };
        }
    }
    levels
}

fn severity_at(r: &mut Resolver<'_>, key: &str, severity: &str) -> Option<usize> {
    let at = Severity::WORDS.iter().position(|(word, _)| *word == severity);
    if at.is_none() {
        r.problem(say!(
            "{key}: {severity} is no severity; use critical, high, medium or low",
            key,
            severity = quoted(severity)
        ));
    }
    at
}

fn matchers(r: &mut Resolver<'_>, key: &str, texts: &[String]) -> Matchers {
    r.value(key, Matchers::parse(texts))
}

fn inhibition(r: &mut Resolver<'_>, spec: &InhibitSpec) -> Inhibition {
    if spec.equal.is_empty() {
        r.problem(say!(
            "alerts.inhibit: `equal` must name a label, or one alert anywhere would mute all the others",
        ));
    }
    Inhibition {
        source: matchers(r, "alerts.inhibit.source", &spec.source),
        target: matchers(r, "alerts.inhibit.target", &spec.target),
        equal: spec.equal.clone(),
    }
}

fn quiet_hours(r: &mut Resolver<'_>, spec: &QuietSpec, calendar: &Arc<Calendar>) -> Option<QuietHours> {
    let key = format!("alerts.quiet_hours.{}", spec.name);
    let mut weekdays = [spec.days.is_none(); 7];
    for day in spec.days.iter().flatten() {
        match DAYS.iter().position(|known| known == day) {
            Some(at) => weekdays[at] = true,
            None => {
                r.problem(say!(
                    "{key}: {day} is no day; use {days}",
                    key,
                    day = quoted(day),
                    days = DAYS.join(", ")
                ));
            }
        }
    }
    let minutes = r.value(&key, parse_minutes(&spec.time).map(Some))?;
    let matchers = matchers(r, &key, &spec.matchers);
    let name = spec.name.clone();
    Some(QuietHours { name, matchers, minutes, weekdays, calendar: Arc::clone(calendar) })
}

fn files(r: &mut Resolver<'_>, spec: &FilesSpec) -> FileLimits {
    let mut within = |key: &str, value: u32, most: u64| r.within(key, u64::from(value), (1, most));
    FileLimits {
        file: within("alerts.files.file_mib", spec.file_mib, 100) << 20,
        case: within("alerts.files.case_mib", spec.case_mib, 1000) << 20,
        files: u32::try_from(within("alerts.files.files", spec.files, 100)).unwrap_or(1),
    }
}

fn explain(r: &mut Resolver<'_>, spec: &ExplainSpec, raw: &Raw, sinks: &[String]) -> Explain {
    if !sinks.contains(&spec.sink) {
        r.problem(no_sink("alerts.explain.sink", &spec.sink));
    }
    if !raw.lists.named.contains_key(&spec.list) {
        r.problem(say!(
            "{key}: there is no list {list}; name it under `lists`",
            key = "alerts.explain.list",
            list = quoted(&spec.list)
        ));
    }
    let deadline = inquiry::check_deadline(spec.deadline);
    let deadline = deadline.map_err(|e| r.problem(format!("alerts.explain.deadline: {e}")));
    let link_days = r.within("alerts.explain.link_days", u64::from(spec.link_days), (0, 90));
    let answer_url =
        spec.answer_url.as_deref().map(|url| r.value("alerts.explain.answer_url", link_base(url)));
    Explain {
        sink: spec.sink.clone(),
        list: spec.list.clone(),
        column: spec.column.clone(),
        deadline: deadline.unwrap_or(inquiry::DEADLINE),
        answer_url,
        link_days: u16::try_from(link_days).unwrap_or(0),
    }
}

fn officers(r: &mut Resolver<'_>, spec: &OfficersSpec, raw: &Raw, sinks: &[String]) -> Officers {
    if !sinks.contains(&spec.sink) {
        r.problem(no_sink("alerts.officers.sink", &spec.sink));
    }
    if !raw.lists.named.contains_key(&spec.list) {
        r.problem(say!(
            "{key}: there is no list {list}; name it under `lists`",
            key = "alerts.officers.list",
            list = quoted(&spec.list)
        ));
    }
    let OfficersSpec { sink, list, column } = spec.clone();
    Officers { sink, list, column }
}

/// In whose name mails and letters are written.
pub(super) fn office(r: &mut Resolver<'_>, raw: &Raw) -> Office {
    let explain = raw.alerts.explain.as_ref();
    let mut text = |key: &str, text: Option<&String>| {
        let text = text.map(|text| text.trim()).filter(|text| !text.is_empty())?;
        if text.chars().count() > OFFICE_MAX {
            r.problem(say!(
                "{key}: a name or signature has at most {most} characters",
                key,
                most = OFFICE_MAX
            ));
        }
        Some(text.to_owned())
    };
    Office {
        bureau: text("bureau", raw.bureau.as_ref()),
        sender: text("alerts.explain.sender", explain.and_then(|e| e.sender.as_ref())),
        signature: text("alerts.explain.signature", explain.and_then(|e| e.signature.as_ref())),
    }
}

/// The longest name or signature of an office, in characters.
const OFFICE_MAX: usize = 400;

fn no_sink(key: &str, sink: &str) -> String {
    say!("{key}: there is no sink {sink}; name it under `sinks`", key, sink = quoted(sink))
}

/// The tree; without one, every alert goes to every sink.
fn routes(r: &mut Resolver<'_>, spec: Option<&RouteSpec>, sinks: &[String]) -> Option<Route> {
    if sinks.is_empty() && spec.is_none() {
        return None;
    }
    let root = Route {
        path: String::from("routes"),
        matchers: Matchers::default(),
        sinks: sinks.to_vec(),
        group_by: vec![ALERT.to_owned()],
        group_wait: 10_000_000,
        group_interval: 300_000_000,
        repeat_interval: Some(4 * 3_600_000_000),
        tell_ended: true,
        digest: false,
        send_letters: false,
        continues: false,
        routes: Vec::new(),
    };
    let default = RouteSpec::default();
    let spec = spec.unwrap_or(&default);
    if !spec.matchers.is_empty() {
        r.problem(say!("routes: the root takes every alert; give `match` to its children"));
    }
    Some(route(r, spec, &root, root.path.clone(), sinks))
}

fn route(r: &mut Resolver<'_>, spec: &RouteSpec, parent: &Route, path: String, sinks: &[String]) -> Route {
    for sink in spec.sinks.iter().flatten().filter(|sink| !sinks.contains(sink)) {
        r.problem(no_sink(&path, sink));
    }
    let mut time = |name: &str, text: &Option<String>, inherited: i64| match text {
        Some(text) => r
            .value(&format!("{path}.{name}"), duration(text).map(Some))
            .map_or(inherited, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)),
        None => inherited,
    };
    let group_wait = time("group_wait", &spec.group_wait, parent.group_wait);
    let group_interval = time("group_interval", &spec.group_interval, parent.group_interval);
    let repeat_interval = match spec.repeat_interval.as_deref() {
        Some("never") => None,
        Some(text) => Some(r.micros_from(&format!("{path}.repeat_interval"), text, "1s")),
        None => parent.repeat_interval,
    };
    let mut this = Route {
        matchers: matchers(r, &path, &spec.matchers),
        sinks: spec.sinks.clone().unwrap_or_else(|| parent.sinks.clone()),
        group_by: spec.group_by.clone().unwrap_or_else(|| parent.group_by.clone()),
        group_wait,
        group_interval,
        repeat_interval,
        tell_ended: spec.tell_ended.unwrap_or(parent.tell_ended),
        digest: spec.digest.unwrap_or(parent.digest),
        send_letters: spec.send_letters.unwrap_or(parent.send_letters),
        continues: spec.continues,
        routes: Vec::new(),
        path,
    };
    let children = spec.routes.iter().enumerate();
    this.routes = children
        .map(|(at, child)| route(r, child, &this, format!("{}.routes[{at}]", this.path), sinks))
        .collect();
    this
}
