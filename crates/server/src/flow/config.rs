//! From the objects of both kinds to levels and schemas (upstream: `apf_controller.go`, `lockAndDigestConfigObjects`).
//! Pure.

use http::HeaderValue;
use kinds::kinds::flowcontrol::{CATCH_ALL, EXEMPT, bootstrap};
use kinds::view::View;
use meta::Object;

use super::queues::Response;
use super::schema::{self, FlowSchema};

/// The part of a level's seats that one request may take at most (upstream: `priorityLevelMaxSeatsPercent`).
const WIDEST: f64 = 0.15;

/// What a level's object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelSpec {
    /// Its name.
    pub name: String,
    /// Its uid, as answers name it.
    pub uid: HeaderValue,
    /// Its part of the server's seats.
    pub shares: u32,
    /// How much of its seats others may borrow, in percent.
    pub lendable: u32,
    /// How much it may borrow, in percent of its own seats; `None`: as much as there is.
    pub borrowing: Option<u32>,
    /// What becomes of those who find no seat.
    pub response: Response,
}

/// A level's seats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// What its shares come to.
    pub nominal: u32,
    /// What it keeps whatever others want.
    pub least: u32,
    /// What it has at most.
    pub most: u32,
    /// The widest that one request may be; 0: the level does not say.
    pub widest: u32,
}

/// A whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// All levels, the mandatory ones in any case.
    pub levels: Vec<(LevelSpec, Seats)>,
    /// All schemas that lead to a level, in the order in which they are asked.
    pub schemas: Vec<FlowSchema>,
    /// Every schema: whether its level is there.
    pub found: Vec<(String, bool)>,
}

impl LevelSpec {
    /// Out of an object of the kind. `None`: it contradicts itself, which validation does not let happen.
    pub fn read(object: &Object) -> Option<Self> {
        let spec = View::of(object, "spec");
        let exempt = spec.text("type") == "Exempt";
        let part = spec.at(if exempt { "exempt" } else { "limited" });
        let number = |part: &View<'_>, name: &str| u32::try_from(part.number(name)).ok();
        let queuing = part.at("limitResponse").at("queuing");
        let response = match part.at("limitResponse").text("type") {
            _ if exempt => Response::Exempt,
            "Reject" => Response::Reject,
            "Queue" => Response::Queue {
                queues: number(&queuing, "queues").filter(|n| *n > 0)?,
                hand: number(&queuing, "handSize").filter(|n| *n > 0)?,
                length: number(&queuing, "queueLengthLimit")? as usize,
            },
            _ => return None,
        };
        let borrows = part.get("borrowingLimitPercent");
        let borrowing = borrows.and_then(|percent| percent.int()).and_then(|n| u32::try_from(n).ok());
        Some(LevelSpec {
            name: object.name().to_owned(),
            uid: schema::uid(object),
            shares: number(&part, "nominalConcurrencyShares")?,
            lendable: number(&part, "lendablePercent")?.min(100),
            borrowing,
            response,
        })
    }

    /// How many seats it has of `total`, when all shares together are `shares`.
    fn seats(&self, total: u32, shares: f64) -> Seats {
        let of = |percent: u32, seats: u32| (f64::from(seats) * f64::from(percent) / 100.0).round() as u32;
        let nominal = (f64::from(total) * f64::from(self.shares) / shares.max(1.0)).ceil() as u32;
        let borrows = self.borrowing.map_or(total, |percent| of(percent, nominal));
        let widest = match self.response {
            Response::Queue { hand, .. } => ((f64::from(nominal) * WIDEST).ceil() as u32).min(nominal / hand).max(1),
            _ => 0,
        };
        let least = nominal - of(self.lendable, nominal).min(nominal);
        Seats { nominal, least, most: nominal.saturating_add(borrows), widest }
    }
}

