//! Lists of matters: by kind, state and text, in an order of their own, with how many there are on all pages.

use rusqlite::{Row, params_from_iter, types::Value};

use super::{MATTER, read};
use crate::{
    approval::{Kind, Matter, MatterState},
    event::Instant,
    say,
    store::{Cases, StoreError, conditions::Conditions},
};

/// What comes first in a list of matters. With equals, the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MatterSort {
    /// What was proposed last comes first.
    #[default]
    Newest,
    /// What was proposed first comes first.
    Oldest,
    /// The largest amount; those without one are last.
    Amount,
    /// The one that expires next; those that do not are last.
    Expires,
}

impl MatterSort {
    const ALL: [(Self, &str); 4] = [
        (Self::Newest, "newest"),
        (Self::Oldest, "oldest"),
        (Self::Amount, "amount"),
        (Self::Expires, "expires"),
    ];

    /// The order of a word.
    ///
    /// # Errors
    /// The words there are.
    pub fn parse(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == word);
        let words = || Self::ALL.map(|(_, known)| known).join(", ");
        found
            .map(|(sort, _)| sort)
            .ok_or_else(|| say!("{text} is none of {words}", text = word, words = words()))
    }

    /// The place of a matter, as a whole number; the largest comes first.
    const fn place(self) -> &'static str {
        match self {
            Self::Newest => "approval_id",
            Self::Oldest => "-approval_id",
            Self::Amount => "coalesce(CAST(json_extract(body, '$.cents') AS INTEGER), -1)",
            Self::Expires => "-coalesce(json_extract(body, '$.expires_at'), 9223372036854775807)",
        }
    }
}

/// Which matters are listed.
#[derive(Debug, Clone, Default)]
pub struct MatterFilter {
    /// Only those of these kinds; all without any.
    pub kinds: Vec<Kind>,
    /// Only those that stand so now; all without any.
    pub states: Vec<MatterState>,
    /// Only those with all of these words, parted by blanks.
    pub text: String,
    pub(crate) sort: MatterSort,
    /// Only those after this place in the list.
    pub after: Option<MatterPlace>,
}

/// The place of a matter in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatterPlace {
    place: i64,
    id: i64,
}

impl std::fmt::Display for MatterPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}~{}", self.place, self.id)
    }
}

impl std::str::FromStr for MatterPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (place, id) = text.split_once('~').ok_or(())?;
        Ok(Self { place: place.parse().map_err(|_| ())?, id: id.parse().map_err(|_| ())? })
    }
}

/// Whether whoever asks is shown a matter at all.
pub type MatterVisibility<'s> = &'s dyn Fn(&Matter) -> bool;

impl Cases {
    /// Matters with their places, so many at most of those that are `shown`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn matters(
        &self,
        filter: &MatterFilter,
        (now, limit): (Instant, usize),
        shown: Option<MatterVisibility<'_>>,
    ) -> Result<Vec<(MatterPlace, Matter)>, StoreError> {
        let (mut conditions, place) = (filter.conditions(now), filter.sort.place());
        if let Some(after) = filter.after {
            let after: [Value; 2] = [after.place.into(), after.id.into()];
            conditions.and(&format!("({place}, approval_id) < (?, ?)"), after);
        }
        let sql = format!(
            "SELECT {place} AS place, approval_id, {MATTER} {} ORDER BY {place} DESC, approval_id DESC",
            conditions.clause()
        );
        let row = |row: &Row<'_>| {
            Ok((MatterPlace { place: row.get("place")?, id: row.get("approval_id")? }, read(row)?))
        };
        let is_shown = |(_, matter): &(_, Matter)| shown.is_none_or(|shown| shown(matter));
        self.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query_map(params_from_iter(conditions.values), row)?;
            rows.filter(|row| row.as_ref().map_or(true, is_shown)).take(limit).collect()
        })
    }

    /// How many there are on all pages.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn matters_total(
        &self,
        filter: &MatterFilter,
        now: Instant,
        shown: Option<MatterVisibility<'_>>,
    ) -> Result<u64, StoreError> {
        if shown.is_some() {
            let all = MatterFilter { after: None, ..filter.clone() };
            return Ok(self.matters(&all, (now, usize::MAX), shown)?.len() as u64);
        }
        let conditions = filter.conditions(now);
        let sql = format!("SELECT count(*) FROM approvals {}", conditions.clause());
        let values = params_from_iter(conditions.values);
        self.read(|c| c.prepare_cached(&sql)?.query_row(values, |row| row.get(0)))
    }
}

impl MatterFilter {
    fn conditions(&self, now: Instant) -> Conditions {
        let now = now.as_micros();
        let mut conditions = Conditions::default();
        if !self.kinds.is_empty() {
            let kinds = self.kinds.iter().map(|kind| Value::from(kind.word().to_owned()));
            conditions.and(&format!("kind IN ({})", marks(self.kinds.len())), kinds);
        }
        if !self.states.is_empty() {
            // What waits or is approved may have expired meanwhile, which only the clock tells.
            let ends = "coalesce(json_extract(body, '$.expires_at'), 9223372036854775807)";
            let of = |state: &MatterState| match state {
                MatterState::Expired => format!("(state IN ('waiting', 'approved') AND {ends} <= {now})"),
                MatterState::Waiting | MatterState::Approved => {
                    format!("(state = '{}' AND {ends} > {now})", state.word())
                }
                other => format!("state = '{}'", other.word()),
            };
            let states: Vec<String> = self.states.iter().map(of).collect();
            conditions.and(&format!("({})", states.join(" OR ")), []);
        }
        // Cells of lists may be masked for whoever asks, so they are not looked into.
        let named = "instr(lower(approval_id || ' ' || subject || ' ' || json_extract(body, '$.reason') || ' ' || json_extract(body, '$.proposed_by')), ?1) > 0";
        let inside =
            "EXISTS (SELECT 1 FROM json_tree(body, '$.content') part WHERE instr(lower(part.atom), ?1) > 0)";
        for word in self.text.split_whitespace() {
            let word = Value::from(word.to_ascii_lowercase());
            let condition = format!("({named} OR (kind <> 'list' AND {inside}))").replace("?1", "?");
            conditions.and(&condition, [word.clone(), word]);
        }
        conditions
    }
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
