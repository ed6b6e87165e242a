//! Data in an older form is written anew when the registry opens: JSON of kinds that are stored as protobuf today.

use futures::{StreamExt, TryStreamExt, stream};
use meta::Encoded;
use store::{Durability, Error, Expect, Op, Store, Write};

use crate::cache::Cache;

/// Writes on their way at once: they share the disk's syncs.
const AT_ONCE: usize = 256;

/// Writes the objects of a cache anew that are stored in an older form; returns how many. What cannot be read stays as
/// it is, and what somebody else changed meanwhile has its new form from him. Killed in between, it goes on at the next
/// start.
pub(crate) async fn rewrite(store: &dyn Store, cache: &Cache) -> Result<usize, Error> {
    let (objects, _) = cache.snapshot();
    let old = objects.values().filter(|object| !cache.codec.is_current(object.stored()));
    let writes: Vec<Write> = old.filter_map(|object| write(cache, object)).collect();
    let count = writes.len();
    let commits = stream::iter(writes).map(|write| async {
        match store.commit(write).await {
            Ok(_) | Err(Error::Unexpected(_)) => Ok(()),
            Err(error) => Err(error),
        }
    });
    commits.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    Ok(count)
}

fn write(cache: &Cache, object: &Encoded) -> Option<Write> {
    let tree = object.object().ok()?;
    Some(Write {
        key: cache.store_key(&object.key.namespace, &object.key.name),
        expect: Expect::Revision(object.revision),
        op: Op::Put(cache.codec.bytes(&tree)),
        durability: Durability::Sync,
        note: None,
    })
}
