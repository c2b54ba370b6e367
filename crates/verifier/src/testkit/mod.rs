//! An issuer in the process of the test. There is no network in it, and nothing to wait for: time stands still until the
//! test moves it. **Not for production**: whoever has an [`Issuer`] can mint any token.
//!
//! It is the feature `testkit`, for the `[dev-dependencies]` of a service; a router of axum is asked through `tower` with its
//! feature `util`. A test of a protected handler in ten lines, here with axum:
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use attesto_verifier::testkit::{End, Issuer};
//! use attesto_verifier::{Authenticated, Denied, ResourceServer};
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use tower::ServiceExt as _;
//!
//! # async fn orders(user: Authenticated<serde_json::Value>) -> Result<String, Denied> {
//! #     user.require_scope("orders:read")?;
//! #     Ok(format!("the orders of {}", user.std.subject()))
//! # }
//! # fn app(server: ResourceServer) -> Router { Router::new().route("/orders", get(orders)).with_state(server) }
//! # let test = async {
//! let issuer = Issuer::new("https://auth.example");
//! let app = app(ResourceServer::new(issuer.verifier("orders")));
//! let get = |token: &str| {
//!     let request = Request::get("/orders").header("authorization", format!("Bearer {token}"));
//!     app.clone().oneshot(request.body(Body::empty()).unwrap())
//! };
//! let token = issuer.token("user-1").scope("orders:read").mint();
//! assert_eq!(get(&token).await?.status(), StatusCode::OK);
//! issuer.revoke(End::User("user-1"));
//! assert_eq!(get(&token).await?.status(), StatusCode::UNAUTHORIZED);
//! # Ok::<(), std::convert::Infallible>(()) };
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(test).unwrap();
//! # }
//! ```
//!
//! And with actix-web:
//!
//! ```
//! # #[cfg(feature = "actix")] {
//! # use actix_web::{App, http::StatusCode, test, web};
//! # use attesto_verifier::testkit::{End, Issuer};
//! # use attesto_verifier::{Authenticated, ResourceServer};
//! # async fn orders(user: Authenticated<serde_json::Value>) -> String { user.std.subject().to_owned() }
//! # actix_web::rt::System::new().block_on(async {
//! let issuer = Issuer::new("https://auth.example");
//! let server = ResourceServer::new(issuer.verifier("orders"));
//! let app = App::new().app_data(server).route("/orders", web::get().to(orders));
//! let app = test::init_service(app).await;
//! let token = issuer.token("user-1").scope("orders:read").mint();
//! let get = || test::TestRequest::get().uri("/orders").insert_header(("authorization", format!("Bearer {token}")));
//! assert_eq!(test::call_service(&app, get().to_request()).await.status(), StatusCode::OK);
//! issuer.revoke(End::User("user-1"));
//! assert_eq!(test::call_service(&app, get().to_request()).await.status(), StatusCode::UNAUTHORIZED);
//! # });
//! # }
//! ```
//!
//! A token is good for ten minutes, and for all audiences that the issuer has made verifiers for: make those first, and
//! mint again after the time has moved.
//!
//! The verifier is a real one and follows this issuer as it follows any: it fetches keys, listens to a feed that is
//! signed, backs off while the issuer is down. What the test does, it has taken in when the call returns, so that there
//! is no race:
//!
//! ```
//! # use std::time::Duration;
//! # use attesto_verifier::Error;
//! # use attesto_verifier::testkit::{Fault, Issuer};
//! # type Claims = serde_json::Value;
//! let issuer = Issuer::new("https://auth.example");
//! let verifier = issuer.verifier("orders");
//!
//! issuer.fail(Fault::Down);
//! issuer.advance(Duration::from_secs(23 * 60 * 60));
//! assert!(verifier.verify::<Claims>(&issuer.token("user-1").mint()).is_ok());
//! issuer.advance(Duration::from_secs(60 * 60));
//! let error = verifier.verify::<Claims>(&issuer.token("user-1").mint()).unwrap_err();
//! assert_eq!((error.clone(), error.status()), (Error::KeysUnavailable, 503));
//! ```
//!
//! An issuer that [is down](Fault::Down) makes no difference for a day, then. Where it shall make one at once, it is down before the verifier
//! is made; or the verifier is to [reject when the feed is old](crate::OnStale::RejectAfter).
//!
//! Tokens are signed with RS256, and with ES256 where `ring` is the only backend, for it makes no RSA keys; the verifiers
//! of this issuer know that.

mod clock;
mod door;
mod signing;
mod token;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use attesto_token::JwkSet;

