use std::fmt::{self, Display};

/// How many checks passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Adds the counts of a line in which a test program sums itself up; any other line counts nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(summary) = line.trim_start().strip_prefix("test result: ") else { return };
        self.passed += count_before("passed;", summary);
        self.failed += count_before("failed;", summary);
        self.skipped += count_before("ignored;", summary);
    }
}

fn count_before(word: &str, summary: &str) -> usize {
    let words: Vec<_> = summary.split_whitespace().collect();
    let count = words.windows(2).find(|pair| pair[1] == word).map(|pair| pair[0]);
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The closing line that programs read, `N passed, N failed`; skips follow only if there were any.
impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_every_result_line_and_nothing_else() {
        let printed = "\
running 3 tests
test grace::retry ... ok
test a_test_named_result: 9 passed; 9 failed; ... ok

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s
test result: \u{1b}[31mFAILED\u{1b}(B\u{1b}[m. 40 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.35s; merged doctests compilation took 0.31s
";
        let mut tally = Tally::default();
        printed.lines().for_each(|line| tally.add_line(line));
        assert_eq!(tally, Tally { passed: 47, failed: 3, skipped: 1 });
    }

    #[test]
    fn closes_with_the_line_that_is_counted() {
        let mut tally = Tally { passed: 12, ..Tally::default() };
        assert_eq!(tally.to_string(), "12 passed, 0 failed");
        tally.skipped = 2;
        assert_eq!(tally.to_string(), "12 passed, 0 failed, 2 skipped");
    }
}
