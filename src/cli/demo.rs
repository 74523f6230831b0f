//! `fiscwatch demo`: the daemon over a simulated treasury, with nothing installed and no file given.

mod people;

use std::{io::IsTerminal, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::date;

use super::{
    problems, runtime,
    table::{Cell, Screen as Terminal, cut, visible},
};
use crate::{
    app::{self, Daemon, Ending},
    clock::SystemClock,
    config::Config,
    daemon::{self, RunOptions, Shared},
    event::{Instant, time::Calendar},
    finding::Finding,
    http, say, shipped,
    simulate::{Plan, Treasury},
    source::file::file_block,
    stream::Payload,
    text::{self, Language, spoken},
};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Simulated days a second
    #[arg(long, default_value_t = 0.5)]
    pace: f64,
    /// The seed of the simulation
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to serve /metrics and the API
    #[arg(long, default_value = "127.0.0.1:9464")]
    listen: SocketAddr,
    /// End after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
    /// The language of the findings; that of the messages without it
    #[arg(long, value_parser = ["zh", "en"])]
    language: Option<String>,
}

/// Events are sent so many times a second.
const FRAMES: u32 = 10;

pub(crate) fn demo(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        args.pace > 0.0 && args.pace <= 366.0,
        say!("--pace must be above 0 and at most 366 days a second")
    );
    let folder = tempfile::tempdir().with_context(|| say!("cannot make a folder for the demo's state"))?;
    let start = date(2026, 1, 1);
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").with_context(|| say!("the time zone database"))?;
    let (seed, days) = (args.seed, 365);
    let plan = Plan { payments: 400_000, units: 300, seed, start, days, anomalies: true, zone };
    let treasury = Treasury::new(&plan);
    shipped::write(folder.path(), &shipped::files(false))?;
    for (name, text) in treasury.lists() {
        crate::private::write(&folder.path().join("config/lists").join(name), text)?;
    }
    let overrides = [
        ("FISCWATCH_LANGUAGE", args.language.clone().unwrap_or_else(|| text::spoken().word().to_owned())),
        ("FISCWATCH_HTTP__LISTEN", args.listen.to_string()),
        // The simulated year may be ahead of the clock.
        ("FISCWATCH_ENGINE__MAX_FUTURE", String::from("3660d")),
        ("FISCWATCH_LOG__LEVEL", String::from("error")),
    ];
    let file = folder.path().join("config/fiscwatch.yaml");
    let variables: Vec<_> = overrides.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut config = Config::load_with(&file, variables.iter().cloned()).map_err(problems)?;
    // Whom anybody can be is nobody's business beyond this machine.
    if args.listen.ip().is_loopback() {
        config.clients.offers = people::offers();
    }
    crate::telemetry::log(&config.log);
    let runtime = runtime()?;
    let options = RunOptions { config_path: file, variables: Some(variables), ..RunOptions::default() };
    runtime.block_on(play(config, treasury, &options, args))?;
    Ok(ExitCode::SUCCESS)
}

async fn play(
    config: Config,
    treasury: Treasury,
    options: &RunOptions,
    args: &DemoArgs,
) -> anyhow::Result<()> {
    let rules = daemon::load_rules(&config).map_err(problems)?;
    let ports = app::listen::open(&config).await?;
    let address = ports.main.local_addr()?;
    let clock: Arc<dyn crate::clock::Clock> = Arc::new(SystemClock);
    let daemon = Daemon::start(&config, rules, options, &clock)?;
    people::add(&config.clients.offers, &config.state_dir, clock.now())?;
    let work = {
        let (shared, stop) = (Arc::clone(&daemon.shared), daemon.stop.clone());
        tokio::task::spawn_blocking(move || people::work(&shared, &stop))
    };
    let server = tokio::spawn(http::serve(ports, Arc::clone(&daemon.shared), None, daemon.stop.clone()));
    daemon.shared.set_ready(true);
    let screen = Screen::new(address, &config.calendar);
    let mut findings = daemon.shared.findings.subscribe();
    let feed = {
        let (blocks, stop, pace) = (daemon.blocks.clone(), daemon.stop.clone(), args.pace);
        tokio::task::spawn_blocking(move || feed(&treasury, &blocks, &stop, pace))
    };
    let end = async {
        match args.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            finding = findings.recv() => match finding {
                Ok(finding) => screen.finding(&finding),
                // Only the screen is behind; every finding is in the store.
                Err(tokio::sync::broadcast::error::RecvError::Lagged(n)) => screen.line(&say!("… {n} more", n)),
                Err(tokio::sync::broadcast::error::RecvError::Closed) => break,
            },
            _ = tick.tick() => screen.status(&daemon.shared),
            _ = tokio::signal::ctrl_c() => break,
            () = &mut end => break,
        }
    }
    let shared = Arc::clone(&daemon.shared);
    daemon.stop.cancel();
    let _ = feed.await;
    let _ = work.await;
    daemon.drain(Ending::Soon).await?;
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    screen.end(&shared);
    Ok(())
}

