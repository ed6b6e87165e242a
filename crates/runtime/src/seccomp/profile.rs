//! Which system calls the default profile allows: containerd's list (`contrib/seccomp/seccomp_default.go`, v2.1).

use caps::Capability::{self, *};

use super::bpf::{Action, REFUSED, Section};
use super::table::TABLE;

/// Allowed for everyone.
const ALWAYS: &str = "
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
    clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old
    eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate
    fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr
    flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate
    ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat getcpu getcwd
    getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
    getresuid32 getrlimit get_robust_list getrusage getsid getsockname getsockopt get_thread_area gettid
    gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
    io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 ioprio_get ioprio_set io_setup
    io_submit ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
    lgetxattr link linkat listen listxattr llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64
    madvise membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall
    map_shadow_stack mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
    mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd msync
    munlock munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause
    pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl
    pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read
    readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
    removexattr rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
    sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min
    sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
    semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto setfsgid setfsgid32 setfsuid setfsuid32
    setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid
    setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list setsid setsockopt
    set_thread_area set_tid_address setuid setuid32 setxattr shmat shmctl shmdt shmget shutdown sigaltstack
    signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statx
    symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
    timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
    timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64
    ugetrlimit umask uname unlink unlinkat utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid
    waitpid write writev
    process_vm_readv process_vm_writev ptrace
";

/// Allowed with a capability.
const WITH: &[(Capability, &str)] = &[
    (CAP_DAC_READ_SEARCH, "open_by_handle_at"),
    (
        CAP_SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (CAP_SYS_BOOT, "reboot"),
    (CAP_SYS_CHROOT, "chroot"),
    (CAP_SYS_MODULE, "delete_module init_module finit_module"),
    (CAP_SYS_PACCT, "acct"),
    (CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (CAP_SYS_RAWIO, "iopl ioperm"),
    (CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"),
    (CAP_SYS_TTY_CONFIG, "vhangup"),
    (CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (CAP_SYSLOG, "syslog"),
    (CAP_BPF, "bpf"),
    (CAP_PERFMON, "perf_event_open"),
];

/// Address families, personalities and clone flags that stay out of reach. The families: AF_ALG (the kernel's
/// ciphers, a large surface for few users: containerd since 2.3.1) and AF_VSOCK.
const FAMILIES: &[u32] = &[38, 40];
const PERSONALITIES: &[u32] = &[0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// `CLONE_NEW…` for mnt, uts, ipc, user, pid, net and cgroup.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

pub(super) const ARCH_X86_64: u32 = 0xc000_003e;
pub(super) const ARCH_I386: u32 = 0x4000_0003;
pub(super) const ARCH_AARCH64: u32 = 0xc000_00b7;

/// The profile for a process whose bounding set is `capabilities`, for each architecture of this machine.
pub(super) fn sections(capabilities: u64) -> Vec<Section> {
    if cfg!(target_arch = "aarch64") {
        return vec![section(ARCH_AARCH64, capabilities, "", |row| row.3)];
    }
    vec![
        section(ARCH_X86_64, capabilities, "arch_prctl modify_ldt", |row| row.1),
        section(ARCH_I386, capabilities, "arch_prctl modify_ldt", |row| row.2),
    ]
}

/// These calls of this machine's own architecture.
pub(super) fn only(names: &str) -> Section {
    let own = if cfg!(target_arch = "aarch64") { ARCH_AARCH64 } else { ARCH_X86_64 };
    let mut calls = Vec::new();
    for name in names.split_whitespace() {
        let row = TABLE.binary_search_by_key(&name, |row| row.0).ok().map(|at| &TABLE[at]);
        let number = row.map(|row| if cfg!(target_arch = "aarch64") { row.3 } else { row.1 });
        calls.extend(number.and_then(|number| u32::try_from(number).ok()).map(|number| (number, Action::Allow)));
    }
    calls.sort_by_key(|call| call.0);
    Section { arch: own, calls, otherwise: REFUSED, beyond: Vec::new() }
}

fn section(
    arch: u32,
    capabilities: u64,
    extra: &str,
    number: impl Fn(&(&'static str, i16, i16, i16)) -> i16,
) -> Section {
    let mut calls: Vec<(u32, Action)> = Vec::new();
    let mut add = |name: &str, action: Action| {
        let found = TABLE.binary_search_by_key(&name, |row| row.0).ok().map(|at| number(&TABLE[at]));
        if let Some(number) = found.and_then(|number| u32::try_from(number).ok()) {
            calls.push((number, action));
        }
    };
    for name in ALWAYS.split_whitespace().chain(extra.split_whitespace()) {
        add(name, Action::Allow);
    }
    add("socket", Action::AllowUnlessAmong(FAMILIES));
    add("personality", Action::AllowIfAmong(PERSONALITIES));
    for (capability, names) in WITH {
        if capabilities & capability.bitmask() != 0 {
            names.split_whitespace().for_each(|name| add(name, Action::Allow));
        }
    }
    if capabilities & CAP_SYS_ADMIN.bitmask() == 0 {
        add("clone", Action::AllowWithout(NEW_NAMESPACES));
        // Its flags are behind a pointer, out of the filter's sight; C libraries then fall back to clone.
        add("clone3", Action::Errno(libc::ENOSYS as u32));
    }
    calls.sort_by_key(|call| call.0);
    calls.dedup_by_key(|call| call.0);
    Section { arch, calls, otherwise: REFUSED, beyond: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(section: &Section, number: u32) -> Option<Action> {
        section.calls.iter().find(|call| call.0 == number).map(|call| call.1.clone())
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn follows_the_capabilities() {
        let (mount, clone, clone3, read) = (165, 56, 435, 0);
        let plain = &sections(0)[0];
        assert_eq!(action(plain, mount), None);
        assert_eq!(action(plain, clone), Some(Action::AllowWithout(NEW_NAMESPACES)));
        assert_eq!(action(plain, clone3), Some(Action::Errno(38)));
        assert_eq!(action(plain, read), Some(Action::Allow));
        let admin = &sections(CAP_SYS_ADMIN.bitmask())[0];
        assert_eq!([mount, clone, clone3].map(|n| action(admin, n)), [const { Some(Action::Allow) }; 3]);
        assert!(plain.calls.len() > 300);
    }

    #[test]
    fn table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }
}
