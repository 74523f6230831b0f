//! From a map as it is written to one that is applied, with every mistake and where it stands.

use std::collections::HashMap;

use super::{
    Charset, Dates, Field, Map, MapShape, Money, Predicate, Slots, Upsert, UpsertShape, Versioned, Word,
    Words, when,
};
use crate::{
    diagnostic::suggest,
    event::{
        Column, EventType, FieldKind,
        dress::{naked, squeezed},
        schema::{FIELDS, LINE_ATTRIBUTES, field},
    },
    say,
    stream::{Dialect, Encoding},
    text::quoted,
    workbook,
};

/// A mistake in a map.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// The keys that lead to it.
    pub path: Vec<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

struct Compiler<'s> {
    shape: &'s MapShape,
    upsert: Option<(&'s UpsertShape, Versioned<'s>)>,
    slots: Slots,
    fields: Vec<Field>,
    mistakes: Vec<Mistake>,
}

impl Map {
    /// Compiles a map.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn compile(shape: &MapShape) -> Result<Self, Vec<Mistake>> {
        Self::compile_versions(shape, None)
    }

    /// Compiles a map of records that may come again when they have changed.
    ///
    /// # Errors
    /// Every mistake in it. The path of one in `upsert` begins with that word.
    pub fn compile_versions(
        shape: &MapShape,
        upsert: Option<(&UpsertShape, Versioned<'_>)>,
    ) -> Result<Self, Vec<Mistake>> {
        let (slots, fields, mistakes) = Default::default();
        let mut compiler = Compiler { shape, upsert, slots, fields, mistakes };
        let map = compiler.compile();
        if compiler.mistakes.is_empty() { map.ok_or_else(Vec::new) } else { Err(compiler.mistakes) }
    }
}

