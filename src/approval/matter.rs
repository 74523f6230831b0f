//! A matter: what is proposed, who has to approve it, and what was done with it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Act, Kind, Office, Person, Verb, act, canonical::canonical, canonical::digest, levels::missing};
use crate::{
    access::{
        Role,
        provider::{self, Provider},
        seal::SealKey,
    },
    event::{Cents, Instant},
    say,
};

/// Where a matter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalState)]
pub enum MatterState {
    /// 待审批: somebody has to approve it.
    Waiting,
    /// 已批准: everybody has, and it is not yet in force.
    Approved,
    /// 已生效
    InForce,
    /// 未能生效: it was approved and could not come into force.
    Failed,
    /// 已否决
    Refused,
    /// 已撤回
    Withdrawn,
    /// 已过期
    Expired,
}

impl MatterState {
    pub(crate) const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Approved,
        Self::InForce,
        Self::Failed,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
    ];

    /// The word in JSON and in rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::InForce => "in_force",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }

    /// The field's term for it.
    #[must_use]
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Waiting => "待审批",
            Self::Approved => "已批准",
            Self::InForce => "已生效",
            Self::Failed => "未能生效",
            Self::Refused => "已否决",
            Self::Withdrawn => "已撤回",
            Self::Expired => "已过期",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What somebody wants to be approved.
#[derive(Debug, Clone)]
pub struct NewMatter {
    /// What it is about.
    pub kind: Kind,
    /// What it is called where it comes into force: a line, an application, a digest, a list.
    pub subject: String,
    pub(crate) content: Value,
    /// Its amount, if it has one.
    pub cents: Option<Cents>,
    pub(crate) reason: String,
    /// Until when it can be approved and used.
    pub expires_at: Option<Instant>,
}

/// Something that was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    pub(crate) id: i64,
    /// What it is about.
    pub kind: Kind,
    /// What it is called where it comes into force.
    pub subject: String,
    pub(crate) content: Value,
    #[serde(with = "cents")]
    pub(crate) cents: Option<Cents>,
    pub(crate) reason: String,
    pub(crate) proposed_by: String,
    /// When, by the clock.
    pub proposed_at: Instant,
    /// Until when it can be approved and used.
    pub expires_at: Option<Instant>,
    /// A role for each person who has to approve it.
    #[serde(with = "act::words")]
    pub needed: Vec<Role>,
    /// The digest of all that, in its canonical form.
    pub digest: String,
    /// What was done with it.
    pub acts: Vec<Act>,
    /// Where it stands; whether it has expired, the clock says.
    pub state: MatterState,
    /// When it came into force, or could not.
    pub ended_at: Option<Instant>,
    /// What became of it.
    pub outcome: String,
}

