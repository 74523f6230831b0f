//! What queries start from.

use std::sync::Arc;

use datafusion::{
    catalog::MemoryCatalogProviderList,
    execution::{
        SessionState, SessionStateBuilder,
        context::SessionContext,
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        runtime_env::RuntimeEnvBuilder,
    },
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
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(memory, 1.0)
            .with_disk_manager_builder(disk)
            .build_arc();
        // One partition: what a query finds must not depend on the timing of threads.
        let config = self
            .state
            .config()
            .clone()
            .with_create_default_catalog_and_schema(true)
            .with_target_partitions(1);
        let mut builder = SessionStateBuilder::new_from_existing(self.state.clone())
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_config(config);
        if let Ok(runtime) = runtime {
            builder = builder.with_runtime_env(runtime);
        }
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
