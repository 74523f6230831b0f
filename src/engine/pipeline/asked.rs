//! What is asked beside the stream.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::mpsc;

use crate::decision::{Override, Question, Release};

/// Questions that are answered in a row while batches wait.
const IN_A_ROW: u32 = 16;
/// Questions that one evaluation answers.
const TOGETHER: usize = 16;

/// What is asked beside the stream, and the reservations that end by themselves.
#[derive(Debug, Default)]
pub struct Asked {
    questions: Option<mpsc::Receiver<Question>>,
    /// Taken out of the queue, and to be answered before those in it.
    next: Option<Question>,
    /// The source of applications, and of what withdraws them.
    pub(super) source: Arc<str>,
    pub(super) releases: BTreeSet<Release>,
    /// Overrides that were used, until when they would have been good, and by which application: who asks next may have
    /// read them before.
    used: BTreeMap<i64, (i64, String)>,
    in_a_row: u32,
}

impl Asked {
    /// Questions to answer, and what an earlier process left to be released of a source.
    #[must_use]
    pub fn new(
        questions: mpsc::Receiver<Question>,
        source: &str,
        releases: impl IntoIterator<Item = Release>,
    ) -> Self {
        let (questions, source) = (Some(questions), Arc::from(source));
        Self { questions, source, releases: releases.into_iter().collect(), ..Self::default() }
    }

    /// The next question. Without one it waits for ever.
    pub async fn next(&mut self) -> Question {
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
    pub(super) fn with_those_behind(&mut self, first: Question) -> Vec<Question> {
        let mode = first.mode;
        let serves = |question: &Question| question.mode == mode && question.overriding.is_none();
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

    /// Whether it is the stream's turn, after many questions.
    pub fn let_others_in(&mut self) -> bool {
        let is_their_turn = self.in_a_row >= IN_A_ROW;
        if is_their_turn {
            self.in_a_row = 0;
        }
        is_their_turn
    }

    /// Remembers that an override is used, as long as somebody could use it again.
    pub(super) fn uses(&mut self, granted: &Override, application: &str, now: i64) {
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

    /// Takes no more questions.
    pub fn close(&mut self) {
        (self.questions, self.next) = (None, None);
    }
}