impl Matter {
    /// Proposes something. Who only has to be asked for is a first act like others.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn propose(
        id: i64,
        wish: NewMatter,
        (person, now): (&Person, Instant),
        office: &Office,
    ) -> Result<Self, String> {
        let NewMatter { kind, subject, content, cents, reason, expires_at } = wish;
        let mut matter = Self {
            id,
            kind,
            subject,
            content,
            cents,
            reason,
            proposed_by: person.who.clone(),
            proposed_at: now,
            expires_at,
            needed: office.levels.of(kind, cents),
            digest: String::new(),
            acts: Vec::new(),
            state: MatterState::Waiting,
            ended_at: None,
            outcome: String::new(),
        };
        matter.digest = digest(&matter.header(), matter.algorithms(office.key.as_ref()))?;
        matter.add(Verb::Propose, (person, now, ""), office)?;
        Ok(matter)
    }

    /// What is proposed, in its canonical form.
    #[must_use]
    pub fn header(&self) -> String {
        let needed: Vec<&str> = self.needed.iter().map(|role| role.word()).collect();
        canonical(&json!({
            "id": self.id,
            "kind": self.kind.word(),
            "subject": self.subject,
            "content": self.content,
            "amount": self.cents.map(|cents| cents.to_string()),
            "reason": self.reason,
            "proposed_by": self.proposed_by,
            "proposed_at": self.proposed_at,
            "expires_at": self.expires_at,
            "needed": needed,
        }))
    }

    /// Where it stands now.
    #[must_use]
    pub fn state(&self, now: Instant) -> MatterState {
        let waits = matches!(self.state, MatterState::Waiting | MatterState::Approved);
        if waits && self.expires_at.is_some_and(|end| now >= end) { MatterState::Expired } else { self.state }
    }

    /// Whether everybody who has to has approved it, whatever became of it.
    #[must_use]
    pub fn was_approved(&self) -> bool {
        matches!(self.state, MatterState::Approved | MatterState::InForce | MatterState::Failed)
    }

    pub(crate) fn approvals(&self) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(|act| act.verb == Verb::Approve)
    }

    /// The roles that still have to approve it, one for each person.
    #[must_use]
    pub fn missing(&self) -> Vec<Role> {
        let people: Vec<&[Role]> = self.approvals().map(|act| act.roles.as_slice()).collect();
        missing(&self.needed, &people)
    }

    /// Somebody approves it. Whether it is approved by that.
    ///
    /// # Errors
    /// If it waits for nobody, or not for them, or is not what they have seen.
    pub fn approve(
        &mut self,
        (person, now, why): (&Person, Instant, &str),
        seen: Option<&str>,
        office: &Office,
    ) -> Result<bool, String> {
        self.judged(person, now, seen)?;
        let missing_before = self.missing();
        let people: Vec<&[Role]> =
            self.approvals().map(|act| act.roles.as_slice()).chain([person.roles.as_slice()]).collect();
        let left = missing(&self.needed, &people);
        if left.len() == missing_before.len() {
            let roles = Role::all_titled(&missing_before);
            return Err(say!("this waits for somebody who is {roles}", roles));
        }
        self.add(Verb::Approve, (person, now, why), office)?;
        if left.is_empty() {
            self.state = MatterState::Approved;
        }
        Ok(left.is_empty())
    }

    /// Somebody who could approve it refuses it.
    ///
    /// # Errors
    /// If it waits for nobody, or they could not approve it, or say no reason.
    pub fn refuse(
        &mut self,
        (person, now, why): (&Person, Instant, &str),
        seen: Option<&str>,
        office: &Office,
    ) -> Result<(), String> {
        self.judged(person, now, seen)?;
        if why.is_empty() {
            return Err(say!("say why: whoever proposed it wants to know"));
        }
        if !self.needed.iter().any(|role| person.roles.contains(role)) {
            return Err(say!(
                "this waits for somebody who is {roles}",
                roles = Role::all_titled(&self.needed)
            ));
        }
        self.add(Verb::Refuse, (person, now, why), office)?;
        self.state = MatterState::Refused;
        Ok(())
    }

    /// Whoever proposed it takes it back before it is in force; of what does not come into force by itself, so may those who
    /// could approve it.
    ///
    /// # Errors
    /// If it is too late, or not theirs.
    pub fn withdraw(
        &mut self,
        (person, now, why): (&Person, Instant, &str),
        office: &Office,
    ) -> Result<(), String> {
        let own = person.who == self.proposed_by;
        let approver = self.needed.iter().any(|role| person.roles.contains(role));
        let by_hand = matches!(self.kind, Kind::Rules | Kind::Exception | Kind::Override);
        let can = match self.state(now) {
            MatterState::Waiting => own || (by_hand && approver),
            MatterState::Approved => by_hand && (own || approver),
            // What is in force stays until something else comes into force.
            MatterState::InForce => matches!(self.kind, Kind::Rules | Kind::Exception) && approver,
            _ => return Err(self.is_over(now)),
        };
        if !can {
            return Err(match self.state(now) {
                MatterState::Waiting => {
                    say!("only who proposed it takes it back; who is to approve it refuses it")
                }
                _ => say!("it is approved, and cannot be taken back any more: propose what undoes it"),
            });
        }
        self.add(Verb::Withdraw, (person, now, why), office)?;
        self.state = MatterState::Withdrawn;
        Ok(())
    }

    /// Notes that it came into force, or could not.
    pub fn end(&mut self, came_into_force: bool, now: Instant, outcome: &str) {
        self.state = if came_into_force { MatterState::InForce } else { MatterState::Failed };
        (self.ended_at, self.outcome) = (Some(now), outcome.to_owned());
    }

    /// What every judgement has to hold.
    fn judged(&self, person: &Person, now: Instant, seen: Option<&str>) -> Result<(), String> {
        if self.state(now) != MatterState::Waiting {
            return Err(self.is_over(now));
        }
        if seen.is_some_and(|seen| seen != self.digest) {
            return Err(say!(
                "this is not what you have seen: look at it again, and judge what stands there now"
            ));
        }
        if person.who == self.proposed_by {
            return Err(say!("nobody approves what they themselves proposed; ask another approver"));
        }
        if self.approvals().any(|act| act.who == person.who) {
            return Err(say!("you have approved it already; another person has to approve it too"));
        }
        Ok(())
    }

    /// Why nothing can be done with it.
    fn is_over(&self, now: Instant) -> String {
        let id = self.id;
        match self.state(now) {
            MatterState::Waiting => say!("approval {id} waits to be approved", id),
            MatterState::Approved => say!("approval {id} is approved already", id),
            MatterState::InForce => say!("approval {id} is in force already", id),
            MatterState::Failed => say!("approval {id} was approved and could not come into force", id),
            MatterState::Refused => say!("approval {id} was refused; propose it again", id),
            MatterState::Withdrawn => say!("approval {id} was taken back; propose it again", id),
            MatterState::Expired => say!("approval {id} has expired; propose it again", id),
        }
    }

    /// By whose algorithms its digests are: those of the key that signed first, whatever signs later.
    pub(super) fn algorithms(&self, key: Option<&SealKey>) -> &'static dyn Provider {
        let first =
            self.acts.first().filter(|act| !act.key.is_empty()).map(|act| provider::of_key(&act.key).0);
        first.or_else(|| key.map(SealKey::provider)).unwrap_or(provider::INTERNATIONAL)
    }

    fn add(
        &mut self,
        verb: Verb,
        (person, now, why): (&Person, Instant, &str),
        office: &Office,
    ) -> Result<(), String> {
        let key = office.key.as_ref();
        let mut before = String::new();
        for act in &self.acts {
            before = digest(&act.message(&self.digest, &before), self.algorithms(key))?;
        }
        let act = Act::signed((verb, person, now, why), (&self.digest, &before), key)?;
        self.acts.push(act);
        Ok(())
    }
}

/// The number of cents as text: they do not fit a number of JSON.
#[allow(clippy::ref_option)] // It is what serde hands over.
mod cents {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::event::Cents;

    pub(super) fn serialize<S: Serializer>(cents: &Option<Cents>, serializer: S) -> Result<S::Ok, S::Error> {
        cents.map(|cents| cents.as_i128().to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cents>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map(Cents::new).map_err(D::Error::custom)).transpose()
    }
}
