//! 问答: questions in plain words, answered by parametrised queries, with the query shown.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    request::{JsonBody, blocking},
};
use crate::{
    access::{Action, Limits, decide},
    ask::{
        Meaning, Names, OFFERED, ParameterKind, ParameterValues, Query, Question, TEXT_MAX, Understood,
        candidates,
        catalogue::{Chart, catalogue},
        checked, model, tables_of, understand,
    },
    daemon::{
        Shared,
        asker::{self, Answered, CellContent},
    },
    event::Column,
    rule::Text,
    say,
};

/// A question that can be asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Question)]
pub(crate) struct QuestionView {
    id: String,
    /// The question as people read it.
    phrase: Text,
    /// Parameters that it may have.
    takes: Vec<ParameterKind>,
    /// Parameters that it must have.
    needs: Vec<ParameterKind>,
    /// What stands for parameters that are not given.
    #[schema(value_type = Object)]
    defaults: BTreeMap<&'static str, String>,
}

impl QuestionView {
    fn new(question: &Question) -> Self {
        let phrase = |language| Some(question.phrase(language).to_owned());
        Self {
            id: question.id.clone(),
            phrase: Text { zh: phrase(crate::text::Language::Zh), en: phrase(crate::text::Language::En) },
            takes: question.takes.clone(),
            needs: question.needs.clone(),
            defaults: question.defaults.iter().map(|(kind, value)| (kind.word(), value.clone())).collect(),
        }
    }
}

/// The questions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuestionList {
    /// Those whose answers whoever asks may see.
    questions: Vec<QuestionView>,
    /// Whether a language model of the bureau's own helps to choose.
    has_model: bool,
}

/// What can be asked in plain words
#[utoipa::path(get, path = "/api/v1/questions", operation_id = "list_questions", tag = "questions",
    responses((status = 200, description = "The questions", body = QuestionList)))]
pub(crate) async fn questions(State(shared): State<Arc<Shared>>, by: Requester) -> Json<QuestionList> {
    let may = catalogue().questions.iter().filter(|question| may_ask(&by, question));
    let questions = may.map(QuestionView::new).collect();
    Json(QuestionList { questions, has_model: shared.asker.model().is_some() })
}

/// What is asked: a text, or a question with its parameters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskBody {
    /// A question in plain words, at most 300 characters.
    text: Option<String>,
    /// A question, by its id; in place of `text`.
    question: Option<String>,
    /// Its parameters.
    #[serde(default)]
    #[schema(value_type = Object)]
    params: BTreeMap<ParameterKind, String>,
}

/// A parameter of a question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedParam {
    kind: ParameterKind,
    value: String,
    /// What the value is called.
    label: Option<String>,
}

/// A column of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnswerColumn {
    name: String,
    title: Text,
    cell: CellContent,
}

/// A question that may be meant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OfferedQuestion {
    question: QuestionView,
    params: Vec<AskedParam>,
    /// What it needs besides.
    missing: Vec<ParameterKind>,
    /// Values of which one is to be chosen.
    unclear: Vec<AskedParam>,
}

/// An answer, or the questions that may be meant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AskAnswer)]
pub(crate) struct AnswerView {
    /// The question that was answered; null where it is asked back.
    question: Option<QuestionView>,
    params: Vec<AskedParam>,
    /// The query that was asked, with everything that was left out for whoever asks.
    sql: Option<String>,
    columns: Vec<AnswerColumn>,
    /// At most 1000.
    rows: Vec<Vec<Value>>,
    /// Whether there were more rows than an answer has.
    is_cut: bool,
    chart: Option<Chart>,
    /// Where it is not clear what is meant: the three nearest questions.
    offered: Vec<OfferedQuestion>,
    /// Whether the language model chose the question.
    by_model: bool,
    /// Why the model did not help, where it was asked.
    model_trouble: Option<String>,
}

/// Questions that are answered at a time, and how long the next one waits.
static AT_A_TIME: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));
const WAIT: Duration = Duration::from_secs(10);

