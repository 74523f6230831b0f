//! What works are as the API has them: what is asked for, and what is shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ROWS, archive_of, internal};
use crate::{
    daemon::{
        Shared,
        works::{Task, Work, WorkEnd},
    },
    event::TimeDelta,
    http::Problem,
    say,
};

/// What is to be done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "snake_case")]
pub(crate) enum NewWork {
    /// The book of adjustments.
    Adjustments { year: Option<i32>, line: Option<String>, unit: Option<String> },
    /// Another version of the proposal of a year.
    Proposal {
        year: i32,
        /// Which code drivers and caps are about: `function`, `class` or `unit`.
        by: Option<String>,
        /// `gdp=5.2%` or `gdp=5.2%:205`.
        #[serde(default)]
        drivers: Vec<String>,
        /// `1000000` or `205=400000`.
        #[serde(default)]
        caps: Vec<String>,
    },
    /// Two versions of a proposal.
    Comparison { year: i32, old: u32, new: u32 },
    /// The settlement of a year.
    Settlement {
        year: i32,
        /// `unit`, `function`, `class` or `line`.
        by: Option<String>,
    },
    /// What is published of a year that is frozen.
    Publication { year: i32, persons: Option<u16>, least: Option<String> },
    /// What rules in shadow would bring.
    Pilot { days: Option<u16> },
    /// Whether the newest backup can be restored.
    Drill {},
}

impl NewWork {
    pub(super) fn task(self) -> Result<Task, Problem> {
        Ok(match self {
            Self::Adjustments { year, line, unit } => Task::Adjustments { year, line, unit },
            Self::Proposal { year, by, drivers, caps } => {
                let by = one_of("by", by, &["function", "class", "unit"])?;
                Task::Proposal { year, by, drivers, caps }
            }
            Self::Comparison { year, old, new } => Task::Comparison { year, old, new },
            Self::Settlement { year, by } => Task::Settlement { year, by: groups(by)?, against: false },
            Self::Publication { year, persons, least } => {
                let (persons, least) = (persons.unwrap_or(3), least.unwrap_or_else(|| String::from("0")));
                Task::Publication { year, persons, least }
            }
            Self::Pilot { days } => Task::Pilot { days: days.unwrap_or(30) },
            Self::Drill {} => Task::Drill,
        })
    }
}

pub(super) fn groups(by: Option<String>) -> Result<String, Problem> {
    one_of("by", by, &["unit", "function", "class", "line"])
}

/// One of some words; the first one without any.
pub(super) fn one_of(name: &str, given: Option<String>, words: &[&str]) -> Result<String, Problem> {
    match given {
        None => Ok(words[0].to_owned()),
        Some(word) if words.contains(&word.as_str()) => Ok(word),
        Some(_) => {
            Err(Problem::unprocessable(say!("{name} is one of {words}", name, words = words.join(", "))))
        }
    }
}

/// A work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Work)]
pub(crate) struct WorkView {
    id: u64,
    /// `adjustments`, `proposal`, `comparison`, `settlement`, `publication`, `pilot` or `drill`.
    kind: &'static str,
    /// `running`, `done`, `stopped` or `failed`.
    state: &'static str,
    by: String,
    #[schema(format = DateTime)]
    begun_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// For how many seconds it has run, or ran.
    seconds: i64,
    /// Whether what was checked holds: false if tables differ or a drill failed; null while it is not done.
    passed: Option<bool>,
    /// Why it failed, in the words of the command.
    error: Option<String>,
    /// How many rows there are.
    rows_total: usize,
    /// Some of them, as the command's `--json` has them; at most 500.
    #[schema(value_type = Vec<Object>)]
    rows: Vec<Value>,
    /// Its files by name.
    files: Vec<String>,
}

impl WorkView {
    pub(super) fn new(work: &Work, shared: &Shared, shown: Option<(usize, usize)>) -> Result<Self, Problem> {
        let (ended_at, end) = work.end().unzip();
        let mut view = Self {
            id: work.id,
            kind: work.task.word(),
            state: "running",
            by: work.by.clone(),
            begun_at: shared.calendar.format(work.begun_at),
            ended_at: ended_at.map(|at| shared.calendar.format(at)),
            seconds: (ended_at.unwrap_or_else(|| shared.clock.now()) - work.begun_at)
                .max(TimeDelta::ZERO)
                .as_seconds(),
            passed: None,
            error: None,
            rows_total: 0,
            rows: Vec::new(),
            files: Vec::new(),
        };
        match end {
            None => {}
            Some(WorkEnd::Stopped) => view.state = "stopped",
            Some(WorkEnd::Failed(why)) => (view.state, view.error) = ("failed", Some(why)),
            Some(WorkEnd::Done { rows, files, passed }) => {
                (view.state, view.passed, view.rows_total) = ("done", Some(passed), rows);
                view.files = files.into_iter().map(|(name, _)| name).collect();
                if view.files.len() > 1 {
                    view.files.push(archive_of(work));
                }
                if let Some((from, most)) = shown {
                    let read = work.rows(from, most.min(ROWS));
                    view.rows = read.map_err(|error| internal(&error))?;
                }
            }
        }
        Ok(view)
    }
}
