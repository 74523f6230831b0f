//! Formats of events as options name them.

use clap::{ValueEnum, builder::PossibleValue};

use crate::source::Encoding;

impl ValueEnum for Encoding {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Jsonl, Self::Csv, Self::Parquet, Self::Excel, Self::Xml]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Jsonl => ("jsonl", "One JSON object a line"),
            Self::Csv => ("csv", "Comma-separated values with a header"),
            Self::Parquet => ("parquet", "Apache Parquet"),
            Self::Excel => ("excel", "An Excel workbook, with a map"),
            Self::Xml => ("xml", "An XML document, with a map"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}
