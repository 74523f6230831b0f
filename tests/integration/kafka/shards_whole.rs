//! Rules that span regions where there are shards: one process more reads the whole topic and judges them, and moves with the
//! first partition.

use std::collections::BTreeSet;

use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use serde_json::Value;

use super::shards::{Field, Keeper, PARTITIONS, wait};
use crate::support::{lines, payment, run, write};

/// Of the events of all regions, each of its own shard. What it finds does not depend on the order among partitions.
const SPANNING: &str = "
  - id: class-of-all
    title: a class in all regions
    severity: medium
    trigger: window
    of: payment
    window: { by: [economic_code], size: month }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 5
    key: [economic_code]
    summary: '{{ economic_code }} {{ n }}'
";

/// What a finding of a window is about, whenever it was found.
fn about(finding: &Value) -> (String, String) {
    (finding["key"].to_string(), finding["window"]["end"].to_string())
}

/// Two payments for each partition, later than all others: what came before is over.
fn close(field: &mut Field) {
    let producer: ThreadedProducer<_> = field.broker.client().create().unwrap();
    for shard in 0..PARTITIONS {
        for n in 0..2 {
            let mut last = payment(&format!("last-{shard}-{n}"), &format!("{shard}-L0"), "1.00");
            last["occurred_at"] = "2026-06-01T10:00:00+08:00".into();
            last["unit_code"] = format!("{shard}-last").into();
            let payload = last.to_string();
            let record = BaseRecord::<str, str>::to(field.topic).partition(shard).payload(&payload);
            producer.send(record).map_err(|(e, _)| e).unwrap();
            field.sent.entry(shard).or_default().push(last);
        }
    }
    producer.flush(std::time::Duration::from_mins(1)).unwrap();
}

/// Whether one of these has the process that reads the whole topic, and it has read all that was sent.
fn whole_is_read(field: &Field, keepers: &[&Keeper]) {
    wait(|| {
        let rows: Vec<Value> = keepers.iter().flat_map(|keeper| keeper.shards()).collect();
        let whole: Vec<&Value> = rows.iter().filter(|row| row["shard"] == "whole").collect();
        assert!(whole.len() < 2, "two of them");
        whole.first().is_some_and(|row| {
            (0..PARTITIONS).all(|shard| {
                let at = &row["status"]["sources"]["core"]["partitions"][format!("{}[{shard}]", field.topic)];
                at["next"].as_u64() == Some(field.sent[&shard].len() as u64) && at["lag"] == 0
            })
        })
    });
}

