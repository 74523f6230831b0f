//! What is there for people whose roles are limited to units: matters that lie whole within their units. Rules and lists hold for
//! everybody, and are there for none of them.

use serde_json::Value;

use super::Shared;
use crate::{
    access::Limits,
    approval::{Kind, Matter},
    event::Column,
};

/// What is there for somebody.
pub(crate) struct LimitedView<'s> {
    shared: &'s Shared,
    limits: Limits,
}

impl<'s> LimitedView<'s> {
    /// What is there within these limits.
    pub(crate) fn new(shared: &'s Shared, limits: Limits) -> Self {
        Self { shared, limits }
    }

    pub(crate) fn is_all(&self) -> bool {
        self.limits.is_none()
    }

    /// Whether a matter is.
    pub(crate) fn has(&self, matter: &Matter) -> bool {
        let text = |name: &str| matter.content[name].as_str();
        self.is_all()
            || match matter.kind {
                Kind::Budget => {
                    let actions = matter.content["actions"].as_array().map(Vec::as_slice).unwrap_or_default();
                    !actions.is_empty() && actions.iter().all(|action| self.has_action(action))
                }
                Kind::Override => {
                    text("budget_line_id").is_some_and(|line| self.has_line(line) == Some(true))
                }
                Kind::Exception => self.limits.allow(text("unit"), None),
                Kind::Rules | Kind::List => false,
            }
    }

    /// Whether an action is: both its lines, and what it says of a line that is not there yet.
    fn has_action(&self, action: &Value) -> bool {
        let text = |name: &str| action[name].as_str();
        let said = self.limits.allow(text("unit_code"), text("region_code"));
        // What it says may not lead elsewhere, whatever its line is.
        let stays = action.as_object().is_some_and(|said| self.limits.allow_columns(said));
        let own = text("budget_line_id").is_some_and(|line| self.has_line(line).unwrap_or(said));
        let other = text("to_budget_line_id").is_none_or(|line| self.has_line(line) == Some(true));
        own && other && stays
    }

    /// Whether a line is; `None` if there is none.
    pub(crate) fn has_line(&self, id: &str) -> Option<bool> {
        let ledger = self.shared.ledger.read();
        let (_, attributes) = ledger.line(id)?;
        Some(self.limits.allow(attributes.text(Column::UnitCode), attributes.text(Column::RegionCode)))
    }
}
