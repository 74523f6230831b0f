//! What the machine has.

use std::{fs, path::Path};

/// What is taken for the memory of a machine that does not say.
const UNKNOWN: u64 = 4 << 30;

/// Half of the memory that this process may use: of the machine, or of the service that it runs in.
pub fn half() -> u64 {
    let limits = own_group().into_iter().chain([String::from("/sys/fs/cgroup/memory.max")]);
    let limit = limits.filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()).min();
    let total = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    [limit, total].into_iter().flatten().min().unwrap_or(UNKNOWN) / 2
}

/// Where the limit of the own control group stands.
fn own_group() -> Option<String> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new("/sys/fs/cgroup").join(path).join("memory.max").display().to_string())
}

fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_and_half_of_something_is_there() {
        assert_eq!(total("MemTotal:       16318480 kB\nMemFree: 1 kB\n"), Some(16_318_480 << 10));
        assert_eq!(total("nothing"), None);
        assert!(half() > 64 << 20);
    }
}
