use attesto_core::{ClientId, Ending, Event, Instant, Presented, Reason, Redemption, Refusal, SessionId};
use attesto_store::{ExpectedWrite, Moved, Write};

use crate::app::App;
use crate::caller::Caller;
use crate::issuer::Pair;
use crate::metrics::Grant;
use crate::unavailable::Unavailable;

/// What renewing a session gives.
pub enum Renewal {
    /// A new pair.
    Pair(Pair),
    /// An access token; the refresh token stays.
    Access(String),
}

/// A lost race is decided again on the winner's row, which cannot lead to the same race: a handful is plenty.
const ATTEMPTS: usize = 8;

/// Renews a session of `client_id`: rotates it, repeats a rotation whose answer was lost, or revokes it on replay.
///
/// Signing comes before writing, so a signer that is down costs no session. A caller that loses the race for the same
/// generation decides again on the winner's row and thereby repeats the winner's answer; one that loses against an end
/// decides again and is refused, and its access token is never given out.
///
/// `write` is what was said of the write that this leads to.
pub async fn renew(
    app: &App,
    client_id: &ClientId,
    presented: &Presented,
    caller: &Caller,
    now: Instant,
    write: &mut ExpectedWrite<'_>,
) -> Result<Result<Renewal, Refusal>, Unavailable> {
    for _ in 0..ATTEMPTS {
        let sid = presented.sid.clone();
        let Some(standing) = app.store.find(move |tx| tx.find_standing(&sid)).await? else {
            return Ok(Err(Refusal::SessionUnknown));
        };
        match standing.redeem(presented, client_id, &app.policy, now) {
            Redemption::Rotate(next) => {
                let (pair, rotation) = app.issuer.rotate(&next, presented, caller.digest()).await?;
                match app.store.change(write, move |tx| tx.rotate_session(&rotation)).await? {
                    Moved::Yes => {
                        app.counts.tokens.issued_pair(Grant::Refresh);
                        return Ok(Ok(Renewal::Pair(pair)));
                    }
                    Moved::LostRace => {}
                }
            }
            Redemption::Keep(keep) => {
                let access = app.issuer.keep(&keep).await?;
                match app.store.change(write, move |tx| tx.keep_session(&keep)).await? {
                    Moved::Yes => {
                        app.counts.tokens.issued_access(Grant::Refresh);
                        return Ok(Ok(Renewal::Access(access)));
                    }
                    Moved::LostRace => {}
                }
            }
            Redemption::Repeat(repeat) => {
                let pair = app.issuer.repeat(&repeat, presented).await?;
                let event = (repeat.rotated_by != caller.digest()).then(|| {
                    caller
                        .event(Event::RefreshRetried, now)
                        .session(&presented.sid)
                        .user(&repeat.refresh.user_id)
                        .client(client_id)
                });
                let repeated = move |tx: &mut Write<'_>| tx.repeat_session(&repeat, event.as_ref());
                if app.store.write_expected(write, repeated).await? {
                    app.counts.tokens.issued_pair(Grant::Retry);
                    return Ok(Ok(Renewal::Pair(pair)));
                }
            }
            Redemption::Replay => {
                // A refusal that has to be remembered: committed before it is answered.
                revoke(app, &presented.sid, Reason::Replay, caller, now).await?;
                return Ok(Err(Refusal::RefreshTokenReplayed));
            }
            Redemption::Refused(refusal) => return Ok(Err(refusal)),
        }
    }
    Err(Unavailable::Contended)
}

/// Ends the session of a refresh token, of whichever generation: a stale tab must be able to log out.
pub async fn end(
    app: &App,
    client_id: &ClientId,
    presented: &Presented,
    caller: &Caller,
    now: Instant,
) -> Result<Result<(), Refusal>, Unavailable> {
    let sid = presented.sid.clone();
    match app.store.find(move |tx| tx.find_standing(&sid)).await? {
        Some(standing) if standing.session.client_id != *client_id => {
            return Ok(Err(Refusal::ClientMismatch));
        }
        Some(standing) if !standing.may_be_ended_by(presented) => {
            return Ok(Err(Refusal::RefreshTokenUnknown));
        }
        Some(_) | None => {}
    }
    Ok(match revoke(app, &presented.sid, Reason::Logout, caller, now).await? {
        // A session that is not known any more is over as well; SimpleJWT accepts such a token too.
        Ending::Ended | Ending::Unknown => Ok(()),
        Ending::AlreadyOver => Err(Refusal::SessionRevoked),
    })
}

/// Whether an access token's session still lives.
pub async fn check(app: &App, sid: SessionId, now: Instant) -> Result<Result<(), Refusal>, Unavailable> {
    let standing = app.store.find(move |tx| tx.find_standing(&sid)).await?;
    Ok(match standing {
        None => Err(Refusal::SessionUnknown),
        Some(standing) => standing.gate(&standing.session.client_id, now).map_or(Ok(()), Err),
    })
}

/// Whether a refresh token could be redeemed now. Asking changes nothing, and ends nothing.
pub async fn check_refresh(
    app: &App,
    presented: &Presented,
    now: Instant,
) -> Result<Result<(), Refusal>, Unavailable> {
    let sid = presented.sid.clone();
    let Some(standing) = app.store.find(move |tx| tx.find_standing(&sid)).await? else {
        return Ok(Err(Refusal::SessionUnknown));
    };
    Ok(match standing.redeem(presented, &standing.session.client_id, &app.policy, now) {
        Redemption::Rotate(_) | Redemption::Keep(_) | Redemption::Repeat(_) => Ok(()),
        Redemption::Replay => Err(Refusal::RefreshTokenReplayed),
        Redemption::Refused(refusal) => Err(refusal),
    })
}

async fn revoke(
    app: &App,
    sid: &SessionId,
    reason: Reason,
    caller: &Caller,
    now: Instant,
) -> Result<Ending, Unavailable> {
    let event = caller.event(Event::SessionRevoked, now);
    let sid = sid.clone();
    Ok(app.store.write(move |tx| tx.revoke_session(&sid, reason, &event)).await?)
}
