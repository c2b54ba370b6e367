use attesto_core::{Attempts, Blocked, Digest, Instant, ThrottleLimits, UserId};
use diesel::prelude::*;
use diesel::upsert::excluded;

use crate::connection::on_either;
use crate::error::StoreError;
use crate::row::instant;
use crate::schema::throttles;
use crate::store::{Read, Write};

/// The two counters that one sign-in is counted by.
#[derive(Clone, Debug)]
pub struct ThrottleKeys {
    who: String,
    address: String,
}

impl ThrottleKeys {
    /// For a user that exists: whatever spelling led to it, one counter.
    pub fn of_user(id: &UserId, address: &str) -> Self {
        Self { who: format!("user:{id}"), address: format!("address:{address}") }
    }

    /// For a name that nobody has. Only its digest is stored: people type passwords into the wrong field.
    pub fn of_unknown(name: &str, address: &str) -> Self {
        Self { who: format!("name:{}", Digest::of(name.as_bytes())), address: format!("address:{address}") }
    }
}

/// An attempt that was counted, and what it left in both counters.
#[derive(Clone, Debug)]
pub struct Reservation {
    keys: ThrottleKeys,
    who: Attempts,
    address: Attempts,
}

impl Write<'_> {
    /// Counts an attempt against both counters before its password is hashed, or against neither.
    pub fn reserve_attempt(
        &mut self,
        keys: &ThrottleKeys,
        limits: ThrottleLimits,
        now: Instant,
    ) -> Result<Result<Reservation, Blocked>, StoreError> {
        // Whoever is blocked waits for no lock: a flood of guesses at one name would hold up everybody.
        if let Err(blocked) = self.reserved(keys, limits, now)? {
            return Ok(Err(blocked));
        }
        self.hold_counter(&keys.who)?;
        self.hold_counter(&keys.address)?;
        let (who, address) = match self.reserved(keys, limits, now)? {
            Ok(both) => both,
            Err(blocked) => return Ok(Err(blocked)),
        };
        self.put_attempts(&keys.who, who, now)?;
        self.put_attempts(&keys.address, address, now)?;
        Ok(Ok(Reservation { keys: keys.clone(), who, address }))
    }

    /// Takes back a reservation that came to nothing, because no password was compared.
    pub fn refund_attempt(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        self.take_back(&reservation.keys.who, reservation.who)?;
        self.take_back(&reservation.keys.address, reservation.address)
    }

    /// Forgets the user's failures after a success. The address keeps its other ones: whoever owns one account must
    /// not be able to wipe out the guesses at others.
    pub fn clear_attempts(&mut self, reservation: &Reservation) -> Result<(), StoreError> {
        diesel::delete(throttles::table.find(&reservation.keys.who)).execute(self.connection)?;
        self.take_back(&reservation.keys.address, reservation.address)
    }

    /// Removes up to `batch` counters that are forgotten; says how many.
    pub fn purge_throttles(&mut self, now: Instant, batch: i64) -> Result<usize, StoreError> {
        Ok(on_either!(self.connection, |connection| {
            let expired = throttles::table
                .filter(throttles::expires_at.le(now.as_millis()))
                .select(throttles::key)
                .limit(batch)
                .into_boxed();
            // Asked again of the row as it is then: somebody may have begun to count anew.
            diesel::delete(throttles::table.filter(throttles::key.eq_any(expired)))
                .filter(throttles::expires_at.le(now.as_millis()))
                .execute(connection)
        })?)
    }

    /// A success is no reason to remember the failures beside it for longer.
    fn take_back(&mut self, key: &str, reserved: Attempts) -> Result<(), StoreError> {
        self.hold_counter(key)?;
        let counter = throttles::table.find(key);
        let Some(row) = counter.select(COLUMNS).get_result(self.connection).optional()? else {
            return Ok(());
        };
        let left = from_row(row).refund(reserved);
        diesel::update(counter)
            .set((
                throttles::failures.eq(i64::from(left.failures)),
                throttles::blocked_until.eq(left.blocked_until.map(Instant::as_millis)),
            ))
            .execute(self.connection)?;
        Ok(())
    }

    fn put_attempts(&mut self, key: &str, attempts: Attempts, now: Instant) -> Result<(), StoreError> {
        let counter = (
            throttles::key.eq(key),
            throttles::failures.eq(i64::from(attempts.failures)),
            throttles::blocked_until.eq(attempts.blocked_until.map(Instant::as_millis)),
            throttles::expires_at.eq((now + Attempts::LIFETIME).as_millis()),
        );
        on_either!(self.connection, |connection| diesel::insert_into(throttles::table)
            .values(counter)
            .on_conflict(throttles::key)
            .do_update()
            .set((
                throttles::failures.eq(excluded(throttles::failures)),
                throttles::blocked_until.eq(excluded(throttles::blocked_until)),
                throttles::expires_at.eq(excluded(throttles::expires_at)),
            ))
            .execute(connection))?;
        Ok(())
    }
}

impl Read<'_> {
    /// Both counters with one more attempt, if neither is blocked.
    fn reserved(
        &mut self,
        keys: &ThrottleKeys,
        limits: ThrottleLimits,
        now: Instant,
    ) -> Result<Result<(Attempts, Attempts), Blocked>, StoreError> {
        let who = self.attempts(&keys.who, now)?.reserve(limits.user_failures, now);
        let address = self.attempts(&keys.address, now)?.reserve(limits.address_failures, now);
        Ok(match (who, address) {
            (Ok(who), Ok(address)) => Ok((who, address)),
            (Err(blocked), Ok(_)) | (Ok(_), Err(blocked)) => Err(blocked),
            (Err(a), Err(b)) => Err(Blocked { until: a.until.max(b.until) }),
        })
    }

    fn attempts(&mut self, key: &str, now: Instant) -> Result<Attempts, StoreError> {
        let row = throttles::table
            .find(key)
            .filter(throttles::expires_at.gt(now.as_millis()))
            .select(COLUMNS)
            .get_result(self.connection)
            .optional()?;
        Ok(row.map_or_else(Attempts::default, from_row))
    }
}

const COLUMNS: (throttles::failures, throttles::blocked_until) =
    (throttles::failures, throttles::blocked_until);

fn from_row((failures, blocked_until): (i64, Option<i64>)) -> Attempts {
    Attempts { failures: u32::try_from(failures).unwrap_or(u32::MAX), blocked_until: instant(blocked_until) }
}
