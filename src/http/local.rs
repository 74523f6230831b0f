//! Who is at the other end of the socket of this machine, or runs a command: the kernel says their number, and the system's
//! list of users their name.

use std::fs;

use crate::access::Actor;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    pub(crate) uid: u32,
    /// The name, or the number as one where it has none.
    pub name: String,
}

impl Local {
    /// The user of a number; `None` if the kernel says none: in a user namespace of its own, everybody else is one number.
    #[must_use]
    pub fn of(uid: u32) -> Option<Self> {
        (uid != nobody()).then(|| Self::named(uid))
    }

    /// Who runs this process.
    #[must_use]
    pub fn own() -> Self {
        Self::named(rustix::process::geteuid().as_raw())
    }

    fn named(uid: u32) -> Self {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self { uid, name: name_of(uid, &users).unwrap_or_else(|| format!("uid-{uid}")) }
    }

    /// Where they are, for the audit log.
    #[must_use]
    pub fn place(&self) -> String {
        format!("local uid {}", self.uid)
    }

    /// As somebody who acts.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { who: self.name.clone(), place: self.place() }
    }
}

/// The number that the kernel says instead of those that a namespace does not have.
fn nobody() -> u32 {
    let said = fs::read_to_string("/proc/sys/kernel/overflowuid");
    said.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_534)
}

fn name_of(uid: u32, users: &str) -> Option<String> {
    let user = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    };
    users.lines().find_map(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_a_number_and_the_system_its_name() {
        let users = "root:x:0:0:root:/root:/bin/bash\nfiscwatch:x:998:998::/var/lib:/bin/false\nbroken\n";
        assert_eq!(name_of(998, users).as_deref(), Some("fiscwatch"));
        assert_eq!(name_of(5, users), None);
        assert_eq!(Local::of(0).unwrap().actor().place, "local uid 0");
        assert_eq!(Local::of(4_000_000_000).unwrap().name, "uid-4000000000");
        assert_eq!(Local::of(nobody()), None, "whoever a namespace does not have is nobody in particular");
    }
}
