//! Long work leaves the threads that serve everybody: what a large object costs, others do not wait for.

use std::future::Future;

use meta::{Object, limits};
use serde_json::Value;
use tokio::runtime::{Handle, RuntimeFlavor};

/// Does what is about that many bytes; beside the runtime's threads if that is much.
pub fn steps<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if is_long(bytes) { tokio::task::block_in_place(work) } else { work() }
}

/// The same of work that also waits. It is not cancelled on the way.
pub(crate) async fn run<F: Future>(bytes: usize, work: F) -> F::Output {
    if !is_long(bytes) {
        return work.await;
    }
    let runtime = Handle::current();
    tokio::task::block_in_place(|| runtime.block_on(work))
}

/// A runtime of one thread (tests) has no others that could go on.
fn is_long(bytes: usize) -> bool {
    bytes >= limits::LONG && Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// About how many bytes an object has; looks no further than to see that it is large.
pub(crate) fn weight(object: &Object) -> usize {
    let mut sum = 0;
    object.fields().values().all(|value| add(value, &mut sum));
    sum
}

fn add(value: &Value, sum: &mut usize) -> bool {
    *sum += 8;
    if *sum >= limits::LONG {
        return false;
    }
    match value {
        Value::String(text) => *sum += text.len(),
        Value::Array(list) => return list.iter().all(|value| add(value, sum)),
        Value::Object(map) => {
            return map.iter().all(|(name, value)| {
                *sum += name.len();
                add(value, sum)
            });
        }
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn thread() -> std::thread::ThreadId {
        std::thread::current().id()
    }

    /// One worker: while it is busy, another takes over what waits.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_while_long_work_is_done() {
        let done = tokio::spawn(async {
            let (tell, told) = std::sync::mpsc::channel();
            let other = tokio::spawn(async move { tell.send(thread()) });
            let (mine, other_thread) = run(limits::LONG, async move { (thread(), told.recv()) }).await;
            other.await.expect("ends").expect("is heard");
            other_thread.expect("is told while the work is done") != mine
        });
        assert!(done.await.expect("ends"));
        let caller = tokio::spawn(async { (thread(), run(limits::LONG - 1, async { thread() }).await) }).await;
        assert!(caller.is_ok_and(|(mine, of_work)| mine == of_work), "short work stays where it is");
    }

    #[test]
    fn objects_are_weighed_until_they_are_large() {
        let object = |value| Object::from_value(value).expect("an object");
        assert_eq!(weight(&object(json!({}))), 0);
        assert!(weight(&object(json!({"a": vec!["x"; limits::LONG]}))) < limits::LONG + 10);
        assert!(weight(&object(json!({"a": ["x".repeat(limits::LONG)]}))) >= limits::LONG);
    }
}
