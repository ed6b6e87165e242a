//! What profiles say, and which are refused.

use serde_json::{Value, json};

use super::super::bpf::tests::{Call, run};
use super::super::profile::{ARCH_AARCH64, ARCH_I386, ARCH_X86_64};
use super::*;

const OWN: u32 = if cfg!(target_arch = "aarch64") { ARCH_AARCH64 } else { ARCH_X86_64 };
const REFUSED: u32 = ERRNO | 1;
const ABSENT: u32 = ERRNO | 38;

fn machine() -> Machine {
    Machine { capabilities: caps::Capability::CAP_CHOWN.bitmask(), kernel: (6, 1) }
}

fn compiled(document: Value) -> Result<Compiled, String> {
    super::profile(document.to_string().as_bytes(), &machine())
}

fn number(name: &str) -> u32 {
    let table = super::super::table::TABLE;
    let row = table[table.binary_search_by_key(&name, |row| row.0).unwrap()];
    u32::try_from(if cfg!(target_arch = "aarch64") { row.3 } else { row.1 }).unwrap()
}

/// What the filter answers to a call with these arguments.
fn answer(document: Value, name: &str, arguments: [u64; 6]) -> u32 {
    run(&compiled(document).unwrap().program, &Call { arch: OWN, number: number(name), arguments })
}

#[test]
fn a_list_of_what_is_allowed() {
    let list = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "no_such_call", "riscv_hwprobe"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": ""},
        {"name": "write", "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "includes": {}, "excludes": {}},
        {"names": ["close"], "action": "SCMP_ACT_LOG"}, {"names": ["openat"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
        {"names": ["exit"], "action": "SCMP_ACT_KILL_PROCESS"}, {"names": ["getpid"], "action": "SCMP_ACT_TRAP"}]});
    let of = |name| answer(list.clone(), name, [0; 6]);
    let expected = [ALLOW, ERRNO | 5, LOG, TRACE | 7, KILL_PROCESS, TRAP, REFUSED, ABSENT];
    assert_eq!(["read", "write", "close", "openat", "exit", "getpid", "kill", "openat2"].map(of), expected);
    let program = compiled(list).unwrap().program;
    let strange = Call { arch: 1, ..Call::default() };
    assert_eq!(run(&program, &strange), KILL_THREAD, "programs of an architecture that is not listed end");
}

#[test]
fn a_list_of_what_is_not() {
    let list = json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 0}, {"names": ["read"], "action": "SCMP_ACT_KILL"}]});
    assert_eq!(answer(list.clone(), "read", [0; 6]), ERRNO, "the first of two");
    assert_eq!(answer(list.clone(), "openat2", [0; 6]), ALLOW, "nothing is too new for it");
    assert_eq!(compiled(list).unwrap().flags, 2);
}

#[test]
fn conditions_decide() {
    let arg = |index: u32, value: u64, two: u64, op: &str| json!({"index": index, "value": value, "valueTwo": two, "op": op});
    let list = json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [arg(0, 3, 0, "SCMP_CMP_EQ"), arg(2, 0xf0, 0x10, "SCMP_CMP_MASKED_EQ")]},
        {"names": ["write"], "action": "SCMP_ACT_ALLOW", "args": [arg(0, 1, 0, "SCMP_CMP_EQ"), arg(0, 2, 0, "SCMP_CMP_EQ")]},
        {"names": ["close"], "action": "SCMP_ACT_KILL", "args": [arg(0, 9, 0, "SCMP_CMP_GT")]},
        {"names": ["close"], "action": "SCMP_ACT_ALLOW"}]});
    let of = |name, first, third| answer(list.clone(), name, [first, 0, third, 0, 0, 0]) == ALLOW;
    assert_eq!([of("read", 3, 0x1f), of("read", 3, 0x2f), of("read", 4, 0x1f)], [true, false, false]);
    assert_eq!([of("write", 1, 0), of("write", 2, 0), of("write", 3, 0)], [true, true, false], "one of both is enough");
    assert!(of("close", 10, 0), "what always holds goes before what holds sometimes");
}

