//! Starting the sources and waiting for them.

use std::{io, path::Path, sync::Arc, thread};

use tokio::{runtime::Handle, sync::oneshot};

use super::Daemon;
use crate::{
    config::{Config, Source},
    map::Map,
    rule::limits::STACK,
    say,
    source::{Account, Chunks, Format, Outlet, Positions, SourceError, file::file_block},
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};

#[derive(Default)]
pub(crate) struct SourceTasks {
    tasks: FuturesUnordered<BoxFuture<'static, (String, Result<(), SourceError>)>>,
}

impl SourceTasks {
    /// Whether no source runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The next source that ends; `None` when all have ended.
    pub(crate) async fn join_next(&mut self) -> Option<(String, Result<(), SourceError>)> {
        self.tasks.next().await
    }
}

/// Starts all sources at their positions; `once`, they end when what is there now is read.
pub(crate) fn spawn(config: &Config, daemon: &Daemon, once: bool) -> SourceTasks {
    let tasks = SourceTasks::default();
    for (name, source) in &config.sources {
        let outlet = Outlet {
            name: Arc::from(name.as_str()),
            blocks: daemon.blocks.clone(),
            stop: daemon.stop.clone(),
            rows: config.batch_rows,
            status: daemon.shared.sources.get(name).cloned().unwrap_or_default(),
            once,
        };
        let own = daemon.positions.iter().filter(|((source, _), _)| source == name);
        let own: Positions =
            own.map(|((_, partition), position)| (partition.clone(), position.clone())).collect();
        let (name, source) = (name.clone(), source.clone());
        let task = tokio::spawn(run_source(source, outlet, own));
        tasks.tasks.push(Box::pin(async move {
            let result = task.await.unwrap_or_else(|e| Err(SourceError::Broken { message: e.to_string() }));
            (name, result)
        }));
    }
    tasks
}

/// Runs a source to its end.
///
/// # Errors
/// If it cannot go on.
pub async fn run_source(source: Source, outlet: Outlet, positions: Positions) -> Result<(), SourceError> {
    if let Source::Postgres(postgres) = &source {
        return postgres.run(&outlet, &positions).await;
    }
    if !matches!(source, Source::Kafka(_)) {
        outlet.status.start([]);
    }
    let blocking = move || match source {
        Source::File(file) => file.run(&outlet, &positions),
        Source::Directory(directory) => directory.run(&outlet, &positions),
        Source::Stdin(format, map) => stdin(format, map.as_deref(), &outlet),
        Source::Kafka(kafka) => kafka.run(&outlet, &positions),
        // It waits without a thread of its own, above.
        Source::Postgres(_) => Ok(()),
    };
    on_its_own_thread(blocking).await
}

/// A source waits for what becomes of its blocks for as long as it lives. On a thread of the runtime's it would wait for ever
/// where the system gives no other one, which the commit of its block would need.
async fn on_its_own_thread(
    read: impl FnOnce() -> Result<(), SourceError> + Send + 'static,
) -> Result<(), SourceError> {
    let (ended, hears) = oneshot::channel();
    let runtime = Handle::current();
    let read = move || {
        let _context = runtime.enter();
        let _ = ended.send(read());
    };
    let thread = thread::Builder::new().name(String::from("source")).stack_size(STACK);
    match thread.spawn(read) {
        Ok(_) => {
            hears.await.unwrap_or_else(|_| Err(SourceError::Broken { message: say!("its thread broke") }))
        }
        Err(_) => Err(SourceError::NoThread),
    }
}

/// Standard input has no positions: what was not committed is lost with the pipe, and that is the writer's to repeat.
fn stdin(format: Format, map: Option<&Map>, outlet: &Outlet) -> Result<(), SourceError> {
    let path = Path::new("stdin");
    let mut account = Account::default();
    let mut chunks = Chunks::pipe(path, Box::new(io::stdin()), format, outlet.rows, map)?;
    while let Some(chunk) = chunks.next_chunk()? {
        let mut block = file_block(&outlet.name, path, chunk.first_record, chunk.payload, None);
        account.follow(&mut block);
        if !outlet.send_blocking(block) {
            return Ok(());
        }
    }
    if account.wait() {
        account.tell("stdin", None, outlet);
    }
    Ok(())
}
