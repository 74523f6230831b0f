//! What queries start from.

use std::sync::Arc;

use datafusion::{
    catalog::MemoryCatalogProviderList,
    execution::{
        SessionState, SessionStateBuilder,
        context::SessionContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::ScalarUDF,
    prelude::SessionConfig,
};

use crate::{
    lists::Lists,
    sql::tables::{self, TABLES},
};

/// What queries start from: `DataFusion`'s functions and ours, and the reference lists.
#[derive(Debug, Clone)]
pub struct QuerySession {
    pub(in crate::rule) state: SessionState,
    pub(in crate::rule) lists: Lists,
}

impl QuerySession {
    /// A session of its own, in which a query may use so much memory, and no disk.
    #[must_use]
    pub fn context(&self, memory: usize) -> SessionContext {
        self.with(|config| config, Self::runtime(memory))
    }

    /// A session for a plan that is executed many times, each time in a runtime of its own. It has one more function.
    #[must_use]
    pub fn lasting(&self, function: ScalarUDF) -> SessionContext {
        // What a join learns while it is executed must not filter what is read the next time.
        let still = |mut config: SessionConfig| {
            let optimizer = &mut config.options_mut().optimizer;
            optimizer.enable_dynamic_filter_pushdown = false;
            optimizer.enable_topk_dynamic_filter_pushdown = false;
            optimizer.enable_join_dynamic_filter_pushdown = false;
            optimizer.enable_aggregate_dynamic_filter_pushdown = false;
            config
        };
        let context = self.with(still, Arc::default());
        context.register_udf(function);
        context
    }

    /// What a query is executed in: it may use so much memory, and no disk.
    #[must_use]
    pub fn runtime(memory: usize) -> Arc<RuntimeEnv> {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc();
        // Nothing is opened for it, so nothing can be missing.
        runtime.unwrap_or_default()
    }

    fn with(
        &self,
        change: impl FnOnce(SessionConfig) -> SessionConfig,
        runtime: Arc<RuntimeEnv>,
    ) -> SessionContext {
        // One partition: what a query finds must not depend on the timing of threads.
        let config = self
            .state
            .config()
            .clone()
            .with_create_default_catalog_and_schema(true)
            .with_target_partitions(1);
        let builder = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_config(change(config))
            .with_runtime_env(runtime);
        let context = SessionContext::new_with_state(builder.build());
        for name in self.lists.names().filter(|name| !TABLES.contains(name)) {
            if let Some(rows) = self.lists.get(name).and_then(|list| tables::list(list))
                && let Some(table) = tables::in_memory(rows.schema(), vec![rows])
            {
                // A table of a new catalogue is never there already.
                let _ = context.register_table(name, table);
            }
        }
        context
    }
}
