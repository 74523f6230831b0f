//! The sealed history as `DuckDB` and `pyarrow` read it.

use std::{path::Path, process::Command};

use serde_json::Value;

use super::{Machines, has_read};
use crate::{
    notify::service,
    support::{Daemon, append, lines, payment, run, wait_until, write},
};

/// Reads by a manifest: rows and the sum of payments by `DuckDB`, rows by `pyarrow`.
const READ: &str = "
import json, sys, duckdb, pyarrow.dataset as ds, pyarrow as pa
lake, manifest = sys.argv[1:]
files = [lake + '/' + f['path'] for f in json.load(open(manifest))['files']]
rows, days, amount = duckdb.connect().execute('select count(*), count(distinct day), sum(amount) from read_parquet(?, hive_partitioning = true, union_by_name = true)', [files]).fetchone()
schema = pa.unify_schemas([ds.dataset(f).schema for f in files])
print(json.dumps([rows, days, str(amount), ds.dataset(files, schema=schema).count_rows()]))
";

fn read(lake: &Path, manifest: &str) -> Option<Value> {
    let usual = std::env::var_os("LAKE_PYTHON").map(std::path::PathBuf::from);
    let python = usual.or_else(|| service(&["target/services/lake/bin/python"]))?;
    let script = write(lake.parent().unwrap(), "read.py", READ);
    let out = Command::new(python).arg(script).arg(lake).arg(lake.join(manifest)).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(serde_json::from_slice(&out.stdout).unwrap())
}

#[test]
fn other_tools_read_the_sealed_history_through_compaction() {
    let machines = Machines::new("go_on");
    let a = machines.machine("a");
    let text = std::fs::read_to_string(a.join("fiscwatch.yaml")).unwrap();
    let plain = text
        .replace("300d", "0s")
        .replace("checkpoint_events: 400", "checkpoint_events: 20")
        .split(", replicate:")
        .next()
        .unwrap()
        .to_owned()
        + " }\nengine: { batch_rows: 40 }\n";
    write(&a, "fiscwatch.yaml", &plain);
    let lake = machines.bench.path().join("lake");
    std::fs::create_dir(&lake).unwrap();
    let publish = |keep: &str| -> Value {
        let url = format!("file://{}", lake.display());
        let args = ["state", "lake", "--to", &url, "--keep", keep, "--json", "--config", "fiscwatch.yaml"];
        let (code, out, err) = run(&a, &args);
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str(&out).unwrap()
    };
    let sealed = || -> u64 {
        let (_, info, _) = run(&a, &["state", "info", "--json", "--config", "fiscwatch.yaml"]);
        serde_json::from_str::<Value>(&info).unwrap()["sealed_events"].as_u64().unwrap()
    };
    let mut first = None;
    // Each part has events of two days, which are complete with the last one of it, and in the end are one file each.
    let part = |n: usize| -> String {
        let event = |i: usize, day: usize| {
            let mut event = payment(&format!("p{n}-{i}-{day}"), "L", "1.25");
            event["occurred_at"] = format!("2026-03-{day:02}T10:00:{i:02}+08:00").into();
            event
        };
        let days: Vec<_> = (0..40).map(|i| event(i, 1 + i % 2)).chain([event(0, 10 + n)]).collect();
        lines(&days)
    };
    let daemon = Daemon::start(&a);
    for n in 0..6 {
        append(&machines.feed(), &part(n));
        wait_until(|| has_read(&a, machines.feed().metadata().unwrap().len()));
        // Days are sealed beside it: there may be none yet.
        let published = publish("7d");
        if published["rows"] == 0 {
            continue;
        }
        let Some(read) = read(&lake, published["manifest"].as_str().unwrap()) else { return };
        assert_eq!((&read[0], &read[3]), (&published["rows"], &published["rows"]), "{published}");
        // What a reader began with stays, however the days are sealed and compacted meanwhile.
        let (manifest, wanted) =
            first.get_or_insert((published["manifest"].as_str().unwrap().to_owned(), read));
        assert_eq!(self::read(&lake, manifest).as_ref(), Some(&*wanted));
    }
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let published = publish("7d");
    let whole = read(&lake, published["manifest"].as_str().unwrap()).unwrap();
    assert!(sealed() > 100);
    assert_eq!(whole[0].as_u64(), Some(sealed()));
    let again = publish("7d");
    assert_eq!((&again["new"], &again["manifest"]), (&Value::from(0), &published["manifest"]));
    // Without patience for readers only the newest stays.
    let tidied = publish("1s");
    assert_eq!(read(&lake, tidied["manifest"].as_str().unwrap()), Some(whole));
    assert!(tidied["deleted"].as_u64().unwrap() > 0, "{tidied}");
}
