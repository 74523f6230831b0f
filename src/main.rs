//! The command line: arguments and exit codes. Everything else is in the library.

/// Batches are large and short-lived; the system's allocator would give each back to the kernel and fault it in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The kernel zeroes two megabytes at once for what needs a few kilobytes, and keeps them (docs/performance.md). Where it
    // cannot be told not to, everything else is the same.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
    fiscwatch::cli::main()
}
