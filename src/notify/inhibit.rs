//! The alerts that mute lesser ones, found by the labels that both must have: there can be 100,000 of them.

use std::collections::HashMap;

use crate::{
    alert::{Labels, Policy, route::ALERT},
    store::StoreError,
};

/// For each inhibition the alerts that mute by it.
#[derive(Debug, Default)]
pub(crate) struct Gravers(Vec<Graver>);

/// The alerts of one inhibition, by the values of the labels that must be equal.
type Graver = HashMap<Vec<Vec<String>>, Vec<Labels>>;

impl Gravers {
    /// Reads the alerts that may mute others: `open` gives the labels of those that are not over, of one severity and of one
    /// rule where they are given.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) fn read(
        policy: &Policy,
        open: impl Fn(Option<&str>, Option<&str>) -> Result<Vec<Labels>, StoreError>,
    ) -> Result<Self, StoreError> {
        let mut all = Vec::new();
        for inhibition in &policy.inhibitions {
            let source = &inhibition.source;
            let equality = |name| source.0.iter().filter_map(|m| m.equality()).find(|(n, _)| *n == name);
            let of = |name| equality(name).map(|(_, value)| value);
            let mut graver = Graver::new();
            for labels in open(of("severity"), of("rule"))? {
                if let Some(key) = values(&labels, &inhibition.equal).filter(|_| source.matches(&labels)) {
                    graver.entry(key).or_default().push(labels);
                }
            }
            all.push(graver);
        }
        Ok(Self(all))
    }

    /// The alerts that mute one with these labels: one of each inhibition that does.
    pub(crate) fn of<'g>(&'g self, policy: &'g Policy, labels: &'g Labels) -> impl Iterator<Item = &'g str> {
        policy.inhibitions.iter().zip(&self.0).filter_map(|(inhibition, graver)| {
            let candidates = graver.get(&values(labels, &inhibition.equal)?)?;
            let source = candidates.iter().find(|source| inhibition.mutes(source, labels))?;
            Some(source.first(ALERT).unwrap_or_default())
        })
    }
}

/// The values of some labels; `None` if one of them is missing.
fn values(labels: &Labels, names: &[String]) -> Option<Vec<Vec<String>>> {
    let of = |name: &String| {
        let values = labels.values(name).to_vec();
        Some(values).filter(|values| !values.is_empty())
    };
    names.iter().map(of).collect()
}
