//! What was of interest last, in memory: so much of it and no more.

use lru::LruCache;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The values that were remembered or recalled last, by their keys.
pub struct Recent<K, V> {
    most: usize,
    known: Mutex<LruCache<K, V>>,
}

impl<K: Hash + Eq, V: Clone + PartialEq> Recent<K, V> {
    /// At most so many. Memory is taken as they come.
    pub fn new(most: usize) -> Self {
        Self { most, known: Mutex::new(LruCache::unbounded()) }
    }

    /// Remembers a value as it is now.
    pub fn remember(&self, key: K, value: &V) {
        let mut known = self.lock();
        // Nothing is written anew that has not changed.
        if known.get(&key) != Some(value) {
            known.put(key, value.clone());
            if known.len() > self.most {
                known.pop_lru();
            }
        }
    }

    /// The value as it was remembered last.
    pub fn recall(&self, key: &K) -> Option<V> {
        self.lock().get(key).cloned()
    }

    /// Forgets one.
    pub fn forget(&self, key: &K) {
        self.lock().pop(key);
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, V>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
