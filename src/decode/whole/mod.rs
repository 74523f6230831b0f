//! A table whose rows are all in order, column by column: nothing is copied row by row, and text stays where the file's
//! reader put it. Whatever is not plainly right here is left to the way by rows, which says what is wrong with it, so
//! both must agree on every table that this one takes; a test holds them against each other.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, AsArray, Decimal128Array, Int32Array, ListArray, StringViewArray,
        TimestampMicrosecondArray, make_view, new_null_array,
    },
    buffer::{BooleanBuffer, NullBuffer},
    compute::cast,
    datatypes::{DataType, Decimal128Type, Field, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Reading, row::fold, text, value::YEARS};
use crate::event::{
    BudgetAction, Cents, Column, Currency, EventType, Instant, TypeSet,
    money::check_amount,
    number,
    schema::{
        EVENT_ID_CHARS, FIELDS, FieldKind, FieldSpec, TAGS_MAX, TextKind, field, id_hash, required_by_action,
    },
    time::{TimeBounds, check_years},
};

/// The rows of a table.
#[derive(Debug)]
pub(crate) struct Whole {
    pub events: RecordBatch,
    pub types: Vec<EventType>,
    pub ids: Vec<u64>,
    pub contents: Vec<u64>,
    /// Columns that the data dictionary does not know.
    pub unknown: Vec<String>,
}

/// Decodes a table; `None` if it is not all in order, or has columns of other types than the events' own.
pub(crate) fn decode(
    table: &RecordBatch,
    schema: &SchemaRef,
    currency: &Currency,
    reading: &Reading,
    bounds: TimeBounds,
) -> Option<Whole> {
    let mut given: Vec<Option<&ArrayRef>> = vec![None; Column::COUNT];
    let mut unknown = Vec::new();
    for (name, array) in table.schema_ref().fields().iter().zip(table.columns()) {
        match field(name.name()) {
            Some((at, _)) => given[at] = Some(array),
            None => unknown.push(name.name().clone()),
        }
    }
    let rows = table.num_rows();
    let types = types(given[Column::Type.index()]?)?;
    let bits = types.iter().map(|t| t.bit()).collect();
    let mut work = Work { bits, contents: vec![0; rows], bounds, currency, reading };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(Column::COUNT);
    for (at, spec) in FIELDS.iter().enumerate() {
        let column = match given[at] {
            Some(array) => work.column(at, spec, array)?,
            None => None,
        };
        let column = match column {
            Some(column) => column,
            None => work.absent(at, spec, schema.field(at).data_type())?,
        };
        columns.push(match schema.field(at).data_type() {
            // The zone is a label, the scale is checked.
            data_type @ (DataType::Timestamp(..) | DataType::Decimal128(..)) => relabel(column, data_type)?,
            _ => column,
        });
    }
    actions(&columns, &types)?;
    let ids = columns[Column::EventId.index()].as_string_view();
    let ids = (0..rows).map(|row| id_hash(ids.value(row))).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let events = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).ok()?;
    Some(Whole { events, types, ids, contents: work.contents, unknown })
}

fn types(array: &ArrayRef) -> Option<Vec<EventType>> {
    let names = texts(array)?;
    (0..names.len())
        .map(|row| EventType::parse(if names.is_valid(row) { names.value(row) } else { "" }))
        .collect()
}

fn texts(array: &ArrayRef) -> Option<StringViewArray> {
    let plain = matches!(array.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let dictionary = matches!(array.data_type(), DataType::Dictionary(_, value) if value.is_string());
    if !plain && !dictionary {
        return None;
    }
    Some(cast(array, &DataType::Utf8View).ok()?.as_string_view().clone())
}

struct Work<'w> {
    /// The type of each row, as a bit.
    bits: Vec<TypeSet>,
    contents: Vec<u64>,
    bounds: TimeBounds,
    currency: &'w Currency,
    reading: &'w Reading,
}

