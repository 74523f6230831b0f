//! A state that survives its machine: sealed files, snapshots of the database and every commit between two of them, in an
//! object store that other machines reach. docs/decisions/0014-replica.md says why it is done this way.
//!
//! In the store, below the prefix of the URL:
//!
//! - `log/NUMBER`: records in an unbroken row, each written only where none is. A record is a commit (the pages of the
//!   database that it changed), or the claim of a machine that takes the state. Whose record comes next decides who
//!   goes on: there is no clock and no lock in it.
//! - `snapshots/NUMBER/`: the database as of a record, in pieces, and last its manifest.
//! - `files/DIGEST/`: sealed files and files of cases, in pieces, by their blake3.
//! - `leases/CLAIM`: a sign of life of who has claimed the state, for those who wait. Nothing depends on it but when they try.

mod bucket;
mod claim;
mod folder;
mod keeper;
mod lake;
mod log;
mod objects;
mod record;
mod restore;
mod s3;
mod settings;
mod shipper;
mod snapshot;

pub use bucket::{Bucket, BucketError};
pub use claim::{Candidate, ClaimStatus, Claimed, Mark, ReplicaError};
pub use keeper::{Keeper, once};
pub use lake::{LakeFile, LakeManifest, LakePublication, publish};
pub use restore::{Restored, restore};
pub use settings::{Named, ReplicaLocation, ReplicaSettings, S3Settings, WhenAway};
pub use shipper::ReplicaFigures;
pub use snapshot::SnapshotManifest;
