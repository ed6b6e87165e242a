//! The executor, with its clock paused.

use std::time::Duration;

use futures::FutureExt;
use http::Method;
use http::Response;
use http_body_util::BodyExt;
use meta::{Object, User};
use transport::Body;

use super::*;
use auth::identity;
use kinds::kinds::flowcontrol::bootstrap;

fn route(user: &User, method: Method, uri: &str) -> Route {
    let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
    let mut route = crate::route::route(&method, path, query).expect("routes");
    route.attributes.user = user.clone();
    route
}

fn account(name: &str) -> User {
    identity::service_account("default", name)
}

/// A server with so many seats and the whole configuration.
fn flow(seats: u32) -> Flow {
    let flow = Flow::new(Limits { seats });
    let all = |first: Vec<Object>, second: Vec<Object>| first.into_iter().chain(second).collect::<Vec<_>>();
    let levels = all(bootstrap::mandatory_levels(), bootstrap::suggested_levels());
    flow.configure(levels, all(bootstrap::mandatory_schemas(), bootstrap::suggested_schemas()));
    flow
}

async fn enter(flow: &Flow, user: &User, method: Method, uri: &str) -> Option<Arc<Turn>> {
    flow.enter(&mut route(user, method, uri), |_| None).await.expect("gets in")
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_others_their_seats_and_is_refused_in_the_end() {
    let flow = flow(60);
    let (flood, other) = (account("flood"), account("other"));
    let mut inside: Vec<Arc<Turn>> = Vec::new();
    let mut outside = Vec::new();
    for _ in 0..500 {
        let mut entering = Box::pin(async { flow.enter(&mut route(&flood, Method::GET, MAPS), |_| None).await });
        match (&mut entering).now_or_never() {
            Some(Ok(turn)) => inside.extend(turn),
            Some(Err(refused)) => assert_eq!(refused.retry_after, 1),
            None => outside.push(entering),
        }
    }
    // Its level has 25 seats, of which others have most while nobody wants them; six queues of 50 wait.
    assert!((3..=25).contains(&inside.len()) && outside.len() == 300, "{} {}", inside.len(), outside.len());
    // Those inside run for a while: their queues have had their part.
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut waits = Box::pin(enter(&flow, &other, Method::GET, MAPS));
    assert!((&mut waits).now_or_never().is_none());
    // The flood has six queues, the other has one: not many of the three hundred come before it.
    let mut before = 0;
    while (&mut waits).now_or_never().flatten().is_none() {
        before += 1;
        tokio::time::advance(Duration::from_millis(20)).await;
        inside.remove(0);
        outside.retain_mut(|entering| match entering.now_or_never() {
            Some(entered) => {
                inside.extend(entered.expect("gets in"));
                false
            }
            None => true,
        });
    }
    assert!(before < 100, "{before}");
    let admin = User::new("admin", &[identity::MASTERS, identity::AUTHENTICATED]);
    let node = User::new("system:node:n1", &[identity::NODES, identity::AUTHENTICATED]);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1";
    for (user, method, uri) in [(&admin, Method::GET, MAPS), (&node, Method::PUT, lease), (&flood, Method::GET, "/healthz")] {
        assert!(enter(&flow, user, method, uri).now_or_never().is_some(), "{uri}");
    }
    assert!(enter(&flow, &flood, Method::GET, "/api/v1/namespaces/default/pods/p/log").now_or_never().is_some());
    let refused = outside.pop().expect("waits").await;
    assert!(refused.is_err_and(|refused| refused.retry_after >= 1), "after fifteen seconds");
}

#[tokio::test(start_paused = true)]
async fn borrowed_seats_come_back() {
    let flow = flow(60);
    let current = |name: &str| flow.table().levels.iter().find(|p| p.level.name == name).map_or(0, |p| p.current);
    let flood = account("flood");
    let mut inside = Vec::new();
    let mut entering: Vec<_> = (0..200).map(|_| Box::pin(enter(&flow, &flood, Method::GET, MAPS))).collect();
    let mut go_in = |inside: &mut Vec<_>| {
        entering.retain_mut(|entering| match entering.now_or_never().flatten() {
            Some(turn) => {
                inside.push(turn);
                false
            }
            None => true,
        });
        inside.len()
    };
    let before = go_in(&mut inside);
    tokio::time::advance(Duration::from_secs(10)).await;
    flow.rebalance();
    assert!(current("workload-low") > 30, "{}", current("workload-low"));
    let after = go_in(&mut inside);
    assert!(after > before + 10, "{before} {after}");
    drop((inside, entering));
    let jane = User::new("jane", &[identity::AUTHENTICATED]);
    let mut others: Vec<_> = (0..100).map(|_| Box::pin(enter(&flow, &jane, Method::GET, MAPS))).collect();
    let _inside: Vec<_> = others.iter_mut().filter_map(|e| e.now_or_never().flatten()).collect();
    tokio::time::advance(Duration::from_secs(10)).await;
    flow.rebalance();
    assert!(current("global-default") >= 5 && current("workload-low") < 30, "{}", current("workload-low"));
}

/// A body that never comes.
fn silent() -> Body {
    Body::new(http_body_util::StreamBody::new(futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, transport::Error>>()))
}

#[tokio::test(start_paused = true)]
async fn slow_bodies_hold_no_seat_and_have_an_end() {
    let flow = flow(60);
    let slow = account("slow");
    let mut bodies = Vec::new();
    for _ in 0..200 {
        let turn = enter(&flow, &slow, Method::POST, MAPS).now_or_never().flatten().expect("there is always a seat");
        let mut body = intake::Intake::wrap(silent(), turn);
        assert!(body.frame().now_or_never().is_none() && body.frame().now_or_never().is_none());
        bodies.push(body);
    }
    assert_eq!(flow.running(), (0, 0));
    assert!(flow.budget.held() >= 200 * limits::BODY_LEAST);
    let error = bodies[0].frame().await.expect("an error").expect_err("it did not come");
    assert_eq!(error.downcast_ref::<meta::Status>().map(|status| status.code), Some(408));
    drop(bodies);
    assert_eq!(flow.budget.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_there_keeps_its_seat_and_one_that_comes_takes_it_again() {
    let flow = flow(60);
    let user = account("a");
    let turn = enter(&flow, &user, Method::POST, MAPS).await.expect("a seat");
    let whole = intake::Intake::wrap(transport::full("body"), turn.clone());
    assert_eq!(whole.collect().now_or_never().expect("at once").expect("well").to_bytes(), "body");
    assert_eq!(flow.running(), (0, 1));
    drop(turn);
    let turn = enter(&flow, &user, Method::POST, MAPS).await.expect("a seat");
    let (sender, stream) = futures::channel::mpsc::unbounded();
    let mut body = intake::Intake::wrap(Body::new(http_body_util::StreamBody::new(stream)), turn.clone());
    assert!(body.frame().now_or_never().is_none());
    assert_eq!(flow.running(), (0, 1), "the connection may just be about to read it");
    assert!(body.frame().now_or_never().is_none());
    assert_eq!(flow.running(), (0, 0));
    sender.unbounded_send(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"x")))).expect("is read");
    drop(sender);
    assert!(body.frame().await.expect("a part").is_ok());
    assert!(body.frame().await.is_none());
    assert_eq!(flow.running(), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_answer_keeps_its_turn_until_it_is_taken_or_dropped() {
    let flow = flow(60);
    let user = account("a");
    let large = || Response::new(transport::full(vec![0; 3 * limits::PIECE]));
    let turn = enter(&flow, &user, Method::GET, MAPS).await.expect("a seat");
    let mut body = outlet::attach(large(), turn).into_body();
    let first = body.frame().await.expect("a part").expect("well").into_data().expect("data");
    assert_eq!((first.len(), flow.running()), (limits::PIECE, (1, 0)));
    assert_eq!(flow.budget.held(), 3 * limits::PIECE);
    assert!(body.frame().now_or_never().is_none(), "others run in between");
    assert_eq!(body.collect().await.expect("well").to_bytes().len(), 2 * limits::PIECE);
    assert_eq!((flow.running(), flow.budget.held()), ((0, 0), 0));
    let turn = enter(&flow, &user, Method::GET, MAPS).await.expect("a seat");
    drop(outlet::attach(large(), turn));
    assert_eq!((flow.running(), flow.budget.held()), ((0, 0), 0));
}

#[tokio::test(start_paused = true)]
async fn a_watch_has_a_seat_until_it_has_said_what_there_is() {
    let flow = flow(60);
    let turn = enter(&flow, &account("a"), Method::GET, &format!("{MAPS}?watch=1")).await.expect("a seat");
    assert_eq!(flow.running(), (1, 0));
    let first = futures::stream::iter([Ok(http_body::Frame::data(bytes::Bytes::from_static(b"x")))]);
    let events = futures::StreamExt::chain(first, futures::stream::pending());
    let mut body = outlet::attach(Response::new(Body::new(http_body_util::StreamBody::new(events))), turn).into_body();
    assert!(body.frame().await.is_some() && flow.running() == (1, 0));
    assert!(body.frame().now_or_never().is_none() && flow.running() == (0, 0));
    let write = route(&account("b"), Method::POST, MAPS).attributes;
    assert_eq!(flow.watchers.of(&write), 1);
    drop(body);
    assert_eq!(flow.watchers.of(&write), 0);
}

#[tokio::test(start_paused = true)]
async fn a_level_that_is_gone_stays_for_those_who_are_in_it() {
    let flow = flow(60);
    let turn = enter(&flow, &account("a"), Method::GET, MAPS).await.expect("a seat");
    let levels = |flow: &Flow| flow.table().levels.iter().map(|p| p.level.name.clone()).collect::<Vec<_>>();
    flow.configure(Vec::new(), Vec::new());
    assert_eq!(levels(&flow), ["catch-all", "exempt", "workload-low"]);
    let page = dump::requests(&flow, true);
    assert!(page.contains("workload-low,") && page.contains("system:serviceaccount:default:a,"), "{page}");
    drop(turn);
    flow.rebalance();
    assert_eq!(levels(&flow), ["catch-all", "exempt"]);
    assert!(dump::levels(&flow).starts_with("PriorityLevelName, ActiveQueues, IsIdle, IsQuiescing, "));
    let mut text = String::new();
    report::metrics(&flow, &mut text);
    assert!(text.contains(r#"apiserver_flowcontrol_nominal_limit_seats{priority_level="catch-all"} 60"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_events_go_elsewhere_has_its_seat_until_it_waits() {
    let flow = flow(60);
    let user = account("watcher");
    let path = "/api/v1/namespaces/default/configmaps?watch=1";
    let turn = enter(&flow, &user, Method::GET, path).await.expect("a turn");
    let held = turn.clone();
    let (mark, arrives) = outlet::Elsewhere::new();
    let mut response = Response::new(transport::empty());
    response.extensions_mut().insert(mark);
    // Its body is at its end: that is not the end of the turn.
    outlet::attach(response, turn);
    let (say, said) = futures::channel::mpsc::unbounded();
    let mut events = outlet::Events::new(said, arrives.await.expect("arrives"));
    say.unbounded_send("first").expect("is taken");
    assert_eq!(futures::StreamExt::next(&mut events).await, Some("first"));
    assert!(held.lend(), "the seat is held");
    held.clone().resume().await.expect("a seat");
    assert!(futures::StreamExt::next(&mut events).now_or_never().is_none());
    assert!(!held.lend(), "it was given back");
    // Nor is it held for ever by who takes nothing.
    let turn = enter(&flow, &user, Method::GET, path).await.expect("a turn");
    let _events = outlet::Events::new(futures::stream::pending::<()>(), turn.clone());
    tokio::task::yield_now().await;
    tokio::time::advance(crate::limits::WATCH_BEGINS + Duration::from_secs(1)).await;
    tokio::task::yield_now().await;
    assert!(!turn.lend());
}