#[test]
fn rules_that_span_regions_are_judged_by_one_process_that_moves_too() {
    let Some(mut field) = Field::new("spanned") else { return };
    let rules = field.bench.path().join("rules/rules.yaml");
    let local = std::fs::read_to_string(&rules).unwrap();
    std::fs::write(&rules, format!("{local}{SPANNING}")).unwrap();
    let machines = ["a", "b"].map(|name| {
        let dir = field.machine(name);
        let config = std::fs::read_to_string(dir.join("fiscwatch.yaml")).unwrap();
        write(&dir, "fiscwatch.yaml", &config.replace("shards: {", "shards: { spanning: whole,"));
        dir
    });
    let (code, _, err) = run(&machines[0], &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(0), "{err}");

    let mut keepers: Vec<Keeper> = machines.iter().map(|dir| Keeper::start(dir)).collect();
    wait(|| keepers.iter().all(|keeper| keeper.daemon.get("/-/healthy").0 == 200));
    wait(|| keepers.iter().map(|keeper| keeper.ready().len()).sum::<usize>() == PARTITIONS as usize);
    field.send(1100, 120);
    whole_is_read(&field, &keepers.iter().collect::<Vec<_>>());
    // The machine that has it dies, in the middle of what it reads.
    let has = |keeper: &Keeper| keeper.shards().iter().any(|row| row["shard"] == "whole");
    let place = keepers.iter().position(has).unwrap();
    field.send(1200, 120);
    let mut dead = keepers.remove(place);
    dead.daemon.child.kill().unwrap();
    dead.daemon.child.wait().unwrap();
    let survivor = keepers.remove(0);
    assert_eq!(
        survivor.daemon.json("/api/v1/shards")["elsewhere"].as_array().unwrap().last().unwrap(),
        "whole"
    );
    close(&mut field);
    field.is_read(&[&survivor]);
    whole_is_read(&field, &[&survivor]);
    let page = survivor.daemon.json("/api/v1/findings?rule=class-of-all&limit=5");
    assert!(page["findings"].as_array().unwrap().iter().all(|finding| finding["shard"] == "whole"), "{page}");
    assert!(survivor.daemon.get("/metrics").1.contains("fiscwatch_shard_up{shard=\"whole\"} 1"));
    survivor.stop();

    let all: Vec<Value> = field.sent.values().flatten().cloned().collect();
    std::fs::write(field.bench.path().join("events.jsonl"), lines(&all)).unwrap();
    let (expected, mut ledger) = field.bench.backtest(&[]);
    let parsed = |rows: &[String]| -> Vec<Value> {
        rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
    };
    let (spanning, mut local): (Vec<String>, Vec<String>) =
        expected.into_iter().partition(|row| row.contains("\"class-of-all\""));
    // One process judges the last month too, when its input ends.
    let open = "\"2026-07-01T00:00:00+08:00\"";
    let spanning: BTreeSet<_> = parsed(&spanning).iter().map(about).filter(|(_, end)| end != open).collect();
    assert!(spanning.len() > 8, "only {} windows", spanning.len());

    let (found, mut balances) = field.restored("whole", "spanned");
    let found = parsed(&found);
    assert!(found.iter().all(|finding| finding["rule_id"] == "class-of-all"), "it judges what shards judge");
    let windows: Vec<_> = found.iter().map(about).collect();
    assert_eq!(windows.iter().cloned().collect::<BTreeSet<_>>(), spanning);
    assert_eq!(windows.len(), spanning.len(), "a window is found twice");
    let mut of_shards: Vec<String> =
        (0..PARTITIONS).flat_map(|shard| field.restored(&shard.to_string(), "spanned").0).collect();
    for rows in [&mut ledger, &mut balances, &mut local, &mut of_shards] {
        rows.sort();
    }
    assert!(balances == ledger, "the ledger of the whole is not that of one process");
    assert!(of_shards == local, "the shards found other than one process");
}

#[test]
fn a_spanning_rule_reads_nothing_that_shards_found() {
    let Some(field) = Field::new("spanning-reads") else { return };
    let machine = field.machine("a");
    let config = std::fs::read_to_string(machine.join("fiscwatch.yaml")).unwrap();
    write(&machine, "fiscwatch.yaml", &config.replace("shards: {", "shards: { spanning: whole,"));
    let rules = field.bench.path().join("rules/rules.yaml");
    let local = std::fs::read_to_string(&rules).unwrap();
    let check = |sql: &str| {
        let rule = format!(
            "\n  - {{ id: reads, severity: low, trigger: schedule, every: 1d, sql: \"{sql}\", key: [rule_id] }}\n"
        );
        std::fs::write(&rules, format!("{local}{SPANNING}{rule}")).unwrap();
        run(&machine, &["check", "--config", "fiscwatch.yaml"])
    };
    let own = "SELECT rule_id, count(*) AS n FROM findings WHERE rule_id IN ('reads', 'class-of-all') GROUP BY rule_id";
    let (code, _, err) = check(own);
    assert_eq!(code, Some(0), "{err}");
    for (sql, others) in [
        ("SELECT rule_id, count(*) AS n FROM findings GROUP BY rule_id", "(findings)"),
        (
            "SELECT rule_id, count(*) AS n FROM alerts WHERE rule_id = 'much-to-one' GROUP BY rule_id",
            "(much-to-one)",
        ),
    ] {
        let (code, _, err) = check(sql);
        assert_eq!(code, Some(1));
        assert!(err.contains(&format!("reads what other rules found {others}")), "{err}");
    }
}
