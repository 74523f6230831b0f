//! The help of every command in its reader's language: clap's tree of commands with other texts.
//!
//! English is clap's own page. For Chinese, what clap would add in English to a text is added here, and lines are cut
//! where Chinese allows it; clap cuts at spaces only.

use std::collections::BTreeSet;

use clap::{
    Arg, Command,
    builder::{Str, StyledStr},
};

use crate::{
    say,
    text::{self, Language, translate},
};

/// Columns at which the help of an argument begins when it stands below it.
const INDENT: usize = 10;
/// The widest that help is printed.
const WIDTH_MAX: usize = 100;

const CHINESE_PAGE: &str = "{before-help}{about-with-newline}\n用法: {usage}\n\n{all-args}{after-help}";

/// The command line with its help in a language.
pub(crate) fn in_language(command: Command, language: Language) -> Command {
    match language {
        Language::En => english(command),
        Language::Zh => {
            let mut command = command.term_width(width());
            // What clap adds by itself has its Chinese too, so it must be there.
            command.build();
            chinese(command)
        }
    }
}

/// Every text of the help, as the table of texts has it.
pub(crate) fn texts(mut command: Command) -> BTreeSet<String> {
    command.build();
    let mut texts = BTreeSet::new();
    collect(&command, &mut texts);
    texts
}

fn collect(command: &Command, texts: &mut BTreeSet<String>) {
    texts.extend(command.get_about().into_iter().chain(command.get_long_about()).map(ToString::to_string));
    for arg in command.get_arguments() {
        texts.extend(arg.get_help().into_iter().chain(arg.get_long_help()).map(ToString::to_string));
        texts.extend(value_names(arg).iter().map(ToString::to_string));
        if arg.get_action().takes_values() {
            let values = arg.get_possible_values();
            texts.extend(values.iter().filter_map(|value| value.get_help()).map(ToString::to_string));
        }
    }
    command.get_subcommands().for_each(|command| collect(command, texts));
}

/// Names stand in backquotes in the code; on a terminal they are noise.
fn english(mut command: Command) -> Command {
    let plain = |text: &StyledStr| text.to_string().replace('`', "");
    if let Some(about) = command.get_about().map(plain) {
        command = command.about(about);
    }
    command
        .mut_args(|arg| match arg.get_help().map(plain) {
            Some(help) => arg.help(help),
            None => arg,
        })
        .mut_subcommands(english)
}

fn chinese(mut command: Command) -> Command {
    if let Some(about) = command.get_about().map(ToString::to_string) {
        command = command.about(textwrap::fill(zh(&about), width()));
    }
    let command = command
        .mut_args(chinese_argument)
        .mut_subcommands(chinese)
        .help_template(CHINESE_PAGE)
        .subcommand_help_heading("命令")
        .subcommand_value_name("命令");
    let usage = command.clone().render_usage().to_string();
    command.override_usage(usage.trim_start_matches("Usage: ").replace("[OPTIONS]", "[选项]"))
}

fn chinese_argument(arg: Arg) -> Arg {
    let heading = if arg.is_positional() { "参数" } else { "选项" };
    let names = value_names(&arg).iter().map(name).collect::<Vec<_>>();
    let help = arg.get_help().map_or_else(String::new, |help| zh(&help.to_string()).to_owned());
    let help = textwrap::fill(&(help + &facts(&arg)), width() - INDENT);
    let arg = if names.is_empty() { arg } else { arg.value_names(names) };
    // The long help of `-h` itself is its only text of that kind.
    let long = arg.get_long_help().map(|long| zh(&long.to_string()).to_owned());
    let arg = match long {
        Some(long) => arg.long_help(long),
        None => arg,
    };
    arg.help(help)
        .help_heading(heading)
        .next_line_help(true)
        .hide_default_value(true)
        .hide_possible_values(true)
        .hide_env(true)
}

/// What clap tells of an argument beside its help: default, variable and possible values.
fn facts(arg: &Arg) -> String {
    let mut facts = String::new();
    if !arg.get_action().takes_values() {
        return facts;
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && !arg.is_hide_default_value_set() {
        facts += &say!(" [default: {value}]", value = defaults.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        facts += &say!(" [variable: {name}]", name = variable.to_string_lossy());
    }
    let values = arg.get_possible_values();
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    if values.iter().any(|value| value.get_help().is_some()) {
        for value in values {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            facts += &say!("\n- {value}: {help}", value = value.get_name(), help = zh(&help));
        }
    } else if !values.is_empty() {
        let values = values.iter().map(|value| value.get_name()).collect::<Vec<_>>();
        facts += &say!(" [one of: {values}]", values = values.join(say!(", ").as_str()));
    }
    facts
}

fn value_names(arg: &Arg) -> &[Str] {
    arg.get_value_names().filter(|_| arg.get_action().takes_values()).unwrap_or_default()
}

fn zh(english: &str) -> &str {
    translate(english, Language::Zh)
}

fn name(english: &Str) -> Str {
    text::table().get(english.as_str()).map_or_else(|| english.clone(), |chinese| chinese.as_str().into())
}

/// As clap measures it: the terminal, or the variable `COLUMNS`.
fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or_else(textwrap::termwidth).clamp(40, WIDTH_MAX)
}
