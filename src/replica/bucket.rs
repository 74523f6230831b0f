//! What is asked of a store: whole objects by their keys.

use super::{
    folder::Folder,
    s3::S3,
    settings::{ReplicaLocation, S3Settings},
};
use crate::say;

/// What becomes of an object that has the key already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    Replaced,
    Kept,
}

/// Why a store does not do what it is asked, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BucketError {
    /// It cannot be reached, or has trouble; later it may work.
    #[error("{}", say!("the store {place} is away: {why}", place, why))]
    Away {
        /// The URL of the store.
        place: String,
        /// What was found, as a part of the message.
        why: String,
    },
    /// It will not do it later either.
    #[error("{}", say!("the store {place} refuses: {why}", place, why))]
    Refused {
        /// The URL of the store.
        place: String,
        /// What it says, and what to do.
        why: String,
    },
    /// It does not do what a state needs of its store.
    #[error("{}", say!("the store {place} cannot keep a state: {why}", place, why))]
    Unsuitable {
        /// The URL of the store.
        place: String,
        /// What it does instead, as a part of the message.
        why: String,
    },
    /// What is in it is not what was put there.
    #[error("{}", say!(
        "{key} in the store {place} is damaged: {why}. Where the state is still there, `fiscwatch state replicate` puts it there again; else restore a backup",
        place,
        key,
        why
    ))]
    Damaged {
        /// The URL of the store.
        place: String,
        /// The name of the object in the store.
        key: String,
        /// What was found, as a part of the message.
        why: String,
    },
}

/// An object store, or a folder that stands for one.
#[derive(Debug)]
pub enum Bucket {
    /// A folder of this machine or of a share.
    Folder(Folder),
    /// A bucket of an S3 store.
    S3(Box<S3>),
}

impl Bucket {
    /// The store of a place. Nothing is asked of it yet.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn open(place: &ReplicaLocation) -> Result<Self, BucketError> {
        match place {
            ReplicaLocation::Folder(path) => Ok(Self::Folder(Folder::new(path.clone()))),
            ReplicaLocation::S3(settings) => Self::s3(settings),
        }
    }

    fn s3(settings: &S3Settings) -> Result<Self, BucketError> {
        S3::new(settings).map(|s3| Self::S3(Box::new(s3)))
    }

    /// Its URL, as messages have it.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Folder(folder) => folder.place(),
            Self::S3(s3) => s3.place(),
        }
    }

    /// Puts an object, in the place of one that is there.
    ///
    /// # Errors
    /// If it is not durable there.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<(), BucketError> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, Existing::Replaced).map(|_| ()),
            Self::S3(s3) => s3.put(key, bytes, Existing::Replaced).map(|_| ()),
        }
    }

    /// Puts an object where none is; `false` if one is there already.
    ///
    /// # Errors
    /// If it is not durable there; it may be there all the same.
    pub fn put_new(&self, key: &str, bytes: &[u8]) -> Result<bool, BucketError> {
        match self {
            Self::Folder(folder) => folder.put(key, bytes, Existing::Kept),
            Self::S3(s3) => s3.put(key, bytes, Existing::Kept),
        }
    }

    /// Gets an object; `None` if it is not there.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BucketError> {
        match self {
            Self::Folder(folder) => folder.get(key),
            Self::S3(s3) => s3.get(key),
        }
    }

    /// The keys below a prefix, which ends with a slash, after a key, in their order.
    ///
    /// # Errors
    /// If the store cannot be asked.
    pub fn list(&self, prefix: &str, after: &str) -> Result<Vec<String>, BucketError> {
        match self {
            Self::Folder(folder) => folder.list(prefix, after),
            Self::S3(s3) => s3.list(prefix, after),
        }
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// If it stays.
    pub fn delete(&self, key: &str) -> Result<(), BucketError> {
        match self {
            Self::Folder(folder) => folder.delete(key),
            Self::S3(s3) => s3.delete(key),
        }
    }

    /// An object that must be there and is damaged or gone.
    pub(super) fn damaged(&self, key: &str, why: String) -> BucketError {
        BucketError::Damaged { place: self.place(), key: key.to_owned(), why }
    }
}
