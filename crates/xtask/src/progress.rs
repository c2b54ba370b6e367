use std::time::Instant;

/// Says what is to be done, does it, and says how long it took.
pub(crate) fn step<T>(name: &str, purpose: &str, work: impl FnOnce() -> T) -> T {
    println!("\n==> {name}: {purpose}");
    let started_at = Instant::now();
    let outcome = work();
    println!("    {name} took {:.1} s", started_at.elapsed().as_secs_f64());
    outcome
}
