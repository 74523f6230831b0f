//! What can be done, and which roles may do it: the one table that decides.

use super::role::{
    Role::{
        self, Approver, Auditor, Author, Decide, Ingest, Metrics, Officer, Read, Security, Supervisor, System,
    },
    Roles,
};

/// One row an action: its name, its word, and who may.
macro_rules! table {
    ($($(#[$doc:meta])* $action:ident $word:literal [$($role:ident),*];)*) => {
        /// What somebody asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$action),*];

            /// Its word, in the audit log and in messages.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$action => $word,)*
                }
            }

            /// The roles that may.
            #[must_use]
            pub const fn roles(self) -> &'static [Role] {
                match self {
                    $(Self::$action => &[$($role),*],)*
                }
            }
        }
    };
}

table! {
    /// Send events.
    PostEvents "events.post" [Ingest];
    /// Look events up, with personal data masked.
    ReadEvents "events.read" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// See accounts and names of persons as a whole, where others see the ends of them.
    ShowPersonal "personal.show" [Officer, Supervisor, Auditor];
    /// Ask before money moves.
    Decide "decide" [Decide];
    /// Release what a decided application reserves.
    ReleaseDecisions "decisions.release" [Supervisor, Decide];
    /// Let a blocked application pass, and take that back.
    GrantOverrides "overrides.grant" [Supervisor];
    /// See what was decided.
    ReadDecisions "decisions.read" [Officer, Supervisor, Author, Approver, Auditor, Decide, Read];
    /// Scrape metrics.
    ReadMetrics "metrics.read" [System, Metrics];
    /// See how the daemon is.
    ReadStatus "status.read" [Officer, Supervisor, Author, Approver, Auditor, System, Read];
    /// Read what the API is.
    DescribeApi "api.describe"
        [Officer, Supervisor, Author, Approver, Auditor, Security, System, Ingest, Decide, Metrics, Read];
    /// See rules and how they do.
    ReadRules "rules.read" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// Propose rules that are to come into force.
    ProposeRules "rules.propose" [Author];
    /// Approve rules that somebody else proposed, and take that back.
    ApproveRules "rules.approve" [Approver];
    /// Try rules over the journal.
    TryRules "rules.try" [Supervisor, Author, Approver];
    /// Put the rules and lists of the configuration into force.
    ReloadRules "rules.reload" [Approver];
    /// See what was proposed and who approved it.
    ReadMatters "approvals.read" [Officer, Supervisor, Author, Approver, Auditor];
    /// Propose what others have to approve.
    ProposeMatters "approvals.propose" [Officer, Supervisor, Author];
    /// Propose budget actions that are entered by hand, and overrides.
    ProposeBudget "budget.propose" [Officer, Supervisor];
    /// Approve or refuse what somebody else proposed, as far as the levels name their role.
    JudgeMatters "approvals.judge" [Supervisor, Approver];
    /// Take back what they proposed, or what they could approve.
    WithdrawMatters "approvals.withdraw" [Officer, Supervisor, Author, Approver];
    /// Take a proposal out with its signatures.
    ExportMatters "approvals.export" [Supervisor, Approver, Auditor];
    /// See findings.
    ReadFindings "findings.read" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// Take all findings out.
    ExportFindings "findings.export" [Supervisor, Auditor];
    /// See alerts.
    ReadAlerts "alerts.read" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// Take the files of cases, which are not masked.
    ReadFiles "files.read" [Officer, Supervisor, Auditor];
    /// Take the register of cases out.
    ExportAlerts "alerts.export" [Officer, Supervisor, Auditor];
    /// Move alerts on, comment on them, write to units.
    WorkAlerts "alerts.work" [Officer, Supervisor];
    /// Decide what somebody else proposed to do with an alert.
    ReviewAlerts "alerts.review" [Supervisor];
    /// See silences.
    ReadSilences "silences.read" [Officer, Supervisor, Auditor, Read];
    /// Order and end silences.
    OrderSilences "silences.order" [Officer, Supervisor];
    /// See balances and indicators.
    ReadBudget "budget.read" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// Take all balances out.
    ExportBudget "budget.export" [Supervisor, Auditor];
    /// Freeze the settlement of a year.
    SettleYear "budget.settle" [Supervisor];
    /// Have long work done: settlements, proposals, publications, pilots, drills; each as far as its command is for them.
    RunWorks "works.run" [Officer, Supervisor, Author, Approver, Auditor, System];
    /// See who was told of what.
    ReadNotifications "notifications.read" [Officer, Supervisor, Auditor];
    /// Try notifications again.
    RetryNotifications "notifications.retry" [Officer, Supervisor];
    /// Send a test through a sink.
    TestSinks "sinks.test" [System];
    /// See records in quarantine.
    ReadQuarantine "quarantine.read" [Officer, Supervisor, Author, Auditor];
    /// Read records in quarantine again.
    ReplayQuarantine "quarantine.replay" [Supervisor, Author];
    /// Ask SQL of everything stored.
    QueryState "state.query" [Supervisor, Auditor];
    /// Ask questions in plain words, as far as they may see what the answer is made of.
    AskQuestions "questions.ask" [Officer, Supervisor, Author, Approver, Auditor, Read];
    /// See what the state directory holds, and check it.
    ReadState "state.read" [Auditor, System];
    /// Copy the state, and make one of a copy.
    BackUpState "state.backup" [System];
    /// Read and check the audit log.
    ReadAudit "audit.read" [Auditor];
    /// See users and tokens.
    ReadUsers "users.read" [Auditor, Security];
    /// Add, change and disable users; make and revoke tokens.
    ManageUsers "users.manage" [Security];
}

