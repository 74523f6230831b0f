//! `fiscwatch ask`

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::anyhow;
use clap::Args;

use super::{ConfigArg, persons::PersonsArg, state::query, table::ListFormat};
use crate::{
    access::{Action, Limits},
    ask::{Meaning, Names, Query, TEXT_MAX, Understood, catalogue, understand},
    clock::{Clock, SystemClock},
    config::Config,
    daemon,
    decode::Decoder,
    event::Column,
    rule::Text,
    say,
    store::Reader,
    text::spoken,
};

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The question, as you would say it: "云州市教育局今年的执行率", "payments over 50,000 yuan in May"; without one, all are listed
    text: Option<String>,
    /// Show the query and do not ask it
    #[arg(long)]
    query: bool,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    persons: PersonsArg,
    #[command(flatten)]
    form: ListFormat,
}

pub(crate) fn ask(args: &AskArgs) -> anyhow::Result<ExitCode> {
    let Some(text) = args.text.as_deref() else {
        catalogue().questions.iter().for_each(|question| println!("{}", question.phrase(spoken())));
        return Ok(ExitCode::SUCCESS);
    };
    anyhow::ensure!(
        !text.trim().is_empty() && text.chars().count() <= TEXT_MAX,
        say!("a question has 1 to {most} characters", most = TEXT_MAX)
    );
    let (config, lens) = args.config.shown(Action::QueryState, args.persons)?;
    let today = config.calendar.local(SystemClock.now()).date();
    let meaning = match understand(text, &names(&config)?, today, &config.calendar) {
        Understood::This(meaning) => meaning,
        Understood::OneOf(nearest) => {
            eprintln!("{}", asked_back(&nearest));
            return Ok(ExitCode::from(1));
        }
    };
    // A command reads the whole state: whoever is limited is refused before.
    let sql = Query::of(meaning.question, &meaning.given, &Limits::default()).sql;
    let asked = meaning.question.phrase(spoken());
    let given: Vec<_> =
        meaning.given.iter().map(|(kind, value)| format!("{}={value}", kind.word())).collect();
    eprintln!("{asked} {}\n{sql}\n", given.join(" "));
    match args.query {
        true => Ok(ExitCode::SUCCESS),
        false => query::ask(&sql, &config, lens, args.form),
    }
}

/// What may be meant, with what is missing or not clear in it.
fn asked_back(nearest: &[Meaning]) -> String {
    let mut told = say!("It is not clear what is meant. These are the nearest questions:");
    for meaning in nearest {
        told += &format!("\n  {}", meaning.question.phrase(spoken()));
        for kind in &meaning.missing {
            told += &say!(" (which {name}?)", name = kind.word());
        }
        for (_, values) in &meaning.unclear {
            told += &say!(" (which of {values}?)", values = values.join(", "));
        }
    }
    told
}

/// The names that the state and the rules have.
fn names(config: &Config) -> anyhow::Result<Names> {
    let mut reader = Reader::open(&config.state_dir)?;
    let ledger = reader.ledger(Decoder::new(std::sync::Arc::clone(&config.calendar)).schema())?;
    let mut units: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    for (_, attributes) in ledger.lines() {
        let text = |column| attributes.text(column).map(str::to_owned);
        if let Some(code) = text(Column::UnitCode) {
            let names = (text(Column::UnitName).unwrap_or_default(), text(Column::RegionCode));
            units.entry(code).or_insert(names);
        }
    }
    let units = units.into_iter().map(|(code, (name, region))| (code, name, region));
    let rules = daemon::load_rules(config).map_err(|problems| anyhow!("{}", problems[0]))?;
    let titles = rules.rules.iter().map(|rule| {
        let Text { zh, en } = rule.rule.title.clone();
        (rule.rule.id.clone(), zh.into_iter().chain(en).collect())
    });
    let regions = rules.lists.get("regions").map(|list| {
        list.cells(0)
            .zip(list.cells(1))
            .map(|(code, name)| (code.to_owned(), name.to_owned()))
            .collect::<Vec<_>>()
    });
    Ok(Names::new(&Limits::default(), units, regions.unwrap_or_default().into_iter(), titles))
}
