//! `kubectl` as a program of its own.

fn main() {
    std::process::exit(kubectl::main(std::env::args().skip(1).collect(), None));
}
