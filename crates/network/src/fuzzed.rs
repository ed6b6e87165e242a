//! What is done with the kernel's answers, for the fuzz target (`fuzz/`) and for the test of its corpus. Nothing may panic.

/// Answers of nftables and of connection tracking.
pub fn netlink(data: &[u8]) {
    crate::nft::decode(data);
    crate::conntrack::decode(data);
}
