//! Which rule, which window, which column: places in lists that stand beside one another, of a type each, so that a list of
//! what happened to rules cannot be asked for a window.

use std::{
    fmt::{self, Debug, Formatter},
    marker::PhantomData,
    ops::{Deref, DerefMut, Index, IndexMut},
};

use arrow::datatypes::{Field, Schema};

use crate::event::Column;

/// A place in lists of one kind.
pub trait Id: Copy {
    /// The place with this number, from 0.
    fn new(number: usize) -> Self;

    /// Its place in the list, counted from 0.
    fn number(self) -> usize;
}

macro_rules! id {
    ($(#[$meaning:meta])* $type:ident) => {
        $(#[$meaning])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(u32);

        impl Id for $type {
            #[inline]
            fn new(number: usize) -> Self {
                debug_assert!(u32::try_from(number).is_ok(), "more than fit into a rule set");
                Self(number as u32)
            }

            #[inline]
            fn number(self) -> usize {
                self.0 as usize
            }
        }

        impl Debug for $type {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Debug::fmt(&self.0, f)
            }
        }
    };
}

id!(
    /// A rule of a set, by its place there. What people call it is its `id`.
    RuleId
);
id!(
    /// A column of a rule's table, by its place there. The columns of events come first, in all tables but those of windows
    /// that close and of queries.
    ColumnId
);
id!(
    /// A sliding window that rules of a set share, by its place there.
    WindowId
);

impl From<Column> for ColumnId {
    #[inline]
    fn from(column: Column) -> Self {
        Self::new(column.index())
    }
}

impl ColumnId {
    /// The column of that name, if a table has it.
    pub fn of(table: &Schema, name: &str) -> Option<Self> {
        table.index_of(name).ok().map(Self::new)
    }

    /// All columns of one table in another one that has more.
    pub fn all_of(columns: &Schema, table: &Schema) -> Vec<Self> {
        columns.fields().iter().filter_map(|field| Self::of(table, field.name())).collect()
    }

    /// Its name and type.
    pub fn field(self, table: &Schema) -> &Field {
        table.field(self.number())
    }
}

/// One value for each rule, or for each window, of a set; or for each column of a table.
#[derive(Clone, PartialEq, Eq)]
pub struct ById<I, T> {
    values: Vec<T>,
    of: PhantomData<fn() -> I>,
}

impl<I: Id, T> ById<I, T> {
    /// A value for each.
    pub fn filled(count: usize, value: T) -> Self
    where
        T: Clone,
    {
        vec![value; count].into()
    }

    /// The place of each value, in their order.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = I> + use<I, T> {
        (0..self.values.len()).map(I::new)
    }

    /// The values with their places.
    pub fn entries(&self) -> impl Iterator<Item = (I, &T)> {
        self.values.iter().enumerate().map(|(number, value)| (I::new(number), value))
    }

    /// The value of one, if it is there.
    #[inline]
    pub fn get(&self, id: I) -> Option<&T> {
        self.values.get(id.number())
    }

    /// The place of the first that is so.
    pub fn find(&self, is_it: impl FnMut(&T) -> bool) -> Option<I> {
        self.values.iter().position(is_it).map(I::new)
    }

    /// One more, and its place.
    pub fn push(&mut self, value: T) -> I {
        self.values.push(value);
        I::new(self.values.len() - 1)
    }

    /// As many as that, with new ones at the end.
    pub fn resize_with(&mut self, count: usize, value: impl FnMut() -> T) {
        self.values.resize_with(count, value);
    }
}

impl<I, T> Default for ById<I, T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<I, T> From<Vec<T>> for ById<I, T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, of: PhantomData }
    }
}

impl<I, T> FromIterator<T> for ById<I, T> {
    fn from_iter<A: IntoIterator<Item = T>>(values: A) -> Self {
        values.into_iter().collect::<Vec<_>>().into()
    }
}

impl<I: Id, T> Index<I> for ById<I, T> {
    type Output = T;

    #[inline]
    fn index(&self, id: I) -> &T {
        &self.values[id.number()]
    }
}

impl<I: Id, T> IndexMut<I> for ById<I, T> {
    #[inline]
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.values[id.number()]
    }
}

impl<I, T> Deref for ById<I, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.values
    }
}

impl<I, T> DerefMut for ById<I, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.values
    }
}

impl<'v, I, T> IntoIterator for &'v ById<I, T> {
    type Item = &'v T;
    type IntoIter = std::slice::Iter<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.iter()
    }
}

impl<'v, I, T> IntoIterator for &'v mut ById<I, T> {
    type Item = &'v mut T;
    type IntoIter = std::slice::IterMut<'v, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.iter_mut()
    }
}

impl<I, T> IntoIterator for ById<I, T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}

impl<I, T: Debug> Debug for ById<I, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_place() {
        let mut values: ById<RuleId, &str> = ["a", "b"].into_iter().collect();
        let third = values.push("c");
        assert_eq!((third, values[third], values.len()), (RuleId::new(2), "c", 3));
        assert_eq!(values.find(|value| *value == "b"), Some(RuleId::new(1)));
        values[third] = "d";
        assert_eq!(values.entries().last(), Some((third, &"d")));
        assert_eq!((values.get(RuleId::new(3)), values.ids().count()), (None, 3));
        // What digests and names of windows are made of.
        assert_eq!(format!("{third:?} {:?}", ColumnId::from(Column::EventId)), "2 0");
    }
}
