//! The columns that a map names, each once, and where they are found in a row or an object.

use std::{collections::HashMap, sync::Arc};

use crate::{
    diagnostic::nearest,
    event::dress::squeezed,
    say,
    text::{did_you_mean, quoted},
};

/// The columns that a map names. A name has several parts if files use other names in turn: `收款人|收款人全称`.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    names: Vec<String>,
    /// Whether a file may lack the column.
    optional: Vec<bool>,
}

/// Where the columns of a map stand in the rows of a file.
pub type ColumnPlaces = Vec<Option<usize>>;

/// The columns of JSON objects, by their names and paths.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    children: HashMap<Box<str>, Self>,
    /// The same by squeezed names, for headers that became keys.
    squeezed: HashMap<Box<str>, Box<str>>,
    /// The column, and its place among the names that are used in turn.
    pub leaf: Option<(usize, u8)>,
}

/// The names in turn of a column.
pub(crate) fn in_turn(name: &str) -> impl Iterator<Item = &str> {
    name.split('|').map(str::trim).filter(|name| !name.is_empty())
}

impl Slots {
    /// The number of the column of this name, which is added if it is new.
    pub fn slot(&mut self, name: &str) -> usize {
        let name = name.trim();
        let is = |known: &&String| **known == name || in_turn(known).any(|one| one == name);
        match self.names.iter().position(|known| is(&known)) {
            Some(slot) => slot,
            None => {
                self.names.push(name.to_owned());
                self.optional.push(false);
                self.names.len() - 1
            }
        }
    }

    /// Files may lack this column. `false` if the map does not name it.
    pub fn may_lack(&mut self, name: &str) -> bool {
        let found =
            self.names.iter().position(|known| known == name || in_turn(known).any(|one| one == name));
        if let Some(slot) = found {
            self.optional[slot] = true;
        }
        found.is_some()
    }

    /// The names, by number.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many of the columns stand in a header.
    #[must_use]
    pub fn among(&self, header: &[String]) -> usize {
        let header: Vec<_> = header.iter().map(|name| squeezed(name)).collect();
        self.names.iter().filter(|name| in_turn(name).any(|one| header.contains(&squeezed(one)))).count()
    }

    /// Where the columns stand below a header.
    #[must_use]
    pub fn places(&self, header: &[String]) -> ColumnPlaces {
        let header: Vec<_> = header.iter().map(|name| squeezed(name)).collect();
        let place = |one: &str| match one.strip_prefix('#').and_then(|number| number.parse::<usize>().ok()) {
            Some(number) if (1..=header.len()).contains(&number) => Some(number - 1),
            _ => header.iter().position(|name| *name == squeezed(one)),
        };
        self.names.iter().map(|name| in_turn(name).find_map(place)).collect()
    }

    /// Checks that a header has all columns, each once.
    ///
    /// # Errors
    /// Those that are missing, with those that are likely meant.
    pub fn check(&self, header: &[String]) -> Result<(), String> {
        let missing: Vec<_> = self.missing(header).collect();
        if let Some(first) = missing.first() {
            const SHOWN: usize = 12;
            const NAMED: usize = 5;
            let mut names =
                missing.iter().take(NAMED).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
            if missing.len() > NAMED {
                names.push_str(", …");
            }
            let mut found = header.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            if header.len() > SHOWN {
                found.push_str(", …");
            }
            let text =
                say!("its header has no column {names}, which the map names; it has {found}", names, found);
            return Err(match self.likely(first, header) {
                Some(near) if missing.len() == 1 => format!("{text}. {}", did_you_mean(near)),
                _ => text,
            });
        }
        let squeeze: Vec<_> = header.iter().map(|name| squeezed(name)).collect();
        let places = self.places(header);
        let named = self.names.iter().zip(&places).filter(|(name, _)| !name.starts_with('#'));
        let twice = named
            .filter_map(|(_, place)| *place)
            .find(|place| squeeze.iter().filter(|name| **name == squeeze[*place]).count() > 1);
        match twice {
            None => Ok(()),
            Some(place) => Err(say!(
                "the column {name} appears twice, and the map does not say which is meant: name it by its number, as #{number}",
                name = quoted(&header[place]),
                number = place + 1
            )),
        }
    }

