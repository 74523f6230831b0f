//! Long work that people ask for over the API: settlements, proposals, publications, pilots, drills of backups. Each is the command
//! of that name, run as a process of its own beside the daemon: what it gives is what the command gives, its memory is not the
//! daemon's, and it can be stopped. One runs at a time; the latest ones are kept until the daemon ends.

mod task;

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use parking_lot::Mutex;

pub(crate) use task::{ProposalVersions, Task};

use super::Shared;
use crate::{diagnostic::os_reason, event::Instant, private, say};

/// Works that are kept.
const KEPT: usize = 20;
/// How often it is looked whether one has ended.
const LOOK: Duration = Duration::from_millis(50);
/// How much of what a command says went wrong is told, in bytes.
const TROUBLE_MAX: u64 = 4 << 10;
/// Where their files are, in the state directory; nothing in it outlives the daemon.
const FOLDER: &str = "works";
/// The certificate of the last drill, in the state directory.
pub(crate) const DRILL: &str = "drill.json";
/// What a command writes to standard output.
const ROWS: &str = "rows.jsonl";

#[derive(Debug)]
pub(crate) struct Work {
    pub id: u64,
    pub task: Task,
    pub by: String,
    pub begun_at: Instant,
    folder: PathBuf,
    stop: AtomicBool,
    end: Mutex<Option<(Instant, WorkEnd)>>,
}

/// How a work ended.
#[derive(Debug, Clone)]
pub(crate) enum WorkEnd {
    /// With so many rows, and these files.
    Done {
        /// Rows of its result.
        rows: usize,
        /// Its files: names, and where they are.
        files: Vec<(String, PathBuf)>,
        /// Whether what was checked holds: a table that differs, or a drill that fails, is a result too.
        passed: bool,
    },
    Stopped,
    /// It could not be done, and why.
    Failed(String),
}

/// Why a work does not begin.
#[derive(Debug)]
pub(crate) enum WorkRefused {
    Busy(Arc<Work>),
    /// It cannot be done here, and why.
    Refused(String),
    /// There is no room or no process.
    Failed(String),
}

#[derive(Debug, Default)]
pub(crate) struct Works {
    works: Mutex<VecDeque<Arc<Work>>>,
    last: AtomicU64,
}

impl Works {
    /// The works, the latest first.
    pub(crate) fn all(&self) -> Vec<Arc<Work>> {
        self.works.lock().iter().cloned().collect()
    }

    pub(crate) fn one(&self, id: u64) -> Option<Arc<Work>> {
        self.all().into_iter().find(|work| work.id == id)
    }

