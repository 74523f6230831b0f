//! What the machine has.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::system::sysinfo;

/// What is taken for the memory of a machine that does not say.
const UNKNOWN: u64 = 4 << 30;

/// Half of the memory that this process may use: of the machine, or of the service that it runs in.
pub(crate) fn half() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let limit = limit(Path::new("/sys/fs/cgroup"), own.as_deref());
    [limit, total()].into_iter().flatten().min().unwrap_or(UNKNOWN) / 2
}

/// The memory of the machine. The kernel is asked, and not `/proc/meminfo`: a service may not see that.
fn total() -> Option<u64> {
    let said = sysinfo();
    let total = said.totalram.checked_mul(said.mem_unit.into())?;
    Some(total).filter(|total| *total > 0)
}

/// The least of the limits of the own control group and of those around it, below `root`.
fn limit(root: &Path, own: Option<&str>) -> Option<u64> {
    let path = own.and_then(|groups| groups.lines().find_map(|line| line.strip_prefix("0::/")));
    let own: PathBuf = root.join(path.unwrap_or_default());
    let groups = own.ancestors().take_while(|group| group.starts_with(root));
    let limits = groups.filter_map(|group| fs::read_to_string(group.join("memory.max")).ok());
    limits.filter_map(|limit| limit.trim().parse::<u64>().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_there_is() {
        // In the test's own environment `/proc/meminfo` is there to compare with; it rounds down.
        let text = fs::read_to_string("/proc/meminfo").unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
        let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert_eq!(total().map(|total| total >> 10), Some(kib));
        assert!(half() > 64 << 20);
    }

    #[test]
    fn the_least_limit_of_the_groups_around_a_service_counts() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("system.slice/fiscwatch.service");
        fs::create_dir_all(&service).unwrap();
        let group = "0::/system.slice/fiscwatch.service\n";
        assert_eq!(limit(root.path(), Some(group)), None);
        fs::write(service.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(root.path(), Some(group)), None);
        fs::write(service.join("memory.max"), "1073741824\n").unwrap();
        assert_eq!(limit(root.path(), Some(group)), Some(1 << 30));
        // Of the first generation there are several lines, and none of them says.
        assert_eq!(limit(root.path(), Some("9:memory:/system.slice\n")), None);
        fs::write(root.path().join("system.slice/memory.max"), "536870912\n").unwrap();
        assert_eq!(limit(root.path(), Some(group)), Some(512 << 20));
        // In a container its own group is the root.
        fs::write(root.path().join("memory.max"), "268435456\n").unwrap();
        assert_eq!(limit(root.path(), Some("0::/\n")), Some(256 << 20));
        assert_eq!(limit(root.path(), None), Some(256 << 20));
        assert_eq!(limit(root.path(), Some("0::/../../etc\n")), Some(256 << 20));
    }
}
