use std::time::Duration;

use attesto_core::AuditHead;
use attesto_server::AuditError;
use attesto_server::config::Settings;
use attesto_store::{Store, Unsealed};

use super::finding::{Finding, Findings};
use crate::context::now;
use crate::failure::Failure;
use crate::output::{in_words, rfc3339};

/// A running server has sealed a row by then.
const LATE: Duration = Duration::from_secs(120);

/// Looks at the head of the audit's chain. The whole of it is `attesto audit verify`.
pub async fn examine(store: &Store, settings: &Settings, findings: &mut Findings) {
    // That the keys do not open is said elsewhere.
    let Ok(chain) = attesto_server::audit_chain(store, settings).await else { return };
    let look = async {
        let head = chain.head().await?;
        Ok::<_, AuditError>((head, store.read(|tx| tx.count_unsealed_audit_events()).await?))
    };
    findings.add(match look.await {
        Ok((head, unsealed)) => sealed(head, unsealed),
        Err(error) => Finding::wrong("audit", Failure::from(error).to_string(), "attesto audit verify"),
    });
}

fn sealed(head: Option<AuditHead>, unsealed: Unsealed) -> Finding {
    let check = "audit";
    let waits = unsealed.since.map(|since| now().since(since)).filter(|waits| *waits > LATE);
    let Some(head) = head else {
        return Finding::warning(check, "nothing is sealed yet".to_owned(), "attesto serve, which does it");
    };
    let says = format!("sealed up to row {}, last at {}", head.last.seq, rfc3339(head.sealed_at));
    match waits {
        None => Finding::ok(check, says),
        Some(waits) => Finding::warning(
            check,
            format!("{says}; {} rows wait, the oldest for {}", unsealed.rows, in_words(waits)),
            "attesto serve; if one runs, see its log",
        ),
    }
}
