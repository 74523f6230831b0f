//! What is asked before money moves: the way of a question to the engine, and what is known of how old the ledger is.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::{
    access::Actor,
    config::{Config, decide::Decide},
    decision::{Decision, DecisionMode, DecisionQuestion, Lag, Override, Several, Unanswered},
    decode::{Decoded, Decoder},
    event::TimeDelta,
    stream::{Block, Payload},
};

/// The way by which applications reach the engine.
#[derive(Debug)]
pub struct Questions {
    /// How applications are decided.
    pub config: Decide,
    decoder: Arc<Decoder>,
    asked: Mutex<Option<mpsc::Sender<DecisionQuestion>>>,
}

/// Applications to be decided.
#[derive(Debug, Clone)]
pub struct DecisionRequest {
    /// The records, one message each.
    pub payload: Payload,
    /// Whether the answer has consequences.
    pub mode: DecisionMode,
    /// How several of them are decided.
    pub several: Several,
    /// How long what is allowed reserves money, by event time.
    pub expires_in: Option<TimeDelta>,
    pub(crate) actor: Actor,
    /// By which override one application may pass.
    pub overriding: Option<Override>,
}

impl Questions {
    /// Asks the engine behind `asked`; nobody without it.
    #[must_use]
    pub fn new(
        config: &Config,
        decoder: &Arc<Decoder>,
        asked: Option<mpsc::Sender<DecisionQuestion>>,
    ) -> Self {
        Self { config: config.decide.clone(), decoder: Arc::clone(decoder), asked: Mutex::new(asked) }
    }

    pub(super) fn close(&self) {
        self.asked.lock().take();
    }

    /// The records as the engine reads them.
    #[must_use]
    pub fn read(&self, payload: &Payload) -> Decoded {
        self.decoder.decode(&[block(payload.clone())], None)
    }

    #[must_use]
    pub(crate) fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}

fn block(payload: Payload) -> Block {
    let source: Arc<str> = Arc::from(super::POSTED);
    Block::new(source, Arc::from("decide"), 0, payload)
}

impl Shared {
    /// Decides applications, and waits until that is stored.
    ///
    /// # Errors
    /// If the engine does not answer them.
    pub async fn decide(
        &self,
        applications: DecisionRequest,
        (sources, is_stale): (Arc<[Lag]>, bool),
    ) -> Result<Vec<Decision>, Unanswered> {
        let DecisionRequest { payload, mode, several, expires_in, actor, overriding } = applications;
        let asked = self.questions.asked.lock().clone();
        let asked = asked.ok_or(Unanswered::Stopping)?;
        let (receipt, committed) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let block = Block { receipt: (mode == DecisionMode::Commit).then_some(receipt), ..block(payload) };
        let now = self.clock.now();
        let question = DecisionQuestion {
            block,
            mode,
            several,
            expires_in,
            is_stale,
            sources,
            now,
            actor,
            overriding,
            answer,
        };
        asked.send(question).await.map_err(|_| Unanswered::Stopping)?;
        drop(asked);
        let decisions = answered.await.map_err(|_| Unanswered::Stopping)??;
        if mode == DecisionMode::Commit {
            committed.await.map_err(|_| Unanswered::Stopping)?;
        }
        for decision in &decisions {
            let labels = [decision.decision.word()];
            if mode == DecisionMode::Commit {
                self.metrics.decisions.with_label_values(&labels).inc();
                self.metrics.decisions_unchecked.inc_by(u64::from(decision.unchecked));
                let used = u64::from(decision.overridden.is_some());
                self.metrics.overrides.with_label_values(&["used"]).inc_by(used);
            }
        }
        Ok(decisions)
    }

    /// How far behind each source is that decisions rest on, and whether that is too far.
    #[must_use]
    pub fn lags(&self) -> (Arc<[Lag]>, bool) {
        let now = self.clock.now();
        let known = self.last_by_source.lock();
        let config = &self.questions.config;
        let age =
            |source: &String| known.get(source).map(|at| now.saturating_since(*at).max(TimeDelta::ZERO));
        let too_old = |age: Option<TimeDelta>| {
            config.max_staleness.is_some_and(|most| age.is_none_or(|age| age > most))
        };
        let is_stale = config.sources.iter().any(|source| too_old(age(source)));
        let lag = |source: &String| Lag {
            source: source.clone(),
            latest_event_at: known.get(source).map(|at| self.calendar.format(*at)),
            behind_seconds: age(source).map(TimeDelta::as_seconds),
        };
        (config.sources.iter().map(lag).collect(), is_stale)
    }
}
