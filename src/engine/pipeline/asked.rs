//! What is asked beside the stream.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::mpsc;

use crate::decision::{Question, Release};

/// Questions that are answered in a row while batches wait.
const IN_A_ROW: u32 = 16;

/// What is asked beside the stream, and the reservations that end by themselves.
#[derive(Debug, Default)]
pub struct Asked {
    questions: Option<mpsc::Receiver<Question>>,
    /// The source of applications, and of what withdraws them.
    pub(super) source: Arc<str>,
    pub(super) releases: BTreeSet<Release>,
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
        Self { questions, source, releases: releases.into_iter().collect(), in_a_row: 0 }
    }

    /// The next question. Without one it waits for ever.
    pub async fn next(&mut self) -> Question {
        if let Some(questions) = &mut self.questions
            && let Some(question) = questions.recv().await
        {
            self.in_a_row += 1;
            return question;
        }
        self.questions = None;
        std::future::pending().await
    }

    /// Whether it is the stream's turn, after many questions.
    pub fn let_others_in(&mut self) -> bool {
        let is_their_turn = self.in_a_row >= IN_A_ROW;
        if is_their_turn {
            self.in_a_row = 0;
        }
        is_their_turn
    }

    /// Takes no more questions.
    pub fn close(&mut self) {
        self.questions = None;
    }
}
