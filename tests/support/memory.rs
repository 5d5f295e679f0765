//! Memory of a process and of the VMs in it, seen from outside.

use std::fs;

/// V8 reserves so much for each linear memory (with all that an index of 32 bits and an offset of 32 bits reach). The
/// part in use is at its beginning and can be written, the rest cannot be touched.
const RESERVED: u64 = 8 << 30;

/// Bytes of the linear memory of each VM in this process, the largest first: what `memory.size` says in that VM. Besides
/// the VM of each worker there is one on the main thread, and one that the others are made from.
///
/// # Errors
///
/// If there is none, as in another engine or release of V8.
pub fn linear_memories(pid: u32) -> Result<Vec<u64>, String> {
    let path = format!("/proc/{pid}/maps");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let mappings: Vec<_> = text.lines().filter_map(Mapping::parse).collect();
    let used = mappings.windows(2).filter_map(|pair| {
        let [used, rest] = pair else { return None };
        let is_memory = used.rights == "rw-p" && rest.rights == "---p" && used.end == rest.start;
        (is_memory && rest.end - used.start == RESERVED).then_some(used.end - used.start)
    });
    let mut used: Vec<u64> = used.collect();
    used.sort_unstable_by_key(|bytes| std::cmp::Reverse(*bytes));
    if used.is_empty() { Err(format!("{path} shows no linear memory of a VM")) } else { Ok(used) }
}

/// Bytes of the process that are in memory.
///
/// # Errors
///
/// If the system does not say.
pub fn resident(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let kib =
        text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| format!("{path} has no VmRSS"))
}

struct Mapping<'a> {
    start: u64,
    end: u64,
    rights: &'a str,
}

impl Mapping<'_> {
    fn parse(line: &str) -> Option<Mapping<'_>> {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        let address = |text| u64::from_str_radix(text, 16).ok();
        Some(Mapping { start: address(start)?, end: address(end)?, rights: words.next()? })
    }
}
