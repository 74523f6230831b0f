//! The rows that were appended, as events.

use arrow::{array::RecordBatchOptions, buffer::Buffer, datatypes::SchemaRef, record_batch::RecordBatch};

use super::{
    super::{Decoded, versions::RowVersions, whole::Whole},
    RowBuilder,
};

impl RowBuilder<'_> {
    /// Takes the rows of the only block as they are.
    pub(crate) fn whole(mut self, whole: Whole, first_record: u64) -> Decoded {
        let rows = 0..whole.types.len();
        whole.unknown.iter().for_each(|name| rows.clone().for_each(|_| self.unknown_field(name)));
        self.origins.rows = rows.map(|row| self.origin(first_record + row as u64 + 1, row, row)).collect();
        Decoded {
            events: whole.events,
            types: whole.types,
            ids: whole.ids,
            contents: whole.contents,
            origins: self.origins,
            lookups: self.lookups,
            rejects: self.rejects,
            skipped: self.skipped,
            unknown_fields: self.unknown_fields,
            versions: None,
        }
    }
}

impl RowBuilder<'_> {
    pub(crate) fn finish(mut self) -> Decoded {
        let rows = self.types.len();
        let decoder = self.decoder;
        let versions =
            (!self.versions.is_empty()).then(|| RowVersions { rows: self.versions, maker: decoder.maker() });
        self.columns.set_buffer(self.side_buffer, Buffer::from(self.side));
        let schema = SchemaRef::clone(&self.decoder.schema);
        let arrays = self.columns.finish(rows, schema.fields().iter().map(|f| f.data_type()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let events = RecordBatch::try_new_with_options(schema, arrays, &options)
            .expect("the builders follow the schema");
        Decoded {
            events,
            types: self.types,
            ids: self.ids,
            contents: self.contents,
            origins: self.origins,
            lookups: self.lookups,
            rejects: self.rejects,
            skipped: self.skipped,
            unknown_fields: self.unknown_fields,
            versions: versions.map(Box::new),
        }
    }
}
