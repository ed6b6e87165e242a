//! From lists of system calls to a classic BPF program.
//!
//! Each architecture gets a binary search over ranges of numbers: about eight comparisons for a call, where the
//! usual chain needs hundreds. An architecture that is not listed gets `EPERM` for everything.

use libc::sock_filter;

use super::rules::{self, ARGUMENTS, Rule};

/// What happens to a system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Runs.
    Allow,
    /// Fails with this error.
    Errno(u32),
    /// Runs unless the first argument is one of these.
    AllowUnlessAmong(&'static [u32]),
    /// Runs if the first argument is one of these.
    AllowIfAmong(&'static [u32]),
    /// Runs if the first argument has none of these bits.
    AllowWithout(u32),
    /// The filter returns this.
    Give(u32),
    /// The first rule that fits decides.
    Rules {
        rules: Vec<Rule>,
        /// What the filter returns when none does.
        otherwise: u32,
        /// Arguments have 64 bits.
        wide: bool,
    },
}

/// The calls of one architecture, sorted by number.
pub(super) struct Section {
    /// `AUDIT_ARCH_…`.
    pub arch: u32,
    /// Number and action.
    pub calls: Vec<(u32, Action)>,
    /// What happens to the others.
    pub otherwise: Action,
    /// From which number on something else happens, behind the last call; sorted.
    pub beyond: Vec<(u32, Action)>,
}

pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
pub(super) const IF_EQUAL: u16 = 0x15;
pub(super) const IF_ABOVE: u16 = 0x25;
pub(super) const IF_AT_LEAST: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;
/// The call runs.
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// The call fails with the error in the lower half.
pub(super) const ERRNO: u32 = 0x0005_0000;
/// Every call fails so that is not in a list.
pub(super) const REFUSED: Action = Action::Errno(libc::EPERM as u32);
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// Compiles the sections into one program; `strange` is what it returns for other architectures.
pub(super) fn compile(sections: &[Section], strange: u32) -> Vec<sock_filter> {
    let mut program = vec![instruction(LOAD, ARCH, 0, 0)];
    for section in sections {
        let mut body = vec![instruction(LOAD, NUMBER, 0, 0)];
        body.extend(search(&ranges(section)));
        program.push(instruction(IF_EQUAL, section.arch, 1, 0));
        program.push(instruction(JUMP, body.len() as u32, 0, 0));
        program.extend(body);
    }
    program.push(give(strange));
    program
}

/// First numbers of ranges with equal action; together they cover all numbers.
fn ranges(section: &Section) -> Vec<(u32, Action)> {
    let Section { calls, otherwise, beyond, .. } = section;
    let mut out = vec![(0, otherwise.clone())];
    let mut push = |start: u32, action: &Action| match out.last_mut() {
        Some(last) if last.0 == start => last.1 = action.clone(),
        Some(last) if last.1 == *action => {}
        _ => out.push((start, action.clone())),
    };
    for (index, (number, action)) in calls.iter().enumerate() {
        push(*number, action);
        if calls.get(index + 1).is_none_or(|next| next.0 != number + 1) {
            push(number + 1, otherwise);
        }
    }
    beyond.iter().for_each(|(start, action)| push(*start, action));
    out
}

fn search(ranges: &[(u32, Action)]) -> Vec<sock_filter> {
    if let [(_, action)] = ranges {
        return leaf(action);
    }
    let (low, high) = ranges.split_at(ranges.len() / 2);
    let (left, right) = (search(low), search(high));
    let mut out = match u8::try_from(left.len()) {
        Ok(length) => vec![instruction(IF_AT_LEAST, high[0].0, length, 0)],
        Err(_) => {
            vec![instruction(IF_AT_LEAST, high[0].0, 0, 1), instruction(JUMP, left.len() as u32, 0, 0)]
        }
    };
    out.extend(left);
    out.extend(right);
    out
}

fn leaf(action: &Action) -> Vec<sock_filter> {
    let load = instruction(LOAD, ARGUMENTS, 0, 0);
    let refuse = give(ERRNO | libc::EPERM as u32);
    match action {
        Action::Allow => vec![give(ALLOW)],
        Action::Give(value) => vec![give(*value)],
        Action::Rules { rules, otherwise, wide } => rules::program(rules, *otherwise, *wide),
        Action::Errno(number) => vec![give(ERRNO | number)],
        Action::AllowUnlessAmong(values) => among(values, give(ALLOW), refuse),
        Action::AllowWithout(bits) => {
            vec![load, instruction(AND, *bits, 0, 0), instruction(IF_EQUAL, 0, 0, 1), give(ALLOW), refuse]
        }
        Action::AllowIfAmong(values) => among(values, refuse, give(ALLOW)),
    }
}

/// Whether the first argument is one of a few.
fn among(values: &[u32], none: sock_filter, one: sock_filter) -> Vec<sock_filter> {
    let mut out = vec![instruction(LOAD, ARGUMENTS, 0, 0)];
    for (index, value) in values.iter().enumerate() {
        let to_one = values.len() - index;
        out.push(instruction(IF_EQUAL, *value, to_one as u8, 0));
    }
    out.extend([none, one]);
    out
}

fn give(value: u32) -> sock_filter {
    instruction(RETURN, value, 0, 0)
}

/// One instruction; the jumps are how many are left out.
pub(super) fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A system call, as a filter sees it.
    #[derive(Clone, Copy, Debug, Default)]
    pub(in super::super) struct Call {
        pub arch: u32,
        pub number: u32,
        pub arguments: [u64; 6],
    }

    /// A minimal BPF machine: what the kernel would answer.
    pub(in super::super) fn run(program: &[sock_filter], call: &Call) -> u32 {
        let word = |offset: u32| match offset {
            NUMBER => call.number,
            ARCH => call.arch,
            _ => {
                let argument = call.arguments[(offset - ARGUMENTS) as usize / 8];
                if offset % 8 == 0 { argument as u32 } else { (argument >> 32) as u32 }
            }
        };
        let (mut at, mut value) = (0, 0u32);
        loop {
            let one = program[at];
            at += 1;
            let jump = |yes: bool| usize::from(if yes { one.jt } else { one.jf });
            match one.code {
                LOAD => value = word(one.k),
                AND => value &= one.k,
                JUMP => at += one.k as usize,
                IF_EQUAL => at += jump(value == one.k),
                IF_ABOVE => at += jump(value > one.k),
                IF_AT_LEAST => at += jump(value >= one.k),
                RETURN => return one.k,
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn decides_by_architecture_number_and_argument() {
        let mut calls: Vec<(u32, Action)> = (0..600).step_by(2).map(|n| (n, Action::Allow)).collect();
        calls[1].1 = Action::AllowUnlessAmong(&[38, 40]);
        calls[2].1 = Action::AllowIfAmong(&[0, 8, 9]);
        calls[3].1 = Action::AllowWithout(0x30);
        calls[4].1 = Action::Errno(38);
        let first = Section { arch: 7, calls, otherwise: REFUSED, beyond: vec![(700, Action::Give(5))] };
        let second = Section { arch: 8, calls: vec![(3, Action::Allow)], otherwise: REFUSED, beyond: Vec::new() };
        let (refused, strange) = (ERRNO | 1, 99);
        let program = compile(&[first, second], strange);
        let run = |arch, number, argument| {
            run(&program, &Call { arch, number, arguments: [argument, 0, 0, 0, 0, 0] })
        };
        for number in 10..720 {
            let expected = match number {
                700.. => 5,
                _ if number < 600 && number % 2 == 0 => ALLOW,
                _ => refused,
            };
            assert_eq!(run(7, number, 0), expected, "call {number}");
        }
        let with = |number, argument| run(7, number, argument) == ALLOW;
        assert!(with(2, 41) && with(2, 39) && !with(2, 40) && !with(2, 38));
        assert!(with(4, 0) && with(4, 8) && with(4, 9) && !with(4, 1));
        assert!(with(6, 0x0f) && !with(6, 0x10));
        assert_eq!(run(7, 8, 0), ERRNO | 38);
        assert_eq!([run(8, 3, 0), run(8, 4, 0), run(9, 3, 0)], [ALLOW, refused, strange]);
    }
}
