//! Tables of the least recently used whose memory is settled when they are full.

use std::hash::Hash;
use std::num::NonZeroUsize;

use lru::LruCache;

/// Gives the table of `cache` the size that it keeps, unless it has it: to be called when an entry first has to make room.
/// `most`: entries that the cache will ever hold.
///
/// Room for `most` would not be enough. A place whose entry was removed is not free until the table is made anew, and it is
/// made anew at its own size only if no more than half of it is in use, else at twice the size: some thousand entries later,
/// when nobody expects a full cache to grow any more. Before, it is no larger than what it holds needs: many caches hold
/// next to nothing.
pub(crate) fn settle<K: Hash + Eq, V>(cache: &mut LruCache<K, V>, most: usize) {
    let Some(room) = NonZeroUsize::new(most.saturating_mul(2)) else { return };
    // One that was made without a bound is not settled.
    if cache.cap() <= room {
        return;
    }
    let mut settled = LruCache::new(room);
    while let Some((key, value)) = cache.pop_lru() {
        settled.push(key, value);
    }
    *cache = settled;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settles_once_and_keeps_the_order_of_use() {
        let mut cache = LruCache::unbounded();
        for n in 0..10 {
            cache.push(n, n);
        }
        assert_eq!(cache.get(&0), Some(&0));
        settle(&mut cache, 10);
        assert_eq!((cache.cap().get(), cache.len()), (20, 10));
        settle(&mut cache, 10);
        let order: Vec<i32> = std::iter::from_fn(|| cache.pop_lru()).map(|(n, _)| n).collect();
        assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    }
}