impl Work<'_> {
    /// A column in the events' own type, with its share of the content hashes; the inner `None` if no row has a value.
    #[allow(clippy::option_option)]
    fn column(&mut self, at: usize, spec: &FieldSpec, array: &ArrayRef) -> Option<Option<ArrayRef>> {
        if array.logical_null_count() == array.len() && !array.is_empty() {
            return Some(None);
        }
        let column: ArrayRef = match spec.kind {
            FieldKind::Text(_) | FieldKind::Choice(_) => Arc::new(self.text(at, spec, texts(array)?)?),
            FieldKind::Money => self.decimals(at, spec, array, 2, |cents| {
                check_amount(Cents::new(cents)).map(Cents::as_i128).ok()
            })?,
            FieldKind::Number => {
                self.decimals(at, spec, array, number::SCALE, |n| number::scaled(n, number::SCALE).ok())?
            }
            FieldKind::Time => self.times(at, spec, array)?,
            FieldKind::Year => self.years(at, spec, array)?,
            FieldKind::Tags => self.tags(spec, array)?,
        };
        Some(Some(column))
    }

    /// A column that no row has.
    fn absent(&mut self, at: usize, spec: &FieldSpec, data_type: &DataType) -> Option<ArrayRef> {
        if self.bits.iter().any(|bit| spec.required & bit != 0) {
            return None;
        }
        let none = new_null_array(data_type, self.bits.len());
        if at != Column::Currency.index() {
            return Some(none);
        }
        self.text(at, spec, none.as_string_view().clone()).map(|currency| Arc::new(currency) as ArrayRef)
    }

    /// Which rows have a value, as their types have the field; `None` if one that must have it has not.
    fn present(&self, spec: &FieldSpec, nulls: Option<&NullBuffer>) -> Option<BooleanBuffer> {
        let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let mut missing = false;
        let present = BooleanBuffer::collect_bool(self.bits.len(), |row| {
            let present = valid(row) && spec.on & self.bits[row] != 0;
            missing |= !present && spec.required & self.bits[row] != 0;
            present
        });
        (!missing).then_some(present)
    }

    fn add(&mut self, at: usize, row: usize, value: i128) {
        self.contents[row] = self.contents[row].wrapping_add(fold(value.cast_unsigned(), at as u64 + 1));
    }

    fn text(&mut self, at: usize, spec: &FieldSpec, array: StringViewArray) -> Option<StringViewArray> {
        let mut nulls = array.nulls().cloned();
        // An empty text is a missing value in every format.
        if (0..array.len()).any(|row| array.views()[row] as u32 == 0 && array.is_valid(row)) {
            let full = BooleanBuffer::collect_bool(array.len(), |row| array.views()[row] as u32 != 0);
            nulls = NullBuffer::union(nulls.as_ref(), Some(&NullBuffer::new(full)));
        }
        let present = self.present(spec, nulls.as_ref())?;
        if at == Column::Currency.index() && self.states_another_currency(spec, &array, nulls.as_ref()) {
            return None;
        }
        let seed = at as u64 + 1;
        for row in present.set_indices() {
            let text = array.value(row);
            if !self.is_plain(at, spec, text) {
                return None;
            }
            let view = array.views()[row];
            let hash =
                if text.len() <= 12 { fold(view, seed) } else { xxh3_64_with_seed(text.as_bytes(), seed) };
            self.contents[row] = self.contents[row].wrapping_add(hash);
        }
        let (views, buffers, _) = array.into_parts();
        if at != Column::Currency.index() {
            return StringViewArray::try_new(views, buffers, validity(present)).ok();
        }
        let mut views = views.to_vec();
        let missing = |row: usize, bits: &[TypeSet]| spec.on & bits[row] != 0 && !present.value(row);
        for row in (0..views.len()).filter(|row| missing(*row, &self.bits)) {
            views[row] = make_view(self.currency.code().as_bytes(), 0, 0);
            self.contents[row] = self.contents[row].wrapping_add(fold(views[row], seed));
        }
        let filled = BooleanBuffer::collect_bool(views.len(), |row| spec.on & self.bits[row] != 0);
        StringViewArray::try_new(views.into(), buffers, validity(filled)).ok()
    }

    /// Whether a row that does not keep its currency says one that has to be looked at.
    fn states_another_currency(
        &self,
        spec: &FieldSpec,
        array: &StringViewArray,
        nulls: Option<&NullBuffer>,
    ) -> bool {
        let with_amount = FIELDS[Column::Amount.index()].on & !spec.on;
        !self.reading.is_stored()
            && (0..array.len()).any(|row| {
                with_amount & self.bits[row] != 0
                    && nulls.is_none_or(|nulls| nulls.is_valid(row))
                    && array.value(row) != self.currency.code()
            })
    }

    /// Whether a value is all right as it stands.
    fn is_plain(&self, at: usize, spec: &FieldSpec, text: &str) -> bool {
        let right = match spec.kind {
            FieldKind::Choice(words) => return words.contains(&text),
            FieldKind::Text(kind) => text::wrong(kind, text, text::Shape::of(text)).is_none(),
            _ => true,
        };
        let column_right = match at {
            _ if at == Column::EventId.index() => {
                text.len() <= EVENT_ID_CHARS || text.chars().count() <= EVENT_ID_CHARS
            }
            _ if at == Column::Currency.index() => text == self.currency.code(),
            _ => true,
        };
        self.reading.is_stored() || right && column_right && self.reading.leaves(text, spec.kind)
    }

    fn are_plain<'t>(&self, spec: &FieldSpec, mut tags: impl ExactSizeIterator<Item = &'t str>) -> bool {
        let plain = |tag: &str| {
            text::wrong(TextKind::Code, tag, text::Shape::of(tag)).is_none()
                && self.reading.leaves(tag, spec.kind)
        };
        self.reading.is_stored() || tags.len() <= TAGS_MAX && tags.all(plain)
    }

    fn tags(&mut self, spec: &FieldSpec, array: &ArrayRef) -> Option<ArrayRef> {
        let DataType::List(_) = array.data_type() else { return None };
        let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let array = cast(array, &DataType::List(Arc::clone(&item))).ok()?;
        let lists = array.as_list::<i32>();
        if lists.values().null_count() > 0 {
            return None;
        }
        let present = self.present(spec, lists.nulls())?;
        let words = lists.values().as_string::<i32>();
        for row in present.set_indices() {
            let (from, to) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
            let tags = (from..to).map(|at| words.value(usize::try_from(at).unwrap_or_default()));
            if !self.are_plain(spec, tags.clone()) {
                return None;
            }
            let hash = tags.fold(1, |hash, tag| xxh3_64_with_seed(tag.as_bytes(), hash));
            self.contents[row] = self.contents[row].wrapping_add(hash);
        }
        let (offsets, values) = (lists.offsets().clone(), Arc::clone(lists.values()));
        Some(Arc::new(ListArray::try_new(item, offsets, values, validity(present)).ok()?))
    }

    fn decimals(
        &mut self,
        at: usize,
        spec: &FieldSpec,
        array: &ArrayRef,
        scale: u32,
        check: impl Fn(i128) -> Option<i128>,
    ) -> Option<ArrayRef> {
        let array = array.as_primitive_opt::<Decimal128Type>()?;
        let factor = 10i128.pow(scale.checked_sub(u32::try_from(array.scale()).ok()?)?);
        let present = self.present(spec, array.nulls())?;
        let mut values = vec![0i128; array.len()];
        for row in present.set_indices() {
            let value = check(array.value(row).checked_mul(factor)?)?;
            values[row] = value;
            self.add(at, row, value);
        }
        Some(Arc::new(Decimal128Array::new(values.into(), validity(present))))
    }

    fn times(&mut self, at: usize, spec: &FieldSpec, array: &ArrayRef) -> Option<ArrayRef> {
        // A clock without a zone is read, or refused, row by row.
        let DataType::Timestamp(_, Some(_)) = array.data_type() else { return None };
        let array = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
        let array = array.as_primitive::<TimestampMicrosecondType>();
        let present = self.present(spec, array.nulls())?;
        let bounds = if at == Column::OccurredAt.index() { self.bounds } else { TimeBounds::NONE };
        let mut values = vec![0i64; array.len()];
        for row in present.set_indices() {
            let time = Instant::from_micros(array.value(row));
            let micros = check_years(time).ok().filter(|time| bounds.contain(*time))?.as_micros();
            values[row] = micros;
            self.add(at, row, micros.into());
        }
        Some(Arc::new(TimestampMicrosecondArray::new(values.into(), validity(present))))
    }

    fn years(&mut self, at: usize, spec: &FieldSpec, array: &ArrayRef) -> Option<ArrayRef> {
        if !array.data_type().is_integer() {
            return None;
        }
        let array = cast(array, &DataType::Int64).ok()?;
        let array = array.as_primitive::<Int64Type>();
        let present = self.present(spec, array.nulls())?;
        let mut values = vec![0i32; array.len()];
        for row in present.set_indices() {
            let year = i32::try_from(array.value(row)).ok().filter(|year| YEARS.contains(year))?;
            values[row] = year;
            self.add(at, row, year.into());
        }
        Some(Arc::new(Int32Array::new(values.into(), validity(present))))
    }
}

fn validity(present: BooleanBuffer) -> Option<NullBuffer> {
    Some(NullBuffer::new(present)).filter(|nulls| nulls.null_count() > 0)
}

fn relabel(column: ArrayRef, data_type: &DataType) -> Option<ArrayRef> {
    if column.data_type() == data_type {
        return Some(column);
    }
    let data = column.to_data().into_builder().data_type(data_type.clone());
    Some(arrow::array::make_array(data.build().ok()?))
}

/// Every budget action has the fields that it must have.
fn actions(columns: &[ArrayRef], types: &[EventType]) -> Option<()> {
    for row in (0..types.len()).filter(|row| types[*row] == EventType::Budget) {
        let action = BudgetAction::parse(columns[Column::Action.index()].as_string_view().value(row))?;
        if required_by_action(action).iter().any(|column| columns[column.index()].is_null(row)) {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
