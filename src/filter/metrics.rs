//! The metrics of this VM, and one plugin's share in the gauges.

use std::cell::{Cell, OnceCell};

use super::host::{Metric, MetricKind};
use crate::metrics::{Counter, Counters, FETCH_MS, KEY_ENTRIES, PREFIX, WAITING};

struct Metrics {
    /// In the order of [`Counter::all`].
    counters: Box<[Metric]>,
    entries: Metric,
    waiting: Metric,
    fetch_ms: Metric,
}

impl Metrics {
    fn define() -> Self {
        let define = |kind, name: &str| Metric::define(kind, &[PREFIX, name].concat());
        Self {
            counters: Counter::all().map(|counter| define(MetricKind::Counter, &counter.name())).collect(),
            entries: define(MetricKind::Gauge, KEY_ENTRIES),
            waiting: define(MetricKind::Gauge, WAITING),
            fetch_ms: define(MetricKind::Histogram, FETCH_MS),
        }
    }

    /// Once a VM: Envoy remembers every definition for as long as the VM lives, also a repeated one.
    fn with(work: impl FnOnce(&Self)) {
        thread_local! {
            static METRICS: OnceCell<Metrics> = const { OnceCell::new() };
        }
        METRICS.with(|metrics| work(metrics.get_or_init(Self::define)));
    }
}

/// Has the host know every metric, so that those that are 0 can be seen as well.
pub(super) fn define() {
    Metrics::with(|_| {});
}

/// Hands what was counted to the host.
pub(super) fn report(counters: &mut Counters) {
    Metrics::with(|metrics| {
        let add = |place: usize, count| {
            if let Some(metric) = metrics.counters.get(place) {
                metric.add(i64::from(count));
            }
        };
        counters.drain(add, |milliseconds| {
            metrics.fetch_ms.record(u64::from(milliseconds));
        });
    });
}

/// What one plugin adds to the gauges, which are sums over all plugins and workers. Gone, it takes its share back.
#[derive(Default)]
pub(super) struct Share {
    entries: Cell<usize>,
    waiting: Cell<usize>,
}

impl Share {
    /// Makes the share this one.
    pub(super) fn set(&self, entries: usize, waiting: usize) {
        Metrics::with(|metrics| {
            move_to(metrics.entries, &self.entries, entries);
            move_to(metrics.waiting, &self.waiting, waiting);
        });
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

fn move_to(gauge: Metric, from: &Cell<usize>, to: usize) {
    let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
    let difference = number(to).saturating_sub(number(from.replace(to)));
    if difference != 0 {
        gauge.add(difference);
    }
}
