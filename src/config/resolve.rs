//! What is written in a configuration, checked and made into what it means.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use raw::{DirectorySpec, FileSpec, SourceSpec};

use super::{
    Approval, Config, Readings, Source, alerts, clients,
    decide::Decide,
    feeds::{MapPlace, Said},
    lists::ListSpec,
    machine, raw,
    raw::RawConfig,
    shards::Shard,
    state::retention,
};
use crate::{
    decode::Reading,
    diagnostic::Diagnostic,
    evaluate::schedule::QueryLimits,
    event::{Currency, Instant, TimeDelta, duration, stamp::StampUnit, time::Calendar},
    map::{Map, Versioned},
    paths::from_folder,
    rule::{Param, RuleMode, load::RuleAdjustment},
    say,
    source::{Encoding, Format, directory::DirectorySource, file::FileSource, kafka::MessageFormat},
    store::QuarantineLimit,
    text::quoted,
};

/// An address that links are made from.
pub(super) fn link_base(url: &str) -> Result<String, String> {
    match url.starts_with("http://") || url.starts_with("https://") {
        true => Ok(url.trim_end_matches('/').to_owned()),
        false => Err(say!("{url} is no address such as https://fiscwatch.example.gov.cn", url = quoted(url))),
    }
}

/// The name of a request header.
pub(super) fn header_name(name: &str) -> Result<String, String> {
    let parsed: Result<::http::HeaderName, _> = name.parse();
    parsed
        .map(|name| name.as_str().to_owned())
        .map_err(|_| say!("{name} is no header such as X-Forwarded-User", name = quoted(name)))
}

pub(super) fn zone_named(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| {
        say!("unknown time zone {name}: use an IANA name such as Asia/Shanghai", name = quoted(name))
    })
}

fn currency(code: &str) -> Result<Currency, String> {
    Currency::of(code).ok_or_else(|| {
        say!("{code} is no code of a currency: write three capitals such as CNY", code = quoted(code))
    })
}

/// The format that a map says its records have.
fn format_of(map: Option<&Arc<Map>>) -> Option<Encoding> {
    map.and_then(|map| map.format)
}

/// The shortest time that events can be kept for: a half-year's windows and its audit.
pub(super) const RETAIN_MIN: Duration = Duration::from_hours(180 * 24);

/// Where the server listens.
pub(super) fn address(key: &str, text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        say!("{key} {text} is not an address and port such as 127.0.0.1:9464", key, text = quoted(text))
    })
}

/// The start of a day of the configuration.
fn first_day(calendar: &Calendar, text: &str) -> Result<Instant, String> {
    let day = text.parse().ok().and_then(|day| calendar.start_of_day(day).ok());
    day.ok_or_else(|| say!("{text} is not a day from 1900 on: write it as 2015-01-01", text))
}

pub(super) struct Resolver<'f> {
    pub(super) file: &'f str,
    pub(super) text: &'f str,
    pub(super) base: &'f Path,
    pub(super) map_places: HashMap<String, MapPlace>,
    pub(super) problems: Vec<Diagnostic>,
}

