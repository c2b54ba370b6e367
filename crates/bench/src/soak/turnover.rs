//! The same sessions, refreshed again and again: whether their database grows.
//!
//! Through the store, without HTTP and signatures: what is asked is what the writes leave behind. They are those of a
//! refresh, as many at the same time as there are connections.

use std::cell::Cell;

use attesto_core::{ClientId, Jti, Presented, Redemption};
use attesto_keyring::{Successor, random_id, seal_successor};
use attesto_server::Clock;
use attesto_store::{Moved, Store};
use futures_util::future::try_join_all;

use super::Plan;
use super::population::Population;
use super::rows::{bytes, log_bytes};
use crate::presented::presented;
use crate::stats::real;
use crate::{Outcome, progress};

/// How often it is said how far it is.
const NEWS: usize = 100_000;

/// What was measured.
pub struct Turnover {
    pub sessions: usize,
    pub refreshes: usize,
    /// When each session had been refreshed once. Nothing is in the log.
    pub bytes_before: usize,
    /// The same in the end.
    pub bytes_after: usize,
    /// How long the write-ahead log got.
    pub log_bytes: usize,
}

impl Turnover {
    /// How large the database is, of what it was.
    pub fn growth(&self) -> f64 {
        real(self.bytes_after) / real(self.bytes_before)
    }
}

/// Refreshes all sessions that there are tokens for.
pub async fn measure(plan: &Plan, population: &Population) -> Outcome<Turnover> {
    let holders: Vec<_> = population.tokens.iter().map(|token| presented(token)).collect::<Outcome<_>>()?;
    let sessions = holders.len();
    let turns = Turns { store: Store::open(&population.authority.settings.database)?, population };
    let share = sessions.div_ceil(usize::from(plan.connections));
    let mut shares: Vec<_> = holders.chunks(share).map(<[_]>::to_vec).collect();
    turns.take(&mut shares, sessions).await?;
    turns.store.checkpoint().await?;
    let bytes_before = bytes(&population.file);
    turns.take(&mut shares, plan.turnover).await?;
    let log_bytes = log_bytes(&population.file);
    turns.store.checkpoint().await?;
    let bytes_after = bytes(&population.file);
    Ok(Turnover { sessions, refreshes: plan.turnover, bytes_before, bytes_after, log_bytes })
}

struct Turns<'a> {
    store: Store,
    population: &'a Population,
}

impl Turns<'_> {
    /// So many refreshes in all, by each of the shares at the same time.
    async fn take(&self, shares: &mut [Vec<Presented>], times: usize) -> Outcome<()> {
        let done = Cell::new(0_usize);
        let more = || {
            if done.get().is_multiple_of(NEWS) {
                progress(&format!("soak: {} of {times} refreshes in place", done.get()));
            }
            done.replace(done.get() + 1) < times
        };
        try_join_all(shares.iter_mut().map(|share| self.take_share(share, &more))).await?;
        Ok(())
    }

    async fn take_share(&self, share: &mut [Presented], more: impl Fn() -> bool) -> Outcome<()> {
        for at in (0..share.len()).cycle() {
            if !more() {
                break;
            }
            share[at] = self.refresh(&share[at]).await?;
        }
        Ok(())
    }

    /// As the server does it, but for the signatures.
    async fn refresh(&self, presented: &Presented) -> Outcome<Presented> {
        let sid = presented.sid.clone();
        let standing = self.store.find(move |tx| tx.find_standing(&sid)).await?.ok_or("a session is gone")?;
        let policy = &self.population.authority.settings.policy;
        let now = Clock::system().now();
        let Redemption::Rotate(next) = standing.redeem(presented, &ClientId::simplejwt(), policy, now) else {
            return Err("a refresh token does not rotate".into());
        };
        let generation = next.refresh.generation;
        let successor = Successor { jti: Jti::new(random_id()), signature: None };
        let sealed = seal_successor(&presented.jti, &presented.sid, generation, &successor);
        let rotation =
            next.signed(successor.jti.digest(), standing.session.kid, sealed, standing.session.rotated_by);
        match self.store.write(move |tx| tx.change().rotate_session(&rotation)).await? {
            Moved::Yes => Ok(Presented { generation, jti: successor.jti, ..presented.clone() }),
            Moved::LostRace => Err("somebody else refreshed the same session".into()),
        }
    }
}
