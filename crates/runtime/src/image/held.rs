//! Layers that somebody in this process is about to stand on: a container that is being made is not recorded yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often each layer is held.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<BTreeMap<String, usize>>);

/// A look at [`Held`], which does not change meanwhile.
pub(super) struct Look<'a>(MutexGuard<'a, BTreeMap<String, usize>>);

/// Holds layers until all clones are dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold {
    _of: Option<Arc<Of>>,
}

#[derive(Debug)]
struct Of {
    held: Arc<Held>,
    layers: Vec<String>,
}

impl Held {
    /// Waits for others who look.
    pub(super) fn look(&self) -> Look<'_> {
        Look(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Look<'_> {
    /// Whether anybody holds this layer.
    pub(super) fn contains(&self, layer: &str) -> bool {
        self.0.contains_key(layer)
    }

    /// Holds these layers of `held`, which is what this looks at.
    pub(super) fn hold(&mut self, held: &Arc<Held>, layers: &[String]) -> Hold {
        for layer in layers {
            *self.0.entry(layer.clone()).or_default() += 1;
        }
        Hold { _of: Some(Arc::new(Of { held: held.clone(), layers: layers.to_vec() })) }
    }
}

impl Drop for Of {
    fn drop(&mut self) {
        let mut counts = self.held.look();
        for layer in &self.layers {
            if let Some(count) = counts.0.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    counts.0.remove(layer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_held_as_long_as_anybody_does() {
        let held = Arc::new(Held::default());
        let hold = |layers: &[&str]| held.look().hold(&held, &layers.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        let (first, second) = (hold(&["a", "b"]), hold(&["b"]));
        let copy = first.clone();
        drop(first);
        assert!(["a", "b"].iter().all(|layer| held.look().contains(layer)));
        drop(copy);
        assert!(!held.look().contains("a") && held.look().contains("b"));
        drop(second);
        assert!(held.look().0.is_empty());
    }
}
