//! 问答: who answers the queries of questions, and the language model that may choose one.

use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::Shared;
use crate::{access::Limits, config::ask::Model, event::Instant, personal::PersonalKind, say};

/// Rows that an answer has at most.
pub const ROWS_MAX: usize = 1000;
pub(crate) const BYTES_MAX: usize = 4 << 20;

/// What a column of an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AnswerCell)]
pub enum CellContent {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// Yuan.
    Money,
    /// A part of one.
    Share,
    /// An instant.
    Time,
}

/// The answer to a query.
#[derive(Debug, Default)]
pub struct Answered {
    /// Names of columns, what they hold, and what they tell of persons.
    pub columns: Vec<(String, CellContent, PersonalKind)>,
    /// The rows, as they are stored: nothing of persons is masked.
    pub rows: Vec<Vec<Value>>,
    /// Whether there were more than an answer has.
    pub is_cut: bool,
}

/// Answers one SELECT at a time, on a thread that may wait. Of alerts only those within limits are there.
pub type AnswerQuery = Box<dyn Fn(&Shared, &str, &Limits, Instant) -> Result<Answered, String> + Send + Sync>;

/// What answers questions in plain words beside the loop.
#[derive(Default)]
pub struct Asker {
    answer: OnceLock<(AnswerQuery, Option<Model>)>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

impl Asker {
    /// Says who answers, and the model that may be asked; the first one stays.
    pub fn is(&self, answer: AnswerQuery, model: Option<Model>) {
        let _ = self.answer.set((answer, model));
    }

    /// The model, if there is one.
    #[must_use]
    pub fn model(&self) -> Option<&Model> {
        self.answer.get()?.1.as_ref()
    }

    /// Answers one SELECT.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn answer(
        &self,
        shared: &Arc<Shared>,
        sql: &str,
        limits: &Limits,
        now: Instant,
    ) -> Result<Answered, String> {
        match self.answer.get() {
            Some((answer, _)) => answer(shared, sql, limits, now),
            None => Err(say!("nobody answers questions in this process")),
        }
    }
}

/// The longest answer of a model, in bytes.
const MODEL_BYTES_MAX: usize = 64 << 10;

/// What a model says to a request. Its answer is not believed here.
///
/// # Errors
/// Why there is none.
pub async fn ask_model(model: &Model, body: &Value) -> Result<Value, String> {
    let told =
        |error: reqwest::Error| say!("the model does not answer: {error}", error = error.without_url());
    let client = reqwest::Client::builder()
        .timeout(model.timeout)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fiscwatch/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    let mut request = client.build().map_err(told)?.post(&model.url).json(body);
    if let Some(key) = &model.key {
        request = request.bearer_auth(key.reveal());
    }
    let mut response = request.send().await.map_err(told)?;
    if !response.status().is_success() {
        return Err(say!("the model answered {status}", status = response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(told)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(say!("the model's answer is too long"));
        }
    }
    serde_json::from_slice(&bytes).map_err(|_| say!("the model's answer is no JSON"))
}
