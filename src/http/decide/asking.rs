//! Applications on their way to the engine, and what was decided of them before.

use std::{collections::HashMap, sync::Arc};

use arrow::array::AsArray;
use axum::http::StatusCode;

use crate::{
    daemon::{DecisionRequest, IngestError, POSTED, Shared},
    decision::{Decision, DecisionMode, Lag, Several, Unanswered},
    event::Column,
    http::{Problem, overrides, request::at_once},
    say,
    store::Decisions,
    stream::Payload,
    text::quoted,
};

/// Applications that are decided one after another, now or earlier, as the request says whose records these are. Nothing is
/// decided as long as one of them cannot be.
pub(super) async fn one_by_one(
    shared: &Arc<Shared>,
    records: &[Vec<u8>],
    request: &DecisionRequest,
    lags: (Arc<[Lag]>, bool),
) -> Result<Vec<Decision>, Problem> {
    let (first, places) = distinct(shared, records)?;
    let decisions = of_distinct(shared, &first, request, lags).await?;
    let mut is_told = vec![false; decisions.len()];
    let decision = |place: usize| {
        let decision = decisions.get(place)?.clone();
        let replayed = decision.replayed || std::mem::replace(is_told.get_mut(place)?, true);
        Some(Decision { replayed, ..decision })
    };
    Ok(places.into_iter().filter_map(decision).collect())
}

/// Each application once, and the place of every record among those.
fn distinct(shared: &Shared, records: &[Vec<u8>]) -> Result<(Vec<Vec<u8>>, Vec<usize>), Problem> {
    let read = shared.questions.read(&Payload::messages(records));
    if read.ids.len() != records.len() {
        // One is no application: the engine says which one.
        return Ok((records.to_vec(), (0..records.len()).collect()));
    }
    let (mut known, mut first, mut places) = (HashMap::new(), Vec::new(), Vec::new());
    for ((record, id), content) in records.iter().zip(&read.ids).zip(&read.contents) {
        let (place, same) = *known.entry(*id).or_insert((first.len(), *content));
        if same != *content {
            let why = say!("two applications have the same event_id");
            return Err(Problem::new(StatusCode::CONFLICT, say!("nothing is decided: {why}", why)));
        }
        if place == first.len() {
            first.push(record.clone());
        }
        places.push(place);
    }
    Ok((first, places))
}

async fn of_distinct(
    shared: &Arc<Shared>,
    records: &[Vec<u8>],
    request: &DecisionRequest,
    lags: (Arc<[Lag]>, bool),
) -> Result<Vec<Decision>, Problem> {
    let tried = |records: &[Vec<u8>]| DecisionRequest {
        payload: Payload::messages(records),
        mode: DecisionMode::WhatIf,
        several: Several::OneByOne,
        ..request.clone()
    };
    let all = tried(records);
    // What is read of all of them tells what is wrong with one before any is decided.
    let (known, mut now) = match shared.decide(all.clone(), lags.clone()).await {
        Ok(decisions) => (vec![None; records.len()], decisions),
        Err(Unanswered::Known(id)) => {
            wait_for_commits(shared).await?;
            let known = earlier(shared, &all).await?;
            if known.iter().all(Option::is_none) {
                return Err(known_otherwise(&id));
            }
            (known, Vec::new())
        }
        Err(refused) => return Err(refusal(refused)),
    };
    let is_new = |(record, known): (&Vec<u8>, &Option<_>)| known.is_none().then(|| record.clone());
    let new: Vec<_> = records.iter().zip(&known).filter_map(is_new).collect();
    if now.is_empty() && !new.is_empty() {
        now = shared.decide(tried(&new), lags.clone()).await.map_err(refusal)?;
    }
    if request.mode == DecisionMode::Commit {
        now.clear();
        for record in new {
            let application = DecisionRequest { payload: Payload::messages(&[record]), ..request.clone() };
            now.extend(decided(shared, (application, None), lags.clone()).await?);
        }
    }
    let mut now = now.into_iter();
    Ok(known.into_iter().filter_map(|known| known.or_else(|| now.next())).collect())
}

