//! One file a subcommand. Exit codes: 0 done, 1 the check or the run failed, 2 wrong usage.

#[macro_use]
mod print;

mod access;
mod alerts;
mod approvals;
mod ask;
mod audit;
mod backtest;
mod budget;
mod check;
mod completeness;
mod demo;
mod encoding;
mod evidence;
mod filter;
mod findings;
mod forecast;
mod generate;
mod help;
mod import;
mod init;
mod language;
mod local;
mod manual;
mod notify;
mod officer;
mod outputs;
mod password;
mod persons;
mod publish;
mod rejects;
mod remote;
mod routes;
mod rules;
mod run;
mod runtime;
mod settle;
mod silence;
mod socket;
mod state;
mod table;
mod test;
mod token;
mod tune;
mod usage;
mod user;

use runtime::runtime;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{
    access::Action,
    app::replay::Replay,
    config::{Config, DEFAULT_PATH, feeds},
    diagnostic::{Diagnostic, os_reason},
    say,
    source::Encoding,
    text,
};

/// Treasury execution monitoring (财政国库动态监控): an exact budget ledger, rules on every payment, each finding told once
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: table::Colour,
    #[command(flatten)]
    language: language::LanguageArg,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything on a simulated treasury, with nothing to set up
    Demo(demo::DemoArgs),
    /// Write the shipped configuration, rules and lists to a folder
    Init(init::InitArgs),
    /// Run the daemon
    Run(run::RunArgs),
    /// Check the configuration, the lists and the rules, and tell every error
    Check(check::CheckArgs),
    /// Run the tests of rules
    Test(test::TestArgs),
    /// Run rules over recorded events; no state is kept
    Backtest(backtest::BacktestArgs),
    /// Look at a file of another system, and write the map that makes events of it
    Import(import::ImportArgs),
    /// Compare forecasts of the year's end with what recorded events show
    Forecast(forecast::ForecastArgs),
    /// Show what a rule finds with other values of a constant
    Tune(tune::TuneArgs),
    /// Write the events of a simulated treasury
    Generate(generate::GenerateArgs),
    /// Show the balances of budget lines
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    /// 决算: the statement of a year by line, unit, function and class; freeze it, and compare it with another table
    Settle(settle::SettleArgs),
    /// 公开: write the frozen settlement of a year for the public, as CSV and a Fiscal Data Package
    Publish(publish::PublishArgs),
    /// Show whether vouchers, bank and budget lines agree on a day
    Completeness(completeness::CompletenessArgs),
    /// Show what the rules found
    #[command(subcommand)]
    Findings(findings::FindingsCommand),
    /// 预警: show alerts and work on them
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// 取证: pack what an alert was found by into one signed file, and check such a file
    Evidence(evidence::EvidenceArgs),
    /// 静默: mute alerts for a while
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    /// Show who is told of an alert
    #[command(subcommand)]
    Routes(routes::RoutesCommand),
    /// 通知: show notifications, send them again, test a sink
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Show the records in quarantine, and read them again
    #[command(subcommand)]
    Rejects(rejects::RejectsCommand),
    /// 审批: what one person proposes and others approve: budget actions, overrides, rules, exceptions, lists
    #[command(subcommand)]
    Approvals(approvals::ApprovalsCommand),
    /// 规则审批: propose rules and approve them; sign packs
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// 问答: ask a question in plain words; the query that answers it is shown
    Ask(ask::AskArgs),
    /// Look at the state, back it up, verify it, query it
    #[command(subcommand)]
    State(state::StateCommand),
    /// 用户: add users and say what they may
    #[command(subcommand)]
    User(user::UserCommand),
    /// 令牌: make tokens for programs and users, and revoke them
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// 权限: show who may do what
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// 审计: read the audit log, check it, export it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print what a shell needs to complete commands and options
    Completions(manual::CompletionsArgs),
    /// Write the manual pages
    #[command(hide = true)]
    Man(manual::ManArgs),
}

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArg {
    /// The configuration file
    #[arg(long, env = "FISCWATCH_CONFIG", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

impl ConfigArg {
    /// The configuration, which must be there.
    fn load(&self) -> anyhow::Result<Config> {
        Config::load(&self.config).map_err(problems)
    }

    /// The configuration, or the defaults if none is at the default place.
    fn load_or_default(&self) -> anyhow::Result<Config> {
        if self.config == Path::new(DEFAULT_PATH) && !self.config.exists() {
            return Config::defaults().map_err(problems);
        }
        self.load()
    }
}

impl ConfigArg {
    /// As [`Self::load_or_default`]; but where no configuration is named, one beside the events goes first, as
    /// `fiscwatch generate` writes it for the lists that belong to them.
    fn load_beside(&self, events: &EventsArg) -> anyhow::Result<Config> {
        events.take_map(self.load_beside_files(&events.events)?)
    }

    fn load_beside_files(&self, events: &[PathBuf]) -> anyhow::Result<Config> {
        let folder = events.first().and_then(|first| first.parent());
        let beside = folder.map(|folder| folder.join(BESIDE)).filter(|path| path.exists());
        let Some(path) = beside.filter(|_| self.config == Path::new(DEFAULT_PATH)) else {
            return self.load_or_default();
        };
        eprintln!("{}", say!("the configuration {path} is used", path = path.display()));
        let mut config = Config::load(&path).map_err(problems)?;
        if !config.rule_paths.iter().any(|path| path.exists()) {
            config.rule_paths = vec![PathBuf::from("rules")];
        }
        Ok(config)
    }
}

/// Which events a command reads.
#[derive(Debug, Clone, Args)]
pub struct EventsArg {
    /// Event files in the order to read them: JSON Lines, CSV or Parquet, .gz or .zst; - for standard input
    #[arg(long, required = true, num_args = 1..)]
    events: Vec<PathBuf>,
    /// The format of events whose file names do not tell it, such as standard input; jsonl if it is not given
    #[arg(long, value_enum)]
    format: Option<Encoding>,
    /// Read them as those of this source of the configuration: its zone, times and nulls
    #[arg(long = "as", value_name = "SOURCE")]
    read_as: Option<String>,
    /// Make events of them by this map (docs/feeds.md)
    #[arg(long, value_name = "FILE", conflicts_with = "read_as")]
    map: Option<PathBuf>,
}

impl EventsArg {
    fn replay(&self, config: &Config) -> anyhow::Result<Replay> {
        let mapped = self.map.as_ref().map(|_| MAPPED);
        Replay::new(&self.events, self.format, mapped.or(self.read_as.as_deref()), config)
    }

    /// Takes the map into the configuration, as that of a source.
    fn take_map(&self, mut config: Config) -> anyhow::Result<Config> {
        if let Some(path) = &self.map {
            let map = feeds::read(path).map_err(problems)?;
            let reading = feeds::reading(map).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
            config.readings.insert(String::from(MAPPED), reading);
        }
        Ok(config)
    }
}

/// The source that events are taken to be of which a map makes.
const MAPPED: &str = "--map";

/// The configuration that stands beside simulated events.
const BESIDE: &str = "fiscwatch.yaml";

/// Several problems as one error.
#[allow(clippy::needless_pass_by_value)] // It is what map_err hands over.
fn problems(problems: Vec<Diagnostic>) -> anyhow::Error {
    let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("{}", text.join("\n"))
}

/// Runs the command line.
#[must_use]
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    text::speak(language::decide(&args, |name| std::env::var(name).ok()));
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    table::colour(cli.color);
    ended(act(cli))
}

