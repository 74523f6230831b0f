//! `shim.c`, compiled once, and what is put in its way.

use std::{path::PathBuf, process::Command, sync::LazyLock};

/// The library; `None` where there is no C compiler.
static LIBRARY: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/faults/shim.c");
    let compiler = std::env::var("CC").unwrap_or_else(|_| String::from("cc"));
    let mut compile = Command::new(compiler);
    compile.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).args([source, "-ldl", "-lpthread"]);
    match compile.status() {
        Ok(status) => {
            assert!(status.success(), "shim.c does not compile");
            Some(library)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "no C compiler in CI: {error}");
            None
        }
    }
});

/// Whether faults can be put in; says so in one line if not.
pub fn available(test: &str) -> bool {
    let there = LIBRARY.is_some();
    if !there {
        eprintln!("{test} skipped: there is no C compiler (cc)");
    }
    there
}

/// Puts faults in a command's way, as shim.c tells them.
pub fn with(command: &mut Command, spec: &str) {
    command.env("LD_PRELOAD", LIBRARY.as_ref().unwrap()).env("SHIM", spec);
}

/// Gives a command a wall clock that is off by what the file says.
pub fn with_clock(command: &mut Command, file: &std::path::Path) {
    command.env("LD_PRELOAD", LIBRARY.as_ref().unwrap()).env("SHIM_CLOCK", file);
}

/// The number of operations that a command does, which must end well.
pub fn count(command: &mut Command, op: &str, path: &str) -> u64 {
    let file = tempfile::NamedTempFile::new().unwrap();
    with(command, &format!("op={op};path={path};do=none"));
    command.env("SHIM_COUNT", file.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(file.path()).unwrap().trim().parse().unwrap()
}

/// About so many numbers from 1 to `last`, evenly: the first and the last are among them.
pub fn spread(last: u64, about: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..about).map(|n| 1 + n * (last - 1) / (about - 1).max(1)).collect();
    numbers.dedup();
    numbers
}

/// How many points are tried; `FAULT_POINTS=all` tries every one.
pub fn points(last: u64, about: u64) -> Vec<u64> {
    match std::env::var("FAULT_POINTS").as_deref() {
        Ok("all") => (1..=last).collect(),
        Ok(number) => spread(last, number.parse().expect("FAULT_POINTS is a number or all")),
        Err(_) => spread(last, about),
    }
}
