//! `reload [INTERVAL] [JITTER]`: nothing to be done. A changed Corefile is taken at once, with this or without it.

use std::time::Duration;

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};

pub(super) fn build(_: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    if let [_, _, more, ..] = &directive.args[..] {
        return Err(Fault::arguments(more));
    }
    for (word, least) in directive.args.iter().zip([2, 1]) {
        if values::duration(word)? < Duration::from_secs(least) && word.text != "0" {
            return Err(Fault::at(word.line, format!("'{}' must be greater or equal to {least}s", word.text)));
        }
    }
    Ok(())
}