impl Resolver<'_> {
    pub(super) fn resolve(mut self, raw: RawConfig, shard: Option<Shard>) -> Result<Config, Vec<Diagnostic>> {
        let calendar = Arc::new(self.calendar(&raw));
        let mut policy = alerts::resolve(&mut self, &raw, &calendar);
        policy.shard = shard.map(|shard| shard.part.to_string());
        let shards = self.shards(&raw, shard);
        let watch = alerts::resolve_watch(&mut self, &raw);
        let backfill = raw.sources.iter().filter(|spec| spec.backfill);
        let backfill = backfill.map(|spec| spec.name.clone()).collect();
        let office = Arc::new(alerts::office(&mut self, &raw));
        let readings = self.readings(&raw);
        let currency = self.value("currency", currency(&raw.currency));
        let clients = clients::Clients::resolve(&mut self, &raw);
        let source_names: Vec<_> = raw.sources.iter().map(|source| source.name.clone()).collect();
        let sources = self.sources(raw.sources, &readings);
        let map_places = std::mem::take(&mut self.map_places);
        let overrides = raw.rules.overrides.into_iter();
        let overrides = overrides.map(|(id, o)| (id.clone(), self.rule_override(&id, o))).collect();
        let listen = self.listen(&raw.http.listen);
        let mut first = |key, day: Option<String>| day.map(|day| self.value(key, first_day(&calendar, &day)));
        let min_time = first("engine.min_time", raw.engine.min_time);
        let journal_from = first("engine.journal_from", raw.engine.journal_from);
        let lists = raw.lists.named.into_iter();
        let mut lists = lists.map(|(n, l)| (n, ListSpec { path: self.path(l.path), ..l })).collect();
        self.codes(raw.codes, &mut lists);
        let decide = self.decide(raw.decide, &source_names);
        let state_dir = self.path(raw.state.dir);
        let config = Config {
            file: self.file.to_owned(),
            policy: Arc::new(policy),
            watch,
            office,
            calendar,
            language: raw.language,
            sources,
            readings,
            map_places,
            currency,
            backfill,
            state_dir: state_dir.clone(),
            backups: raw.state.backups.map(|path| self.path(path)),
            standby: raw.state.standby,
            shards,
            replicate: self.replicate(raw.state.replicate, raw.state.standby, &state_dir),
            checkpoint_events: self.within(
                "state.checkpoint_events",
                raw.state.checkpoint_events,
                (1, u64::MAX),
            ),
            seal_after: self.value("state.seal_after", duration(&raw.state.seal_after)),
            retain: raw.state.retain.map(|text| self.value("state.retain", retention(&text))),
            duplicate_horizon: self.value("state.duplicate_horizon", duration(&raw.state.duplicate_horizon)),
            quarantine: QuarantineLimit {
                bytes: raw.state.quarantine_mib.saturating_mul(1 << 20),
                full: raw.state.quarantine_full,
            },
            skip_wrong_rules: raw.rules.on_error == raw::OnError::Skip,
            approval: self.approval(raw.rules.require_approval, clients.auth),
            rule_paths: raw.rules.paths.into_iter().map(|p| self.path(p)).collect(),
            overrides,
            list_settle: self.value("lists.settle", duration(&raw.lists.settle)),
            rejudge: self.micros("lists.rejudge", &raw.lists.rejudge),
            lists,
            batch_rows: self.within("engine.batch_rows", raw.engine.batch_rows, (1, 1 << 20)),
            batch_wait: self.value("engine.batch_wait", duration(&raw.engine.batch_wait)),
            max_future: self.value("engine.max_future", duration(&raw.engine.max_future)),
            min_time,
            journal_from,
            outlier: self.micros("engine.outlier", &raw.engine.outlier),
            lateness: self.micros("engine.lateness", &raw.engine.lateness),
            idle: self.micros_from("engine.idle", &raw.engine.idle, "1s"),
            keep_late: self.micros("engine.keep_late", &raw.engine.keep_late),
            window_bytes: raw.engine.window_memory_mib.map_or_else(machine::half, |mib| {
                self.within("engine.window_memory_mib", mib, (1, u64::MAX >> 20)) << 20
            }),
            query_limits: self.query_limits(raw.engine.query_memory_mib, &raw.engine.query_time),
            sinks: raw.sinks.into_iter().map(|sink| sink.with_paths(|p| self.path(p))).collect(),
            templates: raw.templates.map(|p| self.path(p)),
            external_url: raw.external_url.map(|url| self.value("external_url", link_base(&url))),
            listen,
            accept_events: raw.http.accept_events,
            // A body is one journal block, and its rows must fit into an arrival (journal/layout.rs).
            body_bytes_max: self.within("http.body_bytes_max", raw.http.body_bytes_max, (0, 1 << 30)),
            clients,
            top_units: self.within("http.top_units", raw.http.top_units, (0, 1000)),
            tls: raw.http.tls,
            approvals: self.approvals(raw.approvals, decide.overrides.two_above),
            decide,
            ask: self.ask(raw.ask),
            audit: self.audit_log(raw.audit),
            log: self.log(raw.log),
        };
        if self.problems.is_empty() { Ok(config) } else { Err(self.problems) }
    }

    fn listen(&mut self, text: &str) -> SocketAddr {
        address("http.listen", text).unwrap_or_else(|message| {
            self.problem(message);
            SocketAddr::from(([127, 0, 0, 1], 9464))
        })
    }

    fn approval(&mut self, required: bool, auth: bool) -> Approval {
        if required && !auth {
            self.problem(say!(
                "rules.require_approval needs http.auth: true, or nobody knows who proposes and who approves"
            ));
        }
        if required { Approval::Required } else { Approval::NotAsked }
    }

    fn decide(&mut self, raw: raw::DecideSpec, names: &[String]) -> Decide {
        let unknown = raw.sources.iter().flatten().find(|name| !names.contains(name));
        if let Some(name) = unknown {
            self.problem(say!(
                "decide.sources names {name}, which is no source; there are {names}",
                name = quoted(name),
                names = if names.is_empty() { say!("none") } else { names.join(", ") }
            ));
        }
        Decide {
            max_staleness: raw.max_staleness.map(|text| self.micros("decide.max_staleness", &text)),
            sources: raw.sources.unwrap_or_else(|| names.to_vec()),
            when_stale: raw.when_stale,
            on_unavailable: raw.on_unavailable,
            applications_max: self.within("decide.applications_max", raw.applications_max, (1, 1000)),
            overrides: self.overrides(&raw.overrides),
            kafka: raw.kafka.inspect(|kafka| self.value("decide.kafka", kafka.check())),
        }
    }

    /// What is right, or the default where the problem is told.
    pub(super) fn told<T: Default>(&mut self, result: Result<T, String>) -> T {
        result.unwrap_or_else(|message| {
            self.problem(message);
            T::default()
        })
    }

    pub(super) fn problem(&mut self, message: String) {
        self.problems.push(Diagnostic::of_file(self.file, message, None));
    }

    pub(super) fn value<T: Default>(&mut self, key: &str, result: Result<T, String>) -> T {
        result.unwrap_or_else(|message| {
            self.problem(format!("{key}: {message}"));
            T::default()
        })
    }

    pub(super) fn micros(&mut self, key: &str, text: &str) -> TimeDelta {
        let duration = self.value(key, duration(text));
        TimeDelta::of(duration)
    }

    fn query_limits(&mut self, mib: usize, time: &str) -> QueryLimits {
        let mib = self.within("engine.query_memory_mib", mib, (1, 1 << 24));
        let time = self.value("engine.query_time", duration(time));
        QueryLimits { memory: mib << 20, time, ..QueryLimits::default() }
    }

    /// A number that is neither too small nor too large: one that was changed in silence would be believed.
    pub(super) fn within<N: PartialOrd + Copy + std::fmt::Display>(
        &mut self,
        key: &str,
        wanted: N,
        (least, most): (N, N),
    ) -> N {
        if wanted < least {
            self.problem(say!(
                "{key}: {wanted} is too small; it has to be {least} or more",
                key,
                wanted,
                least
            ));
        } else if wanted > most {
            self.problem(say!(
                "{key}: {wanted} is too large; it has to be {most} or less",
                key,
                wanted,
                most
            ));
        }
        wanted
    }

    /// A duration that is not too short.
    pub(super) fn micros_from(&mut self, key: &str, text: &str, least: &str) -> TimeDelta {
        let micros = self.micros(key, text);
        let is_short = |least: Duration| duration(text).is_ok_and(|duration| duration < least);
        if duration(least).is_ok_and(is_short) {
            self.problem(say!(
                "{key}: {wanted} is too short; it has to be {least} or longer",
                key,
                wanted = text,
                least
            ));
        }
        micros
    }

    pub(super) fn path(&self, path: PathBuf) -> PathBuf {
        from_folder(self.base, path)
    }

    fn calendar(&mut self, raw: &RawConfig) -> Calendar {
        let start =
            raw.fiscal_year_start.split_once('-').and_then(|(m, d)| Some((m.parse().ok()?, d.parse().ok()?)));
        let (month, day) = start.unwrap_or_else(|| {
            let day = quoted(&raw.fiscal_year_start);
            let why = say!("{day} is not a day of every year: use MM-DD such as 01-01", day);
            self.problem(format!("fiscal_year_start: {why}"));
            (1, 1)
        });
        match Calendar::new(&raw.time_zone, month, day) {
            Ok(calendar) => calendar.with_years_named_by(raw.fiscal_year_named_by),
            Err(e) => {
                self.problem(format!("{}: {e}", say!("time_zone and fiscal_year_start")));
                Calendar::new("UTC", 1, 1).expect("UTC is known everywhere")
            }
        }
    }

    fn sources(&mut self, specs: Vec<SourceSpec>, readings: &Readings) -> Vec<(String, Source)> {
        let mut sources: Vec<(String, Source)> = Vec::new();
        for spec in specs {
            let name = spec.name.clone();
            if sources.iter().any(|(other, _)| *other == name) || name == "http" {
                self.problem(say!(
                    "sources: the name {name} is taken; every source needs a name of its own",
                    name = quoted(&name)
                ));
            }
            let map = Self::map_of(readings, &name);
            // Without the source itself where it has mistakes, which are told.
            let mut kinds: Vec<Option<Source>> = Vec::new();
            kinds.extend(spec.file.map(|f| Some(Source::File(self.file_source(f, map.clone())))));
            kinds.extend(
                spec.directory.map(|d| Some(Source::Directory(self.directory(&name, d, map.clone())))),
            );
            kinds.extend(spec.stdin.map(|s| {
                let path = Path::new("stdin.jsonl");
                Some(Source::Stdin(Format::of(path, s.format.or(format_of(map.as_ref()))), map.clone()))
            }));
            kinds.extend(spec.kafka.map(|kafka| {
                self.value(&say!("source {name}", name = quoted(&name)), kafka.check());
                Some(Source::Kafka(kafka))
            }));
            kinds.extend(spec.postgres.map(|postgres| {
                self.postgres(&name, postgres).map(|source| Source::Postgres(Box::new(source)))
            }));
            if kinds.len() == 1 {
                sources.extend(kinds.pop().flatten().map(|kind| (name, kind)));
            } else {
                self.problem(say!(
                    "source {name} has {count} kinds; give it exactly one of file, directory, stdin, kafka, postgres",
                    name = quoted(&name),
                    count = kinds.len()
                ));
            }
        }
        sources
    }

    fn readings(&mut self, raw: &RawConfig) -> Readings {
        let posted = &raw.http.events;
        let said = Said {
            zone: posted.zone.as_deref(),
            times: posted.times,
            nulls: posted.nulls.as_deref(),
            ..Said::default()
        };
        let path = ["http", "events", "map"];
        let http = self.feed(("http.events.zone", &path), &said, posted.map.as_ref());
        let mut readings = HashMap::from([(String::from("http"), http)]);
        for spec in &raw.sources {
            let key = say!("source {name}: zone", name = quoted(&spec.name));
            let debezium = spec.kafka.as_ref().is_some_and(|kafka| kafka.format == MessageFormat::Debezium);
            let polled = spec.postgres.as_ref().map(|table| Versioned::Polled(&table.cursor));
            let said = Said {
                zone: spec.zone.as_deref(),
                times: spec.times,
                nulls: spec.nulls.as_deref(),
                mode: spec.mode,
                upsert: spec.upsert.as_ref(),
                versioned: polled.or(debezium.then_some(Versioned::Changes)),
            };
            let reading = self.feed((&key, &["sources", &spec.name, "map"]), &said, spec.map.as_ref());
            readings.insert(spec.name.clone(), reading.in_debezium(debezium));
        }
        readings
    }

    pub(super) fn reading(
        &mut self,
        key: &str,
        zone: Option<&str>,
        times: StampUnit,
        nulls: Option<&[String]>,
    ) -> Reading {
        let zone = zone.and_then(|name| self.value(key, zone_named(name).map(Some)));
        Reading::new(zone, times, nulls)
    }

    fn file_source(&self, spec: FileSpec, map: Option<Arc<Map>>) -> FileSource {
        let path = self.path(spec.path);
        let format = Format::of(&path, spec.format.or(format_of(map.as_ref())));
        FileSource { format, follow: spec.follow, path, map }
    }

    fn directory(&mut self, name: &str, spec: DirectorySpec, map: Option<Arc<Map>>) -> DirectorySource {
        let pattern = globset::Glob::new(&spec.pattern)
            .map_err(|_| say!("{pattern} is no pattern such as *.jsonl.gz", pattern = quoted(&spec.pattern)));
        let key = say!("source {name}: pattern", name = quoted(name));
        let pattern = self
            .value(&key, pattern.map(Some))
            .unwrap_or_else(|| globset::Glob::new("*").expect("a star is a pattern"));
        DirectorySource {
            path: self.path(spec.path),
            pattern: pattern.compile_matcher(),
            encoding: spec.format.or(format_of(map.as_ref())),
            map,
            afterwards: spec.afterwards,
            settle: self.value(&say!("source {name}: settle", name = quoted(name)), duration(&spec.settle)),
            move_refused: spec.move_refused,
        }
    }

    fn rule_override(&mut self, id: &str, raw: raw::RuleOverride) -> RuleAdjustment {
        let mode = raw.mode.and_then(|word| {
            let mode = RuleMode::WORDS.iter().find(|(known, _)| *known == word).map(|(_, mode)| *mode);
            if mode.is_none() {
                self.problem(say!(
                    "rules.overrides.{id}.mode cannot be {word}: use live, shadow or disabled",
                    id,
                    word = quoted(&word)
                ));
            }
            mode
        });
        let mut params = BTreeMap::new();
        for (name, value) in raw.params {
            match Param::from_json(&value) {
                Some(param) => {
                    params.insert(name, param);
                }
                None => {
                    self.problem(say!(
                        "rules.overrides.{id}.params.{name} must be a value or a list",
                        id,
                        name
                    ));
                }
            }
        }
        RuleAdjustment { mode, params, ..RuleAdjustment::default() }
    }
}
