//! Carrying plans out: order, slow start, reports.

use futures::future::join_all;

use super::api::{Answer, Api};
use super::plan::{Failure, Op, Plan, Report, Step};
use super::queue::{Gate, Outcome};

/// Deletes under way at a time.
const DELETES: usize = 64;

/// Carries a plan out. `report` records an event, whose text is complete.
pub async fn execute<A: Api>(api: &A, plan: Plan, report: &(impl Fn(Report) + Sync)) -> Outcome {
    let mut run = Run { api, report, gate: Gate::default(), failure: None };
    plan.reports.into_iter().for_each(report);
    let mut rest = plan.steps.as_slice();
    while let (Some(first), None) = (rest.first(), &run.failure) {
        let same = |step: &Step| std::mem::discriminant(&step.op) == std::mem::discriminant(&first.op);
        let alike = rest.iter().take_while(|step| same(step)).count();
        let (group, after) = match first.op {
            Op::Create(_) | Op::Delete { .. } => rest.split_at(alike),
            _ => rest.split_at(1),
        };
        match first.op {
            Op::Create(_) => run.slow_start(group).await,
            _ => run.at_once(group).await,
        }
        rest = after;
    }
    for step in &plan.finally {
        run.at_once(std::slice::from_ref(step)).await;
    }
    Outcome { failure: run.failure, gate: run.gate, revisit: plan.revisit }
}

struct Run<'a, A, R> {
    api: &'a A,
    report: &'a R,
    gate: Gate,
    failure: Option<Failure>,
}

impl<A: Api, R: Fn(Report) + Sync> Run<'_, A, R> {
    /// One, then two, four, … as long as all succeed: a refusal that meets all comes once.
    async fn slow_start(&mut self, mut steps: &[Step]) {
        let mut size = 1;
        while !steps.is_empty() && self.failure.is_none() {
            let (batch, rest) = steps.split_at(size.min(steps.len()));
            self.batch(batch).await;
            steps = rest;
            size *= 2;
        }
    }

    async fn at_once(&mut self, steps: &[Step]) {
        for batch in steps.chunks(DELETES) {
            self.batch(batch).await;
        }
    }

    async fn batch(&mut self, steps: &[Step]) {
        let api = self.api;
        let answers = join_all(steps.iter().map(|step| api.act(step))).await;
        for (step, answer) in steps.iter().zip(answers) {
            match answer {
                Ok(answer) => self.succeeded(step, answer),
                // Whatever is created in a namespace that goes away is refused: that is as it should be.
                Err(failure) if failure.terminating => {}
                Err(failure) => self.failed(step, failure),
            }
        }
    }

    fn succeeded(&mut self, step: &Step, answer: Option<Answer>) {
        if let Op::Delete { uid, .. } = &step.op {
            self.gate.deleted.push((step.target.id, step.key.clone(), uid.clone()));
        }
        let Some(answer) = answer else { return };
        if !matches!(step.op, Op::Delete { .. }) {
            self.gate.wrote(step.target.id, answer.revision);
        }
        if let Some(done) = &step.done {
            (self.report)(Report { text: done.text.replace("{}", &answer.name), ..done.clone() });
        }
    }

    fn failed(&mut self, step: &Step, failure: Failure) {
        if let Some(refused) = step.refused.as_ref().filter(|_| !failure.is_conflict()) {
            (self.report)(Report { text: refused.text.replace("{}", &failure.message), ..refused.clone() });
        }
        self.failure.get_or_insert(failure);
    }
}
