//! The command line: arguments and exit codes. Everything else is in the library.

fn main() -> std::process::ExitCode {
    fiscwatch::cli::main()
}
