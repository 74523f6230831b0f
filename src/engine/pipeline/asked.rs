//! What is asked beside the stream.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::mpsc;

use crate::{
    decision::{DecisionQuestion, Override, Release},
    event::{Instant, TimeDelta},
    rule::RuleSet,
};

/// Questions that are answered in a row while batches wait.
const IN_A_ROW: u32 = 16;
/// Questions that one evaluation answers.
const TOGETHER: usize = 16;
/// How long after a question others are expected.
const EXPECTED: TimeDelta = TimeDelta::MINUTE;

/// What is asked beside the stream, and the reservations that end by themselves.
#[derive(Debug, Default)]
pub struct QuestionQueue {
    questions: Option<mpsc::Receiver<DecisionQuestion>>,
    /// Taken out of the queue, and to be answered before those in it.
    next: Option<DecisionQuestion>,
    /// The source of applications, and of what withdraws them.
    pub(super) source: Arc<str>,
    pub(super) releases: BTreeSet<Release>,
    /// Overrides that were used, until when they would have been good, and by which application: who asks next may have
    /// read them before.
    used: BTreeMap<i64, (Instant, String)>,
    in_a_row: u32,
    /// The clock's time at the last question.
    last: Option<Instant>,
    /// The rules that were asked last, with their digest: to make it takes as long as an answer.
    digest: Option<(Arc<RuleSet>, Arc<str>)>,
}

impl QuestionQueue {
    /// Questions to answer, and what an earlier process left to be released of a source.
    #[must_use]
    pub fn new(
        questions: mpsc::Receiver<DecisionQuestion>,
        source: &str,
        releases: impl IntoIterator<Item = Release>,
    ) -> Self {
        let (questions, source) = (Some(questions), Arc::from(source));
        Self { questions, source, releases: releases.into_iter().collect(), ..Self::default() }
    }

    /// The next question. Without one it waits for ever.
    pub async fn next(&mut self) -> DecisionQuestion {
        if let Some(question) = self.next.take() {
            self.in_a_row += 1;
            return question;
        }
        if let Some(questions) = &mut self.questions
            && let Some(question) = questions.recv().await
        {
            self.in_a_row += 1;
            return question;
        }
        self.questions = None;
        std::future::pending().await
    }

    /// A question and those waiting behind it that one evaluation may serve: of the same mode, and each by the rules alone.
    pub(super) fn with_those_behind(&mut self, first: DecisionQuestion) -> Vec<DecisionQuestion> {
        let mode = first.mode;
        let serves = |question: &DecisionQuestion| question.mode == mode && question.overriding.is_none();
        let is_alone = !serves(&first);
        let mut together = vec![first];
        while !is_alone
            && together.len() < TOGETHER
            && let Some(question) = self.questions.as_mut().and_then(|questions| questions.try_recv().ok())
        {
            if !serves(&question) {
                self.next = Some(question);
                break;
            }
            self.in_a_row += 1;
            together.push(question);
        }
        together
    }

    /// Notes that somebody asks now.
    pub(super) fn came(&mut self, now: Instant) {
        self.last = Some(now);
    }

    /// Whether somebody has asked lately, and may ask again.
    pub(super) fn is_expected(&self, now: Instant) -> bool {
        self.last.is_some_and(|last| now.saturating_since(last) < EXPECTED)
    }

    /// Whether it is the stream's turn, after many questions.
    pub fn let_others_in(&mut self) -> bool {
        let is_their_turn = self.in_a_row >= IN_A_ROW;
        if is_their_turn {
            self.in_a_row = 0;
        }
        is_their_turn
    }

    /// Remembers that an override is used, as long as somebody could use it again.
    pub(super) fn uses(&mut self, granted: &Override, application: &str, now: Instant) {
        self.used.retain(|_, (expires_at, _)| *expires_at > now);
        self.used.insert(granted.override_id, (granted.expires_at, application.to_owned()));
    }

    /// An override as it stands: what was read of it may be older than its use.
    pub(super) fn as_used<'o>(&self, granted: &'o Override) -> Cow<'o, Override> {
        match self.used.get(&granted.override_id) {
            Some((_, by)) => Cow::Owned(Override { used_by: Some(by.clone()), ..granted.clone() }),
            None => Cow::Borrowed(granted),
        }
    }

    /// A digest of all rules in force, with their parameters and lists.
    pub(super) fn digest_of(&mut self, rules: &Arc<RuleSet>) -> Arc<str> {
        match &self.digest {
            Some((of, digest)) if Arc::ptr_eq(of, rules) => Arc::clone(digest),
            _ => {
                let digest = digest(rules);
                self.digest = Some((Arc::clone(rules), Arc::clone(&digest)));
                digest
            }
        }
    }

    /// Takes no more questions.
    pub fn close(&mut self) {
        (self.questions, self.next) = (None, None);
    }
}

fn digest(rules: &RuleSet) -> Arc<str> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for (id, digest) in rules.digests() {
        hash.update(id.as_bytes());
        hash.update(&digest.to_le_bytes());
    }
    Arc::from(format!("{:032x}", hash.digest128()))
}
