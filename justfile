# The commands of a day's work; `just` lists them. Each is one line, so they can be typed without just.

_default:
    @just --list --unsorted

# Everything that must pass before anything lands.
ci:
    .ci/run

# Format, lints and documentation.
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# All tests, or those of a theme: just test sealing::
test theme="":
    cargo test --locked {{ if theme == "" { "" } else { "--test integration " + theme } }}

# What is written from the code: the pages of the configuration, contents, the tests' page, snapshots.
update:
    UPDATE_DOCS=1 cargo test --locked --test integration documents:: pages::
    INSTA_UPDATE=always cargo test --locked

# The whole system with Prometheus, Alertmanager and a mail server.
trial:
    scripts/trial.sh

# What each part of the loop executes an event, against benches/instructions.txt; `just instructions --update` writes the bounds.
instructions *args:
    scripts/check/instructions.sh {{ args }}

# A binary to profile: optimised, with line tables.
profile:
    cargo build --locked --profile profiling

# The archive and packages for both processors, below target/dist.
release:
    scripts/release/dist.sh
