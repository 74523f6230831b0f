//! 控制组: sums over the budget lines that belong together, exact after every event.
//!
//! Which lines belong together, somebody else says ([`Grouping`]). Sums are not stored: they follow from the lines.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use super::{AfterEvent, Attributes, Balances, Line, LineNumber};

/// Lines that are looked at together when all of them are grouped again.
const CHUNK: usize = 8192;
/// Stands for no group.
const NONE: u32 = u32::MAX;

/// What the lines of a group have in common, as one text.
pub type LineGroupKey = Arc<str>;

/// Says which lines belong together.
pub trait Grouping: Debug + Send + Sync {
    /// What it is known by: two with the same text group alike.
    fn text(&self) -> &str;

    /// The group of each line, which is given by its `budget_line_id` and attributes; `None` for a line of no group.
    fn keys(&self, lines: &[(&str, &Attributes)]) -> Vec<Option<LineGroupKey>>;
}

/// A group and what its lines sum up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSums {
    /// What its lines have in common.
    pub key: LineGroupKey,
    /// How many lines it has.
    pub lines: u32,
    /// The sums of the lines in it.
    pub balances: Balances,
}

impl GroupSums {
    fn new(key: &LineGroupKey) -> Self {
        Self { key: Arc::clone(key), lines: 0, balances: Balances::default() }
    }
}

/// What a group sums up to right after each event of a batch; the group is that of the event's line.
#[derive(Debug, Default)]
pub struct GroupAfter {
    /// The group's key; `None` where the line is of no group.
    pub keys: Vec<Option<LineGroupKey>>,
    /// The number of its lines.
    pub lines: Vec<u32>,
    /// Its sums, in the columns of a line's.
    pub sums: AfterEvent,
}

impl GroupAfter {
    pub(super) fn push(&mut self, group: Option<&GroupSums>) {
        self.keys.push(group.map(|group| Arc::clone(&group.key)));
        self.lines.push(group.map_or(0, |group| group.lines));
        match group {
            Some(group) => self.sums.push(0, &group.balances, true),
            None => self.sums.push_none(),
        }
    }

    pub(super) fn append(&mut self, more: Self) {
        let Self { keys, lines, sums } = more;
        self.keys.extend(keys);
        self.lines.extend(lines);
        self.sums.append(sums);
    }
}

/// The groups of all lines, by every grouping that rules name.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    all: Vec<Grouped>,
    /// Lines that the event being applied has changed, as they were before.
    before: Vec<(LineNumber, Balances)>,
}

/// The groups of one grouping.
#[derive(Debug)]
struct Grouped {
    grouping: Arc<dyn Grouping>,
    numbers: HashMap<LineGroupKey, u32>,
    groups: Vec<GroupSums>,
    /// The group of each line, and the version of the attributes that say so.
    of: Vec<(u32, u32)>,
}

impl Groups {
    /// Whether lines are grouped by exactly these.
    pub(crate) fn are_by(&self, groupings: &[Arc<dyn Grouping>]) -> bool {
        self.all.len() == groupings.len()
            && self
                .all
                .iter()
                .zip(groupings)
                .all(|(own, other)| Arc::ptr_eq(&own.grouping, other) || own.grouping.text() == other.text())
    }

    /// Groups all lines by these and no others.
    pub(crate) fn regroup(
        &mut self,
        groupings: &[Arc<dyn Grouping>],
        lines: &[Line],
        attributes: &boxcar::Vec<Attributes>,
    ) {
        self.before.clear();
        self.all = groupings.iter().map(|grouping| Grouped::new(grouping, lines, attributes)).collect();
    }

    /// How many groupings there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Remembers what a line had before the event that is being applied.
    pub(crate) fn will_change(&mut self, number: LineNumber, balances: &Balances) {
        if !self.all.is_empty() && self.before.iter().all(|(known, _)| *known != number) {
            self.before.push((number, *balances));
        }
    }

