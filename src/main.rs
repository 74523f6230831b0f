//! The command line: arguments and exit codes. Everything else is in the library.

/// Batches are large and short-lived; the system's allocator would give each back to the kernel and fault it in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    fiscwatch::cli::main()
}
