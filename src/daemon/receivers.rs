//! Who is told.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    clock::Clock,
    config::Config,
    diagnostic::Diagnostic,
    lists::Lists,
    notify::{self, Setup, SharedLists, SinkLimits, Sinks, letter::Drafts},
    telemetry::Metrics,
};

/// Who is told, and where the contacts of units are; changes with a reload.
#[derive(Debug, Clone, Default)]
pub struct Receivers {
    pub sinks: Arc<Sinks>,
    /// How much each takes at a time.
    pub limits: BTreeMap<String, SinkLimits>,
    pub lists: Lists,
    names: SharedLists,
    /// Writes drafts of letters; none before the configuration is read.
    pub drafts: Option<Arc<Drafts>>,
}

impl Receivers {
    /// Makes the sinks. `lists` are those in force.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(
        config: &Config,
        lists: Lists,
        clock: &Arc<dyn Clock>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let setup = Setup::new(config, Arc::clone(clock), Arc::clone(metrics))?;
        let sinks = notify::build(&config.file, &config.sinks, &setup)?;
        *setup.names.write() = lists.clone();
        let names = Arc::clone(&setup.names);
        let drafts = Drafts::new(config, setup.templates, lists.clone());
        Ok(Self {
            sinks: Arc::new(sinks),
            limits: notify::limits(&config.sinks),
            lists,
            names,
            drafts: Some(Arc::new(drafts)),
        })
    }

    /// Takes lists that have changed.
    pub fn take_lists(&mut self, lists: &Lists) {
        self.lists = lists.clone();
        *self.names.write() = lists.clone();
        self.drafts = self.drafts.as_ref().map(|drafts| Arc::new(drafts.with_lists(lists.clone())));
    }
}
