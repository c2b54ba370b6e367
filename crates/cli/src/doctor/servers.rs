use attesto_core::ServerReport;
use attesto_store::{FeedHead, Store, StoreError};

use super::finding::{Finding, Findings};
use crate::context::now;
use crate::output::rfc3339;

/// Looks at the servers that run, and at the feed; says whether one runs.
pub async fn examine(store: &Store, version: Option<i64>, findings: &mut Findings) -> bool {
    let read = store.read(|tx| Ok::<_, StoreError>((tx.list_servers()?, tx.find_feed_head()?))).await;
    let (servers, head) = match read {
        Ok(read) => read,
        Err(cause) => {
            findings.add(Finding::wrong("servers", cause.to_string(), "see the log of the database"));
            return false;
        }
    };
    let live: Vec<_> = servers.into_iter().filter(|server| server.is_live(now())).collect();
    findings.add(running(&live, version));
    findings.add(feed(head.as_ref(), &live));
    !live.is_empty()
}

fn running(live: &[ServerReport], version: Option<i64>) -> Finding {
    let check = "servers";
    let behind = live.iter().filter(|server| version.is_some_and(|version| server.key_version < version));
    let behind: Vec<_> = behind.map(|server| server.id.as_str()).collect();
    match (live.len(), behind.as_slice()) {
        (0, _) => Finding::warning(
            check,
            "none runs: keys do not rotate, and nothing expired is removed".to_owned(),
            "attesto serve",
        ),
        (count, []) => Finding::ok(check, format!("{count} run, and have the present keys")),
        (count, behind) => Finding::wrong(
            check,
            format!("{} of {count} have not loaded the present keys: {}", behind.len(), behind.join(", ")),
            "run this again in a moment; then see the log of these servers",
        ),
    }
}

fn feed(head: Option<&FeedHead>, live: &[ServerReport]) -> Finding {
    let check = "feed";
    let Some(head) = head else {
        return Finding::warning(
            check,
            "it was not begun: nobody can follow it".to_owned(),
            "attesto serve, which begins it",
        );
    };
    let says = format!("begun at {}, at record {}", rfc3339(head.feed.epoch), head.seq);
    match live.iter().map(|server| head.seq - server.feed_seq).max().filter(|behind| *behind > 0) {
        None => Finding::ok(check, says),
        Some(behind) => Finding::warning(
            check,
            format!("{says}; a server is {behind} records behind"),
            "attesto feed show, again in a moment; then see the log of that server",
        ),
    }
}
