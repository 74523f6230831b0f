//! What somebody did with a matter, and the signature over it. Each act is signed together with the digest of the one before,
//! so none can be taken out, changed or put in.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Person, canonical};
use crate::{
    access::{Role, seal::SealKey},
    event::Instant,
};

/// What somebody does with a matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ApprovalVerb)]
pub enum Verb {
    /// 提出
    Propose,
    /// 同意
    Approve,
    /// 不同意
    Refuse,
    /// 撤回
    Withdraw,
}

impl Verb {
    /// The word in JSON and in signatures.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Propose => "propose",
            Self::Approve => "approve",
            Self::Refuse => "refuse",
            Self::Withdraw => "withdraw",
        }
    }
}

/// An act of somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    pub(crate) verb: Verb,
    pub(crate) who: String,
    /// The roles that they had then, of those that approve.
    #[serde(with = "words")]
    pub roles: Vec<Role>,
    /// When, by the clock.
    pub at: Instant,
    /// Why; empty if they said nothing.
    pub why: String,
    /// The public key that signed it; empty if none did.
    pub key: String,
    /// Its signature, in hexadecimal.
    pub signature: String,
}

impl Act {
    /// Does and signs something.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub(super) fn signed(
        (verb, person, at, why): (Verb, &Person, Instant, &str),
        (digest, before): (&str, &str),
        key: Option<&SealKey>,
    ) -> Result<Self, String> {
        let mut act = Self {
            verb,
            who: person.who.clone(),
            roles: person.roles.clone(),
            at,
            why: why.to_owned(),
            key: key.map(SealKey::public).unwrap_or_default(),
            signature: String::new(),
        };
        if let Some(key) = key {
            let message = act.message(digest, before);
            act.signature = key.sign(message.as_bytes()).map_err(|why| why.to_string())?;
        }
        Ok(act)
    }

    /// What is signed: the matter, by its digest, the digest of the act before, and what was done.
    #[must_use]
    pub fn message(&self, digest: &str, before: &str) -> String {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.word()).collect();
        canonical(&json!({
            "matter": digest,
            "before": before,
            "verb": self.verb.word(),
            "who": self.who,
            "roles": roles,
            "at": self.at,
            "why": self.why,
        }))
    }
}

/// Roles by their words.
pub(super) mod words {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::access::Role;

    pub(crate) fn serialize<S: Serializer>(roles: &[Role], serializer: S) -> Result<S::Ok, S::Error> {
        roles.iter().map(|role| role.word()).collect::<Vec<_>>().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Role>, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| word.parse().map_err(D::Error::custom)).collect()
    }
}
