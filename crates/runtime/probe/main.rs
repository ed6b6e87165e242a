//! The program that the node tests use: as the shim, and as the program inside their containers.

use std::io::{BufRead, Read, Write};

/// Stands in the directory of a shim that is to end at once.
const SHORT_LIVED: &str = "short-lived";

fn main() {
    let mut args = std::env::args().skip(1);
    let verb = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    if verb == "shim" {
        if let Some(dir) = args.last().filter(|dir| std::path::Path::new(dir).join(SHORT_LIVED).exists()) {
            // One that is killed as soon as it has said that it serves.
            let _ = std::fs::remove_file(std::path::Path::new(dir).join(SHORT_LIVED));
            println!("ready");
            return;
        }
        runtime::shim::main(args);
    }
    let code = run(&verb, &args).unwrap_or_else(|error| {
        eprintln!("probe {verb}: {error}");
        99
    });
    std::process::exit(code);
}

fn number(args: &[String]) -> i32 {
    args.first().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn run(verb: &str, args: &[String]) -> std::io::Result<i32> {
    match verb {
        // Prints its arguments and ends with the code in the first.
        "exit" => {
            println!("out {}", args[1..].join(" "));
            eprintln!("err {}", args[1..].join(" "));
            return Ok(number(args));
        }
        "cat" if args.is_empty() => copy_lines()?,
        "cat" => {
            for path in args {
                std::io::stdout().write_all(&std::fs::read(path)?)?;
            }
        }
        "write" => std::fs::write(&args[0], &args[1])?,
        "env" => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        "id" => print_identity(),
        "ls" => {
            let mut names: Vec<_> = std::fs::read_dir(&args[0])?.flatten().map(|e| e.file_name()).collect();
            names.sort();
            names.iter().for_each(|name| println!("{}", name.to_string_lossy()));
        }
        // Makes a directory with this mode (octal; 755 if it is not given) and prints the error's number, or 0.
        "mkdir" => {
            let mode = args.get(1).and_then(|text| u32::from_str_radix(text, 8).ok()).unwrap_or(0o755);
            let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), mode).create(&args[0]);
            println!("{}", made.map_or_else(|e| e.raw_os_error().unwrap_or(-1), |()| 0));
        }
        "link" => std::os::unix::fs::symlink(&args[0], &args[1])?,
        "readlink" => println!("{}", std::fs::read_link(&args[0])?.display()),
        // Opens a file for writing, emptied, and prints the error's number; 0 when it could.
        "truncate" => {
            let opened = std::fs::OpenOptions::new().write(true).truncate(true).open(&args[0]);
            println!("{}", opened.map_or_else(|e| e.raw_os_error().unwrap_or(-1), |_| 0));
        }
        // Where each descriptor leads, but the one that looks.
        "descriptors" => descriptors()?,
        "size" => println!("{}", terminal_size()),
        // Says that it is there, then waits for signals: ends at SIGTERM unless it was told to be stubborn.
        "wait" => wait(args.iter().any(|a| a == "stubborn")),
        // Prints so many megabytes.
        "flood" => (0..number(args)).try_for_each(|_| std::io::stdout().write_all(&[b'x'; 1 << 20]))?,
        "eat" => eat(number(args) as usize),
        // Owner, group and mode of each.
        "owner" => {
            use std::os::unix::fs::MetadataExt;
            for path in args {
                let meta = std::fs::symlink_metadata(path)?;
                println!("{}:{} {:o}", meta.uid(), meta.gid(), meta.mode() & 0o7777);
            }
        }
        // What the kernel says to who makes a block device, becomes somebody, gives a file away, makes a mount
        // writable, takes one away, or makes a new procfs.
        "block" => told(unsafe { libc::mknod(c_text(&args[0]).as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(8, 0)) }),
        "become" => told(unsafe { libc::setuid(number(args) as u32) }),
        "give" => told(unsafe { libc::chown(c_text(&args[0]).as_ptr(), number(&args[1..]) as u32, u32::MAX) }),
        "remount" => told(mount(&args[0], None, libc::MS_REMOUNT | libc::MS_BIND)),
        "unmount" => told(unsafe { libc::umount2(c_text(&args[0]).as_ptr(), 0) }),
        "procfs" => told(mount(&args[0], Some(c"proc"), 0)),
        "tmpfs" => told(mount(&args[0], Some(c"tmpfs"), 0)),
        "unshare" => return Ok(unsafe { libc::unshare(libc::CLONE_NEWUSER) }.abs()),
        // Makes a node for a character device and opens it.
        "device" => {
            let device = libc::makedev(number(args) as u32, number(&args[1..]) as u32);
            if unsafe { libc::mknod(c"/node".as_ptr(), libc::S_IFCHR | 0o600, device) } != 0 {
                return Err(std::io::Error::last_os_error());
            }
            return Ok(std::fs::File::open("/node").map_or_else(|e| e.raw_os_error().unwrap_or(-1), |_| 0));
        }
        other => {
            eprintln!("unknown verb {other}");
            return Ok(98);
        }
    }
    Ok(0)
}

fn c_text(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text).expect("no NUL")
}

/// Prints the name of the error, or that there was none.
fn told(result: i32) {
    let error = (result != 0).then(std::io::Error::last_os_error);
    println!("{}", error.map_or("done".to_owned(), |e| e.raw_os_error().map_or(e.to_string(), |n| n.to_string())));
}

fn mount(target: &str, kind: Option<&std::ffi::CStr>, flags: libc::c_ulong) -> i32 {
    let kind = kind.map_or(std::ptr::null(), |kind| kind.as_ptr());
    unsafe { libc::mount(c"none".as_ptr(), c_text(target).as_ptr(), kind, flags, std::ptr::null()) }
}

fn descriptors() -> std::io::Result<()> {
    let mut found: Vec<_> = std::fs::read_dir("/proc/self/fd")?.flatten().map(|entry| entry.path()).collect();
    found.sort();
    for path in found {
        // The directory itself is closed by now.
        if let Ok(target) = std::fs::read_link(&path) {
            println!("{} {}", path.display(), target.display());
        }
    }
    Ok(())
}

fn copy_lines() -> std::io::Result<()> {
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        print!("got {line}");
        std::io::stdout().flush()?;
        line.clear();
    }
    Ok(())
}

fn print_identity() {
    let mut status = String::new();
    let _ = std::fs::File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    for line in status.lines() {
        if ["Uid", "Gid", "Groups", "Cap", "NoNewPrivs", "Seccomp:"].iter().any(|name| line.starts_with(name)) {
            println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    println!("cwd {}", std::env::current_dir().unwrap_or_default().display());
    println!("pid {}", std::process::id());
}

fn terminal_size() -> String {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // The size may arrive after the start.
    for _ in 0..500 {
        unsafe { libc::ioctl(0, libc::TIOCGWINSZ as _, &mut size) };
        if size.ws_row != 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    format!("{} {}", size.ws_col, size.ws_row)
}

fn wait(stubborn: bool) {
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    let mut signal = 0;
    unsafe {
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    println!("ready");
    loop {
        unsafe { libc::sigwait(&set, &mut signal) };
        println!("signal {signal}");
        if !stubborn {
            std::process::exit(7);
        }
    }
}

fn eat(megabytes: usize) {
    let mut eaten = Vec::new();
    for _ in 0..megabytes {
        eaten.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
    println!("ate {}", eaten.len());
}
