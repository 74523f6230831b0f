//! The stage with the windows, which also hands on the rules that are due between two batches.

use std::sync::{Arc, atomic::Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::{Concluding, EngineError, OutputDetail, Preparing, broken, done};
use crate::{
    engine::{Committable, SavedWatermark, Scheduler, Windowing, watermark::Owed, workers::Workers},
    evaluate::{Evaluator, Moved, WindowUsage, schedule::Due},
};

/// The stage with the windows.
pub(crate) struct WindowStage {
    pub windowing: Windowing,
    /// How many batches are committed.
    pub committed: watch::Receiver<u64>,
    /// How many batches were handed on.
    pub forwarded: u64,
    pub record: OutputDetail,
    pub scheduler: Option<Scheduler>,
    pub workers: Workers,
    /// Ends when the rule that was handed on last is evaluated.
    pub evaluated: Option<oneshot::Receiver<()>>,
}

impl WindowStage {
    /// Does something with the windows on a thread that may take its time.
    async fn blocking<T: Send + 'static>(
        self,
        act: impl FnOnce(&mut Windowing) -> T + Send + 'static,
    ) -> Result<(Self, T), EngineError> {
        let Self { mut windowing, committed, forwarded, record, scheduler, workers, evaluated } = self;
        let acted = workers.blocking(move || {
            let result = act(&mut windowing);
            (windowing, result)
        });
        let (windowing, result) = acted.await.map_err(|e| broken(&e))?;
        Ok((Self { windowing, committed, forwarded, record, scheduler, workers, evaluated }, result))
    }

    /// Runs until the batches end.
    pub(crate) async fn run(
        mut self,
        mut preparing: mpsc::Receiver<Preparing>,
        out: mpsc::Sender<Concluding>,
    ) -> Result<(), EngineError> {
        while let Some(batch) = preparing.recv().await {
            let (mut in_flight, prepared) = done(batch).await??;
            if !self.windowing.is_for(prepared.evaluator()) {
                // New windows are filled from the journal, which must have everything before this batch.
                if !self.all_committed().await {
                    return Ok(());
                }
                let (evaluator, latest) = (prepared.evaluator().clone(), in_flight.latest);
                let (rest, changed) =
                    self.blocking(move |windowing| windowing.change(&evaluator, latest)).await?;
                changed?;
                self = rest;
            }
            if self.windowing.rejudging().differ(&prepared.evaluator().rules().lists) {
                // What came before this batch was judged by other lists.
                if !self.all_committed().await {
                    return Ok(());
                }
                let begun = self.windowing.begin_again(prepared.evaluator());
                if let Some(begun) = begun
                    && !(self.forward(begun, &out).await && self.all_committed().await)
                {
                    return Ok(());
                }
                let (evaluator, latest) = (prepared.evaluator().clone(), in_flight.latest);
                let (rest, again) =
                    self.blocking(move |windowing| windowing.judge_again(&evaluator, latest)).await?;
                self = rest;
                for committable in again? {
                    if !self.forward(committable, &out).await {
                        return Ok(());
                    }
                }
            }
            let mut prepared = prepared;
            if self.windowing.lacks(&prepared) {
                if !self.all_committed().await {
                    return Ok(());
                }
                let latest = in_flight.latest;
                let (rest, (filled, back)) = self
                    .blocking(move |windowing| (windowing.reach_back(&prepared, latest), prepared))
                    .await?;
                filled?;
                (self, prepared) = (rest, back);
            }
            if let Some((trial, asked)) = in_flight.trial.take() {
                // It is a few events: to wake a thread for them would take longer.
                let moved = self.windowing.try_out(&prepared, trial);
                // Whoever asked may have gone.
                Workers::work_at_once(move || drop(asked.send(prepared.conclude(moved))));
                continue;
            }
            let due = in_flight.parts.take_due();
            let evaluator = prepared.evaluator().clone();
            let is_small = in_flight.is_small;
            let (in_flight, prepared, moved) = if self.windowing.is_empty() {
                (in_flight, prepared, Moved::default())
            } else if is_small {
                let moved = in_flight.take_in(&mut self.windowing, &prepared);
                (in_flight, prepared, moved)
            } else {
                let (rest, taken_in) = self
                    .blocking(move |windowing| {
                        let moved = in_flight.take_in(windowing, &prepared);
                        (in_flight, prepared, moved)
                    })
                    .await?;
                self = rest;
                taken_in
            };
            let (record, held) = (self.record, in_flight.held);
            let conclude = move || in_flight.conclude(prepared, moved, record);
            for (piece, (due, watermark)) in self.pieces(conclude, due.len(), is_small).into_iter().zip(due) {
                self.forwarded += 1;
                if out.send(piece).await.is_err()
                    || !self.tick(due, (watermark, held), &evaluator, &out).await
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Has a batch concluded, which is committed in so many pieces.
    fn pieces(
        &self,
        conclude: impl FnOnce() -> Result<Vec<Committable>, EngineError> + Send + 'static,
        count: usize,
        is_small: bool,
    ) -> Vec<Concluding> {
        let lost = || EngineError::Internal(String::from("a piece of a batch was not concluded"));
        if count == 1 {
            let only = move || conclude()?.pop().ok_or_else(lost);
            return vec![if is_small { Workers::work_at_once(only) } else { self.workers.work(only) }];
        }
        let (tell, told): (Vec<_>, Vec<_>) = (0..count).map(|_| oneshot::channel()).unzip();
        let all = move || {
            let mut tell = tell.into_iter();
            match conclude() {
                // Who does not take a piece any more has ended with an error of its own.
                Ok(pieces) => tell.zip(pieces).for_each(|(tell, piece)| drop(tell.send(Ok(piece)))),
                Err(error) => {
                    if let Some(first) = tell.next() {
                        drop(first.send(Err(error)));
                    }
                }
            }
        };
        let _working = if is_small { Workers::work_at_once(all) } else { self.workers.work(all) };
        let piece = |told: oneshot::Receiver<Result<Committable, EngineError>>| {
            tokio::spawn(async move { Ok(told.await.unwrap_or_else(|_| Err(lost()))) })
        };
        told.into_iter().map(piece).collect()
    }

    /// Hands on the rules that are due, each as a piece that is worked on once all before it is committed. No query reads
    /// windows, so they go on meanwhile, and so does who asks before money moves. `false` if nobody takes batches any more.
    /// What is still owed is stored with what each of them finds, so that a process that dies in between leaves the
    /// rest to the next one.
    async fn tick(
        &mut self,
        due: Vec<Due>,
        (mut watermark, held): (SavedWatermark, WindowUsage),
        evaluator: &Evaluator,
        out: &mpsc::Sender<Concluding>,
    ) -> bool {
        let (last, Some(scheduler)) = (due.len(), self.scheduler.clone()) else { return true };
        scheduler.busy.pending.fetch_add(last, Ordering::Relaxed);
        for (number, due) in due.into_iter().enumerate() {
            let done = Some((due.tick, evaluator.rules().rules[due.rule].rule.id.clone()));
            watermark.owed = watermark.owed.filter(|_| number + 1 < last).map(|owed| Owed {
                done: done.clone(),
                attempts: 0,
                ..owed
            });
            let committable = Committable {
                rules: Arc::clone(evaluator.rules()),
                again: due.attempt > 0,
                tick: done,
                watermark: Some(watermark.clone()),
                held,
                ..Committable::default()
            };
            let (evaluator, scheduler) = (evaluator.clone(), scheduler.clone());
            let threads = self.workers.are_threads();
            let ran = self.after_all(async move {
                let ran = scheduler.run(&due, &evaluator, threads).await;
                scheduler.busy.pending.fetch_sub(1, Ordering::Relaxed);
                ran
            });
            let with = move |(evaluation, passed)| Committable { evaluation, passed, ..committable };
            let piece = tokio::spawn(async { Ok(ran.await.map(with)) });
            self.forwarded += 1;
            if out.send(piece).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Hands on what is ready, with what windows hold: a commit that said nothing of it would open the intake. `false` if
    /// the last stage has ended.
    async fn forward(&mut self, committable: Committable, out: &mpsc::Sender<Concluding>) -> bool {
        let held = self.windowing.held();
        let committable = Committable { held, ..committable };
        self.forwarded += 1;
        out.send(tokio::spawn(async { Ok(Ok(committable)) })).await.is_ok()
    }

    /// Does something once everything that was handed on before is committed, unless the last stage ends first.
    fn after_all<W: Future>(
        &mut self,
        work: W,
    ) -> impl Future<Output = Result<W::Output, EngineError>> + use<W> {
        let (mut committed, forwarded) = (self.committed.clone(), self.forwarded);
        let (over, evaluated) = oneshot::channel::<()>();
        let before = self.evaluated.replace(evaluated);
        async move {
            let _over = over;
            // Of thousands that wait one at a time is woken by commits.
            if let Some(before) = before {
                let _ = before.await;
            }
            // Nobody asks any more what came of it.
            let ended = |_| EngineError::Internal(String::from("the last stage has ended"));
            committed.wait_for(|committed| *committed >= forwarded).await.map_err(ended)?;
            tokio::select! {
                biased;
                done = work => Ok(done),
                Err(error) = committed.wait_for(|_| false) => Err(ended(error)),
            }
        }
    }

    /// Waits until everything that was handed on is committed. `false` if the last stage has ended.
    async fn all_committed(&mut self) -> bool {
        let forwarded = self.forwarded;
        self.committed.wait_for(|committed| *committed >= forwarded).await.is_ok()
    }
}
