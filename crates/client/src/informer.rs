//! Informers: a copy of one kind's objects, kept current by one watch.
