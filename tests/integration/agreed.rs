//! Constants that people agreed on, as the store has them.

use fiscwatch::{
    access::{Actor, SealKey},
    approval::Office,
    event::Instant,
    rule::manifest::RuleManifest,
    store::{LabParams, RuleSets},
};
use serde_json::json;

/// Without the constants that people agreed on, other rules would be in force: those of the files.
#[test]
fn constants_that_cannot_be_read_are_an_error() {
    let state = tempfile::tempdir().unwrap();
    drop(RuleSets::open_or_make(state.path()).unwrap());
    let office = Office { key: SealKey::read(&"4f".repeat(32)), ..Office::default() };
    let mut sets = RuleSets::open(state.path()).unwrap().judged_by(office);
    let params: LabParams = serde_json::from_value(json!({"large": {"limit": "5000"}})).unwrap();
    let by = Actor { who: "赵敏".into(), place: "test".into() };
    let set = (&RuleManifest::default(), Some(&params));
    let digest = sets.propose(set, "more", &by, Instant::from_micros(1)).unwrap().digest;
    let database = rusqlite::Connection::open(state.path().join("fiscwatch.db")).unwrap();
    database
        .execute_batch("UPDATE rule_sets SET approved_at = 2, approved_by = '孙丽'; UPDATE rule_params SET adopted_at = 3")
        .unwrap();
    assert_eq!(RuleSets::open_read_only(state.path()).unwrap().adopted().unwrap(), params);
    database.execute("UPDATE rule_params SET params = '{'", []).unwrap();
    let sets = RuleSets::open_read_only(state.path()).unwrap();
    for error in [sets.adopted().unwrap_err(), sets.find(&digest).unwrap_err()] {
        let told = error.to_string();
        assert!(told.contains("a value in the database is not as fiscwatch writes it"), "{told}");
        assert!(told.contains("is damaged") && told.contains("Restore a backup"), "{told}");
    }
}
