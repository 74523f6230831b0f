//! Where events come from. A source turns bytes and their positions into [`Block`]s and knows nothing of what
//! becomes of them.

mod chunks;
pub mod directory;
pub mod file;
pub mod format;
pub mod kafka;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::stream::{Block, Position};

pub use chunks::{Chunk, Chunks, ReadError, open};
pub use format::{Compression, Encoding, Format};

/// What a source gets to work with.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// The source's name in the configuration.
    pub name: Arc<str>,
    /// Where its blocks go; a full channel holds the source back.
    pub blocks: mpsc::Sender<Block>,
    /// Asks the source to end.
    pub stop: CancellationToken,
    /// The most records of one block.
    pub rows: usize,
}

/// How far the partitions of a source were read before.
pub type Positions = BTreeMap<String, Position>;

/// Why a source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A directory cannot be read.
    #[error("source {source_name}: cannot read the directory {path}: {error}")]
    Directory {
        /// The source.
        source_name: String,
        /// The directory.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The source's task broke; this is a bug.
    #[error("internal error: {message}")]
    Broken {
        /// What happened.
        message: String,
    },
    /// The broker or its settings.
    #[error("source {source_name}: Kafka: {message}")]
    Kafka {
        /// The source.
        source_name: String,
        /// What librdkafka says.
        message: String,
    },
}

impl Outlet {
    /// Sends a block from a blocking thread. `false` if nobody takes blocks any more, or the source is to end.
    #[must_use]
    pub fn send_blocking(&self, block: Block) -> bool {
        !self.stop.is_cancelled() && self.blocks.blocking_send(block).is_ok()
    }
}
