//! Answers with several records, made ready: their order is another one each time (`loadbalance`), and nothing else.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hickory_proto::rr::RecordType;

use crate::limits::MEMO;
use crate::message::{Question, Said};

/// What is true of one version of the cluster.
#[derive(Default)]
pub(super) struct Memo(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    version: u64,
    records: usize,
    said: HashMap<(String, RecordType), Said>,
}

impl Memo {
    pub(super) fn get(&self, version: u64, question: &Question) -> Option<Said> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.version != version || kept.said.is_empty() {
            return None;
        }
        kept.said.get(&(question.name.clone(), question.kind)).cloned()
    }

    /// Keeps what was found when the cluster had this version. When there is no place, all make place.
    pub(super) fn put(&self, version: u64, question: &Question, said: &Said) {
        let records = said.answers.len() + said.additionals.len();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.answers.len() < 2 || records > MEMO || kept.version > version {
            return;
        }
        if kept.version < version || kept.records + records > MEMO {
            *kept = Kept { version, ..Kept::default() };
        }
        if kept.said.insert((question.name.clone(), question.kind), said.clone()).is_none() {
            kept.records += records;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::record;
    use hickory_proto::op::ResponseCode;

    #[test]
    fn they_are_about_one_version_and_bounded() {
        let memo = Memo::default();
        let question = |n: usize| Question::new(&format!("{n}.example."), RecordType::A);
        let mut said = Said::code(ResponseCode::NoError);
        said.answers = vec![record("a.example. 5 A 192.0.2.1"); 100];
        memo.put(1, &question(1), &said);
        assert!(memo.get(1, &question(1)).is_some() && memo.get(2, &question(1)).is_none());
        memo.put(2, &question(2), &said);
        memo.put(1, &question(3), &said);
        assert!(memo.get(2, &question(2)).is_some() && memo.get(2, &question(3)).is_none());
        (0..10_000).for_each(|n| memo.put(2, &question(n), &said));
        let kept = memo.0.lock().expect("no panic");
        assert!(kept.records <= MEMO && kept.said.len() * 100 == kept.records);
    }
}
