//! 审批: who has to approve what, by what acts are signed, and how what is approved comes into force by itself: budget actions as
//! events, rows of lists in the lists. A matter is approved first, and that is durable; whatever comes after can be done again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{IngestError, POSTED, Shared, audit_key::signing_key, lists, run_blocking, waiting};
use crate::{
    approval::{self, Kind, Matter, Office, action, check_signed},
    config::Config,
    decode::Decoder,
    event::{Instant, time::Calendar},
    failpoint, say,
    store::{Cases, StoreError},
    stream::{Block, Payload},
};

/// How often it is looked whether something was approved, beside those who say so.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked what waits.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Who has to approve what by a configuration, and the key of the state.
///
/// # Errors
/// If the key cannot be read or made.
pub(crate) fn office(config: &Config) -> anyhow::Result<Office> {
    Ok(Office { levels: config.approvals.clone(), key: Some(signing_key(config)?) })
}

impl Shared {
    /// The configuration in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(self.lists.lock().config())
    }

    /// Who has to approve what now.
    ///
    /// # Errors
    /// If the key of the state cannot be read or made.
    pub(crate) fn office(&self) -> anyhow::Result<Office> {
        office(&self.config())
    }

    fn check_actions(&self, matter: &Matter) -> Result<(), String> {
        check_actions(self.questions.decoder(), matter, (self.clock.now(), &self.calendar))
    }
}

/// What is wrong with budget actions that would become events; the first fault, in words.
///
/// # Errors
/// That.
pub(crate) fn check_actions(
    decoder: &Decoder,
    matter: &Matter,
    (now, calendar): (Instant, &Calendar),
) -> Result<(), String> {
    let events = action::events(matter, calendar);
    let records: Vec<Vec<u8>> = events.iter().map(|event| event.to_string().into_bytes()).collect();
    let block = Block::new(Arc::from(POSTED), Arc::from("approvals"), 0, Payload::messages(&records));
    let decoded = decoder.decode(&[block], Some(now));
    match decoded.rejects.first() {
        Some(reject) => {
            let number = reject.record + 1;
            Err(say!("action {number}: {why}", number, why = &reject.detail))
        }
        None => Ok(()),
    }
}

/// Brings what is approved into force until the daemon stops. What could not be done for now is done the next time, after a
/// restart too.
pub(crate) async fn carry_out(shared: Arc<Shared>, stop: CancellationToken) {
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut told, mut letters) = (None, BTreeSet::new());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.approved.notified() => {}
            _ = due.tick() => {}
        }
        if told.is_none_or(|at: std::time::Instant| at.elapsed() >= TOLD_EVERY) {
            told = Some(std::time::Instant::now());
            letters = waiting::look(&shared, letters).await;
        }
        if let Err(error) = round(&shared).await {
            tracing::warn!("what was approved could not be looked at, and is the next time: {error}");
        }
    }
}

async fn round(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let dir = shared.state_dir.clone();
    let read = move || Cases::open_read_only(&dir)?.matters_to_carry_out();
    for matter in run_blocking(read).await? {
        let (ok, outcome) = match effect(shared, &matter).await {
            Effect::InForce(outcome) => (true, outcome),
            Effect::Failed(why) => (false, why),
            Effect::NotYet(why) => {
                tracing::warn!(approval = matter.id, "what was approved waits, and is tried again: {why}");
                continue;
            }
        };
        let (shared, id) = (Arc::clone(shared), matter.id);
        let note = move || {
            let now = shared.clock.now();
            Cases::open(&shared.state_dir)?.matter_ended(id, ok, &outcome, now)?;
            let word = if ok { "in_force" } else { "failed" };
            shared.metrics.approvals.with_label_values(&[matter.kind.word(), word]).inc();
            if ok {
                tracing::info!(approval = id, kind = matter.kind.word(), "what was approved is in force");
            } else {
                tracing::error!(
                    approval = id,
                    kind = matter.kind.word(),
                    outcome,
                    "what was approved is not in force"
                );
            }
            if matter.kind == Kind::List {
                let agreed = Cases::open_read_only(&shared.state_dir)?.agreed_rows()?;
                lists::take_agreed(&shared, agreed);
            }
            Ok::<(), StoreError>(())
        };
        run_blocking(note).await?;
    }
    Ok(())
}

/// What came of a matter that was approved.
enum Effect {
    /// It is in force, as these events if there are any.
    InForce(String),
    /// It never will be.
    Failed(String),
    /// It has to be tried again.
    NotYet(String),
}

async fn effect(shared: &Arc<Shared>, matter: &Matter) -> Effect {
    let key = match shared.office() {
        Ok(office) => office.key.map(|key| key.public()).unwrap_or_default(),
        Err(error) => return Effect::NotYet(format!("{error:#}")),
    };
    // Nothing comes into force that is not what people signed, whatever stands in the table.
    if let Err(why) = check_signed(matter, Some(&key)) {
        return Effect::Failed(why);
    }
    match matter.kind {
        Kind::Budget => budget(shared, matter).await.unwrap_or_else(Effect::NotYet),
        // Its rows are read from the matter as soon as it is in force.
        Kind::List => Effect::InForce(String::new()),
        Kind::Override | Kind::Rules | Kind::Exception => {
            Effect::NotYet(String::from("it comes into force where it is approved"))
        }
    }
}

/// # Errors
/// Why it has to be tried again.
async fn budget(shared: &Arc<Shared>, matter: &Matter) -> Result<Effect, String> {
    if let Err(why) = shared.check_actions(matter) {
        return Ok(Effect::Failed(why));
    }
    let events = approval::action::events(matter, &shared.calendar);
    let mut lines = Vec::new();
    for event in &events {
        lines.extend_from_slice(event.to_string().as_bytes());
        lines.push(b'\n');
    }
    failpoint::reach("approval.approved").map_err(|error| error.to_string())?;
    let submitted = shared.submit(POSTED, Payload::JsonLines(lines.into()), Vec::new()).await;
    let receipt = submitted.map_err(|why| match why {
        IngestError::Full(why) => why,
        IngestError::Stopping => String::from("the daemon stops"),
    })?;
    failpoint::reach("approval.journalled").map_err(|error| error.to_string())?;
    // What a run before this one handed in is known by its id.
    let there = receipt.accepted + receipt.duplicates;
    let all = events.len() as u64;
    let ids = events.iter().filter_map(|event| event["event_id"].as_str()).collect::<Vec<_>>().join(" ");
    let missing = all.saturating_sub(there);
    Ok(match there == all {
        true => Effect::InForce(ids),
        false => Effect::Failed(say!("{n} of {all} events are in quarantine: {ids}", n = missing, all, ids)),
    })
}
