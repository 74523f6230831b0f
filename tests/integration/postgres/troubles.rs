//! What a database refuses is told with what to do, waited for, and never with the password.

use serde_json::Value;

use super::{bench, config, schema, server};
use crate::support::{Daemon, NOBODY, run, wait_until};

fn ready(daemon: &Daemon) -> (u16, String) {
    daemon.get("/-/ready")
}

#[test]
fn what_the_database_refuses_is_told_and_waited_for() {
    let Some(server) = server::shared() else { return };
    schema(server, "trouble");
    server.sql(
        "CREATE TABLE trouble.t (event_id text, n int); CREATE TABLE trouble.secret (event_id text, n int); \
         REVOKE ALL ON trouble.secret FROM reader; CREATE FUNCTION trouble.writes() RETURNS TABLE (n int) LANGUAGE sql AS \
         'INSERT INTO trouble.t VALUES (1) RETURNING n'",
    );
    for (relation, told) in [
        ("table: trouble.none, cursor: n", "there is no such table"),
        ("table: Trouble.t, cursor: n", "capitals count"),
        ("table: trouble.t, cursor: nn", "trouble.t has no column \"nn\"; did you mean \"n\"?"),
        ("table: trouble.t, cursor: written", "its columns are event_id, n"),
        ("table: trouble.t, cursor: n, key: [id]", "has no column \"id\""),
        ("table: trouble.secret, cursor: n", "Have SELECT on it"),
        ("query: SELECT n FORM trouble.t, cursor: n", "the query is no SQL"),
        ("query: 'SELECT n, n FROM trouble.t', cursor: n", "two columns are named \"n\""),
        ("query: SELECT * FROM trouble.writes(), cursor: n", "fiscwatch only reads"),
        ("query: 'SELECT n::float8 AS n FROM trouble.t', cursor: n", "not exact"),
        (
            "query: 'SELECT 1 AS n, pg_sleep(9)', cursor: n, statement_timeout: 200ms",
            "the database took too long",
        ),
    ] {
        let bench = bench("", &config(server, relation, ""));
        let daemon = Daemon::launch(bench.path());
        wait_until(|| ready(&daemon).1.contains(told) || ready(&daemon).0 == 200);
        let (status, why) = ready(&daemon);
        assert!(
            status == 503 && why.contains("source core: ") && why.contains(told),
            "{relation}: {status} {why}"
        );
        assert_eq!(daemon.stop("-TERM"), Some(0));
    }
    assert_eq!(server.sql("SELECT count(*) FROM trouble.t"), [["0"]]);

    // Once it is fixed, it is read.
    let bench = bench("", &config(server, "table: trouble.coming, cursor: n", ""));
    let daemon = Daemon::launch(bench.path());
    wait_until(|| ready(&daemon).1.contains("no such table"));
    let up = |daemon: &Daemon| daemon.get("/metrics").1.contains("fiscwatch_source_up{source=\"core\"} 1");
    assert!(!up(&daemon));
    server.sql("CREATE TABLE trouble.coming (event_id text, n int)");
    wait_until(|| ready(&daemon).0 == 200 && up(&daemon));
    // Rows that can never be read are told.
    server.sql("INSERT INTO trouble.coming VALUES ('a', NULL)");
    assert_eq!(daemon.stop("-TERM"), Some(0));
    let daemon = Daemon::start(bench.path());
    wait_until(|| {
        let status: Value = daemon.json("/api/v1/status");
        status["sources"]["core"]["troubles"]["cursor"]
            .as_str()
            .is_some_and(|told| told.starts_with("1 rows or more"))
    });
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn connections_are_secure_and_passwords_are_not_told() {
    let Some(server) = server::shared() else { return };
    schema(server, "secure");
    server.sql("CREATE TABLE secure.t (event_id text, n int)");
    let plain = config(server, "table: secure.t, cursor: n", "");
    let verified = plain.replace("tls: off, ", "");
    let ca = server.file("ca.pem").display().to_string();
    let trusted = plain.replace("tls: off", &format!("ca_file: '{ca}'"));
    let other_host = trusted.replace("127.0.0.1", "127.0.0.2");
    let nobody = plain.replace(&format!("127.0.0.1:{}", server.port), NOBODY);
    for (config, secret, told) in [
        (&plain, "wrong-geheim", "refuses the password"),
        (&verified, "geheim", "there is no TLS with the database"),
        (&other_host, "geheim", "the database cannot be reached"),
        (&nobody, "geheim", "the database cannot be reached: nobody listens there"),
    ] {
        let bench = bench("", config);
        std::fs::write(bench.path().join("secret"), secret).unwrap();
        let daemon = Daemon::launch(bench.path());
        wait_until(|| ready(&daemon).1.contains(told) || ready(&daemon).0 == 200);
        let (status, why) = ready(&daemon);
        assert!(status == 503 && why.contains(told) && !why.contains("geheim"), "{status} {why}");
        let (code, log) = daemon.end("-TERM");
        assert!(code == Some(0) && log.is_empty() || !log.contains("geheim"), "{log}");
    }
    let bench = bench("", &trusted);
    let daemon = Daemon::start(bench.path());
    assert_eq!(daemon.stop("-TERM"), Some(0));
    // A variable of the environment gives the password too.
    let (code, _, err) = {
        let config = trusted.replace("password_file: secret, ", "");
        std::fs::write(
            bench.path().join("other.yaml"),
            format!("http: {{ listen: '127.0.0.1:0' }}\n{config}"),
        )
        .unwrap();
        let out = crate::support::fiscwatch()
            .current_dir(bench.path())
            .env("FISCWATCH_SOURCES__CORE__POSTGRES__PASSWORD", "geheim")
            .args(["run", "--once", "--config", "other.yaml"])
            .output()
            .unwrap();
        (out.status.code(), out.stdout, String::from_utf8(out.stderr).unwrap())
    };
    assert_eq!(code, Some(0), "{err}");
}

/// A check reads settings and files, and asks no server.
#[test]
fn wrong_settings_are_told_by_a_check() {
    let good = "url: 'postgresql://reader@127.0.0.1:1/pay', table: pay.voucher, cursor: id";
    let check = |settings: &str| {
        let bench = bench(
            "",
            &format!(
                "sources: [{{ name: core, postgres: {{ {settings} }} }}]\nrules: {{ paths: [rules] }}\n"
            ),
        );
        run(bench.path(), &["check", "--config", "fiscwatch.yaml"])
    };
    let (code, out, err) = check(good);
    assert_eq!(code, Some(0), "{out}{err}");
    for (settings, told) in [
        (good.replace("reader@", "reader:geheim@"), "take the password out of url"),
        (good.replace("reader@", ""), "url must name user, host and database"),
        (good.replace("postgresql:", "mysql:"), "url is no address such as postgresql://"),
        (format!("{good}, query: SELECT 1"), "exactly one of table and query"),
        (good.replace("pay.voucher", "a.b.c"), "\"a.b.c\" is no table such as pay.voucher"),
        (format!("{good}, password_file: gone"), "password_file"),
        (format!("{good}, ca_file: secret"), "there is no certificate in PEM in it"),
        (format!("{good}, page_rows: 0"), "page_rows: 0 is too small"),
        (format!("{good}, every: soon"), "source \"core\": every: "),
        (format!("{good}, tabel: x"), "did you mean \"table\"?"),
    ] {
        let (code, out, err) = check(&settings);
        let all = format!("{out}{err}");
        assert!(
            code == Some(1) && all.contains(told) && !all.contains("geheim"),
            "{settings}: {code:?} {all}"
        );
    }
}
