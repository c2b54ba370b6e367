use std::time::Duration;

use attesto_core::{Client, ClientId, Event, Password, Refusal, SessionId, User, UserId, Watermark};
use attesto_keyring::random_id;
use attesto_store::{Began, Reservation, ThrottleKeys};
use tokio::time::sleep;

use crate::app::App;
use crate::caller::Caller;
use crate::issuer::Pair;
use crate::metrics::Grant;
use crate::proxies::counted_address;
use crate::unavailable::Unavailable;

/// The longest wait for a watermark to pass.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Each attempt fails only if an operator acted in the meantime.
const ATTEMPTS: usize = 4;

/// Begins a session at `client_id` for whoever knows the password of `username`.
///
/// The attempt is counted before the password is hashed and taken back when it succeeds, so that parallel guesses
/// cannot overtake the count. Unknown, wrong and disabled are one answer and cost the same.
pub async fn sign_in(
    app: &App,
    client_id: &ClientId,
    username: &str,
    password: Password,
    caller: &Caller,
) -> Result<Result<Pair, Refusal>, Unavailable> {
    let name = username.to_owned();
    let user = app.store.find(move |tx| tx.find_user_by_name(&name)).await?;
    let keys = throttle_keys(user.as_ref(), username, caller);
    let reservation = match reserve(app, keys).await? {
        Ok(reservation) => reservation,
        Err(refusal) => return Ok(Err(refusal)),
    };

    let user_id = user.as_ref().map(|user| user.id.clone());
    let stored = user.as_ref().map(|user| user.password_hash.clone());
    let begun = match app.passwords.verify(password, stored).await {
        Ok(matches) => match user.filter(|user| matches && user.disabled_at.is_none()) {
            Some(user) => begin(app, client_id, user, &reservation, caller).await,
            None => Ok(Err(Refusal::CredentialsInvalid)),
        },
        Err(unavailable) => Err(unavailable),
    };
    match begun {
        Ok(Ok(pair)) => Ok(Ok(pair)),
        // Whatever the reason is: the answer must not tell that the password was right. A wrong one stays counted, even
        // if its refusal cannot be recorded.
        Ok(Err(_)) => refuse(app, client_id, user_id, caller).await.map(Err),
        // No password was compared, or it was the right one: no failure of whoever sent it.
        Err(unavailable) => {
            refund(app, reservation).await?;
            Err(unavailable)
        }
    }
}

/// Decides, signs and writes, on what is true at that moment.
async fn begin(
    app: &App,
    client_id: &ClientId,
    proven: User,
    reservation: &Reservation,
    caller: &Caller,
) -> Result<Result<Pair, Refusal>, Unavailable> {
    for _ in 0..ATTEMPTS {
        let (user, client, watermark) = read_all(app, &proven.id, client_id).await?;
        let client = client.ok_or(Unavailable::NoClient)?;
        let Some(user) = user.filter(|user| user.password_version == proven.password_version) else {
            return Ok(Err(Refusal::CredentialsInvalid));
        };
        wait_for([user.watermark, client.watermark, watermark], app).await?;
        let now = app.clock.now();
        let opening = match user.open_session(&client, SessionId(random_id()), &app.policy, now) {
            Ok(opening) => opening,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut write = app.store.expect_write();
        let (pair, session) = app.issuer.open(opening, caller.digest()).await?;
        let event = caller.event(Event::SignedIn, now).user(&user.id).client(client_id).session(&session.id);
        let reservation = reservation.clone();
        let began = app.store.write_expected(&mut write, move |tx| {
            let began = tx.insert_session(&session, user.password_version, &event)?;
            if began == Began::Yes {
                tx.clear_attempts(&reservation)?;
            }
            Ok(began)
        });
        match began.await? {
            Began::Yes => {
                app.counts.tokens.issued_pair(Grant::SignIn);
                return Ok(Ok(pair));
            }
            Began::Stale => {}
        }
    }
    Err(Unavailable::Contended)
}

/// A watermark lies up to two seconds ahead; a session has to begin after it, or it would be revoked at birth.
async fn wait_for(watermarks: [Watermark; 3], app: &App) -> Result<(), Unavailable> {
    let now = app.clock.now();
    match watermarks.into_iter().filter_map(|watermark| watermark.wait(now)).max() {
        None => Ok(()),
        Some(wait) if wait <= LONGEST_WAIT => {
            sleep(wait).await;
            Ok(())
        }
        Some(wait) => Err(Unavailable::WatermarkAhead(wait)),
    }
}

async fn reserve(app: &App, keys: ThrottleKeys) -> Result<Result<Reservation, Refusal>, Unavailable> {
    let (limits, now) = (app.throttle, app.clock.now());
    let reserved = app.store.write(move |tx| tx.reserve_attempt(&keys, limits, now)).await?;
    Ok(reserved.map_err(|blocked| Refusal::SignInThrottled { retry_after: blocked.until.since(now) }))
}

async fn refund(app: &App, reservation: Reservation) -> Result<(), Unavailable> {
    Ok(app.store.write(move |tx| tx.refund_attempt(&reservation)).await?)
}

/// An unknown name is not recorded: people type passwords into the wrong field.
async fn refuse(
    app: &App,
    client_id: &ClientId,
    user_id: Option<UserId>,
    caller: &Caller,
) -> Result<Refusal, Unavailable> {
    let event = caller.event(Event::SignInRefused, app.clock.now()).client(client_id);
    let event = match &user_id {
        Some(user_id) => event.user(user_id),
        None => event,
    };
    app.store.write(move |tx| tx.record(&event)).await?;
    Ok(Refusal::CredentialsInvalid)
}

async fn read_all(
    app: &App,
    user_id: &UserId,
    client_id: &ClientId,
) -> Result<(Option<User>, Option<Client>, Watermark), Unavailable> {
    let (user_id, client_id) = (user_id.clone(), client_id.clone());
    let read = app
        .store
        .read(move |tx| Ok((tx.find_user(&user_id)?, tx.find_client(&client_id)?, tx.find_watermark()?)));
    Ok(read.await?)
}

fn throttle_keys(user: Option<&User>, username: &str, caller: &Caller) -> ThrottleKeys {
    let address = counted_address(caller.address);
    match user {
        Some(user) => ThrottleKeys::of_user(&user.id, &address),
        None => ThrottleKeys::of_unknown(username, &address),
    }
}
