//! The registry, which remembers what is in it: a metric with labels and no sample yet is invisible to Prometheus, but
//! not to docs/metrics.md.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::Collector;

/// A metric as it is documented.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Described {
    /// The whole name, as Prometheus scrapes it.
    pub name: String,
    /// Its labels, in the order of the code.
    pub labels: Vec<String>,
    pub(crate) help: String,
}

/// Prometheus' registry and the descriptions of what was registered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    inner: prometheus::Registry,
    described: Arc<Mutex<Vec<Described>>>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn register(&self, collector: Box<dyn Collector>) -> prometheus::Result<()> {
        let new = collector.desc().into_iter().map(|desc| Described {
            name: desc.fq_name.clone(),
            labels: desc.variable_labels.clone(),
            help: desc.help.clone(),
        });
        self.described.lock().extend(new);
        self.inner.register(collector)
    }

    pub(crate) fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.inner.gather()
    }

    /// Our own metrics, without those of the process, by name.
    pub(crate) fn described(&self) -> Vec<Described> {
        let mut all = self.described.lock().clone();
        all.retain(|metric| metric.name.starts_with("fiscwatch_"));
        all.sort();
        all
    }
}
