use std::cmp::Ordering;

use crate::client::{Client, ClientId};
use crate::gate::Watermark;
use crate::grant::{AccessGrant, RefreshGrant};
use crate::instant::Instant;
use crate::policy::Policy;
use crate::refusal::Refusal;
use crate::secret::{Digest, Jti};
use crate::session::{Session, SessionId};
use crate::user::UserStanding;

/// A session with its client and user, as one consistent read.
#[derive(Clone)]
pub struct Standing {
    /// The session.
    pub session: Session,
    /// Its client.
    pub client: Client,
    /// Its user, unless deleted.
    pub user: Option<UserStanding>,
    /// The watermark of the whole authority.
    pub watermark: Watermark,
}

/// A refresh token whose signature, issuer and times were verified.
#[derive(Clone)]
pub struct Presented {
    /// The session that it names.
    pub sid: SessionId,
    /// Its place in the session.
    pub generation: i64,
    /// Its secret.
    pub jti: Jti,
    /// Whether the key that signed it can vouch for it. A leaked one cannot: then the secret alone counts.
    pub key_is_trusted: bool,
}

/// What presenting a refresh token leads to.
pub enum Redemption {
    /// The next generation is due.
    Rotate(Rotate),
    /// The client keeps its refresh token: an access token is due.
    Keep(Keep),
    /// The rotation has happened and its answer was lost: the same successor is due again.
    Repeat(Repeat),
    /// A refresh token that is over was presented: the session has to end.
    Replay,
    /// Refused; nothing changes.
    Refused(Refusal),
}

/// A move to the next generation that is decided and not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// The access token that comes with it.
    pub access: AccessGrant,
    /// The successor.
    pub refresh: RefreshGrant,
    from: i64,
    previous_jti_digest: Digest,
    idle_expires_at: Instant,
}

/// A move to the next generation, signed and sealed: what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Which session.
    pub sid: SessionId,
    /// The generation that it must still be at.
    pub from: i64,
    /// Of the successor's `jti`.
    pub jti_digest: Digest,
    /// Of the presented `jti`.
    pub previous_jti_digest: Digest,
    /// When it was decided.
    pub rotated_at: Instant,
    /// The key that signed the successor.
    pub kid: String,
    /// The successor's `jti`, for its predecessor only.
    pub sealed_successor: Vec<u8>,
    /// Of the address and agent that asked.
    pub rotated_by: Digest,
    /// The new idle end.
    pub idle_expires_at: Instant,
}

/// A use of a refresh token that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The access token that is due.
    pub access: AccessGrant,
    /// The generation that the session must still be at.
    pub generation: i64,
    /// The new idle end.
    pub idle_expires_at: Instant,
}

/// A rotation whose answer is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// A fresh access token.
    pub access: AccessGrant,
    /// The same successor: same claims, and its `jti` is in `sealed_successor`.
    pub refresh: RefreshGrant,
    /// The key that signed it.
    pub kid: String,
    /// Opens with the presented `jti`.
    pub sealed_successor: Vec<u8>,
    /// Who got the first answer.
    pub rotated_by: Digest,
}

impl Standing {
    /// What presenting `token` by `client_id` at `now` leads to (RFC 6749 §6, RFC 9700 §4.14.2; ADR 0001).
    pub fn redeem(
        &self,
        token: &Presented,
        client_id: &ClientId,
        policy: &Policy,
        now: Instant,
    ) -> Redemption {
        if let Some(refusal) = self.gate(client_id, now) {
            return Redemption::Refused(refusal);
        }
        let session = &self.session;
        match token.generation.cmp(&session.generation) {
            Ordering::Equal if session.jti_digest != token.jti.digest() => {
                Redemption::Refused(Refusal::RefreshTokenUnknown)
            }
            Ordering::Equal if self.client.rotates => Redemption::Rotate(self.next(policy, now)),
            Ordering::Equal => Redemption::Keep(self.kept(policy, now)),
            Ordering::Less => match self.repeat(token, policy, now) {
                Some(repeat) => Redemption::Repeat(repeat),
                // Whoever has the leaked key could make up a generation, and would end any session.
                None if token.key_is_trusted || session.is_predecessor(token) => Redemption::Replay,
                None => Redemption::Refused(Refusal::RefreshTokenUnknown),
            },
            Ordering::Greater => Redemption::Refused(Refusal::RefreshTokenUnknown),
        }
    }