    /// Takes over what the event has changed.
    pub(crate) fn follow(&mut self, lines: &[Line], attributes: &boxcar::Vec<Attributes>) {
        for (number, before) in self.before.drain(..) {
            let line = &lines[number as usize];
            for grouped in &mut self.all {
                grouped.follow(number as usize, line, before, attributes);
            }
        }
    }

    /// The groups of a line, by each grouping.
    pub(crate) fn of(&self, number: LineNumber) -> impl Iterator<Item = Option<&GroupSums>> {
        self.all.iter().map(move |grouped| {
            let (group, _) = grouped.of.get(number as usize)?;
            grouped.groups.get(*group as usize)
        })
    }

    /// The group that a line with these attributes would be of, by each grouping; without sums if it is not there yet.
    pub(crate) fn would_be_of(&self, id: &str, attributes: &Attributes) -> Vec<Option<GroupSums>> {
        let of = |grouped: &Grouped| {
            let key = grouped.grouping.keys(&[(id, attributes)]).pop().flatten()?;
            let known = grouped.numbers.get(&key).map(|number| grouped.groups[*number as usize].clone());
            Some(known.unwrap_or_else(|| GroupSums::new(&key)))
        };
        self.all.iter().map(of).collect()
    }

    /// The groups that have lines, by each grouping.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &GroupSums>)> {
        self.all
            .iter()
            .map(|grouped| (grouped.grouping.text(), grouped.groups.iter().filter(|group| group.lines > 0)))
    }
}

impl Grouped {
    fn new(grouping: &Arc<dyn Grouping>, lines: &[Line], attributes: &boxcar::Vec<Attributes>) -> Self {
        let (grouping, numbers) = (Arc::clone(grouping), HashMap::new());
        let mut grouped = Self { grouping, numbers, groups: Vec::new(), of: Vec::new() };
        grouped.of.reserve(lines.len());
        for chunk in lines.chunks(CHUNK) {
            let named: Vec<_> =
                chunk.iter().map(|line| (&*line.id, &attributes[line.attributes as usize])).collect();
            for (line, key) in chunk.iter().zip(grouped.grouping.keys(&named)) {
                let group = grouped.number(key.as_ref());
                grouped.of.push((group, line.attributes));
                grouped.add(group, &line.balances);
            }
        }
        grouped
    }

    fn number(&mut self, key: Option<&LineGroupKey>) -> u32 {
        let Some(key) = key else { return NONE };
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let number = u32::try_from(self.groups.len()).expect("fewer groups than lines");
        self.numbers.insert(Arc::clone(key), number);
        self.groups.push(GroupSums::new(key));
        number
    }

    /// A line joins a group.
    fn add(&mut self, group: u32, balances: &Balances) {
        if let Some(group) = self.groups.get_mut(group as usize) {
            group.lines += 1;
            group.balances += *balances;
        }
    }

    /// A line leaves a group.
    fn take(&mut self, group: u32, balances: &Balances) {
        if let Some(group) = self.groups.get_mut(group as usize) {
            group.lines -= 1;
            group.balances -= *balances;
        }
    }

    fn follow(&mut self, number: usize, line: &Line, before: Balances, attributes: &boxcar::Vec<Attributes>) {
        let known = self.of.get(number).copied();
        if let Some((group, version)) = known
            && version == line.attributes
        {
            if let Some(group) = self.groups.get_mut(group as usize) {
                group.balances -= before;
                group.balances += line.balances;
            }
            return;
        }
        if let Some((group, _)) = known {
            self.take(group, &before);
        }
        let named = [(&*line.id, &attributes[line.attributes as usize])];
        let key = self.grouping.keys(&named).pop().flatten();
        let group = self.number(key.as_ref());
        self.add(group, &line.balances);
        if number >= self.of.len() {
            // Lines between were opened by the same event, and come in their turn.
            self.of.resize(number + 1, (NONE, NONE));
        }
        self.of[number] = (group, line.attributes);
    }
}