impl Compiler<'_> {
    fn compile(&mut self) -> Option<Map> {
        let shape = self.shape;
        self.columns();
        self.constants();
        let upsert = self
            .upsert
            .and_then(|(upsert, versioned)| upsert.compile(versioned, &mut self.slots, &mut self.mistakes));
        let id = self.id(upsert.as_ref());
        let when = self.condition();
        self.values();
        self.optional();
        self.lookup();
        self.required(&id);
        if shape.format == Some(Encoding::Xml) && shape.rows.is_none() {
            let message =
                say!("`rows` must name the elements of the XML document that are rows, by their path");
            self.mistake(&[], message, None);
        }
        let charset = self.checked(&["encoding"], Charset::named(&shape.encoding));
        let dialect = self.dialect();
        let money = self.checked(&["money"], Money::new(&shape.money));
        let dates = self.dates();
        let header_row = shape.header_row.unwrap_or(1);
        if header_row > MOST_ROWS || shape.skip > MOST_ROWS {
            let most = MOST_ROWS;
            self.mistake(&["header_row"], say!("a header stands in the first {most} rows", most), None);
        }
        let mut map = Map {
            format: shape.format,
            charset: charset?,
            dialect: dialect?,
            header_row,
            workbook: self.workbook(),
            elements: shape.rows.clone(),
            skip: shape.skip,
            tree: self.slots.tree(),
            slots: std::mem::take(&mut self.slots),
            id,
            fields: std::mem::take(&mut self.fields),
            looks_up: shape.lookup.is_some(),
            when,
            totals: shape.totals.iter().map(|word| squeezed(word)).filter(|word| !word.is_empty()).collect(),
            dates: dates?,
            money: money?,
            zone: shape.zone.clone(),
            times: shape.times,
            nulls: shape.nulls.clone(),
            upsert,
        };
        let only_applies = map.only_applies();
        if let Some(upsert) = &mut map.upsert {
            upsert.applies_first = !only_applies;
        }
        Some(map)
    }

    /// The columns that an event's id is made of: those that are named, or what a record keeps when it changes.
    fn id(&mut self, upsert: Option<&Upsert>) -> Vec<usize> {
        let mut id = self.shape.id.iter().map(|name| self.slots.slot(name)).collect::<Vec<_>>();
        let is_a_column = self.field(Column::EventId.index()).is_some();
        if let Some(upsert) = upsert.filter(|_| id.is_empty() && !is_a_column) {
            id.clone_from(&upsert.key);
        }
        if !id.is_empty() && is_a_column {
            self.mistake(
                &["id"],
                say!("event_id comes from `columns` already: leave one of the two out"),
                None,
            );
        }
        id
    }

    /// The columns that files may lack.
    fn optional(&mut self) {
        for name in &self.shape.optional {
            if !self.slots.may_lack(name) {
                let hint = suggest(name, self.slots.names().iter().map(String::as_str));
                let message = say!("{name} is no column of the map", name = quoted(name));
                self.mistake(&["optional", name], message, Some(hint));
            }
        }
    }

    fn dates(&mut self) -> Option<Dates> {
        let problems = match Dates::new(&self.shape.dates) {
            Ok(dates) => return Some(dates),
            Err(problems) => problems,
        };
        for (at, problem) in problems {
            self.mistake(&["dates", &self.shape.dates[at]], problem, None);
        }
        None
    }

    /// Where the rows of a workbook stand.
    fn workbook(&self) -> workbook::Options {
        let shape = self.shape;
        let sheet = shape.sheet.as_ref().map(|sheet| match sheet {
            Word::Text(name) => workbook::SheetChoice::Name(name.clone()),
            Word::Number(number) => workbook::SheetChoice::Number(usize::try_from(*number).unwrap_or(0)),
        });
        let header_row = shape.header_row.and_then(|row| u32::try_from(row).ok()).filter(|row| *row > 0);
        workbook::Options { sheet, header_row, skip: u32::try_from(shape.skip).unwrap_or(0) }
    }

    fn mistake(&mut self, path: &[&str], message: String, hint: Option<String>) {
        let path = path.iter().map(|key| (*key).to_owned()).collect();
        self.mistakes.push(Mistake { path, message, hint });
    }

    fn checked<T>(&mut self, path: &[&str], result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.mistake(path, message, None)).ok()
    }

    fn field(&mut self, column: usize) -> Option<&mut Field> {
        self.fields.iter_mut().find(|field| field.column == column)
    }

    /// The field of this name.
    fn named(&mut self, path: &[&str], name: &str) -> Option<usize> {
        if let Some((column, _)) = field(name) {
            return Some(column);
        }
        let hint = suggest(name, FIELDS.iter().map(|field| field.name));
        self.mistake(path, say!("no event has a field {name}", name = quoted(name)), Some(hint));
        None
    }

    fn columns(&mut self) {
        for (name, fields) in &self.shape.columns {
            for wanted in fields.split(',').map(str::trim).filter(|wanted| !wanted.is_empty()) {
                let Some(column) = self.named(&["columns", name], wanted) else { continue };
                let slot = Some(self.slots.slot(name));
                match self.field(column).and_then(|field| field.slot) {
                    Some(other) => {
                        let other = self.slots.names()[other].clone();
                        let message = say!(
                            "{field} comes from {other} already; if files have one or the other, write both names with | between them",
                            field = wanted,
                            other = quoted(&other)
                        );
                        self.mistake(&["columns", name], message, None);
                    }
                    None => self.fields.push(Field { column, slot, constant: None, words: None }),
                }
            }
        }
    }

    fn constants(&mut self) {
        for (name, word) in &self.shape.constants {
            let Some(column) = self.named(&["constants", name], name) else { continue };
            let text = word.to_string();
            if let FieldKind::Choice(words) = FIELDS[column].kind
                && !words.contains(&text.as_str())
            {
                let message = say!("{name} cannot be {word}", name, word = quoted(&text));
                self.mistake(&["constants", name], message, Some(suggest(&text, words.iter().copied())));
            }
            let constant = Some(text.into_boxed_str());
            match self.field(column) {
                Some(field) => field.constant = constant,
                None => self.fields.push(Field { column, slot: None, constant, words: None }),
            }
        }
    }

    fn condition(&mut self) -> Option<Predicate> {
        let text = self.shape.when.as_deref()?;
        let compiled = when::compile(text, &mut self.slots);
        self.checked(&["when"], compiled)
    }

    /// The words of a column, or of the column that a field comes from.
    fn values(&mut self) {
        for (name, words) in &self.shape.values {
            let by_field = field(name).map(|(column, _)| column);
            let slot = self.slots.names().iter().position(|known| known == name);
            let slot = slot.or_else(|| self.field(by_field?)?.slot);
            let Some(slot) = slot else {
                let hint = suggest(name, self.slots.names().iter().map(String::as_str));
                let message = say!("{name} is no column of the map", name = quoted(name));
                self.mistake(&["values", name], message, Some(hint));
                continue;
            };
            let mut meant = HashMap::new();
            for (word, value) in words {
                meant.insert(naked(word, false).into(), value.as_str().into());
            }
            let others = meant.remove("*");
            let compiled = Words { meant, others };
            let read: Vec<_> = self.fields.iter().filter(|field| field.slot == Some(slot)).collect();
            let mut wrong = Vec::new();
            for field in read {
                let FieldKind::Choice(known) = FIELDS[field.column].kind else { continue };
                let values = words.iter().filter(|(_, value)| !known.contains(&value.as_str()));
                wrong.extend(values.map(|(word, value)| (field.column, known, word.clone(), value.clone())));
            }
            for (column, known, word, value) in wrong {
                let message =
                    say!("{name} cannot be {word}", name = FIELDS[column].name, word = quoted(&value));
                self.mistake(&["values", name, &word], message, Some(suggest(&value, known.iter().copied())));
            }
            for field in self.fields.iter_mut().filter(|field| field.slot == Some(slot)) {
                field.words = Some(compiled.clone());
            }
        }
    }

    /// What is looked up must be named by something, and be lacking.
    fn lookup(&mut self) {
        if self.shape.lookup.is_none() {
            return;
        }
        if self.field(Column::BudgetLineId.index()).is_none() {
            let message = say!("`lookup` finds the budget line by budget_line_id, and no column gives that");
            let hint = say!("name the column with the number of the budget line under `columns`");
            self.mistake(&["lookup"], message, Some(hint));
        }
        let types = self.types();
        if !types.is_empty() && !types.iter().any(|event_type| event_type.opens_lines()) {
            let message =
                say!("`lookup` fills what payments and applications lack, and no record of this map is one");
            self.mistake(&["lookup"], message, None);
        }
    }

    /// The types that records may be, as far as the map tells; none if it does not.
    fn types(&self) -> Vec<EventType> {
        let kind = self.fields.iter().find(|field| field.column == Column::Type.index());
        let words = kind.and_then(|kind| kind.words.as_ref());
        let mut types: Vec<EventType> = match kind {
            Some(Field { slot: None, constant: Some(constant), .. }) => {
                EventType::parse(constant).into_iter().collect()
            }
            _ => words
                .iter()
                .flat_map(|words| words.meant.values())
                .filter_map(|word| EventType::parse(word))
                .collect(),
        };
        types.dedup();
        types
    }

    /// Fields that every event of a type must have and that come from nowhere.
    fn required(&mut self, id: &[usize]) {
        let types = self.types();
        let every = u32::MAX;
        let bits: Vec<u32> =
            if types.is_empty() { vec![every] } else { types.iter().map(|t| u32::from(t.bit())).collect() };
        let has = |column: usize| self.fields.iter().any(|field| field.column == column);
        let all = EventType::ALL.iter().fold(0, |all, event_type| all | u32::from(event_type.bit()));
        let lacks = |column: &usize| {
            let required = u32::from(FIELDS[*column].required);
            let needed =
                bits.iter().any(|bit| if *bit == every { required == all } else { required & bit != 0 });
            let by_id = *column == Column::EventId.index() && !id.is_empty();
            let by_line =
                self.shape.lookup.is_some() && LINE_ATTRIBUTES.iter().any(|known| known.index() == *column);
            needed && !has(*column) && !by_id && !by_line
        };
        let missing: Vec<_> = (0..FIELDS.len()).filter(lacks).map(|column| FIELDS[column].name).collect();
        if !missing.is_empty() {
            let message = say!(
                "no column and no constant gives {fields}, which every such event has",
                fields = missing.join(", ")
            );
            let hint =
                say!("name the column under `columns`, or a value that holds for all rows under `constants`");
            self.mistake(&[], message, Some(hint));
        }
    }

    fn dialect(&mut self) -> Option<Dialect> {
        let one = |text: &str| match text {
            "tab" | "\\t" => Some(b'\t'),
            text => <[u8; 1]>::try_from(text.as_bytes()).ok().map(|[byte]| byte),
        };
        let delimiter = one(&self.shape.delimiter).filter(|byte| !matches!(byte, b'\n' | b'\r' | b'"'));
        let quote = match self.shape.quote.as_str() {
            "none" | "" => Some(None),
            text => one(text).map(Some),
        };
        if delimiter.is_none() {
            let text = quoted(&self.shape.delimiter);
            self.mistake(
                &["delimiter"],
                say!("{text} is no delimiter: write one character of ASCII, or tab", text),
                None,
            );
        }
        if quote.is_none() {
            let text = quoted(&self.shape.quote);
            self.mistake(
                &["quote"],
                say!("{text} is no quote: write one character of ASCII, or none", text),
                None,
            );
        }
        Some(Dialect { delimiter: delimiter?, quote: quote? })
    }
}

