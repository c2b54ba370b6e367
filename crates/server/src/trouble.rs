/// Why something that is tried again and again did not succeed the last time: the log is told of each reason once.
#[derive(Default)]
pub struct Trouble(Option<String>);

impl Trouble {
    /// Why it did not succeed this time, if that is another reason than the last time.
    pub fn news<T, E: ToString>(&mut self, outcome: Result<T, E>) -> Option<E> {
        let error = outcome.err();
        let before = std::mem::replace(&mut self.0, error.as_ref().map(ToString::to_string));
        error.filter(|_| self.0 != before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once() {
        let mut trouble = Trouble::default();
        let [fine, full, gone]: [Result<(), &str>; 3] = [Ok(()), Err("full"), Err("gone")];
        assert_eq!(trouble.news(fine), None);
        assert_eq!(trouble.news(full), Some("full"));
        assert_eq!(trouble.news(full), None);
        assert_eq!(trouble.news(gone), Some("gone"));
        assert_eq!(trouble.news(full), Some("full"));
        assert_eq!(trouble.news(fine), None);
        assert_eq!(trouble.news(full), Some("full"));
    }
}
