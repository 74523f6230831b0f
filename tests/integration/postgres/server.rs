//! A real PostgreSQL of its own in a temporary folder, on a free port. tests/postgres/server.sh runs it and ends it when our
//! end of a pipe closes, which happens however this process ends.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Once, OnceLock},
    time::{Duration, Instant},
};

use tokio_postgres::{Config, NoTls, config::SslMode};

use crate::support::free_port;

const START_MAX: Duration = Duration::from_mins(1);

pub struct Server {
    bin: PathBuf,
    dir: PathBuf,
    pub port: u16,
    script: Option<Child>,
}

/// The programs that scripts/setup/services.sh installs. Without them these tests are skipped, and CI fails.
fn programs() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    if found.is_empty() {
        assert!(
            std::env::var_os("SERVICES_REQUIRED").is_none(),
            "there is no PostgreSQL to test with: run scripts/setup/services.sh"
        );
        // Past libtest's capture, so that it is seen.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: tests against a real PostgreSQL (scripts/setup/services.sh gets one)"
            );
        });
    }
    found.pop()
}

/// The server that most tests share; each has a schema of its own.
pub fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(Server::start).as_ref()
}

impl Server {
    /// Starts a server; `None` where there are no programs.
    pub fn start() -> Option<Self> {
        let bin = programs()?;
        // A port may be taken by somebody else between our look and the server's.
        let mut log = String::new();
        for _ in 0..3 {
            let dir = tempfile::tempdir().unwrap().keep();
            let mut server = Self { bin: bin.clone(), dir, port: free_port(), script: None };
            match server.run() {
                Ok(()) => {
                    server.sql("CREATE ROLE reader LOGIN PASSWORD 'geheim'");
                    return Some(server);
                }
                Err(failed) => log = failed,
            }
        }
        panic!("PostgreSQL does not start:\n{log}");
    }

    fn run(&mut self) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/server.sh");
        let script = Command::new(script)
            .args([&self.bin, &self.dir])
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.script = Some(script);
        let started = Instant::now();
        loop {
            let log = || std::fs::read_to_string(self.dir.join("server.log")).unwrap_or_default();
            let ended = self.script.as_mut().is_none_or(|script| script.try_wait().unwrap().is_some());
            if ended || started.elapsed() > START_MAX {
                return Err(log());
            }
            if self.try_sql("SELECT 1").is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends the server at once, as a crash does.
    pub fn kill(&mut self) {
        std::fs::write(self.dir.join("again"), "").unwrap();
        self.end();
    }

    /// Starts it again, with its data.
    pub fn restart(&mut self) {
        // The processes of the one that was killed may be there for a moment.
        for _ in 0..20 {
            if self.run().is_ok() {
                return;
            }
            std::fs::write(self.dir.join("again"), "").unwrap();
            self.end();
            std::thread::sleep(Duration::from_millis(250));
        }
        panic!("PostgreSQL does not start again");
    }

    fn end(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            let _ = script.wait();
        }
    }

    fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host("127.0.0.1")
            .port(self.port)
            .user("admin")
            .password("admin")
            .dbname("postgres")
            .ssl_mode(SslMode::Disable);
        config
    }

    fn try_sql(&self, sql: &str) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = self.config().connect(NoTls).await?;
            let connection = tokio::spawn(connection);
            let messages = client.simple_query(sql).await?;
            drop(client);
            let _ = connection.await;
            let row = |message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => {
                    Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
                }
                _ => None,
            };
            Ok(messages.into_iter().filter_map(row).collect())
        })
    }

    /// Runs statements as the superuser.
    pub fn sql(&self, sql: &str) -> Vec<Vec<String>> {
        self.try_sql(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"))
    }

    /// A session that is held open, for a transaction that is committed late.
    pub fn session(&self) -> Session {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = self.config();
        let client = runtime.block_on(async {
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Session { client, runtime }
    }

    pub fn url(&self) -> String {
        format!("postgresql://reader@127.0.0.1:{}/postgres", self.port)
    }

    /// A file of the server's folder, such as the certificate of its authority.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A session of its own.
pub struct Session {
    client: tokio_postgres::Client,
    runtime: tokio::runtime::Runtime,
}

impl Session {
    pub fn sql(&self, sql: &str) {
        self.runtime.block_on(self.client.batch_execute(sql)).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.join("again"));
        self.end();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
