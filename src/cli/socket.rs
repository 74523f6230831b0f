//! Commands through the daemon's socket (`http.socket`), for users whom the state does not belong to: the daemon learns from
//! the kernel who they are, asks the one table, and does what they may.

use anyhow::{Context as _, anyhow};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::{Value, json};

use super::{local::has_the_state, runtime, table::plain};
use crate::{config::Config, say, text::quoted};

/// Rows that are asked for at once.
const PAGE: usize = 1000;
/// Characters of an alert's id.
const ID: usize = 16;
/// The newest alerts, among which one is looked for by the beginning of its id.
const SEARCHED: u32 = 10_000;

/// The socket of a daemon that runs.
pub(crate) struct Socket {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    path: String,
}

impl Socket {
    /// The daemon's socket, if the configuration names one and this user cannot work on the state itself.
    ///
    /// # Errors
    /// If there is no client to be had.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(path) = config.clients.socket.as_ref().filter(|_| !has_the_state(&config.state_dir)) else {
            return Ok(None);
        };
        let client = reqwest::Client::builder().no_proxy().unix_socket(path.as_path()).build()?;
        Ok(Some(Self { client, runtime: runtime()?, path: path.display().to_string() }))
    }

    /// What the daemon answers to a request.
    ///
    /// # Errors
    /// If it cannot be reached, or says what is wrong.
    pub(crate) fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        self.send(method, path, &[], |request| match body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// What there is at an address, narrowed by what has a value; persons as a whole if that is asked for.
    ///
    /// # Errors
    /// If the daemon cannot be reached, or says what is wrong.
    pub(crate) fn read(&self, path: &[&str], query: &Value, unmasked: bool) -> anyhow::Result<Value> {
        let given = query.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let pairs: Vec<(&str, String)> = given.map(|(name, value)| (&**name, plain(value))).collect();
        self.send(Method::GET, path, &pairs, |request| match unmasked {
            true => request.header("x-unmasked", "true"),
            false => request,
        })
    }

    /// The rows of a list, page by page, at most so many. `of` names the list, its rows in an answer, and what leads on to the
    /// next page. Gives them with the last page.
    ///
    /// # Errors
    /// If the daemon cannot be reached, or says what is wrong.
    pub(crate) fn rows(
        &self,
        (list, of, onward): (&str, &str, &str),
        query: &Value,
        limit: u32,
        unmasked: bool,
    ) -> anyhow::Result<(Vec<Value>, Value)> {
        let (mut query, mut rows) = (query.clone(), Vec::new());
        loop {
            let left = (limit as usize).saturating_sub(rows.len()).min(PAGE);
            query["limit"] = left.into();
            let mut page = self.read(&[list], &query, unmasked)?;
            if let Some(Value::Array(more)) = page.get_mut(of).map(Value::take) {
                rows.extend(more);
            }
            query[onward] = page["next"].clone();
            if page["next"].is_null() || rows.len() >= limit as usize {
                return Ok((rows, page));
            }
        }
    }

    /// The whole id of an alert that begins so. Tables show beginnings only.
    ///
    /// # Errors
    /// If there is none or several among the newest, or the daemon cannot be reached.
    pub(crate) fn alert_id(&self, prefix: &str) -> anyhow::Result<String> {
        // What is no beginning of an id, the daemon says.
        let is_part = prefix.len() < ID && prefix.bytes().all(|c| c.is_ascii_hexdigit());
        if !is_part {
            return Ok(prefix.to_owned());
        }
        let (rows, _) = self.rows(("alerts", "alerts", "before"), &json!({}), SEARCHED, false)?;
        let ids = rows.iter().filter_map(|alert| alert["alert_id"].as_str());
        let mut found = ids.filter(|id| id.starts_with(prefix));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.to_owned()),
            (None, _) => Err(anyhow!(say!(
                "none of the newest {n} alerts begins with {prefix}; give the whole id (--json shows it)",
                n = SEARCHED,
                prefix = quoted(prefix)
            ))),
            (Some(_), Some(_)) => Err(anyhow!(say!(
                "several alerts begin with {prefix}; give more of the id",
                prefix = quoted(prefix)
            ))),
        }
    }

    fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<Value> {
        // The name is of no use at a socket; it is one that every daemon answers to.
        let mut url = Url::parse("http://localhost/api/v1")?;
        // An address of http has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let asked = async {
            let answer = with(self.client.request(method, url)).send().await?;
            let status = answer.status();
            answer.json::<Value>().await.map(|body| (status, body))
        };
        let unreached = || {
            say!(
                "the daemon does not answer at {path} (http.socket); is it running, and may you write to the socket?",
                path = self.path
            )
        };
        let (status, answer) = self.runtime.block_on(asked).with_context(unreached)?;
        match status.is_success() {
            true => Ok(answer),
            false => Err(anyhow!("{}", answer["detail"].as_str().unwrap_or(status.as_str()))),
        }
    }
}
