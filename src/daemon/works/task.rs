//! What can be done as long work, and the command that does it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use super::absolute;
use crate::{access::Action, daemon::Shared, say};

/// Where versions of proposals are, in the state directory.
const PROPOSALS: &str = "proposals";

#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// 调整台账: the book of adjustments.
    Adjustments { year: Option<i32>, line: Option<String>, unit: Option<String> },
    /// 预算建议: a version of next year's proposal.
    Proposal {
        year: i32,
        /// `function`, `class` or `unit`.
        by: String,
        /// As the command takes them.
        drivers: Vec<String>,
        /// As the command takes them.
        caps: Vec<String>,
    },
    /// Two versions of a proposal.
    Comparison {
        year: i32,
        /// The older one.
        old: u32,
        /// The newer one.
        new: u32,
    },
    /// 决算: the settlement of a year, or what differs from the bureau's own table.
    Settlement {
        year: i32,
        /// `unit`, `function`, `class` or `line`.
        by: String,
        /// Whether a table came along.
        against: bool,
    },
    /// 公开: what is published of a year.
    Publication {
        year: i32,
        /// The fewest persons of a cell.
        persons: u16,
        /// The least amount of a cell.
        least: String,
    },
    /// 试运行报告: what rules in shadow would bring.
    Pilot {
        /// How many days back.
        days: u16,
    },
    /// 备份演练: whether the newest backup can be restored.
    Drill,
}

/// The versions of a proposal that are kept.
#[derive(Debug)]
pub(crate) struct ProposalVersions(pub Vec<(i32, u32)>);

impl ProposalVersions {
    /// Those of a state.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(crate) fn of(state: &Path) -> std::io::Result<Self> {
        let folder = match fs::read_dir(state.join(PROPOSALS)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self(Vec::new())),
            Err(error) => return Err(error),
        };
        let mut versions = Vec::new();
        for entry in folder {
            let name = entry?.file_name();
            let read = name.to_str().and_then(|name| {
                let (year, version) =
                    name.strip_prefix("proposal-")?.strip_suffix(".json")?.split_once("-v")?;
                Some((year.parse().ok()?, version.parse().ok()?))
            });
            versions.extend(read);
        }
        versions.sort_unstable();
        versions.reverse();
        Ok(Self(versions))
    }

    /// The file of a version.
    pub(crate) fn file(state: &Path, (year, version): (i32, u32), ending: &str) -> PathBuf {
        state.join(PROPOSALS).join(format!("proposal-{year}-v{version}.{ending}"))
    }
}

impl Task {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Adjustments { .. } => "adjustments",
            Self::Proposal { .. } => "proposal",
            Self::Comparison { .. } => "comparison",
            Self::Settlement { .. } => "settlement",
            Self::Publication { .. } => "publication",
            Self::Pilot { .. } => "pilot",
            Self::Drill => "drill",
        }
    }

    /// What whoever asks for it must be allowed to do: what the command asks for.
    pub(crate) const fn action(&self) -> Action {
        match self {
            Self::Adjustments { .. } => Action::ReadBudget,
            Self::Proposal { .. }
            | Self::Comparison { .. }
            | Self::Settlement { .. }
            | Self::Publication { .. } => Action::ExportBudget,
            Self::Pilot { .. } => Action::ReadFindings,
            Self::Drill => Action::BackUpState,
        }
    }

    /// Whether the command prints rows. A publication is its files, and what it prints is one sentence about them.
    pub(super) const fn has_rows(&self) -> bool {
        !matches!(self, Self::Publication { .. })
    }

    /// Whether exit code 1 with rows is a result: something differs, or a drill has failed.
    pub(super) const fn may_fail(&self) -> bool {
        matches!(self, Self::Settlement { against: true, .. } | Self::Drill)
    }

    /// The arguments of the command. What people gave stands behind `=`, so that none of it is taken for an option.
    pub(super) fn args(
        &self,
        shared: &Shared,
        folder: &Path,
        file: Option<&str>,
    ) -> Result<Vec<OsString>, String> {
        let folder = absolute(folder);
        let mut args: Vec<OsString> = Vec::new();
        let mut words = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        match self {
            Self::Adjustments { year, line, unit } => {
                words(&["budget", "adjustments", "--json"]);
                if let Some(year) = year {
                    words(&[&format!("--year={year}")]);
                }
                for (name, value) in [("line", line), ("unit", unit)] {
                    if let Some(value) = value {
                        words(&[&format!("--{name}={value}")]);
                    }
                }
            }
            Self::Proposal { year, by, drivers, caps } => {
                words(&["budget", "propose", "--json", &format!("--year={year}"), &format!("--by={by}")]);
                drivers.iter().for_each(|driver| words(&[&format!("--driver={driver}")]));
                caps.iter().for_each(|cap| words(&[&format!("--cap={cap}")]));
                args.push(option("--out=", &absolute(&shared.state_dir.join(PROPOSALS))));
            }
            Self::Comparison { year, old, new } => {
                words(&["budget", "propose", "--json", "--compare"]);
                for version in [*old, *new] {
                    args.push(proposal(shared, (*year, version))?.into());
                }
            }
            Self::Settlement { year, by, .. } => {
                words(&["settle", &year.to_string(), "--json", &format!("--by={by}")]);
                args.push(match file {
                    Some(name) => option("--against=", &folder.join(name)),
                    None => option("--out=", &folder.join("out")),
                });
            }
            Self::Publication { year, persons, least } => {
                words(&[
                    "publish",
                    &year.to_string(),
                    &format!("--persons={persons}"),
                    &format!("--least={least}"),
                ]);
                args.push(option("--out=", &folder.join("out")));
            }
            Self::Pilot { days } => words(&["rules", "pilot", "--json", &format!("--days={days}")]),
            Self::Drill => {
                let backups = shared.config().backups.clone().ok_or_else(|| {
                    say!("say where the backups are (state.backups), and one can be tried out from here")
                })?;
                words(&["state", "drill", "--json"]);
                args.push(backups.into());
            }
        }
        Ok(args)
    }

    /// The files that it made: their names, and where they are.
    pub(super) fn files(&self, shared: &Shared, folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
        let named = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            Some((name, path))
        };
        let mut files = Vec::new();
        match self {
            Self::Proposal { year, .. } => {
                // The latest version of the year is the one that was kept just now: one work runs at a time.
                let versions = ProposalVersions::of(&shared.state_dir)?;
                let version = versions.0.into_iter().find(|(of, _)| of == year);
                let endings = ["json", "csv", "xlsx"];
                let paths = version.iter().flat_map(|version| {
                    endings.map(|ending| ProposalVersions::file(&shared.state_dir, *version, ending))
                });
                files.extend(paths.filter_map(named));
            }
            Self::Settlement { against: false, .. } | Self::Publication { .. } => {
                for entry in fs::read_dir(folder.join("out"))? {
                    files.extend(named(entry?.path()));
                }
                files.sort();
            }
            _ => {}
        }
        let rows = folder.join(super::ROWS);
        if fs::metadata(&rows)?.len() > 0 && !matches!(self, Self::Publication { .. }) {
            files.push((format!("{}.jsonl", self.word()), rows));
        }
        Ok(files)
    }
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// The file of a version of a proposal.
///
/// # Errors
/// If there is no such version.
fn proposal(shared: &Shared, (year, version): (i32, u32)) -> Result<PathBuf, String> {
    let path = ProposalVersions::file(&shared.state_dir, (year, version), "json");
    match path.exists() {
        true => Ok(absolute(&path)),
        false => Err(say!("there is no version {version} of the proposal of {year}", version, year)),
    }
}
