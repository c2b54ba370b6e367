use attesto_core::{
    Guards, Instant, Jti, KeyTable, Policy, Presented, Redemption, SessionId, SigningAlgorithm, Standing,
};
use attesto_server::config::Settings;
use attesto_server::{StartError, access_keys, refresh_keys};
use attesto_store::Store;
use attesto_token::{Algorithm, CompactJws, JoseHeader, JwkSet, JwsError, strict_json, typ};
use attesto_verifier::{Error, TokenType, Verifier};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::context::{Place, now};
use crate::failure::Failure;
use crate::input;
use crate::output::{Output, rfc3339, say};

/// One check and what it found.
#[derive(Serialize)]
struct Check {
    name: &'static str,
    passed: bool,
    finding: String,
}

/// `attesto explain`: what a token is, and check by check why it would be accepted or refused.
pub async fn run(place: &Place, output: Output) -> Result<(), Failure> {
    let text = input::everything()?;
    let token = text.trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let settings = place.settings()?;
    let store = place.store().await?;
    let (kind, checks) = match read(token) {
        Err(wrong) => ("unreadable", vec![failed("form", wrong.to_string())]),
        Ok((header, claims)) => {
            let checks = check_all(token, &header, &claims, &settings, &store).await?;
            (kind(&header), checks)
        }
    };
    let accepted = checks.iter().all(|check| check.passed);
    if output.json {
        return output.done("", &json!({"kind": kind, "accepted": accepted, "checks": checks}));
    }
    say(&format!("This is {kind}. It {}.", if accepted { "is accepted" } else { "is refused" }))?;
    output.list(&checks, &["check", "", "finding"], |check| {
        let verdict = if check.passed { "ok" } else { "REFUSED" };
        vec![check.name.to_owned(), verdict.to_owned(), check.finding.clone()]
    })
}

fn read(token: &str) -> Result<(JoseHeader, Map<String, Value>), JwsError> {
    let jws = CompactJws::split(token)?;
    let claims = strict_json::parse(&jws.payload()?).map_err(|_| JwsError::Malformed)?;
    Ok((jws.header()?, claims))
}

fn kind(header: &JoseHeader) -> &'static str {
    match header.typ.as_deref() {
        Some(typ::ACCESS) => "an access token",
        Some(typ::REFRESH) => "a refresh token",
        _ => "a JWS of another type",
    }
}

async fn check_all(
    token: &str,
    header: &JoseHeader,
    claims: &Map<String, Value>,
    settings: &Settings,
    store: &Store,
) -> Result<Vec<Check>, Failure> {
    let now = now();
    let keeper = attesto_server::keeper(store, settings).await?;
    let (keyring, facts) = keeper.read().await.map_err(StartError::from)?;
    let keys = match header.typ.as_deref() {
        Some(typ::REFRESH) => refresh_keys(&keyring, Guards { policy: &settings.keys, facts: &facts }, now),
        _ => access_keys(&keyring),
    };
    let verdict = verify(token, header, &keys, &settings.issuer, now)?;
    let mut checks = vec![
        check_type(header),
        check_algorithm(header),
        check_key(header, keyring.table()),
        check_signature(&verdict),
        check_claim("iss", claims, |iss| iss == settings.issuer.as_str()),
        check_audience(header, claims, settings),
        check_times(claims, now),
        check_verdict(&verdict),
    ];
    let key_is_trusted = header.kid.as_deref().is_some_and(|kid| !keyring.is_compromised(kid));
    checks.push(check_session(claims, key_is_trusted, store, &settings.policy, now).await?);
    Ok(checks)
}

/// The verdict of the verifier that services and the authority itself use, without leeway, at the instant of the
/// other checks.
fn verify(
    token: &str,
    header: &JoseHeader,
    keys: &JwkSet,
    issuer: &str,
    now: Instant,
) -> Result<Result<(), Error>, Failure> {
    let builder = Verifier::builder(issuer)
        .clock(move || now.seconds())
        .leeway(std::time::Duration::ZERO)
        .algorithms(&[Algorithm::Rs256, Algorithm::Es256]);
    let builder = match header.typ.as_deref() {
        Some(typ::REFRESH) => builder.audience(issuer).token_type(TokenType::Exactly(typ::REFRESH)),
        _ => builder.any_audience(),
    };
    let verifier = builder.build_offline(keys).map_err(StartError::from)?;
    Ok(verifier.verify::<Map<String, Value>>(token).map(|_| ()))
}

fn check_type(header: &JoseHeader) -> Check {
    match header.typ.as_deref() {
        Some(typ::ACCESS) => passed("typ", "at+jwt: resource servers take it (RFC 9068)".to_owned()),
        Some(typ::REFRESH) => passed("typ", "rt+jwt: for the authority alone".to_owned()),
        Some(other) => failed("typ", format!("{other:?} is no type that this authority issues")),
        None => failed("typ", "absent: this authority always names the type".to_owned()),
    }
}

fn check_algorithm(header: &JoseHeader) -> Check {
    let is_ours = header.alg.parse::<SigningAlgorithm>().is_ok();
    check("alg", is_ours, format!("{:?}; RS256 or ES256 is expected", header.alg))
}

