//! Records of the quarantine, read again.

use std::sync::Arc;

use anyhow::bail;

use super::{Daemon, Ending};
use crate::{
    clock::Clock,
    config::Config,
    daemon::{IngestError, RunOptions},
    rule::RuleSet,
    say,
    store::StoredReject,
    stream::{Payload, Receipt},
};

/// Reads quarantined records again, in one batch that also marks them as replayed.
///
/// # Errors
/// If a daemon has the state, or the commit fails.
pub async fn replay(
    config: Config,
    rules: Arc<RuleSet>,
    records: Vec<StoredReject>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Receipt> {
    let mut config = config;
    config.accept_events = true;
    let daemon = Daemon::start(&config, rules, &RunOptions::default(), &clock)?;
    let mut total = Receipt::default();
    let mut records = records;
    // Those of one source are read as that source's are.
    records.sort_by(|a, b| a.source.cmp(&b.source));
    let parts = records.chunk_by(|a, b| a.source == b.source).flat_map(|of| of.chunks(config.batch_rows));
    for part in parts {
        let mut data = Vec::new();
        let mut ends = Vec::new();
        for record in part {
            data.extend_from_slice(&record.raw);
            ends.push((u32::try_from(data.len()).unwrap_or(u32::MAX), record.seq.unsigned_abs()));
        }
        let payload = Payload::Messages { data: data.into(), ends };
        let seqs = part.iter().map(|record| record.seq).collect();
        match daemon.shared.submit(&part[0].source, payload, seqs).await {
            Ok(receipt) => total += receipt,
            Err(not_taken) => {
                daemon.drain(Ending::Soon).await?;
                bail!(match not_taken {
                    IngestError::Full(why) => say!(
                        "{read} records were read again, the others stay in quarantine: {why}",
                        read = total.seen(),
                        why
                    ),
                    IngestError::Stopping => say!("the commit failed"),
                });
            }
        }
    }
    daemon.drain(Ending::Soon).await?;
    Ok(total)
}