    /// Stops what runs, and comes back when it has: no command goes on without its daemon.
    pub(crate) async fn end(&self) {
        self.all().iter().for_each(|work| work.stop());
        while self.all().iter().any(|work| work.end().is_none()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Takes a work in, unless one runs.
    fn take(&self, work: Arc<Work>) -> Result<(), WorkRefused> {
        let mut works = self.works.lock();
        if let Some(running) = works.iter().find(|work| work.end().is_none()) {
            return Err(WorkRefused::Busy(Arc::clone(running)));
        }
        works.push_front(work);
        let kept = works.len().min(KEPT);
        let old = works.split_off(kept);
        drop(works);
        old.iter().for_each(|old| drop(fs::remove_dir_all(&old.folder)));
        Ok(())
    }
}

impl Work {
    /// How it ended and when; `None` while it runs.
    pub(crate) fn end(&self) -> Option<(Instant, WorkEnd)> {
        self.end.lock().clone()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Some of its rows, from the one of a number on.
    ///
    /// # Errors
    /// If they cannot be read, or one of them is no JSON.
    pub(crate) fn rows(&self, from: usize, most: usize) -> std::io::Result<Vec<serde_json::Value>> {
        if !self.task.has_rows() {
            return Ok(Vec::new());
        }
        let rows = BufReader::new(File::open(self.folder.join(ROWS))?).lines().skip(from).take(most);
        rows.map(|row| Ok(serde_json::from_str(&row?)?)).collect()
    }

    fn finish(&self, now: Instant, end: WorkEnd) {
        *self.end.lock() = Some((now, end));
    }
}

/// Begins a work for somebody, who reads this language.
///
/// # Errors
/// If another one runs, it cannot be done here, or there is no room for it.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    (task, file): (Task, Option<(String, Vec<u8>)>),
    (by, language): (String, &str),
) -> Result<Arc<Work>, WorkRefused> {
    let failed = |error: std::io::Error| WorkRefused::Failed(os_reason(&error));
    let folder = shared.state_dir.join(FOLDER);
    let id = shared.works.last.fetch_add(1, Ordering::Relaxed) + 1;
    if id == 1 {
        // Those of a daemon before this one are nobody's.
        let _ = fs::remove_dir_all(&folder);
    }
    let folder = folder.join(id.to_string());
    let (work, args) = {
        let begun_at = shared.clock.now();
        let args = task.args(shared, &folder, file.as_ref().map(|(name, _)| name.as_str()));
        let args = args.map_err(WorkRefused::Refused)?;
        let (stop, end) = (AtomicBool::new(false), Mutex::default());
        (Arc::new(Work { id, task, by, begun_at, folder: folder.clone(), stop, end }), args)
    };
    shared.works.take(Arc::clone(&work))?;
    let not_begun = |error: std::io::Error| {
        work.finish(shared.clock.now(), WorkEnd::Failed(os_reason(&error)));
        failed(error)
    };
    // Its thread is there before the command: without one nobody would see the end of it.
    let (hand_over, handed_over) = mpsc::sync_channel(1);
    let (theirs, running) = (Arc::clone(shared), Arc::clone(&work));
    let watch = move || {
        let Ok(child) = handed_over.recv() else { return };
        let end = watch(child, &running, &theirs);
        if matches!(end, WorkEnd::Stopped) {
            // What it had written by then is nobody's result.
            let _ = fs::remove_dir_all(&running.folder);
        }
        running.finish(theirs.clock.now(), end);
    };
    std::thread::Builder::new().name(String::from("work")).spawn(watch).map_err(not_begun)?;
    let begun = (|| {
        private::create_dir_all(&folder)?;
        if let Some((name, bytes)) = file {
            private::write(&folder.join(name), bytes)?;
        }
        start(shared, &folder, args, language)
    })();
    // The thread waits for it.
    let _ = hand_over.send(begun.map_err(not_begun)?);
    Ok(work)
}

/// Starts the command with the configuration of this daemon.
fn start(shared: &Shared, folder: &Path, args: Vec<OsString>, language: &str) -> std::io::Result<Child> {
    // The program that runs, also when another one has been put in its place since.
    let mut command = Command::new("/proc/self/exe");
    command.args(args);
    if !shared.config_path.as_os_str().is_empty() {
        command.arg("--config").arg(&shared.config_path);
    }
    if let Some(variables) = &shared.variables {
        command.envs(variables.iter().cloned());
    }
    command
        .env_remove("FAILPOINT")
        .env("FISCWATCH_LANG", language)
        .env("FISCWATCH_STATE__DIR", absolute(&shared.state_dir));
    let rows = private::create(&folder.join(ROWS))?;
    command.stdin(Stdio::null()).stdout(rows).stderr(private::create(&folder.join("trouble"))?).spawn()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Waits for a command, unless somebody stops it.
fn watch(mut child: Child, work: &Work, shared: &Shared) -> WorkEnd {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return ended(status, work, shared),
            Ok(None) => {}
            Err(error) => return WorkEnd::Failed(os_reason(&error)),
        }
        if work.stop.load(Ordering::SeqCst) {
            let _ = child.kill();
            let _ = child.wait();
            return WorkEnd::Stopped;
        }
        std::thread::sleep(LOOK);
    }
}

fn ended(status: ExitStatus, work: &Work, shared: &Shared) -> WorkEnd {
    let count = |file| BufReader::new(file).lines().count();
    let rows = if work.task.has_rows() { File::open(work.folder.join(ROWS)).map_or(0, count) } else { 0 };
    let passed = status.success();
    let is_result = work.task.may_fail() && status.code() == Some(1) && rows > 0;
    if !passed && !is_result {
        let mut said = String::new();
        let trouble = File::open(work.folder.join("trouble"));
        let _ = trouble.and_then(|file| file.take(TROUBLE_MAX).read_to_string(&mut said));
        let said = said.trim().trim_start_matches("fiscwatch: ").to_owned();
        return WorkEnd::Failed(if said.is_empty() {
            say!("the command ended without an error message")
        } else {
            said
        });
    }
    match work.task.files(shared, &work.folder) {
        Ok(files) => WorkEnd::Done { rows, files, passed },
        Err(error) => WorkEnd::Failed(os_reason(&error)),
    }
}