/// Asks a question in plain words
#[utoipa::path(post, path = "/api/v1/ask", operation_id = "ask", tag = "questions", request_body = AskBody,
    responses(
        (status = 200, description = "The answer, or the questions that may be meant", body = AnswerView),
        (status = 422, description = "There is no such question, or a parameter is wrong", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many questions are asked", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn ask(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    JsonBody(body): JsonBody<AskBody>,
) -> Result<Json<AnswerView>, Problem> {
    let turn = tokio::time::timeout(WAIT, AT_A_TIME.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let detail = say!("too many questions are asked at this moment");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(5));
    };
    let limits = by.limits();
    let names = {
        let (shared, limits) = (Arc::clone(&shared), limits.clone());
        Arc::new(blocking(move || Ok(names(&shared, &limits))).await?)
    };
    let (question, given, by_model) = match (&body.text, &body.question) {
        (Some(text), None) if body.params.is_empty() => match meant(&shared, &by, text, &names).await? {
            Meant::This(question, given, by_model) => (question, given, by_model),
            Meant::OneOf(view) => return Ok(Json(*view)),
        },
        (None, Some(id)) => {
            let (question, given) = chosen(&by, id, &body.params, &names)?;
            (question, given, false)
        }
        _ => return Err(Problem::unprocessable(say!("give either `text`, or `question` with its `params`"))),
    };
    answered(shared, by, (question, given), limits, &names, by_model).await.map(Json)
}

/// A question by its id, with its parameters.
fn chosen(
    by: &Requester,
    id: &str,
    params: &BTreeMap<ParameterKind, String>,
    names: &Names,
) -> Result<(&'static Question, ParameterValues), Problem> {
    let question = catalogue().get(id).filter(|question| may_ask(by, question));
    let question = question.ok_or_else(|| Problem::unprocessable(say!("there is no such question")))?;
    let mut given = ParameterValues::new();
    for (kind, value) in params {
        if !question.has(*kind) {
            let name = kind.word();
            return Err(Problem::unprocessable(say!("this question has no parameter {name}", name)));
        }
        given.insert(*kind, checked(*kind, value, names).map_err(Problem::unprocessable)?);
    }
    match question.needs.iter().find(|kind| !given.contains_key(kind)) {
        Some(kind) => {
            let name = kind.word();
            Err(Problem::unprocessable(say!("this question needs the parameter {name}", name)))
        }
        None => Ok((question, given)),
    }
}