impl Action {
    /// The roles that may, as people call them.
    #[must_use]
    pub fn roles_titled(self) -> String {
        Role::all_titled(self.roles())
    }

    /// Whether it is recorded although it changes nothing: payments and persons are shown, or data leaves.
    #[must_use]
    pub const fn shows(self) -> bool {
        matches!(
            self,
            Self::ReadEvents
                | Self::ReadFindings
                | Self::ExportFindings
                | Self::ReadAlerts
                | Self::ReadDecisions
                | Self::ExportBudget
                | Self::ReadNotifications
                | Self::ReadQuarantine
                | Self::QueryState
                | Self::AskQuestions
                | Self::BackUpState
                | Self::ExportMatters
        )
    }
}

/// Whether somebody with these roles may do it. Nothing else in the program decides that.
#[must_use]
pub fn decide(roles: &Roles, action: Action) -> bool {
    action.roles().iter().any(|role| roles.has(*role))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the separation of duties means, said once more without the table.
    #[test]
    fn duties_are_separated() {
        let may = |role: Role, action: Action| decide(&role.word().parse().unwrap(), action);
        let payments = [
            Action::ReadEvents,
            Action::ReadFindings,
            Action::ReadAlerts,
            Action::ReadBudget,
            Action::ReadNotifications,
            Action::ReadQuarantine,
            Action::QueryState,
        ];
        for action in payments {
            assert!(!may(Security, action) && !may(System, action), "{action:?} shows payments");
            assert!(may(Auditor, action), "{action:?} is hidden from the auditor");
            assert!(!may(Ingest, action) && !may(Metrics, action), "{action:?}");
        }
        let changes = [
            Action::PostEvents,
            Action::ProposeRules,
            Action::ApproveRules,
            Action::ReloadRules,
            Action::WorkAlerts,
            Action::ReviewAlerts,
            Action::OrderSilences,
            Action::RetryNotifications,
            Action::ReplayQuarantine,
            Action::BackUpState,
            Action::ManageUsers,
            Action::ReleaseDecisions,
            Action::GrantOverrides,
            Action::SettleYear,
            Action::ProposeMatters,
            Action::ProposeBudget,
            Action::JudgeMatters,
            Action::WithdrawMatters,
        ];
        for action in changes {
            assert!(!may(Auditor, action) && !may(Read, action), "{action:?} changes something");
        }
        assert!(!may(Decide, Action::GrantOverrides), "who asks does not let its own applications pass");
        let managers = Role::ALL.into_iter().filter(|role| may(*role, Action::ManageUsers));
        assert_eq!(managers.collect::<Vec<_>>(), [Security]);
        assert!(!may(Author, Action::ApproveRules) && !may(Approver, Action::ProposeRules));
        assert!(!may(Author, Action::ReloadRules), "who writes rules does not put them into force");
        assert!(!decide(&Roles::default(), Action::DescribeApi));
    }
}
