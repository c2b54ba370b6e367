use std::time::Duration;

use attesto_core::Instant;
use attesto_server::Clock;
use attesto_store::Store;

use super::finding::{Finding, Findings};
use crate::output::in_words;

/// What a check of a token forgives.
const FORGIVEN: Duration = Duration::from_secs(30);

/// What somebody should look at.
const NOTABLE: Duration = Duration::from_secs(2);

const REMEDY: &str = "set the clocks right, by NTP for example (timedatectl)";

/// Compares the clock of this machine with that of a database that has one.
pub async fn examine(store: &Store, findings: &mut Findings) {
    match store.now().await {
        Ok(None) => {}
        Ok(Some(theirs)) => findings.add(compare("clock", "the database", theirs, NOTABLE)),
        Err(cause) => findings.add(Finding::wrong(
            "clock",
            format!("the database does not say what time it is: {cause}"),
            "see the log of the database",
        )),
    }
}

/// How far `theirs` is from this machine's, where less than `exact` cannot be told.
pub fn compare(check: &'static str, whose: &str, theirs: Instant, exact: Duration) -> Finding {
    let ours = Clock::system().now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    let says = format!("this machine and {whose} are {} apart", in_words(apart));
    if apart > FORGIVEN {
        Finding::wrong(check, format!("{says}: tokens are refused"), REMEDY)
    } else if apart > exact {
        Finding::warning(check, says, REMEDY)
    } else {
        Finding::ok(check, format!("this machine and {whose} agree"))
    }
}
