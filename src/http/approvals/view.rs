//! A matter as the API shows it: with what was done with it, who is still missing, and personal data of lists masked.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    approval::{Act, Kind, Matter, MatterState, Verb},
    event::{Instant, time::Calendar},
    http::lens::Lens,
    lists::Lists,
    personal::event,
};

/// Something that was proposed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalView {
    /// Its number.
    approval_id: i64,
    kind: Kind,
    /// Where it stands.
    state: MatterState,
    /// What it is called where it comes into force: a line, an override, a digest, a list.
    subject: String,
    /// What it is: `actions`, `application`, `params` or rows of a list. Accounts and names in lists are masked.
    #[schema(value_type = Object)]
    content: Value,
    /// Its amount; null if it has none.
    amount: Option<String>,
    reason: String,
    proposed_by: String,
    #[schema(format = DateTime)]
    proposed_at: String,
    /// Until when it can be approved and used; null without end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// A role for each person who has to approve it.
    needed: Vec<&'static str>,
    /// The roles that are still missing.
    missing: Vec<&'static str>,
    /// What was done with it, the oldest first.
    acts: Vec<ApprovalAct>,
    /// The digest of its canonical form: name it to judge it.
    digest: String,
    /// When it came into force, or could not.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// What became of it: events, an application, why it failed; empty if there is nothing to say.
    outcome: String,
    /// What whoever asks can do with it now.
    pub(super) can: Vec<Verb>,
}

/// What somebody did with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalAct {
    verb: Verb,
    who: String,
    /// The roles that they had then, of those that approve.
    roles: Vec<&'static str>,
    #[schema(format = DateTime)]
    at: String,
    why: String,
    /// The public key that signed it; empty if none did.
    key: String,
}

impl ApprovalView {
    /// A matter as it is shown.
    pub(crate) fn new(
        matter: &Matter,
        (calendar, now): (&Calendar, Instant),
        lens: Lens,
        lists: &Lists,
    ) -> Self {
        let act = |act: &Act| ApprovalAct {
            verb: act.verb,
            who: act.who.clone(),
            roles: act.roles.iter().map(|role| role.word()).collect(),
            at: calendar.format(act.at),
            why: act.why.clone(),
            key: act.key.clone(),
        };
        let state = matter.state(now);
        let waits = state == MatterState::Waiting;
        Self {
            approval_id: matter.id,
            kind: matter.kind,
            state,
            subject: matter.subject.clone(),
            content: content(matter, lens, lists),
            amount: matter.cents.map(|cents| cents.to_string()),
            reason: matter.reason.clone(),
            proposed_by: matter.proposed_by.clone(),
            proposed_at: calendar.format(matter.proposed_at),
            expires_at: matter.expires_at.map(|at| calendar.format(at)),
            needed: matter.needed.iter().map(|role| role.word()).collect(),
            missing: if waits {
                matter.missing().iter().map(|role| role.word()).collect()
            } else {
                Vec::new()
            },
            acts: matter.acts.iter().map(act).collect(),
            digest: matter.digest.clone(),
            ended_at: matter.ended_at.map(|at| calendar.format(at)),
            outcome: matter.outcome.clone(),
            can: Vec::new(),
        }
    }

    /// It is what is in force now.
    pub(super) fn is_in_force(&mut self) {
        self.state = MatterState::InForce;
    }
}

/// The content; of a list, its cells as whoever asks may see them.
fn content(matter: &Matter, lens: Lens, lists: &Lists) -> Value {
    let mut content = matter.content.clone();
    if lens == Lens::Whole || matter.kind != Kind::List {
        return content;
    }
    let list = lists.get(&matter.subject);
    let hide = |column: Option<&str>, value: &mut Value| match list {
        Some(list) => {
            let (columns, key) = list.shape();
            let of_key = columns.get(key);
            let found = column.map_or(of_key, |column| columns.iter().find(|(name, _)| name == column));
            match found {
                Some((_, kind)) => event::hide(value, kind.personal()),
                None => *value = "****".into(),
            }
        }
        // Of a list that is no more nobody knows what its columns are.
        None => *value = "****".into(),
    };
    for row in content["put"].as_array_mut().into_iter().flatten() {
        for (column, value) in row.as_object_mut().into_iter().flatten() {
            hide(Some(column), value);
        }
    }
    content["remove"].as_array_mut().into_iter().flatten().for_each(|key| hide(None, key));
    content
}
