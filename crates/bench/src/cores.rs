//! Which cores a thread runs on. Threads and processes that it starts inherit them.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;

/// Some of the machine's cores, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

impl Cores {
    /// Those that the calling thread may use.
    pub fn allowed() -> Outcome<Self> {
        let set = sched_getaffinity(None)?;
        Ok(Self((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()))
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The last of them alone, and the others. Of a single core both get it.
    pub fn split_last(&self) -> (Self, Self) {
        match self.0.split_last() {
            Some((last, others)) if !others.is_empty() => (Self(vec![*last]), Self(others.to_vec())),
            _ => (self.clone(), self.clone()),
        }
    }

    /// Has the calling thread run on these only.
    pub fn pin(&self) -> Outcome<()> {
        let mut set = CpuSet::new();
        self.0.iter().for_each(|core| set.set(*core));
        Ok(sched_setaffinity(None, &set)?)
    }

    /// Does `work` on a thread of its own that runs on these only.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        std::thread::scope(|scope| {
            let pinned = scope.spawn(|| {
                self.pin()?;
                work()
            });
            pinned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_gets_one_core_and_the_server_the_others() {
        assert_eq!(Cores(vec![0, 2, 5]).split_last(), (Cores(vec![5]), Cores(vec![0, 2])));
        assert_eq!(Cores(vec![3]).split_last(), (Cores(vec![3]), Cores(vec![3])));
    }

    #[test]
    fn a_pinned_thread_and_what_it_starts_stay_on_their_core() {
        let before = Cores::allowed().unwrap();
        let (last, _) = before.split_last();
        let inherited = || std::thread::spawn(|| Cores::allowed().unwrap()).join().unwrap();
        assert_eq!(last.run(|| Ok(inherited())).unwrap(), last);
        assert_eq!(Cores::allowed().unwrap(), before, "the caller's cores stay as they were");
    }
}
