//! Which language this process speaks. It is decided before clap prints anything, and nowhere else.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{Args, builder::PossibleValuesParser};

use crate::{config::DEFAULT_PATH, text::Language};

/// The option is read by [`decide`], ahead of clap; clap shows it and refuses what is no language.
#[derive(Debug, Args)]
pub(crate) struct LanguageArg {
    /// The language of help and messages
    #[arg(
        long,
        global = true,
        value_name = "LANGUAGE",
        env = VARIABLE,
        hide_env_values = true,
        value_parser = PossibleValuesParser::new(["zh", "en"]),
        display_order = 998
    )]
    lang: Option<String>,
}

impl LanguageArg {
    /// The language that the command line or its variable asks for.
    pub(crate) fn asked(&self) -> Option<Language> {
        Language::named(self.lang.as_deref()?)
    }
}

const VARIABLE: &str = "FISCWATCH_LANG";

/// The first that names a language: `--lang`, `FISCWATCH_LANG`, the configuration if it has `language`, the locale.
/// English if none does.
pub(crate) fn decide(args: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Language {
    let named = |word: Option<String>| Language::named(&word?);
    named(value_of(args, "--lang"))
        .or_else(|| named(variable(VARIABLE)))
        .or_else(|| named(variable("FISCWATCH_LANGUAGE")))
        .or_else(|| {
            let path = value_of(args, "--config").or_else(|| variable("FISCWATCH_CONFIG"));
            written(&path.map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from))
        })
        .or_else(|| locale(variable))
        .unwrap_or(Language::En)
}

/// The value of an option, before or after the subcommand; what follows `--` is no option.
fn value_of(args: &[OsString], option: &str) -> Option<String> {
    let mut args = args.iter().map_while(|arg| arg.to_str().filter(|arg| *arg != "--"));
    while let Some(arg) = args.next() {
        match arg.strip_prefix(option) {
            Some("") => return args.next().map(str::to_owned),
            Some(rest) if rest.starts_with('=') => return Some(rest[1..].to_owned()),
            _ => {}
        }
    }
    None
}

/// The `language` of a configuration. The file may be broken in any other way: its problems are told in it.
fn written(path: &Path) -> Option<Language> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("language:"))?;
    Language::named(value.split('#').next()?.trim().trim_matches(['"', '\'']))
}

/// The locale's language for messages: the first of its variables that is set decides.
fn locale(variable: impl Fn(&str) -> Option<String>) -> Option<Language> {
    let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(set)?;
    Language::named(locale.split(['_', '.', '-', '@']).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(args: &[&str], variables: &[(&str, &str)]) -> Language {
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        decide(&args, variable)
    }

    #[test]
    fn the_first_that_names_a_language_decides() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        std::fs::write(&file, "sources: [\nlanguage: \"zh\" # 中文\n").unwrap();
        let config = file.to_str().unwrap();
        let (zh, en) = (Language::Zh, Language::En);

        assert_eq!(decided(&["alerts", "--lang", "en"], &[("FISCWATCH_LANG", "zh")]), en);
        assert_eq!(decided(&["--lang=zh", "alerts"], &[("LANG", "en_US.UTF-8")]), zh);
        assert_eq!(decided(&["--config", config], &[("FISCWATCH_LANG", "en")]), en);
        assert_eq!(decided(&["--config", config], &[("LC_ALL", "C")]), zh);
        assert_eq!(decided(&[], &[("FISCWATCH_CONFIG", config)]), zh);
        // Elsewhere than in the project's own folder, which has a configuration.
        let none = ("FISCWATCH_CONFIG", "none.yaml");
        let locale = [none, ("LC_ALL", ""), ("LC_MESSAGES", "zh_CN.UTF-8"), ("LANG", "C")];
        assert_eq!(decided(&[], &locale), zh);
        assert_eq!(decided(&[], &[none, ("LC_ALL", "C.UTF-8"), ("LANG", "zh_CN.UTF-8")]), en);
        assert_eq!(decided(&[], &[none]), en);
        assert_eq!(decided(&["state", "query", "--", "--lang", "zh"], &[none]), en);
    }
}