#[test]
fn entries_hold_where_they_say() {
    let with = |key: &str, filter: Value| {
        let entry = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", key: filter});
        answer(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [entry]}), "read", [0; 6]) == ALLOW
    };
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    for (filter, holds) in [
        (json!({"caps": ["CAP_CHOWN"]}), true),
        (json!({"caps": ["CAP_SYS_ADMIN"]}), false),
        (json!({"arches": [own, "x32", "s390x"]}), true),
        (json!({"arches": ["s390x"]}), false),
        (json!({"minKernel": "6.1"}), true),
        (json!({"minKernel": "6.2"}), false),
    ] {
        assert_eq!(with("includes", filter.clone()), holds, "{filter}");
        assert_eq!(with("excludes", filter.clone()), !holds, "{filter}");
    }
    assert!(!with("includes", json!({"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]})), "all of them");
    assert!(!with("excludes", json!({"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]})), "any of them");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn programs_of_32_bits_have_no_second_door() {
    let deny = |call: &str| json!({"names": [call], "action": "SCMP_ACT_ERRNO"});
    let list = |default: &str, entry: Value| {
        let map = json!([{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}]);
        compiled(json!({"defaultAction": default, "archMap": map, "syscalls": [entry]})).unwrap().program
    };
    let old = |program: &[libc::sock_filter], number, first| {
        run(program, &Call { arch: ARCH_I386, number, arguments: [first, 0, 0, 0, 0, 0] })
    };
    let (socketcall, ipc, socket) = (102, 117, 359);
    let program = list("SCMP_ACT_ALLOW", deny("socket"));
    let answers = [old(&program, socket, 0), old(&program, socketcall, 1), old(&program, socketcall, 2)];
    assert_eq!(answers, [REFUSED, REFUSED, ALLOW]);
    let conditional = json!({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]});
    assert_eq!(old(&list("SCMP_ACT_ALLOW", conditional), socketcall, 1), REFUSED, "what cannot be looked at is refused");
    assert_eq!(old(&list("SCMP_ACT_ALLOW", deny("shmget")), ipc, 0x1_0017), REFUSED);
    let allow = json!({"names": ["accept"], "action": "SCMP_ACT_ALLOW"});
    let program = list("SCMP_ACT_ERRNO", allow);
    assert_eq!([old(&program, socketcall, 5), old(&program, socketcall, 1)], [ALLOW, REFUSED]);
    let x32 = |program: &[libc::sock_filter]| run(program, &Call { arch: OWN, number: 0x4000_0000, arguments: [0; 6] });
    assert_eq!(x32(&program), ABSENT);
    let without = compiled(json!({"defaultAction": "SCMP_ACT_ALLOW"})).unwrap().program;
    assert_eq!(x32(&without), KILL_THREAD);
    assert_eq!(old(&without, 1, 0), KILL_THREAD);
}

#[test]
fn what_is_not_understood_is_refused() {
    let entry = |more: Value| {
        let mut entry = json!({"names": ["read"], "action": "SCMP_ACT_ALLOW"});
        more.as_object().unwrap().iter().for_each(|(key, value)| entry[key] = value.clone());
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [entry]})
    };
    let top = |key: &str, value: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", key: value});
    for (document, words) in [
        (json!({}), "missing field `defaultAction`"),
        (json!([1]), "invalid type"),
        (top("more", json!(1)), "unknown field `more`"),
        (top("defaultAction", json!("")), "string  is not a valid action for seccomp"),
        (top("defaultAction", json!("SCMP_ACT_NOTIFY")), "SCMP_ACT_NOTIFY is not supported"),
        (top("listenerPath", json!("/run/agent.sock")), "listeners are not supported"),
        (top("defaultErrnoRet", json!(4096)), "errno 4096 is greater than 4095"),
        (top("flags", json!(["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])), "is not known to this runtime"),
        (top("architectures", json!(["SCMP_ARCH_Z80"])), "string SCMP_ARCH_Z80 is not a valid arch for seccomp"),
        (entry(json!({"action": "ALLOW"})), "string ALLOW is not a valid action"),
        (entry(json!({"errnoRet": 1})), "action SCMP_ACT_ALLOW has no errno"),
        (entry(json!({"name": "write"})), "both 'name' and 'names'"),
        (entry(json!({"names": [""]})), "empty string is not a valid syscall"),
        (entry(json!({"priority": 1})), "unknown field `priority`"),
        (entry(json!({"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]})), "no argument 6"),
        (entry(json!({"args": [{"index": 0, "value": 0, "op": "=="}]})), "string == is not a valid operator"),
        (entry(json!({"args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]})), "invalid value"),
        (entry(json!({"includes": {"caps": ["CAP_MAGIC"]}})), "unknown capability \"CAP_MAGIC\""),
        (entry(json!({"includes": {"arches": ["z80"]}})), "unknown architecture \"z80\""),
        (entry(json!({"excludes": {"minKernel": "5"}})), "invalid kernel version: \"5\""),
    ] {
        let error = compiled(document.clone()).map(|_| ()).expect_err("refused");
        assert!(error.contains(words), "{document}: {error}");
    }
    let both = json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86_64"}]});
    assert!(compiled(both).map(|_| ()).expect_err("refused").contains("use either"));
    let many: Vec<Value> = (0..3000).map(|n| json!({"index": 0, "value": n, "op": "SCMP_CMP_EQ"})).collect();
    assert!(compiled(entry(json!({"args": many}))).map(|_| ()).expect_err("refused").contains("the kernel takes 4096"));
}
