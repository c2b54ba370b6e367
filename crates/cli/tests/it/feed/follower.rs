//! A consumer in Rust: what `attesto-token` gives, and a signature check.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::spawn;

use attesto_server::Clock;
use attesto_token::feed::{
    FeedAnswer, FeedError, MAX_FEED_BYTES, Position, RevocableClaims, RevocationList, RevokedBy,
};
use attesto_token::{CompactJws, JwkSet, PublicKey, typ};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use crate::http::{Answer, Connection, get};
use crate::server::Server;
use crate::token::{claims, decoded, parts};

/// How long the server may keep a follower that asks by itself.
const LONGEST_POLL: u64 = 25;

/// Follows the feed of a server.
#[derive(Clone)]
pub(super) struct Follower {
    address: SocketAddr,
    issuer: String,
    keys: JwkSet,
    list: RevocationList,
}

impl Follower {
    /// Fetches the keys, and everything that is alive.
    pub(super) fn start(server: &Server) -> Self {
        let keys = JwkSet::parse(server.get("/revocations/keys").body.as_bytes()).unwrap();
        let issuer = claims(&server.sign_in().access)["iss"].as_str().unwrap().to_owned();
        let mut follower = Self { address: server.address, issuer, keys, list: RevocationList::default() };
        follower.follow(0).unwrap();
        follower
    }

    /// Asks once for what is new, and takes it in.
    pub(super) fn follow(&mut self, wait: u64) -> Result<(), FeedError> {
        let answer = self.ask(wait).unwrap();
        self.take(&answer)
    }

    /// The server was started again, elsewhere.
    pub(super) fn moved_to(&mut self, server: &Server) {
        self.address = server.address;
    }

    /// What revokes a token, as far as it is known.
    pub(super) fn revoked_by(&self, token: &str) -> Option<RevokedBy> {
        let (header, claims) = (header(token), claims(token));
        let text = |name: &str| claims[name].as_str();
        self.list.revoked_by(&RevocableClaims {
            kid: header["kid"].as_str(),
            client_id: text("client_id"),
            sub: text("sub"),
            sid: text("sid"),
            jti: text("jti"),
            iat: claims["iat"].as_i64().unwrap(),
        })
    }

    fn ask(&self, wait: u64) -> io::Result<Answer> {
        let path = match self.list.position() {
            None => "/revocations".to_owned(),
            Some(Position { epoch, seq }) => format!("/revocations?epoch={epoch}&after={seq}&wait={wait}"),
        };
        Connection::open(self.address)?.ask(&get(&path))
    }

    fn take(&mut self, answer: &Answer) -> Result<(), FeedError> {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let jws = CompactJws::split_within(&answer.body, MAX_FEED_BYTES).unwrap();
        let header = jws.header().unwrap();
        assert_eq!((header.alg.as_str(), header.typ.as_deref()), ("ES256", Some(typ::REVOCATIONS)));
        let kid = header.kid.unwrap();
        let key = self.keys.keys.iter().find(|key| key.kid == kid).expect("a key of the feed");
        let PublicKey::Ec(point) = &key.key else { panic!("of another kind") };
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.uncompressed())
            .verify(jws.signing_input.as_bytes(), &jws.signature().unwrap())
            .expect("signed by that key");
        let now = Clock::system().now().seconds();
        let answer = FeedAnswer::read(&jws.payload().unwrap(), &kid, &self.issuer, now)?;
        self.list.apply(&answer, now)
    }
}

/// A follower that asks by itself until its server ends, and can be asked meanwhile.
pub(super) struct Following(Arc<Mutex<Follower>>);

impl Following {
    pub(super) fn start(server: &Server) -> Self {
        let mut follower = Follower::start(server);
        let known = Arc::new(Mutex::new(follower.clone()));
        let shared = Arc::clone(&known);
        spawn(move || {
            while let Ok(answer) = follower.ask(LONGEST_POLL) {
                follower.take(&answer).unwrap();
                *shared.lock().unwrap() = follower.clone();
            }
        });
        Self(known)
    }

    pub(super) fn revoked_by(&self, token: &str) -> Option<RevokedBy> {
        self.0.lock().unwrap().revoked_by(token)
    }
}

fn header(token: &str) -> serde_json::Value {
    serde_json::from_slice(&decoded(parts(token)[0])).unwrap()
}
