use attesto_core::{AuditBreak, AuditHead, AuditSearch, AuditWalk, ChainedEvent, Instant};
use attesto_keyring::AuditHeadError;
use attesto_server::{AuditChain, AuditError};
use attesto_store::{Store, StoreError};

use super::broken::Broken;
use super::noted::Noted;
use super::progress::Progress;
use super::whole::Whole;
use crate::failure::Failure;

/// Rows per query.
const PAGE: i64 = 1_000;

/// How often it begins anew because the chain begins elsewhere meanwhile.
const ATTEMPTS: usize = 5;

/// Goes along the whole chain, and compares with what was noted.
pub async fn check(
    store: &Store,
    chain: &AuditChain,
    noted: &Noted,
) -> Result<Result<Whole, Broken>, Failure> {
    for _ in 0..ATTEMPTS {
        let (head, count) = match head(chain).await? {
            Ok(found) => found,
            Err(broken) => return Ok(Err(broken)),
        };
        noted.require_not_removed(&head)?;
        let walked = match noted.require_reached(&head) {
            Ok(()) => walk(store, head, noted).await?.and_then(|()| require_no_more(head, count)),
            Err(broken) => Err(broken),
        };
        let Err(broken) = walked else {
            let unsealed = store.read(|tx| tx.count_unsealed_audit_events()).await?;
            return Ok(Ok(Whole { head, span: span(store, head).await?, unsealed }));
        };
        let begins_elsewhere = |later: (AuditHead, i64)| {
            later.0.purged.seq > head.purged.seq || later.0.begun_at > head.begun_at
        };
        if !self::head(chain).await?.is_ok_and(begins_elsewhere) {
            return Ok(Err(broken));
        }
    }
    Err(Failure::temporary("old rows of the audit are being removed all the time; try again"))
}

/// The head, proved, and how many rows claimed a place at that moment.
async fn head(chain: &AuditChain) -> Result<Result<(AuditHead, i64), Broken>, Failure> {
    match chain.head_and_count().await {
        Ok((Some(head), count)) => Ok(Ok((head, count))),
        Ok((None, _)) => Ok(Err(Broken::as_a_whole(
            "there is no chain: no server of this version has run on this database yet, or somebody took all of it away"
                .to_owned(),
        ))),
        Err(
            unknown @ (AuditError::Store(_) | AuditError::Head(AuditHeadError::KekMissing { .. })),
        ) => Err(unknown.into()),
        Err(set_back @ AuditError::HeadSetBack { head, .. }) => Ok(Err(Broken::at(head, set_back.to_string()))),
        Err(other) => Ok(Err(Broken::as_a_whole(other.to_string()))),
    }
}

async fn walk(store: &Store, head: AuditHead, noted: &Noted) -> Result<Result<(), Broken>, Failure> {
    if let Err(broken) = noted.compare(head.purged) {
        return Ok(Err(broken));
    }
    let mut walk = AuditWalk::from(head.purged);
    let progress = Progress::of(head.last.seq - head.purged.seq);
    // From before the beginning: nothing may stand there.
    let mut after = i64::MIN;
    while after < head.last.seq {
        let page = store.read(move |tx| tx.list_sealed_audit_events(after, PAGE)).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for row in page.iter().take_while(|row| row.seq <= head.last.seq) {
            if let Err(found) = walk.step(row) {
                return Ok(Err(explain(store, &head, row, found).await?));
            }
            if let Err(broken) = noted.compare(walk.at()) {
                return Ok(Err(broken));
            }
        }
        progress.tell(walk.at().seq - head.purged.seq);
    }
    Ok(walk.end(head.last).map_err(Broken::from))
}

/// The pages do not show a row that claims the same place as the last of a page, nor one at the very first number.
fn require_no_more(head: AuditHead, count: i64) -> Result<(), Broken> {
    let rows = count - (head.last.seq - head.purged.seq);
    if rows > 0 { Err(AuditBreak::TooMany { rows }.into()) } else { Ok(()) }
}

/// A row that does not fit may belong elsewhere.
async fn explain(
    store: &Store,
    head: &AuditHead,
    row: &ChainedEvent,
    found: AuditBreak,
) -> Result<Broken, Failure> {
    let AuditBreak::Altered { seq } = found else { return Ok(found.into()) };
    let mut search = AuditSearch::new(row.clone(), head.purged);
    let mut after = head.purged.seq;
    loop {
        let page = store.read(move |tx| tx.list_sealed_audit_events(after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(found.into()) };
        after = last.seq;
        if let Some(belongs_to) = page.iter().find_map(|row| search.step(row)) {
            return Ok(AuditBreak::OutOfPlace { seq, belongs_to }.into());
        }
    }
}

/// When the first row happened, and the last.
async fn span(store: &Store, head: AuditHead) -> Result<Option<(Instant, Instant)>, Failure> {
    let (first, last) = store
        .read(move |tx| {
            let mut behind = |place| Ok::<_, StoreError>(tx.list_sealed_audit_events(place, 1)?.pop());
            Ok((behind(head.purged.seq)?, behind(head.last.seq - 1)?))
        })
        .await?;
    let at = |row: ChainedEvent| Instant::from_millis(row.event.at);
    Ok(first.map(at).zip(last.map(at)).filter(|_| head.last.seq > head.purged.seq))
}
