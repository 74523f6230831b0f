//! Records that come again when they have changed: whatever versions of them come, how often and in which order, the books are
//! those of what the last ones say.

mod cuts;
mod daemon;
mod databases;
mod model;
mod references;
mod said;