fn check_key(header: &JoseHeader, keys: &KeyTable) -> Check {
    let Some(kid) = &header.kid else { return failed("kid", "absent: no key can be chosen".to_owned()) };
    match keys.find(kid) {
        None => failed("kid", format!("{kid:?} is no key of this authority")),
        Some(key) => {
            let published = if key.state.is_published() { "published" } else { "not published" };
            passed("kid", format!("{kid}, {} and {published}", key.state.as_str()))
        }
    }
}

fn check_signature(verdict: &Result<(), Error>) -> Check {
    match verdict {
        Err(Error::SignatureInvalid) => {
            failed("signature", "was not made by that key over this content".to_owned())
        }
        Err(
            before @ (Error::AlgNotAllowed
            | Error::TypeMismatch
            | Error::CritUnsupported
            | Error::KeyUnknown
            | Error::Malformed
            | Error::TooLarge),
        ) => failed("signature", format!("not looked at: {before}")),
        _ => passed("signature", "made by that key over this content".to_owned()),
    }
}

fn check_claim(name: &'static str, claims: &Map<String, Value>, expected: impl Fn(&str) -> bool) -> Check {
    match claims.get(name).and_then(Value::as_str) {
        None => failed(name, "absent, or not a text".to_owned()),
        Some(text) => check(name, expected(text), format!("{text:?}")),
    }
}

fn check_audience(header: &JoseHeader, claims: &Map<String, Value>, settings: &Settings) -> Check {
    if header.typ.as_deref() == Some(typ::REFRESH) {
        return check_claim("aud", claims, |audience| audience == settings.issuer);
    }
    match claims.get("aud") {
        None => failed("aud", "absent: every service refuses it".to_owned()),
        Some(audience) => passed("aud", format!("{audience}: a service of another name refuses it")),
    }
}

fn check_times(claims: &Map<String, Value>, now: Instant) -> Check {
    let instant = |name| claims.get(name).and_then(Value::as_i64).map(Instant::from_seconds);
    let (Some(issued_at), Some(expires_at)) = (instant("iat"), instant("exp")) else {
        return failed("iat, exp", "absent, or not whole seconds".to_owned());
    };
    let span = format!("from {} to {}", rfc3339(issued_at), rfc3339(expires_at));
    if now >= expires_at {
        return failed("iat, exp", format!("{span}: expired"));
    }
    check("iat, exp", issued_at <= now, format!("{span}; now it is {}", rfc3339(now)))
}

fn check_verdict(verdict: &Result<(), Error>) -> Check {
    match verdict {
        Ok(()) => passed("verifier", "accepts it, without leeway".to_owned()),
        Err(error) => failed("verifier", format!("{error} ({})", error.code())),
    }
}

async fn check_session(
    claims: &Map<String, Value>,
    key_is_trusted: bool,
    store: &Store,
    policy: &Policy,
    now: Instant,
) -> Result<Check, Failure> {
    let Some(sid) = claims.get("sid").and_then(Value::as_str).map(str::to_owned) else {
        return Ok(failed("session", "the token names none".to_owned()));
    };
    let id = SessionId(sid);
    let found = store.read(move |tx| {
        let Some(standing) = tx.find_standing(&id)? else { return Ok(None) };
        let user = tx.find_user(&standing.session.user_id)?;
        Ok(Some((standing, user)))
    });
    let Some((standing, user)) = found.await? else {
        return Ok(failed("session", "is not known here, or was removed after its end".to_owned()));
    };
    let user = user.as_ref().map_or("(deleted)", |user| user.username.as_str());
    let alive = format!("alive, of {user} at {}", standing.session.client_id);
    Ok(match presented(claims, key_is_trusted) {
        Some(token) => check_redemption(&standing, &alive, &token, policy, now),
        None => check_gate(&standing, alive, now),
    })
}

/// A refresh token names its generation; an access token does not.
fn presented(claims: &Map<String, Value>, key_is_trusted: bool) -> Option<Presented> {
    let text = |name| claims.get(name)?.as_str().map(str::to_owned);
    let generation = claims.get("gen")?.as_i64()?;
    let (sid, jti) = (SessionId(text("sid")?), Jti::new(text("jti")?));
    Some(Presented { sid, generation, jti, key_is_trusted })
}

fn check_gate(standing: &Standing, alive: String, now: Instant) -> Check {
    match standing.gate(&standing.session.client_id, now) {
        Some(refusal) => failed("session", refusal.to_string()),
        None => passed("session", alive),
    }
}

/// The decision that presenting the token now would lead to; nothing is changed.
fn check_redemption(
    standing: &Standing,
    alive: &str,
    token: &Presented,
    policy: &Policy,
    now: Instant,
) -> Check {
    let (given, current) = (token.generation, standing.session.generation);
    match standing.redeem(token, &standing.session.client_id, policy, now) {
        Redemption::Rotate(_) | Redemption::Keep(_) => {
            passed("session", format!("{alive}; generation {given} is the current one"))
        }
        Redemption::Repeat(_) => passed(
            "session",
            format!("{alive}; followed by generation {current}, which it still gets, within its grace"),
        ),
        Redemption::Replay => failed(
            "session",
            format!("{alive}; generation {given} was followed by {current}: presented, it ends the session"),
        ),
        Redemption::Refused(refusal) => failed("session", refusal.to_string()),
    }
}

fn check(name: &'static str, passed: bool, finding: String) -> Check {
    Check { name, passed, finding }
}

fn passed(name: &'static str, finding: String) -> Check {
    check(name, true, finding)
}

fn failed(name: &'static str, finding: String) -> Check {
    check(name, false, finding)
}
