//! The last stage of the loop with deaths in it.

use std::{path::PathBuf, sync::Arc};

use parking_lot::Mutex;

use fiscwatch::{
    app::StoreOutput,
    daemon::Shared,
    engine::{Committable, EngineError, Output},
    finding::Finding,
    store::DATABASE,
};
use rand::{Rng, RngExt};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

use super::ground::{Claim, Ground, lock};

/// How the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Nothing of the commit was begun.
    Before,
    /// In the middle of the transaction, at the first row for this table.
    Within(&'static str),
    /// The transaction is made, and nobody was told.
    After,
}

/// The commit of a process at which it dies.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub commit: u32,
    pub death: Death,
}

impl Fault {
    pub fn draw(rng: &mut impl Rng, with_versions: bool) -> Self {
        let tables = ["positions", "journal", "findings", "watermark", "quarantine", "lines", "versions"];
        let tables = if with_versions { &tables[..] } else { &tables[..6] };
        let death = match rng.random_range(0..4) {
            0 => Death::Before,
            1 => Death::After,
            _ => Death::Within(tables[rng.random_range(0..tables.len())]),
        };
        Self { commit: rng.random_range(1..12), death }
    }
}

/// The daemon's own last stage, watched, and broken where the fault says.
pub struct Faulty {
    pub inner: StoreOutput,
    pub ground: Arc<Mutex<Ground>>,
    pub fault: Option<Fault>,
    pub dir: PathBuf,
    findings: Receiver<Arc<Finding>>,
    commits: u32,
}

impl Faulty {
    pub fn new(
        inner: StoreOutput,
        shared: &Shared,
        ground: &Arc<Mutex<Ground>>,
        fault: Option<Fault>,
        dir: PathBuf,
    ) -> Self {
        let findings = shared.findings.subscribe();
        Self { inner, ground: Arc::clone(ground), fault, dir, findings, commits: 0 }
    }

    fn sql(&self, sql: &str) {
        let done = rusqlite::Connection::open(self.dir.join(DATABASE)).and_then(|c| c.execute_batch(sql));
        if let Err(e) = done {
            lock(&self.ground).problem(|| format!("{sql}: {e}"));
        }
    }

    fn listen(&mut self) {
        loop {
            match self.findings.try_recv() {
                Ok(finding) => lock(&self.ground).told(&finding.finding_id),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => return,
            }
        }
    }
}

fn dead() -> EngineError {
    EngineError::Output(String::from("the simulated process died"))
}

impl Output for Faulty {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        self.commits += 1;
        if super::tracing() {
            eprintln!("commit {}: {:?} {:?}", self.commits, self.fault, Claim::of(&batches));
        }
        let death = self.fault.filter(|fault| fault.commit == self.commits).map(|fault| fault.death);
        let within = match death {
            Some(Death::Before) => return Err(dead()),
            Some(Death::Within(table)) => {
                self.sql(&format!("CREATE TRIGGER fault BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'simulated'); END"));
                true
            }
            _ => false,
        };
        let claim = Claim::of(&batches);
        lock(&self.ground).begun = Some(claim.clone());
        let result = self.inner.commit(batches).await;
        if within {
            self.sql("DROP TRIGGER fault");
        }
        match &result {
            Ok(()) => lock(&self.ground).committed(&claim),
            Err(_) if within => return Err(dead()),
            Err(e) => lock(&self.ground).problem(|| format!("a commit fails by itself: {e}")),
        }
        self.listen();
        if death == Some(Death::After) { Err(dead()) } else { result }
    }
}