    /// Whether the holder of `token` may end the session: any generation will do, so that a stale tab can log out, but
    /// of a leaked key only a token whose secret was really given out.
    pub fn may_be_ended_by(&self, token: &Presented) -> bool {
        let session = &self.session;
        let is_current = token.generation == session.generation && session.jti_digest == token.jti.digest();
        token.key_is_trusted || is_current || session.is_predecessor(token)
    }

    fn next(&self, policy: &Policy, now: Instant) -> Rotate {
        let session = &self.session;
        let idle_expires_at = session.idle_end(policy, now);
        Rotate {
            access: self.access(policy, now),
            refresh: self.refresh(session.generation + 1, now, idle_expires_at, policy),
            from: session.generation,
            previous_jti_digest: session.jti_digest,
            idle_expires_at,
        }
    }

    fn kept(&self, policy: &Policy, now: Instant) -> Keep {
        let idle_expires_at = self.session.idle_end(policy, now);
        Keep { access: self.access(policy, now), generation: self.session.generation, idle_expires_at }
    }

    /// The current refresh token once more, for its direct predecessor and within the grace. The row alone says what
    /// it was: nothing is remembered elsewhere.
    fn repeat(&self, token: &Presented, policy: &Policy, now: Instant) -> Option<Repeat> {
        let session = &self.session;
        let grace_interval = self.client.grace_interval.unwrap_or(policy.grace_interval);
        if !session.is_predecessor(token) || now.since(session.rotated_at) >= grace_interval {
            return None;
        }
        Some(Repeat {
            access: self.access(policy, now),
            refresh: self.refresh(session.generation, session.rotated_at, session.idle_expires_at, policy),
            kid: session.kid.clone(),
            sealed_successor: session.sealed_successor.clone()?,
            rotated_by: session.rotated_by,
        })
    }

    fn access(&self, policy: &Policy, now: Instant) -> AccessGrant {
        let session = &self.session;
        AccessGrant {
            user_id: session.user_id.clone(),
            client_id: session.client_id.clone(),
            sid: session.id.clone(),
            audience: session.audience.clone(),
            scope: session.scope.clone(),
            auth_time: session.auth_time,
            claims: session.claims.clone(),
            issued_at: now,
            expires_at: (now + policy.access_lifetime).min(session.absolute_expires_at),
            algorithm: self.client.access_token_algorithm(policy),
        }
    }

    fn refresh(
        &self,
        generation: i64,
        issued_at: Instant,
        expires_at: Instant,
        policy: &Policy,
    ) -> RefreshGrant {
        let session = &self.session;
        RefreshGrant {
            user_id: session.user_id.clone(),
            client_id: session.client_id.clone(),
            sid: session.id.clone(),
            generation,
            claims: session.claims.clone(),
            issued_at,
            expires_at,
            algorithm: self.client.refresh_token_algorithm(policy),
        }
    }
}

impl Session {
    fn is_predecessor(&self, token: &Presented) -> bool {
        token.generation == self.generation - 1 && self.previous_jti_digest == Some(token.jti.digest())
    }

    fn idle_end(&self, policy: &Policy, now: Instant) -> Instant {
        (now + policy.idle_lifetime).min(self.absolute_expires_at)
    }
}