/// Sends the simulated events at the pace asked for, until asked to stop or the year is over.
fn feed(
    treasury: &Treasury,
    blocks: &tokio::sync::mpsc::Sender<crate::stream::Block>,
    stop: &tokio_util::sync::CancellationToken,
    pace: f64,
) {
    let source: Arc<str> = Arc::from("simulation");
    let mut pending = Vec::new();
    let mut sent = 0;
    let mut frame_end = None;
    #[allow(clippy::cast_possible_truncation)]
    let step = jiff::SignedDuration::from_millis((86_400_000.0 * pace / f64::from(FRAMES)) as i64);
    for simulated in treasury.events() {
        let end = *frame_end.get_or_insert(simulated.at + step);
        if simulated.at >= end {
            let payload = Payload::JsonLines(std::mem::take(&mut pending).into());
            let block = file_block(&source, std::path::Path::new("simulation"), sent, payload, None);
            if stop.is_cancelled() || blocks.blocking_send(block).is_err() {
                return;
            }
            frame_end = Some(end + step);
            std::thread::sleep(Duration::from_secs(1) / FRAMES);
        }
        if serde_json::to_writer(&mut pending, &simulated.event).is_ok() {
            pending.push(b'\n');
            sent += 1;
        }
    }
}

/// Columns of a line before its text, with the longest word for a severity.
const TIME_AND_MARK: usize = "2026-01-01 00:00:00  ● critical  ".len() - 2;

/// Findings scroll, a status line stays below them. Without a terminal there are only lines.
struct Screen {
    bar: ProgressBar,
    terminal: Terminal,
    calendar: Arc<Calendar>,
}

impl Screen {
    fn new(address: SocketAddr, calendar: &Arc<Calendar>) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let bar = if terminal { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        bar.set_draw_target(if terminal {
            indicatif::ProgressDrawTarget::stdout()
        } else {
            indicatif::ProgressDrawTarget::hidden()
        });
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        let screen = Self { bar, terminal: Terminal::stdout(), calendar: Arc::clone(calendar) };
        screen.line(&say!("fiscwatch demo: a simulated treasury, 300 budget units, one year"));
        screen.line(&format!("  console  http://{address}/"));
        screen.line(&format!("  metrics  http://{address}/metrics"));
        screen.line(&format!("  status   http://{address}/api/v1/status"));
        screen.line(&format!("  findings http://{address}/api/v1/findings"));
        screen.line(&(say!("  Ctrl-C ends it") + "\n"));
        screen
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() { println!("{text}") } else { self.bar.println(text) }
    }

    fn finding(&self, finding: &Finding) {
        let at = Cell::instant(&finding.at, &self.calendar);
        let severity = Cell::Severity(finding.severity.word().to_owned());
        let shown = severity.shown();
        // The Chinese words are one sign each, the English ones stand under one another.
        let gap = match spoken() {
            Language::En => "● critical".chars().count().saturating_sub(shown.chars().count()),
            Language::Zh => 0,
        };
        let mark = self.terminal.paint(&shown, severity.colour()) + &" ".repeat(gap);
        let text = format!("{:<22} {}", finding.rule_id, visible(&finding.summary));
        // The time, the mark and the blanks between take so much of the line.
        let room = self.terminal.width.map_or(usize::MAX, |width| width.saturating_sub(TIME_AND_MARK));
        self.line(&format!("{}  {mark}  {}", at.shown(), cut(&text, room)));
    }

    fn status(&self, shared: &Shared) {
        let totals = *shared.totals.lock();
        let counts = shared.rule_counts.lock();
        let findings: u64 = counts.values().map(|c| c.findings).sum();
        let at = shared.last_event_at.get().unwrap_or(Instant::EPOCH);
        let day = shared.calendar.local(at).date();
        let lines = shared.ledger.read().len();
        let commits = shared.commits.load(std::sync::atomic::Ordering::Relaxed);
        self.bar.set_message(say!(
            "{day} · {events} events · {lines} budget lines · {findings} findings · {commits} durable commits",
            day,
            events = totals.accepted,
            lines,
            findings,
            commits
        ));
        self.bar.tick();
    }

    fn end(&self, shared: &Shared) {
        self.status(shared);
        let message = self.bar.message();
        self.bar.finish_and_clear();
        println!("{message}");
    }
}
