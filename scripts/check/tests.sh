#!/usr/bin/env bash
# The README's test command. What fails beside other tests is tried once more by itself: on a machine that is three times
# slower than usual a deadline can pass. What passes then is named as unsteady; what fails again fails, and so do more
# than three.
set -uo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Something that hangs must not take the whole time there is.
timeout 3600 cargo test --locked 2>&1 | tee "$log" && exit 0
mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log" | sort -u)
# A failure of something else (the build, a test of the library, a test that does not return) is final.
grep -q '^error: test failed, to rerun pass `--test integration`' "$log" || exit 1
[ ${#failed[@]} -ge 1 ] && [ ${#failed[@]} -le 3 ] || exit 1
for test in "${failed[@]}"; do
    printf '\n== once more, by itself: %s\n' "$test"
    RUST_TEST_THREADS=1 timeout 900 cargo test --locked --test integration -- --exact "$test" || exit 1
done
# The tests that cargo runs after those that failed.
timeout 900 cargo test --locked --doc || exit 1
printf '\nunsteady, to be fixed: %s\n' "${failed[@]}"