/// Rows in which a header can stand.
const MOST_ROWS: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(yaml: &str) -> String {
        let shape: MapShape = serde_saphyr::from_str(yaml).unwrap();
        let told = |m: &Mistake| {
            let hint = m.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
            format!("{}: {}{hint}", m.path.join("."), m.message)
        };
        Map::compile(&shape).err().unwrap_or_default().iter().map(told).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_mistake_is_told_where_it_stands() {
        insta::assert_snapshot!(mistakes(
            "
encoding: gbq
delimiter: ab
columns: { 单号: event_id, 金额: amuont, 日期: occurred_at, 交易日: occurred_at, 方式: settlement }
id: [单号, 行号]
constants: { type: paiment, fiscal_year: 2026 }
values: { 方式: { 1: transfer, 2: chash }, 方法: { a: b } }
optional: [备住]
dates: ['%d/%m/%Y', '%m/%d/%Y', day]
money: { thousands: ',,' }
when: 状态 ==
"
        ));
    }

    #[test]
    fn what_is_looked_up_has_a_line_and_is_lacking() {
        let columns = "columns: { 单号: event_id, 金额: amount, 日期: occurred_at, 原单: original_event_id";
        let refunds = format!("{columns} }}\nconstants: {{ type: refund }}\nlookup: {{ from: budget_line }}");
        let payments = format!(
            "{columns}, 指标: budget_line_id, 收款人: payee_name, 账号: payee_account }}
constants: {{ type: payment, payment_mode: direct, settlement: transfer, payee_type: entity }}
lookup: {{ from: budget_line }}"
        );
        assert_eq!(mistakes(&payments), "");
        insta::assert_snapshot!(mistakes(&refunds));
        let all_lack = payments.replace("lookup: { from: budget_line }", "");
        insta::assert_snapshot!(mistakes(&all_lack));
    }

    #[test]
    fn a_map_of_payments_is_in_order() {
        let yaml = "
columns:
  支付日期: occurred_at, recorded_at
  指标编号: budget_line_id
  支付金额|金额: amount
  区划: region_code
  单位编码: unit_code
  功能分类: function_code
  经济分类: economic_code
  收款人: payee_name
  收款账号: payee_account
  结算方式: settlement
id: [凭证号, 明细]
constants: { type: payment, fiscal_year: 2026, payment_mode: direct, payee_type: entity }
values: { settlement: { 1: transfer, '*': cash } }
when: 状态 = '已支付'
";
        assert_eq!(mistakes(yaml), "");
        let map = Map::compile(&serde_saphyr::from_str(yaml).unwrap()).unwrap();
        let settlement = map.fields.iter().find(|f| f.column == Column::Settlement.index()).unwrap();
        let words = settlement.words.as_ref().unwrap();
        assert_eq!((words.value("1"), words.value("9")), (Some("transfer"), Some("cash")));
        assert_eq!(map.columns_of(Column::EventId.index()).unwrap(), "凭证号 + 明细");
        assert_eq!(map.columns_of(Column::Amount.index()).unwrap(), "支付金额|金额");
    }
}