    /// The columns that a header lacks and must have.
    pub fn missing(&self, header: &[String]) -> impl Iterator<Item = &str> {
        let places = self.places(header);
        let named = self.names.iter().zip(&self.optional).zip(places);
        named
            .filter(|((_, optional), place)| !**optional && place.is_none())
            .map(|((name, _), _)| name.as_str())
    }

    /// The column of a header that a missing one likely is.
    #[must_use]
    pub fn likely<'h>(&self, name: &str, header: &'h [String]) -> Option<&'h str> {
        let places = self.places(header);
        let free = header.iter().enumerate().filter(|(at, _)| !places.contains(&Some(*at)));
        let free: Vec<_> = free.map(|(_, name)| (squeezed(name), name.as_str())).collect();
        let near =
            in_turn(name).find_map(|one| nearest(&squeezed(one), free.iter().map(|(name, _)| name.as_str())));
        near.and_then(|near| free.iter().find(|(name, _)| name == near)).map(|(_, name)| *name)
    }

    /// The columns as keys and paths of objects.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let mut tree = Tree::default();
        for (slot, name) in self.names.iter().enumerate() {
            for (turn, one) in in_turn(name).enumerate() {
                let leaf = Some((slot, u8::try_from(turn).unwrap_or(u8::MAX)));
                tree.child(one).leaf = leaf;
                if one.contains('.') && one.split('.').all(|part| !part.is_empty()) {
                    one.split('.').fold(&mut tree, |tree, part| tree.child(part)).leaf = leaf;
                }
            }
        }
        tree
    }
}

impl Tree {
    fn child(&mut self, name: &str) -> &mut Self {
        self.squeezed.insert(squeezed(name).into(), name.into());
        self.children.entry(name.into()).or_default()
    }

    /// What is known of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let found = self.children.get(key);
        found.or_else(|| self.children.get(self.squeezed.get(&*squeezed(key))?))
    }

    /// Whether there are columns below this key.
    #[must_use]
    pub fn has_children(&self) -> bool {
        !self.children.is_empty()
    }
}

/// The names of columns where no row names them.
#[must_use]
pub fn numbered(columns: usize) -> Arc<[String]> {
    (1..=columns).map(|number| format!("#{number}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn columns_are_found_as_people_read_them() {
        let mut slots = Slots::default();
        for name in ["支付金额(元)", "收款人|收款人全称", "#3"] {
            slots.slot(name);
        }
        let found = header(&[" 收款人 全称 ", "支付金额\n（元）", "备注"]);
        assert_eq!(slots.places(&found), [Some(1), Some(0), Some(2)]);
        assert!(slots.check(&found).is_ok());
        let error = slots.check(&header(&["收款人", "支付金额（无）", "备注"])).unwrap_err();
        assert!(error.contains("支付金额(元)") && error.contains("支付金额（无）"), "{error}");
        assert!(slots.check(&header(&["收款人", "收款人", "支付金额(元)"])).unwrap_err().contains("#1"));
        assert!(slots.may_lack("收款人全称") && !slots.may_lack("x"));
        assert!(slots.check(&header(&["支付金额(元)", "a", "b"])).is_ok());
    }

    #[test]
    fn paths_and_names_with_points() {
        let mut slots = Slots::default();
        let (account, number) = (slots.slot("payer.account"), slots.slot("No."));
        let tree = slots.tree();
        let leaf = |path: &[&str]| {
            path.iter().try_fold(&tree, |tree, key| tree.get(key))?.leaf.map(|(slot, _)| slot)
        };
        assert_eq!(leaf(&["payer", "account"]), Some(account));
        assert_eq!(leaf(&["payer.account"]), Some(account));
        assert_eq!(leaf(&["No."]), Some(number));
        assert_eq!(leaf(&["no ."]), Some(number));
        assert_eq!(leaf(&["payer"]), None);
    }
}