use crate::builder::VerifierBuilder;
use crate::clock::Clock;
use crate::follow::{Link, Rest};
use crate::verifier::Verifier;
use clock::StillClock;
use door::Door;
use signing::ALGORITHM;
pub use token::Token;
pub use world::{End, Fault};
use world::{Member, World};

/// How long verifiers are waited for before the test fails: long enough for any machine.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_micros(200);

/// An issuer of tokens, its keys, its revocation feed and the time. Clones are the same issuer.
#[derive(Clone)]
pub struct Issuer(Arc<Site>);

/// What an issuer and the verifiers that follow it have in common.
struct Site {
    url: String,
    clock: StillClock,
    world: Mutex<World>,
}

/// What makes a verifier known to the issuer that it follows.
pub(crate) struct Guestbook {
    site: Arc<Site>,
    door: u64,
}

impl Issuer {
    /// An issuer with one key, to which the present is the time of the machine.
    pub fn new(url: impl Into<String>) -> Self {
        let (url, clock) = (url.into(), StillClock::new());
        let world = Mutex::new(World::new(url.clone(), clock.issuer_now()));
        Self(Arc::new(Site { url, clock, world }))
    }

    /// A verifier of this issuer's tokens for an audience, with everything else as by default. It works in threads, so
    /// that it needs no runtime, and has keys and feed already, unless the issuer fails.
    pub fn verifier(&self, audience: impl Into<String>) -> Verifier {
        let verifier = self.builder(audience).build_blocking().expect("an issuer and an audience are there");
        self.settle_blocking();
        verifier
    }

    /// The same, to be built with other settings. With [`build_blocking`](VerifierBuilder::build_blocking) it works in
    /// threads: [`settle_blocking`](Self::settle_blocking) waits until it has begun, and the other methods wait for it as
    /// they do for any. With [`build`](VerifierBuilder::build) it works in tasks, which cannot go on while a test waits
    /// without `await`: call [`settle`](Self::settle) after each change.
    pub fn builder(&self, audience: impl Into<String>) -> VerifierBuilder {
        let audience = audience.into();
        let mut world = self.0.world();
        world.add_audience(&audience);
        let (site, door) = (Arc::clone(&self.0), world.number());
        drop(world);
        Verifier::builder(self.url())
            .audience(audience)
            .algorithms(&[ALGORITHM])
            .allow_http()
            .clock(self.0.clock.clone())
            .fetcher(Door { site: Arc::clone(&site), number: door })
            .guestbook(Guestbook { site, door })
    }

    /// A token for this user, to be [minted](Token::mint): as it is, or changed before.
    pub fn token(&self, subject: &str) -> Token {
        Token::new(self, subject)
    }

