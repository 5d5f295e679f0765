//! The tables.

use std::fmt::Write;

use crate::flood::Flood;
use crate::lookup::Lookup;
use crate::{KEYS, Memory, place};

/// The whole report.
pub fn markdown(lookups: &[Lookup], memory: &Memory, floods: &[Flood]) -> String {
    let (base, full) = (&lookups[0], &lookups[2]);
    let mut text = format!("# Keys: time and memory, natively\n\n{}. `make bench` (without LTO).\n\n", place::line());
    text += "## Look-up\n\n`Resolver::resolve` for an EC key that is held and fresh, in random order. Median of 400 interleaved rounds of\n\
        4 096 look-ups, with the quartiles.\n\n\
        | keys held | asked for   | ns per look-up | quartiles     | against 10 held |\n\
        | --------: | ----------- | -------------: | ------------- | --------------: |\n";
    for lookup in lookups {
        let (lower, upper) = lookup.quartiles();
        let growth = (lookup.median() / base.median() - 1.0) * 100.0;
        let quartiles = format!("{lower:.0} – {upper:.0}");
        let (held, access, median) = (lookup.held, lookup.access, lookup.median());
        writeln!(text, "| {held:>9} | {access:<11} | {median:>14.0} | {quartiles:<13} | {growth:>+13.0} % |").unwrap();
    }
    let growth = (full.median() / base.median() - 1.0) * 100.0;
    let verdict = if growth <= 10.0 { "within" } else { "over" };
    writeln!(
        text,
        "\nFrom 10 to 10 000 keys, all asked for alike: {growth:+.0} %, that is {:+.0} ns, {verdict} the 10 % of the aim. The line \"10 of\n\
         them\" shows how much of that is the store's own work, which a hash table does not let grow; the rest is the\n\
         processor's cache: {:.1} MB of keys do not fit where ten keys do, and a look-up touches the table, the key's entry, its\n\
         name, its document and two neighbours in the order of use.\n",
        full.median() - base.median(),
        memory.full as f64 / 1e6,
    )
    .unwrap();
    let per_key = (memory.full - memory.empty) / KEYS;
    writeln!(
        text,
        "## Memory\n\n| what                       | heap bytes |\n| -------------------------- | ---------: |\n\
         | store without a key        | {:>10} |\n| store with 10 000 EC P-256 | {:>10} |\n| per key                    | {per_key:>10} |\n\n\
         Bytes asked of the allocator on a 64-bit machine, without what it adds; names of 36 bytes, one purpose, a tag of\n\
         4 bytes, verification in the filter (no native one). Pointers are half as wide in the VM.\n",
        memory.empty, memory.full,
    )
    .unwrap();
    text += "## Flood\n\nA million names that no key has, against a worker that holds 10 000 good keys; the key service\n\
        answers 404 after 20 ms, all settings default but the freshness of the good keys (24 h).\n\n\
        | flood                  |     names a second | requests | to the key service | a second | MDRM-504 | MDRM-500 | good keys left | heap before | heap after each tenth (MB) |\n\
        | ---------------------- | -----------------: | -------: | -----------------: | -------: | -------: | -------: | -------------: | ----------: | -------------------------- |\n";
    for flood in floods {
        let heap: Vec<String> = flood.heap.iter().map(|bytes| format!("{:.2}", *bytes as f64 / 1e6)).collect();
        writeln!(
            text,
            "| {:<22} | {:>18} | {:>8} | {:>18} | {:>8.1} | {:>8} | {:>8} | {:>14} | {:>11.2} | {} |",
            flood.name,
            flood.rate,
            flood.requests,
            flood.sent,
            flood.sent as f64 / flood.seconds as f64,
            flood.unknown,
            flood.unavailable,
            flood.good,
            flood.before as f64 / 1e6,
            heap.join(" "),
        )
        .unwrap();
    }
    text += "\nThe heap first takes in up to 10 000 refused names (`keys.max_entries`, held apart from the good keys) and then stays.\n\
        The bucket lets 200 names without a key through at once and then 100 a second, those that come again included.\n\n\
        The memory of the VM and the CPU time per request in Envoy are in `envoy-keys.md`.\n";
    text
}
