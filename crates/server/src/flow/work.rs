//! How much of the server a request takes: its seats (upstream: `flowcontrol/request`).

use std::time::Duration;

use meta::Attributes;

use crate::query::Query;

/// Bytes of a list that one seat stands for (upstream: `bytesPerSeat`).
const SEAT: u64 = 100_000;
/// What a list out of the cache holds in memory at most: it is streamed (upstream: `cacheWithStreamingMaxMemoryUsage`).
const STREAMED: u64 = 1_000_000;
/// The widest list, and the widest other request.
const WIDEST_LIST: u32 = 100;
const WIDEST_WRITE: u32 = 10;
/// Watchers that one seat stands for, and how long telling them takes.
const WATCHERS: u32 = 10;
const TELLING: Duration = Duration::from_millis(5);

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Seats while it runs.
    pub first: u32,
    /// Seats afterwards, while its watchers are told.
    pub last: u32,
    /// For how long afterwards.
    pub linger: Duration,
}

/// What is stored of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// How many objects.
    pub objects: u64,
    /// Their bytes together.
    pub bytes: u64,
}

impl Work {
    /// The least.
    pub const ONE: Work = Work::of(1);

    const fn of(seats: u32) -> Work {
        Work { first: seats, last: 0, linger: Duration::ZERO }
    }

    /// Seats that must be free for it.
    pub fn seats(self) -> u32 {
        self.first.max(self.last)
    }

    /// What a list or the beginning of a watch takes. `widest`: what its level allows, 0 if it does not say.
    pub fn of_list(a: &Attributes, query: &Query, size: Option<Size>, widest: u32) -> Work {
        let Some(size) = size else { return Work::ONE };
        let watch = a.verb == "watch";
        let version = query.text("resourceVersion");
        if watch && query.boolean("sendInitialEvents") != Some(true) && !matches!(version, "" | "0") {
            return Work::ONE;
        }
        let limit = query.text("limit").parse::<u64>().ok().filter(|limit| *limit > 0);
        let exact = limit.is_some() && !matches!(version, "" | "0");
        let stored = !query.text("continue").is_empty() || query.text("resourceVersionMatch") == "Exact" || exact;
        let cached = watch || !stored;
        let selects = ["fieldSelector", "labelSelector"].iter().any(|name| !query.text(name).is_empty());
        let limited = limit.map_or(size.objects, |limit| limit.min(size.objects));
        let loaded = match () {
            () if !a.name.is_empty() => 1,
            () if !cached && selects => limited.max(size.objects / 2),
            () => limited,
        };
        let average = size.bytes.checked_div(size.objects).unwrap_or(0);
        let held = loaded.saturating_mul(average);
        let held = if cached { held.min(STREAMED) } else { held };
        let most = if widest == 0 { WIDEST_LIST } else { widest.min(WIDEST_LIST) };
        Work::of(u32::try_from(held.div_ceil(SEAT)).unwrap_or(u32::MAX).clamp(1, most.max(1)))
    }

    /// What a change takes which so many watchers hear of.
    pub fn of_write(a: &Attributes, watchers: u32, widest: u32) -> Work {
        if a.resource == "serviceaccounts" && a.subresource == "token" || watchers < WATCHERS {
            return Work::ONE;
        }
        let most = if widest == 0 { WIDEST_WRITE } else { widest.min(WIDEST_WRITE) };
        let seats = watchers.div_ceil(WATCHERS);
        let last = seats.min(most.max(1));
        Work { first: 1, last, linger: TELLING * seats / last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(verb: &str, query: &str, objects: u64, widest: u32) -> u32 {
        let a = Attributes { verb: verb.into(), resource: "configmaps".into(), ..Attributes::default() };
        let size = Size { objects, bytes: objects * 1000 };
        Work::of_list(&a, &Query::parse(query), Some(size), widest).seats()
    }

    #[test]
    fn a_list_is_as_wide_as_what_it_holds_in_memory() {
        for (verb, query, objects, widest, seats) in [
            ("list", "", 0, 0, 1),
            ("list", "", 250, 0, 3),
            ("list", "", 20_000, 0, 10),
            ("list", "", 20_000, 8, 8),
            ("list", "limit=500", 20_000, 0, 5),
            ("list", "limit=500&continue=x", 20_000, 0, 5),
            ("list", "resourceVersion=7&resourceVersionMatch=Exact", 20_000, 0, 100),
            ("list", "limit=500&resourceVersion=7&labelSelector=a", 20_000, 0, 100),
            ("watch", "", 20_000, 0, 10),
            ("watch", "resourceVersion=7", 20_000, 0, 1),
            ("watch", "resourceVersion=7&sendInitialEvents=true", 20_000, 0, 10),
        ] {
            assert_eq!(list(verb, query, objects, widest), seats, "{verb} {query} of {objects}");
        }
        let one = Attributes { verb: "list".into(), name: "a".into(), ..Attributes::default() };
        let size = Some(Size { objects: 20_000, bytes: 20_000_000 });
        assert_eq!(Work::of_list(&one, &Query::parse(""), size, 0), Work::ONE);
    }

    #[test]
    fn a_write_lingers_while_many_are_told() {
        let a = Attributes { verb: "create".into(), resource: "pods".into(), ..Attributes::default() };
        assert_eq!(Work::of_write(&a, 9, 0), Work::ONE);
        assert_eq!(Work::of_write(&a, 25, 0), Work { first: 1, last: 3, linger: TELLING });
        assert_eq!(Work::of_write(&a, 400, 0), Work { first: 1, last: 10, linger: TELLING * 4 });
        assert_eq!(Work::of_write(&a, 400, 5).last, 5);
        let token = Attributes { resource: "serviceaccounts".into(), subresource: "token".into(), ..a };
        assert_eq!(Work::of_write(&token, 400, 0), Work::ONE);
    }
}
