//! One file a subcommand. Exit codes (SPEC §6): 0 done, 1 the check or the run failed, 2 wrong usage.

mod alerts;
mod backtest;
mod budget;
mod check;
mod demo;
mod filter;
mod findings;
mod forecast;
mod generate;
mod init;
mod manual;
mod notify;
mod officer;
mod rejects;
mod routes;
mod run;
mod silence;
mod state;
mod table;
mod test;
mod tune;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    app::replay::Replay,
    config::{Config, DEFAULT_PATH},
    diagnostic::Diagnostic,
    say,
    source::Encoding,
};

/// Treasury execution monitoring (财政国库动态监控): an exact budget ledger, rules on every payment, findings once.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: table::Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole system with nothing installed: a simulated treasury, the shipped rules, findings on screen
    Demo(demo::DemoArgs),
    /// The shipped configuration, rules and lists as files to start from
    Init(init::InitArgs),
    /// Run the daemon
    Run(run::RunArgs),
    /// Check configuration, lists and rules; all errors, exit code 1 if there is one
    Check(check::CheckArgs),
    /// Run rule unit tests
    Test(test::TestArgs),
    /// Run rules over recorded events, without any state
    Backtest(backtest::BacktestArgs),
    /// What forecasts of the year's end would have been worth, over recorded events
    Forecast(forecast::ForecastArgs),
    /// What a rule would find with other values of a constant
    Tune(tune::TuneArgs),
    /// Write a simulated treasury's events
    Generate(generate::GenerateArgs),
    /// Balances of budget lines
    #[command(subcommand)]
    Budget(budget::BudgetCommand),
    /// What the rules found
    #[command(subcommand)]
    Findings(findings::FindingsCommand),
    /// 预警: what officers work on
    #[command(subcommand)]
    Alerts(alerts::AlertsCommand),
    /// 静默: whom not to tell of what for a while
    #[command(subcommand)]
    Silence(silence::SilenceCommand),
    /// The routing tree
    #[command(subcommand)]
    Routes(routes::RoutesCommand),
    /// 通知: what was told, what waits and what was refused
    #[command(subcommand)]
    Notify(notify::NotifyCommand),
    /// Records in quarantine
    #[command(subcommand)]
    Rejects(rejects::RejectsCommand),
    /// The state directory
    #[command(subcommand)]
    State(state::StateCommand),
    /// What a shell needs to complete commands and options
    Completions(manual::CompletionsArgs),
    /// The manual pages
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
    fn load_beside(&self, events: &[PathBuf]) -> anyhow::Result<Config> {
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
    /// What they hold, where their names do not tell: standard input is jsonl unless this says csv
    #[arg(long, value_enum)]
    format: Option<Encoding>,
}

impl EventsArg {
    fn replay(&self, config: &Config) -> anyhow::Result<Replay> {
        Replay::new(&self.events, self.format, config)
    }
}

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
    let cli = Cli::parse();
    table::colour(cli.color);
    let result = match cli.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Init(args) => init::init(&args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Test(args) => test::test(&args),
        Command::Backtest(args) => backtest::backtest(&args),
        Command::Forecast(args) => forecast::forecast(&args),
        Command::Tune(args) => tune::tune(&args),
        Command::Generate(args) => generate::generate(&args),
        Command::Budget(command) => budget::budget(&command),
        Command::Findings(command) => findings::findings(&command),
        Command::Alerts(command) => alerts::alerts(&command),
        Command::Silence(command) => silence::silence(&command),
        Command::Routes(command) => routes::routes(&command),
        Command::Notify(command) => notify::notify(&command),
        Command::Rejects(command) => rejects::rejects(&command),
        Command::State(command) => state::state(&command),
        Command::Completions(args) => Ok(manual::completions(&args)),
        Command::Man(args) => manual::man(&args),
    };
    match result {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) is no failure.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("fiscwatch: {e:#}");
            ExitCode::from(1)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A runtime for commands that run the loop.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
