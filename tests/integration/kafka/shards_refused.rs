//! What shards refuse: rules that they cannot judge, topics that have changed, people whom no shard knows.

use super::shards::{Field, Keeper, RULES, config, wait};
use crate::support::{Bench, fiscwatch, run, write};

#[test]
fn what_shards_cannot_do_is_told_at_check() {
    let bench = Bench::new("", "");
    let machine = bench.path().join("a");
    std::fs::create_dir(&machine).unwrap();
    let store = bench.path().join("store");
    let check = |config: &str| {
        write(&machine, "fiscwatch.yaml", config);
        run(&machine, &["check", "--config", "fiscwatch.yaml"])
    };
    let whole = config("localhost:1", "t", "a", &store);
    let (code, out, err) = check(&whole);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("one region") && out.contains("over-budget"), "{out}");

    let rules = bench.path().join("rules/rules.yaml");
    let local = std::fs::read_to_string(&rules).unwrap();
    let spanning =
        RULES.replace("[unit_code, payee_account]", "[payee_account]").replace("unit_code", "payee_account");
    std::fs::write(&rules, format!("{local}{spanning}")).unwrap();
    let (code, _, err) = check(&whole);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("rule \"much-to-one\" is live and needs the events of all regions (payee_account)"),
        "{err}"
    );
    assert!(err.contains("shards.spanning: apart"), "{err}");
    let (code, _, err) = run(&machine, &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("needs the events of all regions"), "{err}");
    assert_eq!(check(&whole.replace("shards: {", "shards: { spanning: apart,")).0, Some(0));
    let shadow =
        format!("{whole}rules: {{ paths: [../rules], overrides: {{ much-to-one: {{ mode: shadow }} }} }}\n");
    assert_eq!(check(&shadow.replacen("rules: { paths: [../rules] }\n", "", 1)).0, Some(0));
    std::fs::write(&rules, &local).unwrap();

    for (from, to, said) in [
        ("when_away: wait", "when_away: go_on", "shards need state.replicate with when_away: wait"),
        ("topics: [t]", "topics: [t, u]", "shards need exactly one source"),
        ("group: 't-shards'", "group: t", "shards.group is that of the source"),
        ("instance: a", "instance: 'a b'", "shards.instance \"a b\" has to be letters"),
        (
            "state: {",
            "decide: { kafka: { brokers: [x], requests: q, replies: r } }\nstate: {",
            "decide.kafka cannot",
        ),
    ] {
        let (code, _, err) = check(&whole.replace(from, to));
        assert_eq!(code, Some(1), "{to}");
        assert!(err.contains(said), "{to}: {err}");
    }
    // A shard by itself, by name.
    let shard = |name: &str, config: &str| {
        write(&machine, "fiscwatch.yaml", config);
        let mut command = fiscwatch();
        command.current_dir(&machine).args(["check", "--config", "fiscwatch.yaml"]);
        command.env("FISCWATCH_SHARD", name).output().unwrap()
    };
    assert!(shard("3", &whole).status.success());
    assert!(String::from_utf8_lossy(&shard("x", &whole).stderr).contains("\"x\" is no shard"));
    let said = |name: &str, config: &str| String::from_utf8_lossy(&shard(name, config).stderr).into_owned();
    assert!(said("whole", &whole).contains("no such process without shards.spanning: whole"));
    let spanned = whole.replace("shards: {", "shards: { spanning: whole,");
    assert_eq!(said("whole", &spanned), "");
    let none = shard("3", "rules: { paths: [../rules] }\n");
    assert!(String::from_utf8_lossy(&none.stderr).contains("no section shards"));
}

#[test]
fn a_topic_that_has_grown_is_refused() {
    let Some(mut field) = Field::new("outgrown") else { return };
    let dir = field.machine("a");
    let keeper = Keeper::start(&dir);
    wait(|| keeper.daemon.get("/-/healthy").0 == 200 && keeper.ready().len() == 4);
    field.send(800, 5);
    field.is_read(&[&keeper]);
    keeper.stop();
    field.broker.grow("outgrown", 6);
    let (code, _, err) = run(&dir, &["run", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("has 6 partitions"), "{err}");
}

/// Users are known to shards: the keeper tells nobody anything that no shard vouches for.
#[test]
fn where_people_are_told_apart_shards_decide_who_may_ask() {
    let Some(field) = Field::new("doors") else { return };
    let dir = field.machine("a");
    let text = std::fs::read_to_string(dir.join("fiscwatch.yaml")).unwrap();
    write(&dir, "fiscwatch.yaml", &format!("{text}http: {{ auth: true }}\n").replace("[doors]", "[not-yet]"));
    let asked = ["/api/v1/shards", "/api/v1/alerts", "/api/v1/findings", "/metrics"];
    let keeper = Keeper::start(&dir);
    wait(|| keeper.daemon.get("/-/healthy").0 == 200);
    assert_eq!(keeper.daemon.get("/-/ready").0, 503);
    assert_eq!(asked.map(|path| keeper.daemon.get(path).0), [503; 4]);
    keeper.stop();
    write(&dir, "fiscwatch.yaml", &format!("{text}http: {{ auth: true }}\n"));
    let keeper = Keeper::start(&dir);
    wait(|| {
        let (status, text) = keeper.daemon.get("/-/ready");
        status == 200 && text.matches("is ready").count() == 4
    });
    assert_eq!(asked.map(|path| keeper.daemon.get(path).0), [401; 4]);
    keeper.stop();
}
