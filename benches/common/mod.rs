//! What the benches share: threads, middles, and what the kernel says of a process.

/// Threads for a bench, which may have been started before the library has made its first client.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new().expect("threads")
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A field of `/proc/PID/status` such as `VmRSS`, in MiB.
pub(crate) fn memory_mib(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("the field");
    let kib: f64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number");
    kib / 1024.0
}
