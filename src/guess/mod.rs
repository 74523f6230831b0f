//! What a file of another system means: its columns by their names and by what stands in them, the map of it, and its first rows
//! as that map reads them. `fiscwatch import` and the console's editor of maps are made of this.

mod meaning;
mod names;
mod sample;
mod trial;
mod yaml;

pub(crate) use meaning::Guess;
pub(crate) use sample::{FileLayout, Sample};
pub(crate) use trial::{FirstRows, reading};
pub(crate) use yaml::text;
