//! `ask`: questions in plain words, and the language model that may help to choose one.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{oidc::trusted, resolve::Resolver, sinks::Secret};
use crate::event::duration;

/// Questions in plain words.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskSpec {
    /// The address of a language model of your own that speaks the protocol of OpenAI, such as `http://127.0.0.1:8000/v1`.
    /// A text that the catalogue does not understand is sent there; nothing that is stored is. The model may choose a
    /// question and fill its parameters, and nothing else. Without it nothing is sent anywhere.
    pub model_url: Option<String>,
    /// The name of the model there.
    pub model: String,
    /// A file with the key that the address asks for.
    pub model_key_file: Option<PathBuf>,
    /// How long its answer is waited for.
    pub model_timeout: String,
}

impl Default for AskSpec {
    fn default() -> Self {
        Self {
            model_url: None,
            model: String::from("default"),
            model_key_file: None,
            model_timeout: String::from("10s"),
        }
    }
}

/// A language model, ready to be asked.
#[derive(Debug, Clone)]
pub struct Model {
    /// Where questions are sent to.
    pub url: String,
    /// What the model is called there.
    pub name: String,
    /// What the address asks for.
    pub key: Option<Secret>,
    /// How long its answer is waited for.
    pub timeout: Duration,
}

impl Resolver<'_> {
    pub(super) fn ask(&mut self, spec: AskSpec) -> Option<Model> {
        let timeout = self.value("ask.model_timeout", duration(&spec.model_timeout));
        let url = spec.model_url?;
        self.value("ask.model_url", trusted(&url));
        let file = spec.model_key_file.map(|path| self.path(path));
        let key = self.value("ask", Secret::of(file.as_deref(), None, "model_key"));
        Some(Model {
            url: format!("{}/chat/completions", url.trim_end_matches('/')),
            name: spec.model,
            key,
            timeout,
        })
    }
}