    /// `iss` of the tokens.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The issuer's time, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.0.clock.issuer_now()
    }

    /// `kid` of the key that signs now.
    pub fn kid(&self) -> String {
        self.0.world().active.kid().to_owned()
    }

    /// The public keys, as they are published.
    pub fn jwks(&self) -> JwkSet {
        self.0.world().jwks()
    }

    /// The addresses of all requests so far, of every verifier.
    pub fn requests(&self) -> Vec<String> {
        self.0.world().requests.clone()
    }

    /// Ends something before its time, and has the feed tell it. A token that is minted in the same second is revoked as
    /// well, except under [`End::Key`], [`End::Session`] and [`End::Token`], which end things for ever: a new sign-in
    /// comes after [`advance`](Self::advance).
    pub fn revoke(&self, end: End<'_>) {
        let now = self.now();
        self.0.change(|world| world.revoke(end, now));
        self.tell(Verifier::feed_link);
    }

    /// Signs with a new key from now on; the old ones stay published. While the issuer [fails](Self::fail), verifiers do
    /// not hear of it, so that a rotation can take them by surprise.
    pub fn rotate(&self) {
        self.0.change(World::rotate);
        self.tell(Verifier::keys_link);
    }

    /// Publishes the key with this `kid` no more. It can still be the one that signs: [rotate](Self::rotate) before.
    pub fn withdraw(&self, kid: &str) {
        self.0.change(|world| world.withdraw(kid));
        self.tell(Verifier::keys_link);
    }

    /// Every request fails like this from now on, until [`recover`](Self::recover).
    pub fn fail(&self, fault: Fault) {
        self.0.change(|world| world.fault = Some(fault));
        self.settle_blocking();
    }

    /// Answers again. Verifiers come back when they ask again, so after [`advance`](Self::advance): a minute for their
    /// keys and half of one for the feed, at most.
    pub fn recover(&self) {
        self.0.change(|world| world.fault = None);
        self.settle_blocking();
    }

    /// Lets time pass, for the issuer and its verifiers. What they have to do in that time they do at its time: a day of
    /// fetches takes a moment.
    pub fn advance(&self, duration: Duration) {
        let end = self.0.clock.monotonic() + duration;
        self.settle_blocking();
        loop {
            let next = self.next_event().filter(|at| *at < end).unwrap_or(end);
            self.0.clock.move_to(next);
            self.0.change(|_| ());
            self.each_link(|link| link.poke());
            self.settle_blocking();
            if next == end {
                return;
            }
        }
    }

    /// Sets the clock of the verifiers ahead of the issuer's by so many seconds, or behind. Only the one that tells the
    /// time: the one that measures it goes on as it was.
    pub fn skew(&self, seconds: i64) {
        self.0.clock.set_ahead(seconds);
        self.tell(Verifier::keys_link);
    }

    /// Waits on this thread until every verifier that works in threads has nothing left to do but to wait: for its time,
    /// or for an answer. All other methods do that already.
    ///
    /// Panics if that takes a minute.
    pub fn settle_blocking(&self) {
        let began = Instant::now();
        while !self.is_settled(|member| member.threads) {
            assert!(began.elapsed() < PATIENCE, "a verifier has not come to rest for a minute");
            thread::sleep(GLANCE);
        }
    }

    /// Waits until every verifier has nothing left to do but to wait, those in tasks as well. Needs a tokio runtime with
    /// time.
    ///
    /// Panics if that takes a minute.
    #[cfg(feature = "tokio")]
    pub async fn settle(&self) {
        let began = Instant::now();
        while !self.is_settled(|_| true) {
            assert!(began.elapsed() < PATIENCE, "a verifier has not come to rest for a minute");
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Has every verifier ask at once, if there is somebody who answers.
    fn tell(&self, link: fn(&Verifier) -> Option<&Link>) {
        if self.0.world().fault.is_none() {
            for member in self.members() {
                member.verifier.upgrade().as_ref().and_then(link).map(Link::wish_now);
            }
        }
        self.settle_blocking();
    }

    /// When somebody has something to do next.
    fn next_event(&self) -> Option<Duration> {
        let now = self.0.clock.monotonic();
        let mut events: Vec<_> = self.0.world().held.values().map(|held| held.until).collect();
        self.each_link(|link| {
            if let Rest::Until(due) = link.rest(now) {
                events.push(due);
            }
        });
        events.into_iter().filter(|at| *at > now).min()
    }

    fn is_settled(&self, concerns: impl Fn(&Member) -> bool) -> bool {
        self.members().iter().filter(|member| concerns(member)).all(|member| self.is_at_rest(member))
    }

    /// Whether its followers sleep, or have asked and know that there is no answer yet.
    fn is_at_rest(&self, member: &Member) -> bool {
        let Some(verifier) = member.verifier.upgrade() else { return true };
        let now = self.0.clock.monotonic();
        let rests: Vec<_> = links(&verifier).map(|link| link.rest(now)).collect();
        if rests.contains(&Rest::Busy) {
            return false;
        }
        let asking = rests.iter().filter(|rest| **rest == Rest::Asking).count();
        let world = self.0.world();
        let held =
            world.held.values().filter(|held| held.door == member.door && held.changes == world.changes);
        held.count() == asking
    }

    fn each_link(&self, mut visit: impl FnMut(&Link)) {
        for verifier in self.members().iter().filter_map(|member| member.verifier.upgrade()) {
            links(&verifier).for_each(&mut visit);
        }
    }

    fn members(&self) -> Vec<Member> {
        self.0.world().members.clone()
    }
}

fn links(verifier: &Verifier) -> impl Iterator<Item = &Link> {
    verifier.keys_link().into_iter().chain(verifier.feed_link())
}

impl Site {
    /// Changes something, and has those who wait for an answer look again.
    fn change(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.world();
        change(&mut world);
        world.changes += 1;
        let wakers: Vec<_> = world.held.values().map(|held| held.waker.clone()).collect();
        drop(world);
        for waker in wakers {
            waker.wake();
        }
    }

    /// A test that has failed while it held the lock has left a world that can be torn down.
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guestbook {
    pub(crate) fn enter(&self, verifier: &Verifier, threads: bool) {
        let member = Member { door: self.door, verifier: verifier.downgrade(), threads };
        let mut world = self.site.world();
        world.members.retain(|member| member.verifier.is_alive());
        world.members.push(member);
    }
}