impl Config {
    /// What these objects come to. `leaving`: levels that are no more wanted, and still have requests.
    pub fn digest(levels: &[Object], schemas: &[Object], leaving: &[LevelSpec], total: u32) -> Self {
        let mut specs: Vec<LevelSpec> = levels.iter().filter_map(LevelSpec::read).collect();
        let mandatory = bootstrap::mandatory_levels();
        for spec in mandatory.iter().filter_map(LevelSpec::read).chain(leaving.iter().cloned()) {
            if specs.iter().all(|known| known.name != spec.name) {
                specs.push(spec);
            }
        }
        specs.sort_by(|a, b| a.name.cmp(&b.name));
        let shares = specs.iter().map(|spec| f64::from(spec.shares)).sum();
        let mut read: Vec<FlowSchema> = schemas.iter().map(FlowSchema::read).collect();
        read.sort_by(|a, b| (a.precedence, &a.name).cmp(&(b.precedence, &b.name)));
        let is_level = |name: &str| levels.iter().any(|l| l.name() == name) || [EXEMPT, CATCH_ALL].contains(&name);
        let found = read.iter().map(|schema| (schema.name.clone(), is_level(&schema.level))).collect();
        read.retain(|schema| is_level(&schema.level) && specs.iter().any(|spec| spec.name == schema.level));
        for object in bootstrap::mandatory_schemas() {
            let schema = FlowSchema::read(&object);
            if read.iter().all(|known| known.name != schema.name) {
                let at = if schema.name == EXEMPT { 0 } else { read.len() };
                read.insert(at, schema);
            }
        }
        let levels = specs.into_iter().map(|spec| (spec.seats(total, shares), spec)).map(|(seats, spec)| (spec, seats));
        Config { levels: levels.collect(), schemas: read, found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrap::{mandatory_levels, mandatory_schemas, suggested_levels, suggested_schemas};
    use serde_json::json;

    #[test]
    fn seats_are_divided_by_shares() {
        let levels: Vec<Object> = mandatory_levels().into_iter().chain(suggested_levels()).collect();
        let config = Config::digest(&levels, &suggested_schemas(), &[], 600);
        let seats = |name: &str| config.levels.iter().find(|(spec, _)| spec.name == name).map(|(_, seats)| *seats);
        assert_eq!(seats("workload-low"), Some(Seats { nominal: 245, least: 24, most: 845, widest: 37 }));
        assert_eq!(seats("global-default"), Some(Seats { nominal: 49, least: 24, most: 649, widest: 8 }));
        assert_eq!(seats("leader-election"), Some(Seats { nominal: 25, least: 25, most: 625, widest: 4 }));
        assert_eq!(seats("catch-all"), Some(Seats { nominal: 13, least: 13, most: 613, widest: 0 }));
        assert_eq!(seats("exempt"), Some(Seats { nominal: 0, least: 0, most: 600, widest: 0 }));
        let order: Vec<&str> = config.schemas.iter().map(|schema| &*schema.name).collect();
        assert_eq!(order[..3], ["exempt", "probes", "system-leader-election"]);
        assert_eq!(order.last(), Some(&"catch-all"));
    }

    #[test]
    fn mandatory_ones_are_there_in_any_case_and_schemas_without_level_are_not() {
        let config = Config::digest(&[], &suggested_schemas(), &[], 600);
        assert_eq!(config.levels.iter().map(|(spec, _)| &*spec.name).collect::<Vec<_>>(), ["catch-all", "exempt"]);
        assert_eq!(config.schemas.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["exempt", "probes", "catch-all"]);
        assert!(config.found.contains(&("probes".to_owned(), true)));
        assert!(config.found.contains(&("system-nodes".to_owned(), false)));
        let mut other = mandatory_schemas().swap_remove(1);
        other.set("metadata.uid", json!("u1"));
        let config = Config::digest(&[], &[other], &[], 600);
        assert_eq!(config.schemas.last().map(|schema| schema.uid.clone()), Some(HeaderValue::from_static("u1")));
    }
}
