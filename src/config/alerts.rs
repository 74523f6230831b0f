//! `alerts` and `routes` of the configuration.

mod spec;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    raw::RawConfig,
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
    event::{TimeDelta, duration, tick::Ticks, time::Calendar},
    rule::Severity,
    say,
    text::quoted,
};

pub(crate) use spec::{
    AlertSpec, ExplainSpec, FilesSpec, InhibitSpec, OfficersSpec, QuietSpec, RouteSpec, ServiceLevelSpec,
};

/// How the daemon looks after itself.
#[derive(Debug, Clone)]
pub struct HealthSettings {
    /// The sinks that are told; all of them without it.
    pub sinks: Option<Vec<String>>,
    /// From when on something is wrong.
    pub thresholds: Thresholds,
    /// Where the heartbeat goes, and how often.
    pub heartbeat: Option<(String, Duration)>,
}

/// Resolves `alerts.watch` and `alerts.heartbeat`.
pub(super) fn resolve_watch(r: &mut Resolver<'_>, raw: &RawConfig) -> HealthSettings {
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
        (spec.url.clone(), every.to_duration())
    });
    HealthSettings { sinks: spec.sinks.clone(), thresholds, heartbeat }
}

/// The most workdays until an alert's last day.
const DUE_MAX: u16 = 250;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Resolves `alerts` and `routes`; what is wrong goes to the resolver.
pub(super) fn resolve(r: &mut Resolver<'_>, raw: &RawConfig, calendar: &Arc<Calendar>) -> Policy {
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

fn explain(r: &mut Resolver<'_>, spec: &ExplainSpec, raw: &RawConfig, sinks: &[String]) -> Explain {
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

fn officers(r: &mut Resolver<'_>, spec: &OfficersSpec, raw: &RawConfig, sinks: &[String]) -> Officers {
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
pub(super) fn office(r: &mut Resolver<'_>, raw: &RawConfig) -> Office {
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
        group_wait: TimeDelta::seconds(10),
        group_interval: TimeDelta::minutes(5),
        repeat_interval: Some(TimeDelta::hours(4)),
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
    let mut time = |name: &str, text: &Option<String>, inherited: TimeDelta| match text {
        Some(text) => {
            r.value(&format!("{path}.{name}"), duration(text).map(Some)).map_or(inherited, TimeDelta::of)
        }
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
