//! What the columns of a file are, told by their names and by what stands in them.

use super::{names, sample::Sample};
use crate::{
    diagnostic::suggest,
    event::{
        EventType,
        schema::{FIELDS, field},
        stamp::local_time,
    },
    map::Dates,
    say,
    text::quoted,
};

/// What a file means, as far as it tells.
#[derive(Debug, Default)]
pub(crate) struct Guess {
    /// The column of each field.
    pub columns: Vec<(usize, &'static str)>,
    /// Columns that together are different in every row, where none is by itself.
    pub id: Vec<usize>,
    /// How days are written, where it is not as everywhere.
    pub dates: Vec<String>,
    /// The zone of times that have no offset, if there are any.
    pub zone: Option<String>,
    /// Whether nobody can say which number of a date is the day.
    pub unclear_day: bool,
    /// Whether amounts count ten thousands.
    pub ten_thousands: bool,
    /// The character that parts thousands.
    pub thousands: Option<char>,
    /// Whether there are amounts below zero.
    pub negative: bool,
    /// Values that hold for all rows.
    pub constants: Vec<(&'static str, String)>,
    /// Words of columns, and what they mean.
    pub words: Vec<(usize, Vec<(String, &'static str)>)>,
    /// Fields that a payment must have and that nothing gives.
    pub missing: Vec<&'static str>,
}

/// Formats of days and times; those that could be mistaken for one another stand side by side.
const DATES: &[&str] = &[
    "%Y/%m/%d",
    "%Y%m%d",
    "%Y年%m月%d日",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %B %Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%Y-%m-%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y%m%d%H%M%S",
    "%Y年%m月%d日 %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
];

impl Guess {
    /// Guesses. Times without an offset are taken to be those of the books' zone.
    pub(crate) fn of(sample: &Sample, zone: &str) -> Self {
        let mut guess = Self::default();
        guess.columns(sample);
        guess.id(sample);
        guess.dates(sample);
        let clock =
            guess.column("occurred_at").is_some_and(|column| shows_clock(sample, column, &guess.dates));
        guess.zone = clock.then(|| zone.to_owned());
        guess.money(sample);
        guess.words(sample);
        guess.constants();
        guess
    }

    /// Takes back what was guessed of a field.
    pub(crate) fn forget(&mut self, name: &str) {
        self.columns.retain(|(_, field)| *field != name);
        self.constants.retain(|(field, _)| *field != name);
        self.missing.retain(|field| *field != name);
        if name == "event_id" {
            self.id.clear();
        }
    }

    /// Takes a field from a column or a value that somebody names: `amount=@支付金额`, `region_code=330100000`.
    ///
    /// # Errors
    /// In words, if there is no such field or column.
    pub(crate) fn put(&mut self, sample: &Sample, set: &str) -> Result<(), String> {
        let Some((name, value)) = set.split_once('=') else {
            return Err(say!("--set {set}: write FIELD=@COLUMN or FIELD=VALUE", set));
        };
        let Some((_, spec)) = field(name.trim()) else {
            let hint = suggest(name, FIELDS.iter().map(|field| field.name));
            return Err(say!("no event has a field {name}: {hint}", name = quoted(name), hint));
        };
        self.forget(spec.name);
        if value.is_empty() {
            // Nothing gives it any more.
            self.missing.extend((spec.required & EventType::Payment.bit() != 0).then_some(spec.name));
            return Ok(());
        }
        match value.strip_prefix('@') {
            None => self.constants.push((spec.name, value.to_owned())),
            Some(column) => {
                let Some(at) = sample.columns.iter().position(|known| known == column.trim()) else {
                    let hint = suggest(column, sample.columns.iter().map(String::as_str));
                    return Err(say!(
                        "the file has no column {column}: {hint}",
                        column = quoted(column),
                        hint
                    ));
                };
                self.columns.push((at, spec.name));
            }
        }
        Ok(())
    }

    /// Columns that become nothing.
    pub(crate) fn left_out(&self, sample: &Sample) -> Vec<String> {
        let used = |column: &usize| {
            self.id.contains(column) || self.columns.iter().any(|(other, _)| other == column)
        };
        (0..sample.columns.len())
            .filter(|column| !used(column) && !sample.columns[*column].is_empty())
            .map(|column| sample.columns[column].clone())
            .collect()
    }

    /// What was taken to be so, and may be otherwise.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.unclear_day {
            notes.push(say!(
                "note: nothing in these rows says whether the day or the month stands first; `dates` in the map takes the day to be first"
            ));
        }
        if let Some(zone) = &self.zone {
            notes.push(say!(
                "note: times without an offset are taken to be those of {zone}; if they are not, correct `zone` in the map",
                zone
            ));
        }
        if self.ten_thousands {
            notes.push(say!("note: amounts are taken to count 万元"));
        }
        notes
    }

    /// The column of a field.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().find(|(_, field)| *field == name).map(|(column, _)| *column)
    }

    /// Each field gets the column whose name says it most surely and whose values can be it.
    fn columns(&mut self, sample: &Sample) {
        let mut wanted: Vec<(u8, usize, &'static str)> = Vec::new();
        for (column, name) in sample.columns.iter().enumerate() {
            let Some((field, sure)) = names::field_of(name) else { continue };
            if can_be(sample, column, field, sure) {
                wanted.push((sure, column, field));
            }
        }
        wanted.sort_by_key(|(sure, column, _)| (std::cmp::Reverse(*sure), *column));
        for (_, column, field) in wanted {
            if self.column(field).is_none() {
                self.columns.push((column, field));
            }
        }
        self.columns.sort_unstable();
    }

    /// The id: a column that is different in every row, or several columns that are together.
    fn id(&mut self, sample: &Sample) {
        let Some(own) = self.column("event_id") else { return };
        if is_unique(sample, &[own]) {
            return;
        }
        // A voucher of several details: a number of the detail tells them apart.
        let taken =
            |column: usize| self.columns.iter().any(|(other, field)| *other == column && *field != "purpose");
        let found = (0..sample.columns.len())
            .filter(|column| {
                *column != own && !taken(*column) && sample.values(*column).count() == sample.rows.len()
            })
            .find(|column| is_unique(sample, &[own, *column]));
        self.columns.retain(|(_, field)| *field != "event_id");
        self.id = std::iter::once(own).chain(found).collect();
    }

    fn dates(&mut self, sample: &Sample) {
        let Some(column) = self.column("occurred_at") else { return };
        let fitting = formats(sample, column);
        self.dates = fitting.iter().take(1).map(|format| (*format).to_owned()).collect();
        self.unclear_day = fitting.len() > 1 && fitting[0].starts_with("%d") && fitting[1].starts_with("%m");
    }

    fn money(&mut self, sample: &Sample) {
        let Some(column) = self.column("amount") else { return };
        self.ten_thousands = sample.says_ten_thousands(column);
        self.thousands = sample.values(column).any(|text| text.contains(',')).then_some(',');
        self.negative = sample.values(column).any(|text| {
            text.starts_with(['-', '(', '（', '－', '−'])
                || text.ends_with('-')
                || text.contains("£-")
                || text.contains("-£")
        });
    }

    /// Words that are known to mean one of ours.
    fn words(&mut self, sample: &Sample) {
        for (column, name) in &self.columns {
            let meanings: &[(&str, &str)] = match *name {
                "settlement" => &[
                    ("转账", "transfer"),
                    ("现金", "cash"),
                    ("公务卡", "card"),
                    ("支票", "cheque"),
                    ("bacs", "transfer"),
                    ("chaps", "transfer"),
                    ("fpo", "transfer"),
                    ("ach", "transfer"),
                    ("eft", "transfer"),
                    ("wire", "transfer"),
                    ("check", "cheque"),
                    ("cheque", "cheque"),
                    ("card", "card"),
                    ("cash", "cash"),
                    ("transfer", "transfer"),
                ],
                "payment_mode" => &[
                    ("直接", "direct"),
                    ("授权", "authorized"),
                    ("direct", "direct"),
                    ("authorized", "authorized"),
                ],
                _ => continue,
            };
            let mut words: Vec<(String, &'static str)> = Vec::new();
            for text in sample.values(*column) {
                if words.len() >= 40 || words.iter().any(|(known, _)| known == text) {
                    continue;
                }
                let lower = text.to_lowercase();
                if let Some((_, meant)) =
                    meanings.iter().find(|(word, meant)| lower.contains(word) && lower != *meant)
                {
                    words.push((text.to_owned(), meant));
                }
            }
            if !words.is_empty() {
                self.words.push((*column, words));
            }
        }
    }

    /// What is the same for every payment, where no column gives it, and what nobody can guess.
    fn constants(&mut self) {
        let usual = [
            ("type", "payment"),
            ("payment_mode", "direct"),
            ("settlement", "transfer"),
            ("payee_type", "entity"),
        ];
        for (name, value) in usual {
            if self.column(name).is_none() {
                self.constants.push((name, value.to_owned()));
            }
        }
        let payment = EventType::Payment.bit();
        for spec in FIELDS.iter().filter(|spec| spec.required & payment != 0) {
            let given = self.column(spec.name).is_some()
                || self.constants.iter().any(|(name, _)| *name == spec.name)
                || (spec.name == "event_id" && !self.id.is_empty());
            if !given {
                self.missing.push(spec.name);
            }
        }
    }
}

/// Whether what stands in a column can be a field: most of its values are what the field is, or half of them where the name
/// is one that nothing else has.
fn can_be(sample: &Sample, column: usize, name: &str, sure: u8) -> bool {
    let count = sample.values(column).count();
    let least = if sure == names::EXACT { 5 } else { 8 };
    let most = |fitting: usize| count > 0 && fitting * 10 >= count * least;
    match name {
        "amount" => most(sample.values(column).filter(|text| is_amount(text)).count()),
        "occurred_at" => is_iso(sample, column) || !formats(sample, column).is_empty(),
        "fiscal_year" => most(sample.values(column).filter(|text| is_year(text)).count()),
        _ => field(name).is_some(),
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.starts_with("20") && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_amount(text: &str) -> bool {
    let digits = text.chars().any(|c| c.is_ascii_digit() || ('０'..='９').contains(&c));
    digits
        && text.chars().all(|c| {
            c.is_ascii_digit() || ('０'..='９').contains(&c) || ",.-+()（）£$¥￥元 －．，".contains(c)
        })
}

fn is_iso(sample: &Sample, column: usize) -> bool {
    let known = |text: &str| {
        text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10 && text.contains('-')
            || text.parse::<jiff::Timestamp>().is_ok()
            || local_time(text).is_some()
    };
    let (count, fitting) =
        (sample.values(column).count(), sample.values(column).filter(|text| known(text)).count());
    count > 0 && fitting * 5 >= count * 4
}

/// Whether times of a column are what a clock shows, and nobody says where.
fn shows_clock(sample: &Sample, column: usize, formats: &[String]) -> bool {
    formats.iter().any(|format| format.contains("%H") && !format.contains("%z"))
        || sample.values(column).any(|text| local_time(text).is_some())
}

/// The formats that read most values of a column.
fn formats(sample: &Sample, column: usize) -> Vec<&'static str> {
    if is_iso(sample, column) {
        return Vec::new();
    }
    let values: Vec<&str> = sample.values(column).take(200).collect();
    let reads = |format: &&&str| {
        let Ok(dates) = Dates::new(&[(**format).to_owned()]) else { return false };
        let read = values.iter().filter(|text| dates.read(text).is_some()).count();
        !values.is_empty() && read * 5 >= values.len() * 4
    };
    let fitting: Vec<&'static str> = DATES.iter().filter(reads).copied().collect();
    let all = |format: &str| {
        Dates::new(&[format.to_owned()])
            .is_ok_and(|dates| values.iter().all(|text| dates.read(text).is_some()))
    };
    let whole: Vec<&'static str> = fitting.iter().filter(|format| all(format)).copied().collect();
    if whole.is_empty() { fitting } else { whole }
}

fn is_unique(sample: &Sample, columns: &[usize]) -> bool {
    let mut seen = std::collections::HashSet::new();
    let rows = sample.rows.iter().filter(|row| columns.iter().any(|column| !row[*column].is_empty()));
    rows.map(|row| columns.iter().map(|column| row[*column].as_str()).collect::<Vec<_>>())
        .all(|key| seen.insert(key))
}
