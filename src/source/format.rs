//! What a file holds, told by its name.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

pub use crate::stream::Encoding;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// The bytes are the records themselves.
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, in one frame or several.
    Zstd,
}

/// How records are encoded, and how the whole is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// How records are written.
    pub encoding: Encoding,
    /// How the file is compressed.
    pub compression: Compression,
}

impl Format {
    /// The format that a file's name tells; JSON Lines if it tells nothing. `encoding` overrides it.
    #[must_use]
    pub fn of(path: &Path, encoding: Option<Encoding>) -> Self {
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (stem, compression) = match name.rsplit_once('.') {
            Some((stem, "gz" | "gzip")) => (stem, Compression::Gzip),
            Some((stem, "zst" | "zstd")) => (stem, Compression::Zstd),
            _ => (name.as_str(), Compression::None),
        };
        let told = match stem.rsplit_once('.') {
            Some((_, "csv")) => Encoding::Csv,
            Some((_, "parquet")) => Encoding::Parquet,
            Some((_, "xlsx" | "xlsm" | "xls")) => Encoding::Excel,
            Some((_, "xml")) => Encoding::Xml,
            _ => Encoding::Jsonl,
        };
        Self { encoding: encoding.unwrap_or(told), compression }
    }

    /// Opens the uncompressed bytes of a file.
    ///
    /// # Errors
    /// If the decompressor cannot be made.
    pub fn reader(self, file: File) -> std::io::Result<Box<dyn Read + Send>> {
        Ok(match self.compression {
            Compression::None => Box::new(file),
            Compression::Gzip => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file)))
            }
            Compression::Zstd => Box::new(zstd::Decoder::new(file)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_format() {
        let format = |name: &str| Format::of(Path::new(name), None);
        let of = |encoding, compression| Format { encoding, compression };
        assert_eq!(format("a/payments.jsonl"), of(Encoding::Jsonl, Compression::None));
        assert_eq!(format("PAYMENTS.CSV.GZ"), of(Encoding::Csv, Compression::Gzip));
        assert_eq!(format("支付.XLSX"), of(Encoding::Excel, Compression::None));
        assert_eq!(format("voucher.xml.gz"), of(Encoding::Xml, Compression::Gzip));
        assert_eq!(format("p.parquet"), of(Encoding::Parquet, Compression::None));
        assert_eq!(format("p.jsonl.zst"), of(Encoding::Jsonl, Compression::Zstd));
        assert_eq!(format("events.log"), of(Encoding::Jsonl, Compression::None));
        assert_eq!(Format::of(Path::new("x.dat"), Some(Encoding::Csv)).encoding, Encoding::Csv);
    }
}