/// Applications that are decided together, now or earlier.
pub(super) async fn decided(
    shared: &Arc<Shared>,
    (mut applications, overriding): (DecisionRequest, Option<i64>),
    lags: (Arc<[Lag]>, bool),
) -> Result<Vec<Decision>, Problem> {
    if let Some(id) = overriding {
        // It may be used up by the very application that is asked for again.
        if let Some(decisions) = stored(shared, &applications).await? {
            return Ok(decisions);
        }
        applications.overriding = Some(overrides::find(shared, id).await?);
    }
    let refused = match shared.decide(applications.clone(), lags).await {
        Ok(decisions) => return Ok(decisions),
        Err(refused) => refused,
    };
    // The engine knows what was decided, the store knows how: whoever asks for the first time need not wait for it.
    if refused != Unanswered::Stopping
        && let Some(decisions) = stored(shared, &applications).await?
    {
        return Ok(decisions);
    }
    match refused {
        Unanswered::Known(id) => {
            // Somebody else may have asked the same a moment ago: what came before is stored when this returns.
            wait_for_commits(shared).await?;
            stored(shared, &applications).await?.ok_or_else(|| known_otherwise(&id))
        }
        refused => {
            if matches!(refused, Unanswered::NotOverridden(_)) {
                shared.metrics.overrides.with_label_values(&["refused"]).inc();
            }
            Err(refusal(refused))
        }
    }
}

/// What is answered where nothing is decided.
fn refusal(refused: Unanswered) -> Problem {
    match refused {
        Unanswered::Unreadable(why) => Problem::unprocessable(say!("nothing is decided: {why}", why)),
        Unanswered::NotOverridden(why) => {
            Problem::new(StatusCode::CONFLICT, say!("nothing is decided: {why}", why))
        }
        Unanswered::Stopping => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            say!("the daemon is stopping; ask again later with the same event_id"),
        )
        .again_after(10),
        Unanswered::Known(id) => known_otherwise(&id),
    }
}

fn known_otherwise(id: &str) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        say!("an event {id} is known, and it was not decided: ask with another event_id", id = quoted(id)),
    )
}

pub(in crate::http) async fn wait_for_commits(shared: &Shared) -> Result<(), Problem> {
    let nothing = Payload::JsonLines(Vec::new().into());
    let taken = shared.submit(POSTED, nothing, Vec::new()).await;
    taken.map(|_| ()).map_err(|not_taken| {
        let why = match not_taken {
            IngestError::Full(why) => why,
            IngestError::Stopping => say!("the daemon is stopping; ask again later with the same event_id"),
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).again_after(10)
    })
}

/// What was decided of these applications earlier; `None` if it is still to be decided.
async fn stored(shared: &Arc<Shared>, request: &DecisionRequest) -> Result<Option<Vec<Decision>>, Problem> {
    let read = shared.questions.read(&request.payload);
    let ids = read.events.column(Column::EventId.index()).as_string_view();
    let found = earlier(shared, request).await?;
    let of =
        |is_decided: bool| found.iter().zip(ids.iter().flatten()).find(|(f, _)| f.is_some() == is_decided);
    match (of(true), of(false)) {
        (Some((_, id)), Some((_, other))) => Err(Problem::new(
            StatusCode::CONFLICT,
            say!(
                "{id} was decided before and {other} was not: applications are decided together the first time or not at all. Ask for those that are new without the others",
                id = quoted(id),
                other = quoted(other)
            ),
        )),
        (Some(_), None) if read.rejects.is_empty() => Ok(found.into_iter().collect()),
        _ => Ok(None),
    }
}

/// What was decided of each of these applications earlier; `None` for those that are still to be decided.
async fn earlier(shared: &Arc<Shared>, request: &DecisionRequest) -> Result<Vec<Option<Decision>>, Problem> {
    let (shared, request) = (Arc::clone(shared), request.clone());
    at_once(move || {
        let read = shared.questions.read(&request.payload);
        let ids = read.events.column(Column::EventId.index()).as_string_view();
        let decisions = Decisions::open(&shared.state_dir)?;
        let mut found = Vec::new();
        for (id, content) in ids.iter().flatten().zip(&read.contents) {
            match decisions.of(id)? {
                Some(stored) if stored.content != *content => {
                    return Err(Problem::new(
                        StatusCode::CONFLICT,
                        say!(
                            "another application {id} was decided: ask with another event_id, or send the same content",
                            id = quoted(id)
                        ),
                    ));
                }
                stored => found.push(stored.map(|stored| Decision { replayed: true, ..stored.decision })),
            }
        }
        Ok(found)
    })
    .await
}
