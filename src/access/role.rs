//! Roles, by separation of duties, and which of them one person may not hold together.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Serialize, Serializer};

use super::Limits;
use crate::{
    say,
    text::{Language, quoted, spoken},
};

/// What somebody is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// 监控人员: works alerts.
    Officer,
    /// 主管: also reviews and exports.
    Supervisor,
    /// 规则管理员: proposes rules, parameters, lists and exceptions.
    Author,
    /// 审批: puts rules into force.
    Approver,
    /// 审计管理员: reads everything and changes nothing.
    Auditor,
    /// 安全管理员: manages users, roles and tokens, and sees no payment.
    Security,
    /// 系统管理员: sees how the daemon is, and sees no payment.
    System,
    /// A program that sends events.
    Ingest,
    /// A program that asks before money moves.
    Decide,
    /// A program that scrapes metrics.
    Metrics,
    /// A program that reads what officers see.
    Read,
}

impl Role {
    /// Every role, in the order of their duties.
    pub const ALL: [Self; 11] = [
        Self::Officer,
        Self::Supervisor,
        Self::Author,
        Self::Approver,
        Self::Auditor,
        Self::Security,
        Self::System,
        Self::Ingest,
        Self::Decide,
        Self::Metrics,
        Self::Read,
    ];

    /// Its word in commands, files and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Supervisor => "supervisor",
            Self::Author => "author",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Security => "security",
            Self::System => "system",
            Self::Ingest => "ingest",
            Self::Decide => "decide",
            Self::Metrics => "metrics",
            Self::Read => "read",
        }
    }

    /// The field's term for it.
    #[must_use]
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Officer => "监控人员",
            Self::Supervisor => "主管",
            Self::Author => "规则管理员",
            Self::Approver => "审批人员",
            Self::Auditor => "审计管理员",
            Self::Security => "安全管理员",
            Self::System => "系统管理员",
            Self::Ingest => "数据接入",
            Self::Decide => "事前校验",
            Self::Metrics => "指标采集",
            Self::Read => "只读程序",
        }
    }

    /// As people call it: by its word, and by the field's term where that is spoken.
    #[must_use]
    pub fn titled(self) -> String {
        match spoken() {
            Language::Zh => format!("{}（{}）", self.zh(), self.word()),
            Language::En => self.word().to_owned(),
        }
    }

    /// Several of them, as people call them, each once.
    #[must_use]
    pub fn all_titled(roles: &[Self]) -> String {
        let mut titles: Vec<_> = roles.iter().map(|role| role.titled()).collect();
        titles.dedup();
        titles.join(match spoken() {
            Language::Zh => "、",
            Language::En => ", ",
        })
    }

    /// Whether it is for programs; people have the others.
    #[must_use]
    pub const fn is_for_programs(self) -> bool {
        matches!(self, Self::Ingest | Self::Decide | Self::Metrics | Self::Read)
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::word).join(", ");
            say!("{text} is none of {words}", text = quoted(word), words)
        })
    }
}

/// The roles of one identity, and what they are limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    roles: BTreeSet<Role>,
    limits: Limits,
}

/// What one person may not hold together: who watches does not manage, and who runs the machine does neither.
const APART: [(Role, Role); 3] =
    [(Role::Security, Role::Auditor), (Role::System, Role::Auditor), (Role::System, Role::Security)];

impl Roles {
    /// Whether this role is among them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The words of the roles, as tables have them.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        self.roles.iter().map(|role| role.word().to_owned()).collect()
    }

    /// What they are limited to.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same roles, limited to these units and regions.
    #[must_use]
    pub fn limited_to(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Roles that a person may hold.
    ///
    /// # Errors
    /// If there are none, one is for programs, or two do not go together.
    pub fn of_person(roles: impl IntoIterator<Item = Role>) -> Result<Self, String> {
        let roles = Self::some(roles)?;
        if let Some(role) = roles.roles.iter().find(|role| role.is_for_programs()) {
            return Err(say!("the role {role} is for programs: give it to a token", role = role.word()));
        }
        match APART.iter().find(|(one, other)| roles.has(*one) && roles.has(*other)) {
            Some((one, other)) => Err(say!(
                "one person may not hold {one} and {other}: the duties are separated. Give one of them to somebody else",
                one = one.word(),
                other = other.word()
            )),
            None => Ok(roles),
        }
    }

    /// Roles that a person may hold, with limits, as words: `officer`, `unit:101`.
    ///
    /// # Errors
    /// If one is no such word, or they do not go together.
    pub fn of_words(words: &[&str]) -> Result<Self, String> {
        let read: Self = words.join(" ").parse()?;
        let Limits { mut units, mut regions, .. } = read.limits;
        for codes in [&mut units, &mut regions] {
            codes.sort();
            codes.dedup();
        }
        Ok(Self::of_person(read.roles)?.limited_to(Limits::new(units, regions)?))
    }

    /// Roles that the token of a program may have.
    ///
    /// # Errors
    /// If there are none, or one is for people.
    pub fn of_program(roles: impl IntoIterator<Item = Role>) -> Result<Self, String> {
        let roles = Self::some(roles)?;
        match roles.roles.iter().find(|role| !role.is_for_programs()) {
            Some(role) => Err(say!(
                "the role {role} is for people: give it to a user, and make a token for that user with --user",
                role = role.word()
            )),
            None => Ok(roles),
        }
    }

    fn some(roles: impl IntoIterator<Item = Role>) -> Result<Self, String> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        match roles.is_empty() {
            true => Err(say!("name at least one role with --role; `fiscwatch access show` lists them")),
            false => Ok(Self { roles, limits: Limits::default() }),
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.roles.iter().map(|role| role.word()).collect::<Vec<_>>().join(" "))?;
        match self.limits.is_none() {
            true => Ok(()),
            false => write!(f, " {}", self.limits),
        }
    }
}

/// As the store has them: nothing is judged, a word that is not known is an error.
impl FromStr for Roles {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let mut limits = Limits::default();
        let roles = words.split_whitespace().filter(|word| !limits.take(word)).map(str::parse::<Role>);
        let roles = roles.collect::<Result<BTreeSet<_>, _>>()?;
        Ok(Self { roles, limits })
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.roles.iter().map(|role| role.word()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_watches_manages_nothing() {
        use Role::{Approver, Auditor, Author, Ingest, Officer, Security, Supervisor, System};
        for (roles, fits) in [
            (&[Officer, Supervisor][..], true),
            (&[Author, Approver], true),
            (&[Officer, Auditor], true),
            (&[Security, Auditor], false),
            (&[Security, Officer, Auditor], false),
            (&[System, Auditor], false),
            (&[System, Security], false),
            (&[Ingest], false),
            (&[], false),
        ] {
            assert_eq!(Roles::of_person(roles.iter().copied()).is_ok(), fits, "{roles:?}");
        }
        assert!(Roles::of_program([Ingest, Role::Read]).is_ok());
        assert!(Roles::of_program([Ingest, Officer]).is_err());
    }

    #[test]
    fn words_come_back() {
        let all: Roles = Role::ALL.map(Role::word).join(" ").parse().unwrap();
        assert_eq!(all.to_string().parse::<Roles>().unwrap(), all);
        assert!(Role::ALL.iter().all(|role| all.has(*role)));
        assert!("officer admin".parse::<Roles>().is_err());
        let limited: Roles = "officer unit:101 region:32".parse().unwrap();
        assert!(limited.has(Role::Officer) && !limited.has(Role::Auditor) && all.limits().is_none());
        assert_eq!(limited.to_string(), "officer unit:101 region:32");
        assert_eq!(limited.limits().units, ["101"]);
    }
}
