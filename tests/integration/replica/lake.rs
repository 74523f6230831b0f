//! The sealed history as `DuckDB`, `pyarrow` and Spark read it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

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
    let manifest = lake.join(manifest);
    let out = python("lake", READ, &[lake.as_os_str(), manifest.as_os_str()], lake)?;
    Some(serde_json::from_str(&out).unwrap())
}

/// What a script prints, run by the Python of a service.
fn python(service_of: &str, text: &str, args: &[&OsStr], lake: &Path) -> Option<String> {
    let usual = std::env::var_os(format!("{}_PYTHON", service_of.to_uppercase())).map(PathBuf::from);
    let python = usual.or_else(|| service(&[&format!("target/services/{service_of}/bin/python")]))?;
    let script = write(lake.parent().unwrap(), "read.py", text);
    let out = Command::new(python).arg(script).args(args).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8(out.stdout).unwrap())
}

/// The lines of `docs/operations.md` by which a tool reads the lake that is at this place.
fn recipe(tool: &str, lake: &Path) -> String {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
    let text = std::fs::read_to_string(docs).unwrap();
    let (_, from) = text.split_once(&format!("In {tool}")).unwrap();
    let lines = from.lines().skip(2).map_while(|line| line.strip_prefix("    "));
    let recipe = lines.collect::<Vec<_>>().join("\n") + "\n";
    recipe.replace("s3://treasury/lake", lake.to_str().unwrap())
}

/// The sum of payments of each day, as who follows the documentation gets it.
fn by_day(tool: &str, lake: &Path) -> Option<BTreeMap<String, String>> {
    let recipe = recipe(tool, lake);
    let script = match tool {
        "DuckDB" => format!(
            "import duckdb\nc = duckdb.connect()\nfor s in {recipe:?}.split(';')[:2]: r = c.execute(s)\nrows = r.fetchall()\n"
        ),
        _ => {
            let rows = recipe.trim_end().strip_suffix(".show()").expect("it shows what it sums");
            let (before, last) = rows.rsplit_once('\n').unwrap();
            format!(
                "from pyspark.sql import SparkSession\nspark = SparkSession.builder.master('local[1]').config('spark.ui.enabled', 'false').getOrCreate()\nlake = '{}'\n{before}\nrows = {last}.collect()\n",
                lake.display()
            )
        }
    };
    let script = format!(
        "import json\n{script}print(json.dumps({{str(day): str(amount) for day, amount in rows}}))\n"
    );
    let out = python(if tool == "DuckDB" { "lake" } else { "spark" }, &script, &[], lake)?;
    Some(serde_json::from_str(out.lines().last().unwrap()).unwrap())
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
    // The sums of days are 1.25 for each payment, whoever follows the documentation.
    let days = by_day("DuckDB", &lake).unwrap();
    assert_eq!(whole[1].as_u64(), u64::try_from(days.len()).ok());
    let cents = |text: &String| text.replace('.', "").parse::<u64>().unwrap();
    assert_eq!(days.values().map(cents).sum::<u64>(), sealed() * 125);
    if let Some(by_spark) = by_day("Spark", &lake) {
        assert_eq!(by_spark, days);
    }
    let again = publish("7d");
    assert_eq!((&again["new"], &again["manifest"]), (&Value::from(0), &published["manifest"]));
    // Without patience for readers only the newest stays.
    let tidied = publish("1s");
    assert_eq!(read(&lake, tidied["manifest"].as_str().unwrap()), Some(whole));
    assert!(tidied["deleted"].as_u64().unwrap() > 0, "{tidied}");
}
