use std::sync::Arc;

use attesto_core::{
    Actor, ClientId, Digest, Haste, Line, Opening, Policy, Presented, Redemption, Rotate, SessionId,
    SigningAlgorithm, Standing, Username, Watermark,
};
use attesto_keyring::{ImportAs, ImportedKey, Signer, random_id};
use attesto_server::{App, Clock, Environment, Issuer, KeyKeeper, follow_keys};
use attesto_store::{ServerLock, Store};
use attesto_token::CompactJws;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::task::JoinHandle;

use super::contender::{Contender, Way};
use crate::Outcome;
use crate::authority::{Authority, USERNAME};
use crate::presented::presented;

/// A server's inside, signing with keys that are at hand here as well.
pub struct Scene {
    /// What the authority signs RS256 with.
    rsa: RsaKeyPair,
    /// A key of the same kind as the one that it signs ES256 with, which it made itself.
    ec: EcdsaKeyPair,
    message: Vec<u8>,
    rs256: Decided,
    es256: Decided,
    app: Arc<App>,
    following: JoinHandle<()>,
    _lock: ServerLock,
    _authority: Authority,
}

/// A sign-in and a refresh up to the decision, and the key that is due to sign them.
struct Decided {
    signer: Arc<dyn Signer>,
    opening: Opening,
    next: Rotate,
    presented: Presented,
}

impl Scene {
    /// Sets an authority up, gives it a key that is known here, and opens it as a server does.
    pub async fn set() -> Outcome<Self> {
        // Keys for both algorithms.
        let authority = Authority::set_up("access_token_algorithm = \"ES256\"\n").await?;
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let store = Store::open(&authority.settings.database)?;
        let keeper = attesto_server::keeper(&store, &authority.settings).await?;
        sign_with(&keeper, &rsa).await?;

        let (app, lock) = attesto_server::open(&authority.settings, Environment::system()).await?;
        let following = tokio::task::spawn_local(follow_keys(app.clone()));
        let app = app.into_inner();
        let rs256 = Decided::now(SigningAlgorithm::Rs256, &app, &store, &keeper).await?;
        let es256 = Decided::now(SigningAlgorithm::Es256, &app, &store, &keeper).await?;
        Ok(Self {
            message: signing_input(app.issuer(), &rs256).await?,
            rsa,
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            rs256,
            es256,
            app,
            following,
            _lock: lock,
            _authority: authority,
        })
    }

    /// What the bare keys sign: header and claims of an access token.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// All ways to sign; of each algorithm the bare one first.
    pub fn contenders(&self) -> Vec<Contender<'_>> {
        let (issuer, message) = (self.app.issuer(), &self.message);
        let rs256 = self.rs256.contenders(Way::BareRsa(&self.rsa, message), issuer, message);
        let es256 = self.es256.contenders(Way::BareEc(&self.ec, message), issuer, message);
        rs256.into_iter().chain(es256).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Makes `key` the one that the authority signs RS256 with.
async fn sign_with(keeper: &KeyKeeper, key: &RsaKeyPair) -> Outcome<()> {
    let operator = Actor::Operator("bench".to_owned());
    let imported = ImportedKey::parse(pem(key)?.as_bytes())?;
    let kid = imported.public_jwk().kid.clone();
    keeper.import(imported, ImportAs::Staged, &operator, "bench").await?;
    let line = Line::of_tokens(SigningAlgorithm::Rs256);
    let promote = |table: &attesto_core::KeyTable, guards: attesto_core::Guards<'_>, now| {
        table.promote(line, Some(&kid), Haste::Emergency, guards, now).map(Some)
    };
    keeper.change(promote, &operator, "bench").await?;
    let (keyring, _) = keeper.read().await?;
    match keyring.active(line) {
        Some(active) if active.public_jwk().kid == kid => Ok(()),
        _ => Err("the authority does not sign with the key that it was given".into()),
    }
}

fn pem(key: &RsaKeyPair) -> Outcome<String> {
    let der: Pkcs8V1Der<'_> = key.as_der()?;
    let text = BASE64_STANDARD.encode(der.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
}

impl Decided {
    async fn now(algorithm: SigningAlgorithm, app: &App, store: &Store, keeper: &KeyKeeper) -> Outcome<Self> {
        let name = Username::new(USERNAME)?.as_str().to_owned();
        let (user, client) = store
            .read(move |tx| Ok((tx.find_user_by_name(&name)?, tx.find_client(&ClientId::simplejwt())?)))
            .await?;
        let (user, client) = user.zip(client).ok_or("the authority has no user or no client")?;
        let policy = Policy {
            access_token_algorithm: algorithm,
            refresh_token_algorithm: algorithm,
            ..Policy::default()
        };
        let now = Clock::system().now();
        let opening = user
            .open_session(&client, SessionId(random_id()), &policy, now)
            .map_err(|refusal| format!("no session: {refusal:?}"))?;
        let (pair, session) = app.issuer().open(opening.clone(), Digest::of(b"")).await?;
        let presented = presented(&pair.refresh)?;
        let standing =
            Standing { session, client, user: Some(user.standing()), watermark: Watermark::default() };
        let Redemption::Rotate(next) = standing.redeem(&presented, &ClientId::simplejwt(), &policy, now)
        else {
            return Err("the refresh token does not rotate".into());
        };
        let (keyring, _) = keeper.read().await?;
        let signer = keyring.active(Line::of_tokens(algorithm)).ok_or("no key signs")?;
        Ok(Self { signer: Arc::clone(signer), opening, next, presented })
    }

    fn contenders<'a>(&'a self, bare: Way<'a>, issuer: &'a Issuer, message: &'a [u8]) -> [Contender<'a>; 4] {
        let Self { signer, opening, next, presented } = self;
        let named = |name, way| Contender { algorithm: opening.refresh.algorithm, name, way };
        [
            named("bare", bare),
            named("signer", Way::Signer(signer.as_ref(), message)),
            named("sign-in", Way::SignIn(issuer, opening)),
            named("refresh", Way::Refresh(issuer, next, presented)),
        ]
    }
}

async fn signing_input(issuer: &Issuer, decided: &Decided) -> Outcome<Vec<u8>> {
    let (pair, _) = issuer.open(decided.opening.clone(), Digest::of(b"")).await?;
    let input = CompactJws::split(&pair.access)?.signing_input;
    Ok(input.as_bytes().to_owned())
}