enum Meant {
    This(&'static Question, ParameterValues, bool),
    OneOf(Box<AnswerView>),
}

/// What a text means: by the catalogue, else by the model, else it is asked back.
async fn meant(
    shared: &Arc<Shared>,
    by: &Requester,
    text: &str,
    names: &Arc<Names>,
) -> Result<Meant, Problem> {
    if text.trim().is_empty() || text.chars().count() > TEXT_MAX {
        return Err(Problem::unprocessable(say!("a question has 1 to {most} characters", most = TEXT_MAX)));
    }
    let today = shared.calendar.local(shared.clock.now()).date();
    let nearest = match understand(text, names, today, &shared.calendar) {
        Understood::This(meaning) if may_ask(by, meaning.question) => {
            return Ok(Meant::This(meaning.question, meaning.given, false));
        }
        _ => {
            let all = candidates(text, names, today, &shared.calendar);
            all.into_iter().filter(|meaning| may_ask(by, meaning.question)).take(OFFERED).collect::<Vec<_>>()
        }
    };
    let mut trouble = None;
    if let Some(settings) = shared.asker.model() {
        let may = |question: &Question| may_ask(by, question);
        let asked = model::asked(&settings.name, text, today, &may);
        let answer = asker::ask_model(settings, &asked).await;
        match answer.and_then(|answer| model::chosen(&answer, names, &may)) {
            Ok(Some((question, given))) => return Ok(Meant::This(question, given, true)),
            Ok(None) => {}
            Err(why) => trouble = Some(why),
        }
    }
    Ok(Meant::OneOf(Box::new(offer(&nearest, names, trouble))))
}

fn offer(nearest: &[Meaning], names: &Names, model_trouble: Option<String>) -> AnswerView {
    let each = |meaning: &Meaning| {
        let unclear = meaning
            .unclear
            .iter()
            .flat_map(|(kind, values)| values.iter().take(20).map(|value| param(*kind, value, names)));
        OfferedQuestion {
            question: QuestionView::new(meaning.question),
            params: params(&meaning.given, names),
            missing: meaning.missing.clone(),
            unclear: unclear.collect(),
        }
    };
    AnswerView {
        question: None,
        params: Vec::new(),
        sql: None,
        columns: Vec::new(),
        rows: Vec::new(),
        is_cut: false,
        chart: None,
        offered: nearest.iter().map(each).collect(),
        by_model: false,
        model_trouble,
    }
}

async fn answered(
    shared: Arc<Shared>,
    by: Requester,
    (question, given): (&'static Question, ParameterValues),
    limits: Limits,
    names: &Names,
    by_model: bool,
) -> Result<AnswerView, Problem> {
    let query = Query::of(question, &given, &limits);
    let sql = query.sql.clone();
    let now = shared.clock.now();
    let Answered { columns, mut rows, is_cut } =
        blocking(move || shared.asker.answer(&shared, &sql, &limits, now).map_err(Problem::unprocessable))
            .await?;
    let kinds: Vec<_> = columns.iter().map(|(_, _, kind)| *kind).collect();
    let lens = by.lens_on_events();
    rows.iter_mut().for_each(|row| lens.cells(row, &kinds));
    let column = |(name, cell, _): (String, CellContent, _)| {
        let titles = catalogue().columns.get(&name);
        let title = |at: usize| titles.map(|titles| titles[at].clone());
        AnswerColumn { title: Text { zh: title(0), en: title(1) }, name, cell }
    };
    Ok(AnswerView {
        question: Some(QuestionView::new(question)),
        params: params(&given, names),
        sql: Some(query.sql),
        columns: columns.into_iter().map(column).collect(),
        rows,
        is_cut,
        chart: question.chart.clone(),
        offered: Vec::new(),
        by_model,
        model_trouble: None,
    })
}

fn params(given: &ParameterValues, names: &Names) -> Vec<AskedParam> {
    given.iter().map(|(kind, value)| param(*kind, value, names)).collect()
}

fn param(kind: ParameterKind, value: &str, names: &Names) -> AskedParam {
    AskedParam { kind, value: value.to_owned(), label: names.label(kind, value).map(str::to_owned) }
}

/// Whether somebody may see all that an answer is made of. Where nobody is asked who they are, everybody may.
fn may_ask(by: &Requester, question: &Question) -> bool {
    let Some(known) = &by.known else { return true };
    let action = |table: &str| match table {
        "budget_lines" | "forecasts" | "indicators" => Action::ReadBudget,
        "alerts" | "alert_history" => Action::ReadAlerts,
        "silences" => Action::ReadSilences,
        "notifications" => Action::ReadNotifications,
        _ => Action::ReadEvents,
    };
    tables_of(question).iter().all(|table| decide(&known.identity.roles, action(table)))
}

/// The reference list that names regions, where the bureau keeps one: the code first, the name second.
const REGIONS: &str = "regions";

/// The names that whoever asks may use.
fn names(shared: &Shared, limits: &Limits) -> Names {
    let copy = shared.lines();
    let mut units: BTreeMap<&str, (&str, Option<&str>)> = BTreeMap::new();
    for (_, attributes) in copy.lines() {
        if let Some(code) = attributes.text(Column::UnitCode) {
            let entry = units.entry(code).or_default();
            if entry.0.is_empty() {
                *entry = (
                    attributes.text(Column::UnitName).unwrap_or_default(),
                    attributes.text(Column::RegionCode),
                );
            }
        }
    }
    let units = units
        .into_iter()
        .map(|(code, (name, region))| (code.to_owned(), name.to_owned(), region.map(str::to_owned)));
    let rules = shared.rules_in_force();
    let regions = rules.lists.get(REGIONS).map(|list| {
        list.cells(0)
            .zip(list.cells(1))
            .map(|(code, name)| (code.to_owned(), name.to_owned()))
            .collect::<Vec<_>>()
    });
    let titles = rules.rules.iter().map(|rule| {
        let Text { zh, en } = rule.rule.title.clone();
        (rule.rule.id.clone(), zh.into_iter().chain(en).collect())
    });
    Names::new(limits, units, regions.unwrap_or_default().into_iter(), titles)
}