impl Rotate {
    /// The write that is due, now that the successor is signed and its `jti` sealed.
    pub fn signed(
        &self,
        jti_digest: Digest,
        kid: String,
        sealed_successor: Vec<u8>,
        rotated_by: Digest,
    ) -> Rotation {
        Rotation {
            sid: self.refresh.sid.clone(),
            from: self.from,
            jti_digest,
            previous_jti_digest: self.previous_jti_digest,
            rotated_at: self.refresh.issued_at,
            kid,
            sealed_successor,
            rotated_by,
            idle_expires_at: self.idle_expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::claims::CustomClaims;
    use crate::client::ClientKind;
    use crate::key::SigningAlgorithm;
    use crate::password::PasswordHash;
    use crate::scope::Scope;
    use crate::user::{User, UserId, Username};

    const T0: Instant = Instant::from_millis(1_700_000_000_500);
    const DAY: Duration = Duration::from_secs(86_400);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn jti(name: &str) -> Jti {
        Jti::new(name.to_owned())
    }

    fn presented(generation: i64, name: &str) -> Presented {
        Presented { sid: SessionId("sid".into()), generation, jti: jti(name), key_is_trusted: true }
    }

    fn client() -> Client {
        Client {
            id: ClientId::simplejwt(),
            kind: ClientKind::Public,
            redirect_uris: vec![],
            audience: "orders".into(),
            scope: Scope::default(),
            rotates: true,
            grace_interval: None,
            access_token_algorithm: None,
            refresh_token_algorithm: None,
            disabled_at: None,
            watermark: Watermark::default(),
            created_at: T0 - DAY,
        }
    }

    fn user() -> User {
        User {
            id: UserId("u1".into()),
            username: Username::new("ada").unwrap(),
            password_hash: PasswordHash::new(String::new()),
            password_version: 1,
            claims: CustomClaims::default(),
            disabled_at: None,
            watermark: Watermark::default(),
            created_at: T0 - DAY,
        }
    }

    /// A session that was rotated from `old` (generation 4) to `current` (generation 5) at `T0`.
    fn standing() -> Standing {
        let (client, user) = (client(), user());
        let opened =
            user.open_session(&client, SessionId("sid".into()), &Policy::default(), T0 - DAY).unwrap();
        let mut session = opened.signed(jti("current").digest(), "kid".into(), Digest::of(b"somebody"));
        session.generation = 5;
        session.previous_jti_digest = Some(jti("old").digest());
        session.sealed_successor = Some(vec![7]);
        session.rotated_at = T0;
        session.idle_expires_at = T0 + 7 * DAY;
        Standing { session, client, user: Some(user.standing()), watermark: Watermark::default() }
    }

    fn name(redemption: &Redemption) -> String {
        match redemption {
            Redemption::Rotate(_) => "rotate".into(),
            Redemption::Keep(_) => "keep".into(),
            Redemption::Repeat(_) => "repeat".into(),
            Redemption::Replay => "replay".into(),
            Redemption::Refused(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn presented_generation_by_instant() {
        let table = [
            (5, "current", seconds(0), "rotate"),
            (5, "current", seconds(6 * 86_400), "rotate"),
            (5, "forged", seconds(0), "RefreshTokenUnknown"),
            (6, "current", seconds(0), "RefreshTokenUnknown"),
            (4, "old", seconds(0), "repeat"),
            (4, "old", Duration::from_millis(29_999), "repeat"),
            (4, "old", seconds(30), "replay"),
            (4, "forged", seconds(0), "replay"),
            (4, "current", seconds(0), "replay"),
            (3, "old", seconds(0), "replay"),
            (1, "first", seconds(0), "replay"),
        ];
        for (generation, jti, after, expected) in table {
            let got = standing().redeem(
                &presented(generation, jti),
                &ClientId::simplejwt(),
                &Policy::default(),
                T0 + after,
            );
            assert_eq!(name(&got), expected, "generation {generation} {jti} after {after:?}");
        }
    }

    /// Whoever has a leaked key can sign any generation, and still renews and ends nothing.
    #[test]
    fn under_a_leaked_key_only_the_exact_secret_counts() {
        let table = [
            (5, "current", seconds(0), "rotate", true),
            (4, "old", seconds(0), "repeat", true),
            (4, "old", seconds(30), "replay", true),
            (5, "forged", seconds(0), "RefreshTokenUnknown", false),
            (6, "current", seconds(0), "RefreshTokenUnknown", false),
            (4, "forged", seconds(0), "RefreshTokenUnknown", false),
            (3, "old", seconds(0), "RefreshTokenUnknown", false),
            (1, "first", seconds(0), "RefreshTokenUnknown", false),
        ];
        for (generation, jti, after, expected, may_end) in table {
            let token = Presented { key_is_trusted: false, ..presented(generation, jti) };
            let standing = standing();
            let got = standing.redeem(&token, &ClientId::simplejwt(), &Policy::default(), T0 + after);
            assert_eq!(name(&got), expected, "generation {generation} {jti} after {after:?}");
            assert_eq!(standing.may_be_ended_by(&token), may_end, "generation {generation} {jti}");
            assert!(standing.may_be_ended_by(&presented(generation, jti)), "a trusted key's token may");
        }
    }

    #[test]
    fn a_client_may_have_algorithms_of_its_own() {
        let (mut standing, policy) = (standing(), Policy::default());
        let algorithms = |standing: &Standing| {
            let token = presented(5, "current");
            match standing.redeem(&token, &ClientId::simplejwt(), &policy, T0) {
                Redemption::Rotate(next) => (next.access.algorithm, next.refresh.algorithm),
                _ => panic!("rotates"),
            }
        };
        assert_eq!(algorithms(&standing), (SigningAlgorithm::Rs256, SigningAlgorithm::Rs256));
        standing.client.access_token_algorithm = Some(SigningAlgorithm::Es256);
        assert_eq!(algorithms(&standing), (SigningAlgorithm::Es256, SigningAlgorithm::Rs256));
        standing.client.refresh_token_algorithm = Some(SigningAlgorithm::Es256);
        assert_eq!(algorithms(&standing), (SigningAlgorithm::Es256, SigningAlgorithm::Es256));
    }

    #[test]
    fn a_loser_whose_clock_lies_before_the_winner_repeats() {
        let got = standing().redeem(
            &presented(4, "old"),
            &ClientId::simplejwt(),
            &Policy::default(),
            T0 - seconds(1),
        );
        assert_eq!(name(&got), "repeat");
    }

    #[test]
    fn grace_is_the_clients_or_the_policys() {
        let mut standing = standing();
        let redeem = |standing: &Standing, after| {
            name(&standing.redeem(
                &presented(4, "old"),
                &ClientId::simplejwt(),
                &Policy::default(),
                T0 + after,
            ))
        };
        standing.client.grace_interval = Some(seconds(0));
        assert_eq!(redeem(&standing, seconds(0)), "replay");
        standing.client.grace_interval = Some(seconds(120));
        assert_eq!(redeem(&standing, seconds(119)), "repeat");
        assert_eq!(redeem(&standing, seconds(120)), "replay");
    }

    #[test]
    fn the_gate_stands_before_everything() {
        type Change = fn(&mut Standing);
        let table: [(&str, Change, &str); 10] = [
            ("revoked", |s| s.session.revoked_at = Some(T0), "SessionRevoked"),
            ("another client's", |s| s.session.client_id = ClientId("other".into()), "ClientMismatch"),
            ("idle", |s| s.session.idle_expires_at = T0, "SessionExpired"),
            ("too old", |s| s.session.absolute_expires_at = T0, "SessionExpired"),
            ("client off", |s| s.client.disabled_at = Some(T0), "ClientDisabled"),
            ("all ended", |s| s.watermark = Watermark::default().raised(T0), "SessionRevoked"),
            ("client off and on", |s| s.client.watermark = Watermark::default().raised(T0), "SessionRevoked"),
            ("user deleted", |s| s.user = None, "UserInactive"),
            ("user off", |s| s.user.as_mut().unwrap().disabled_at = Some(T0), "UserInactive"),
            (
                "user off and on",
                |s| s.user.as_mut().unwrap().watermark = Watermark::default().raised(T0),
                "SessionRevoked",
            ),
        ];
        for (what, change, expected) in table {
            for token in [presented(5, "current"), presented(4, "old"), presented(3, "x"), presented(9, "x")]
            {
                let mut standing = standing();
                change(&mut standing);
                let got = standing.redeem(&token, &ClientId::simplejwt(), &Policy::default(), T0);
                assert_eq!(name(&got), expected, "{what}");
            }
        }
    }

    #[test]
    fn rotation_moves_the_idle_end_and_never_the_absolute_one() {
        let standing = standing();
        let late = T0 + 6 * DAY;
        let Redemption::Rotate(rotate) =
            standing.redeem(&presented(5, "current"), &ClientId::simplejwt(), &Policy::default(), late)
        else {
            panic!("rotates");
        };
        assert_eq!(rotate.refresh.expires_at, late + 7 * DAY);
        assert_eq!((rotate.refresh.generation, rotate.refresh.issued_at), (6, late));

        let mut last_day = standing;
        last_day.session.idle_expires_at = T0 + 30 * DAY;
        let end = last_day.session.absolute_expires_at;
        let just_before = end - seconds(60);
        let Redemption::Rotate(rotate) = last_day.redeem(
            &presented(5, "current"),
            &ClientId::simplejwt(),
            &Policy::default(),
            just_before,
        ) else {
            panic!("rotates");
        };
        assert_eq!((rotate.refresh.expires_at, rotate.access.expires_at), (end, end));
    }

    #[test]
    fn the_successor_is_repeated_from_the_row_alone() {
        let mut standing = standing();
        let Redemption::Rotate(rotate) = standing.redeem(
            &presented(5, "current"),
            &ClientId::simplejwt(),
            &Policy::default(),
            T0 + seconds(60),
        ) else {
            panic!("rotates");
        };
        let written = rotate.signed(jti("next").digest(), "kid2".into(), vec![9], Digest::of(b"me"));
        let session = &mut standing.session;
        session.generation = written.from + 1;
        session.jti_digest = written.jti_digest;
        session.previous_jti_digest = Some(written.previous_jti_digest);
        session.rotated_at = written.rotated_at;
        session.kid = written.kid;
        session.sealed_successor = Some(written.sealed_successor);
        session.idle_expires_at = written.idle_expires_at;
        let Redemption::Repeat(repeat) = standing.redeem(
            &presented(5, "current"),
            &ClientId::simplejwt(),
            &Policy::default(),
            T0 + seconds(80),
        ) else {
            panic!("repeats");
        };
        assert_eq!(repeat.refresh, rotate.refresh);
        assert_eq!(repeat.access.issued_at, T0 + seconds(80));
    }

    #[test]
    fn a_client_that_keeps_its_token_gets_access_only() {
        let mut standing = standing();
        standing.client.rotates = false;
        let got =
            standing.redeem(&presented(5, "current"), &ClientId::simplejwt(), &Policy::default(), T0 + DAY);
        let Redemption::Keep(keep) = got else { panic!("keeps") };
        assert_eq!((keep.generation, keep.idle_expires_at), (5, T0 + 8 * DAY));

        let opened =
            user().open_session(&standing.client, SessionId("s".into()), &Policy::default(), T0).unwrap();
        assert_eq!(opened.refresh.expires_at, T0 + 30 * DAY);
    }

    #[test]
    fn no_session_for_a_disabled_user_or_client() {
        let (mut client, mut user) = (client(), user());
        let open = |user: &User, client: &Client| {
            user.open_session(client, SessionId("s".into()), &Policy::default(), T0).err()
        };
        assert_eq!(open(&user, &client), None);
        user.disabled_at = Some(T0);
        assert_eq!(open(&user, &client), Some(Refusal::CredentialsInvalid));
        user.disabled_at = None;
        client.disabled_at = Some(T0);
        assert_eq!(open(&user, &client), Some(Refusal::ClientDisabled));
    }
}
