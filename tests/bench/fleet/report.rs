//! The tables, and what they rest on.

use std::fmt::Write;
use std::time::Duration;

use crate::fleet::{Fleet, Outcome};
use crate::place;
use crate::script::{END, KEYS, LATENCY, MAX_AGE, OUTAGE, PHASES, RESTARTS, ROTATED, STEADY, Script, TIMEOUT, WAVE};
use crate::script::{WORKERS, span};
use crate::tally::{Counts, Tally};
use crate::traffic::Zipf;

/// Proxies of the largest fleet.
const LARGEST: usize = 10_000;
/// The mean of what jitter leaves of the freshness, and when the refresh ahead begins.
const REFRESHED_AT: f64 = 0.95 * 0.8;

/// All runs.
pub struct Runs {
    pub script: Script,
    pub fleet: Fleet,
    /// One proxy each; the first one as in the fleet.
    pub variants: Vec<(&'static str, Outcome)>,
}

/// The whole report.
pub fn markdown(runs: &Runs, took: Duration) -> String {
    let proxies = runs.fleet.fetches.len();
    let one = &runs.variants[0].1;
    let mut text = format!(
        "# A fleet of proxies and its key service, simulated\n\n{}. `cargo bench --bench fleet`, {:.0} s.\n\n",
        place::line(),
        took.as_secs_f64(),
    );
    text += &parameters(runs.script, proxies);
    text += "## The whole run\n\n\
        | proxies | policy | asked of the key service a second | at its peak | decided at once |               delayed |       lost (MDRM-500) |\n\
        | ------: | ------ | --------------------------------: | ----------: | --------------: | --------------------: | --------------------: |\n";
    for (label, outcome, scale) in [
        ("1".to_owned(), one, 1),
        (proxies.to_string(), &runs.fleet.sum, 1),
        ("10 000".to_owned(), &runs.fleet.sum, LARGEST / proxies),
    ] {
        for (policy, tally) in both(outcome) {
            let peak = (0..PHASES.len()).map(|phase| peak(tally, phase, scale)).fold(0.0, f64::max);
            let (counts, seconds) = (tally.total(), END as f64);
            text += &format!("| {label:>7} | {policy:<6} | {}\n", cells(&counts, scale, seconds, peak));
        }
    }
    text += &format!(
        "\n## By phase, {proxies} proxies\n\n\
        | phase             | policy | asked of the key service a second | at its peak | decided at once |               delayed |       lost (MDRM-500) |\n\
        | ----------------- | ------ | --------------------------------: | ----------: | --------------: | --------------------: | --------------------: |\n"
    );
    for (phase, (name, _)) in PHASES.iter().enumerate() {
        for (policy, tally) in both(&runs.fleet.sum) {
            let cells = cells(&tally.phases[phase], 1, seconds(phase), peak(tally, phase, 1));
            writeln!(text, "| {name:<17} | {policy:<6} | {cells}").unwrap();
        }
    }
    text += &variants(runs);
    text += &formula(runs);
    text + &scaling(runs)
}

fn both(outcome: &Outcome) -> [(&'static str, &Tally); 2] {
    [("filter", &outcome.store), ("naive", &outcome.naive)]
}

fn seconds(phase: usize) -> f64 {
    let (start, end) = span(phase);
    (end - start) as f64
}

/// In the restarts, one proxy of the sample stands for `scale` that restart evenly until the next one of the sample does.
fn peak(tally: &Tally, phase: usize, scale: usize) -> f64 {
    let window = if phase == RESTARTS && scale > 1 { seconds(phase) * scale as f64 / LARGEST as f64 } else { 1.0 };
    tally.peak(phase, window.max(1.0) as usize) * scale as f64
}

fn cells(counts: &Counts, scale: usize, seconds: f64, peak: f64) -> String {
    let mean = counts.fetches as f64 * scale as f64 / seconds;
    let part = |some: u64| some as f64 / counts.requests as f64 * 100.0;
    let many = |some: u64| format!("{} ({:.2} %)", grouped(some * scale as u64), part(some));
    let (mean, peak) = (rate(mean), rate(peak));
    let at_once = format!("{:.2} %", part(counts.at_once));
    let (delayed, lost) = (many(counts.delayed), many(counts.lost));
    format!("{mean:>33} | {peak:>11} | {at_once:>15} | {delayed:>21} | {lost:>21} |")
}

fn rate(figure: f64) -> String {
    if figure < 100.0 { format!("{figure:.1}") } else { grouped(figure.round() as u64) }
}

fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(" ")
}

fn parameters(script: Script, proxies: usize) -> String {
    let phases: Vec<String> =
        PHASES.iter().enumerate().map(|(phase, (name, _))| format!("{name} ({} min)", seconds(phase) / 60.0)).collect();
    format!(
        "Virtual time; the real store (`mdrm_authz::keys::Resolver`) in each of {WORKERS} workers a proxy, with the shared data, the\n\
        10 ms timer and jitter. Each proxy has {rate} requests a second at random times, each at a random worker, for {keys} keys by\n\
        Zipf's law (s = 1). The key service answers after {latency} ms with `max-age={max_age}` and an entity tag; `keys.timeout` is\n\
        {timeout} s; all settings are the defaults. Phases:\n\
        {phases}.\n\
        In the restarts each proxy restarts once, evenly spread; in the wave one key in {ROTATED} is replaced by a new one within {WAVE} s, everywhere at once; in the outage\n\
        every request to the key service is answered by 503.\n\n\
        *Naive*: the very same requests, but each worker fetches for itself when it has no fresh key: no refresh ahead, nothing\n\
        stale, no jitter, nothing shared; requests of one worker for one key do share a fetch. *Decided at once* is the hit\n\
        ratio; *peak* is the busiest second.\n\n\
        Every answer is one document of a disabled key (nothing to decompress, else the way of any other); its refusal counts as a\n\
        decision. {proxies} proxies are simulated request by request; 10 000 are those, multiplied (see the end).\n\n",
        rate = script.rate,
        keys = grouped(KEYS as u64),
        latency = LATENCY.as_millis(),
        max_age = MAX_AGE.as_secs(),
        timeout = TIMEOUT.as_secs(),
        phases = phases.join(", "),
    )
}

fn variants(runs: &Runs) -> String {
    let mut text = "\n## One proxy, otherwise\n\n\
        | what differs                     | policy | steady, requests/s | outage, requests/s | decided at once | delayed | lost while the service works | lost in the outage | longest wait, s |\n\
        | -------------------------------- | ------ | -----------------: | -----------------: | --------------: | ------: | ---------------------------: | -----------------: | --------------: |\n"
        .to_owned();
    for (name, outcome) in &runs.variants {
        for (policy, tally) in both(outcome) {
            let mean = |phase: usize| tally.phases[phase].fetches as f64 / seconds(phase);
            let (total, outage) = (tally.total(), &tally.phases[OUTAGE]);
            writeln!(
                text,
                "| {name:<32} | {policy:<6} | {:>18} | {:>18} | {:>13.2} % | {:>7} | {:>28} | {:>18} | {:>15.2} |",
                rate(mean(STEADY)),
                rate(mean(OUTAGE)),
                total.at_once as f64 / total.requests as f64 * 100.0,
                grouped(total.delayed),
                grouped(total.lost - outage.lost),
                grouped(outage.lost),
                tally.longest_delay.max(tally.longest_loss).as_secs_f64(),
            )
            .unwrap();
        }
    }
    text + "\nIn an outage the filter\n\
        asks more than in the steady phase, because back-off is kept for each key: at most once in 30 s for every key in use. The\n\
        few losses outside the outage at 100 a second are clients that waited when their proxy restarted, and back-off that had not\n\
        yet run out when the outage was over. In a silent outage a request whose key has expired waits for the whole time-out, the\n\
        first one for each key; the others are served stale at once.\n"
}

fn formula(runs: &Runs) -> String {
    let proxies = runs.fleet.fetches.len() as f64;
    let zipf = Zipf::new(KEYS);
    let age = MAX_AGE.as_secs_f64();
    let per_proxy = |holders: f64, freshness: f64| {
        let asked = |share: &f64| 1.0 / (freshness + holders / (share * runs.script.rate));
        zipf.shares.iter().map(asked).sum::<f64>() * holders
    };
    let measured = |tally: &Tally| tally.phases[STEADY].fetches as f64 / seconds(STEADY) / proxies;
    format!(
        "\n## The formula\n\n\
        A key of which a proxy is asked `r` times a second is fetched anew when it is next asked for after the refresh ahead has\n\
        begun, at 0.8 of a freshness `F` that jitter makes 0.95 `max-age` in the mean. So the key service sees\n\n\
        ```text\n\
        load = P · Σ 1 / (0.76 · max-age + 1/r)      at most P · keys / (0.76 · max-age)\n\
        ```\n\n\
        With the figures above {shared:.1} requests a second for each proxy; simulated in the steady phase: {store:.1}. What is above the\n\
        formula comes from keys that share one of the 65 536 places of the shared data (see the last two variants). The naive policy:\n\
        `P · W · Σ 1 / (max-age + W/r)`, {alone:.1} a second; simulated: {naive:.1}. Sharing gains a factor of up to W where keys are asked\n\
        for often; for the long tail most of its gain is that a key known to one worker delays nobody in the others.\n\n\
        **When to put an HTTP cache before the key service**: when the formula's load, or 2.5 times that for an outage and the\n\
        minutes after it, is more than the service bears, and a longer `max-age` would make revocation too slow. A cache that\n\
        honours `max-age` brings the load down to at most `keys / max-age` for each cache ({floor:.0} a second here) whatever P is:\n\
        with one proxy it gains nothing, from some ten on it pays, with thousands the service needs it. Revocation takes no longer\n\
        as long as the cache sends `Age`, which the filter subtracts.\n",
        shared = per_proxy(1.0, REFRESHED_AT * age),
        store = measured(&runs.fleet.sum.store),
        alone = per_proxy(WORKERS as f64, age),
        naive = measured(&runs.fleet.sum.naive),
        floor = KEYS as f64 / age,
    )
}

fn scaling(runs: &Runs) -> String {
    let fetches = &runs.fleet.fetches;
    let (least, most) = (fetches.iter().min().unwrap(), fetches.iter().max().unwrap());
    let mean = fetches.iter().sum::<u64>() as f64 / fetches.len() as f64;
    let one = runs.variants[0].1.store.total().fetches;
    format!(
        "\n## Why the fleet may be multiplied\n\n\
        Proxies share nothing but the key service, and its answers do not depend on its load here; so they are independent but for\n\
        the clock, and the load is the sum. Each of the {count} sent {least} to {most} requests in the whole run, {mean} in the mean; the one\n\
        of P = 1, with other seeds, {one} ({difference:+.1} %). Peaks are multiplied too, which overstates them a little; in the rolling restarts\n\
        one restart of the sample stands for as many as are spread until the next one, so there the peak is the mean over that time.\n",
        count = fetches.len(),
        mean = grouped(mean.round() as u64),
        least = grouped(*least),
        most = grouped(*most),
        difference = (one as f64 / mean - 1.0) * 100.0,
        one = grouped(one),
    )
}