/// Runs another command line within this process.
fn again(args: &[OsString]) -> anyhow::Result<ExitCode> {
    match parse(args) {
        Ok(cli) => act(cli),
        Err(code) => Ok(code),
    }
}

fn act(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => test::test(&args),
        Command::Backtest(args) => backtest::backtest(&args),
        Command::Import(args) => import::import(&args),
        Command::Forecast(args) => forecast::forecast(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Generate(args) => generate::generate(&args),
        Command::Budget(command) => budget::budget(&command),
        Command::Settle(args) => settle::settle(&args),
        Command::Publish(args) => publish::publish(&args),
        Command::Completeness(args) => completeness::completeness(&args),
        Command::Findings(command) => findings::findings(&command),
        Command::Alerts(command) => alerts::alerts(&command),
        Command::Evidence(args) => evidence::evidence(&args),
        Command::Silence(command) => silence::silence(&command),
        Command::Routes(command) => routes::routes(&command),
        Command::Notify(command) => notify::notify(&command),
        Command::Rejects(command) => rejects::rejects(&command),
        Command::Approvals(command) => approvals::approvals(&command),
        Command::Rules(command) => rules::rules(&command),
        Command::Ask(args) => ask::ask(&args),
        Command::State(command) => state::state(&command),
        Command::User(command) => user::user(&command),
        Command::Token(command) => token::token(&command),
        Command::Access(command) => access::access(&command),
        Command::Audit(command) => audit::audit(&command),
        Command::Completions(args) => Ok(manual::completions(&args, cli.language.asked())),
        Command::Man(args) => manual::man(&args, cli.language.asked()),
    }
}

fn ended(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result.and_then(|code| match print::failure() {
        Some(error) => Err(anyhow::Error::new(error).context(say!("standard output"))),
        None => Ok(code),
    }) {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) is no failure.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            // An error may repeat what stands in a record.
            format!("fiscwatch: {}", in_our_words(&e))
                .lines()
                .for_each(|line| eprintln!("{}", table::visible(line)));
            ExitCode::from(if e.is::<usage::WrongUsage>() { 2 } else { 1 })
        }
    }
}

/// What the command line says; or it is answered here, with help or with what is wrong with it.
fn parse(args: &[OsString]) -> Result<Cli, ExitCode> {
    let mut command = help::in_language(Cli::command(), text::spoken());
    let parsed = command.try_get_matches_from_mut(args);
    parsed.and_then(|matches| Cli::from_arg_matches(&matches)).map_err(|error| match error.kind() {
        // A reader that has seen enough is no failure here either.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            eprintln!("{}", usage::message(&error, args, &mut command));
            ExitCode::from(2)
        }
    })
}

/// Every text of `--help`, in English.
#[must_use]
pub fn help_texts() -> BTreeSet<String> {
    help::texts(Cli::command())
}

/// The commands that have no commands below them, as they are typed.
#[must_use]
pub fn commands() -> Vec<String> {
    fn below(command: &clap::Command, before: &str, found: &mut Vec<String>) {
        for command in command.get_subcommands() {
            let name = format!("{before}{}", command.get_name());
            if command.has_subcommands() {
                below(command, &format!("{name} "), found);
            }
            // One command does something by itself too.
            if !command.is_subcommand_required_set() && !command.is_arg_required_else_help_set() {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    below(&Cli::command(), "", &mut found);
    found
}

/// What each command on the state asks for.
#[must_use]
pub const fn commands_that_ask() -> &'static [(&'static str, Action)] {
    access::COMMANDS
}

/// An error and its causes; what the operating system has against it in our words.
fn in_our_words(error: &anyhow::Error) -> String {
    let said = error.chain().map(|cause| match cause.downcast_ref::<std::io::Error>() {
        Some(refused) => os_reason(refused),
        None => cause.to_string(),
    });
    said.collect::<Vec<_>>().join(": ")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
