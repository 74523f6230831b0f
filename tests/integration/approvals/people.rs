//! Who proposes, who approves, and who may not.

use std::path::Path;

use fiscwatch::{
    access::{Actor, Role, Roles},
    event::Instant,
    store::{Accounts, TokenSpec},
};

pub(super) const PEOPLE: [(&str, &[Role]); 10] = [
    ("officer", &[Role::Officer]),
    ("supervisor", &[Role::Supervisor]),
    ("another", &[Role::Supervisor]),
    ("author", &[Role::Author]),
    ("approver", &[Role::Approver]),
    ("both", &[Role::Supervisor, Role::Approver]),
    ("feed", &[Role::Ingest]),
    ("platform", &[Role::Decide]),
    ("meter", &[Role::Metrics]),
    ("reader", &[Role::Read]),
];

pub(super) fn token(state: &Path, name: &str, roles: &[Role]) -> String {
    let mut accounts = Accounts::open(state).unwrap();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let (program, name) = (Roles::of_program(roles.iter().copied()), name.to_owned());
    let owner = program.is_err().then(|| name.clone());
    if owner.is_some() {
        let roles = Roles::of_person(roles.iter().copied()).unwrap();
        accounts.add_user(&name, &roles, &by, Instant::EPOCH).unwrap();
    }
    let roles = program.unwrap_or_default();
    accounts
        .add_token(&TokenSpec { name, owner, roles, expires_at: Instant::MAX }, &by, Instant::EPOCH)
        .unwrap()
        .text
}
