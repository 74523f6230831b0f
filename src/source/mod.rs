//! Where events come from. A source turns bytes and their positions into [`Block`]s and knows nothing of what
//! becomes of them.

mod account;
mod chunks;
pub(crate) mod directory;
pub(crate) mod file;
pub(crate) mod format;
pub mod kafka;
pub(crate) mod postgres;
mod rows;
pub(crate) mod status;
mod whole;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;

use crate::{
    diagnostic::os_reason,
    say,
    stream::{Block, Position},
};

pub use account::Account;
pub use chunks::{Chunk, Chunks, ReadError, open};
pub use format::{Compression, Encoding, Format};
pub use rows::{header as header_of, payload as mapped_payload};
pub use status::{Left, PartitionStatus, SourceReport, SourceStatus};
pub use whole::{is_whole, lines as whole_lines};

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
    /// What the source tells of itself.
    pub status: Arc<SourceStatus>,
    /// Read what is there at the start, wait until it is committed, and end.
    pub once: bool,
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
    #[error("{}", say!(
        "cannot read the directory {path}: {reason}. Make it, or correct the path of the source; the user that runs fiscwatch must be able to read it",
        path = path.display(), reason = os_reason(error)
    ))]
    Directory {
        /// The directory that was listed.
        path: PathBuf,
        /// What the operating system says of it.
        error: std::io::Error,
    },
    /// There is no thread for the source.
    #[error("{}", say!("a thread cannot begin: there is no memory for it, or no more are allowed"))]
    NoThread,
    /// The source's task broke; this is a bug.
    #[error("{}", say!("internal error: {message}. Please report this", message))]
    Broken {
        /// What happened, as the library says it.
        message: String,
    },
    /// The broker or its settings.
    #[error("{}", say!("Kafka: {message}", message))]
    Kafka {
        /// What happened, as the library says it.
        message: String,
    },
    /// The settings of a database.
    #[error("{}", say!("PostgreSQL: {message}", message))]
    Postgres {
        /// What is wrong with them.
        message: String,
    },
    /// The broker no longer has what was to be read next, and the configuration says to stop then.
    #[error("{}", say!(
        "{partition}: {detail}. Nothing was passed over. Get the missing events from where they came from (POST /api/v1/events takes them); to go on, set `on_loss: earliest` for this source: it goes on at {goes_on}, and the hole is kept in quarantine with the reason lost",
        partition, detail, goes_on
    ))]
    Lost {
        /// The topic and partition.
        partition: String,
        /// What is missing, and why.
        detail: String,
        /// The first offset there is.
        goes_on: i64,
    },
}

impl Outlet {
    /// Sends a block from a blocking thread. `false` if nobody takes blocks any more, or the source is to end.
    #[must_use]
    pub fn send_blocking(&self, block: Block) -> bool {
        !self.stop.is_cancelled() && self.blocks.blocking_send(block).is_ok()
    }

    /// Offers a block from a blocking thread, and waits for a while if there is no room.
    #[must_use]
    pub fn offer_blocking(&self, block: Block, wait: Duration) -> Room {
        let until = std::time::Instant::now() + wait;
        let mut block = block;
        loop {
            match self.blocks.try_send(block) {
                Ok(()) => return Room::Taken,
                Err(TrySendError::Closed(_)) => return Room::Gone,
                Err(TrySendError::Full(back)) if std::time::Instant::now() >= until => {
                    return Room::None(Box::new(back));
                }
                Err(TrySendError::Full(back)) => block = back,
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// How often a full channel is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// What became of a block that was offered.
#[derive(Debug)]
pub enum Room {
    /// There was room, and it was taken.
    Taken,
    /// There is no room yet.
    None(Box<Block>),
    /// Nobody takes blocks any more.
    Gone,
}
