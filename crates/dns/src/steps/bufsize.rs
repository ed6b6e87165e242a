//! `bufsize [SIZE]`: the largest answer over UDP, whatever a client says it can take.

use super::{Building, once};
use crate::corefile::{Directive, Fault, values};

/// What fits into a packet nearly everywhere.
const DEFAULT: u16 = 1232;

pub(super) fn build(building: &mut Building<'_>, directives: &[Directive]) -> Result<(), Fault> {
    let directive = once(directives)?;
    let size = match &directive.args[..] {
        [] => DEFAULT,
        args => u16::try_from(values::number(values::one(&directive.name, args)?, 512, 4096)?).unwrap_or(DEFAULT),
    };
    building.site.payload = Some(size);
    Ok(())
}
