//! The life cycle and the watch cache, seen from outside: a registry over a memory store, driven through its verbs.

mod applies;
mod conversions;
mod deletes;
mod deletes_raced;
mod hangs_up;
mod indexes;
mod kit;
mod lists;
mod patches;
mod random;
mod restarts;
mod simulation;
mod special;
mod stored;
mod watches;
mod work;
mod writes;
