//! The gate is written twice, once for decisions and once for statements: both let the same sessions pass.

use attesto_core::{ClientId, Event, Keep, Rotation, SessionId, UserId, Username};
use attesto_store::{Moved, StoreError, Write};

use crate::fixture::{Database, NOW, client, event, keep, rotation, session, user};

/// Each alone closes the gate, or is as near to that as can be. What comes first lets pass.
const OF_SESSIONS: &[&str] = &[
    "",
    "revoked_at = 1, revocation_reason = 'logout'",
    "idle_expires_at = 1700000001401",
    "idle_expires_at = 1700000001400",
    "idle_expires_at = 1700000001400, absolute_expires_at = 1700000001400",
    "idle_expires_at = 1700000001401, absolute_expires_at = 1700000001401",
];
const OF_CLIENTS: &[&str] = &["", "disabled_at = 1"];
const OF_USERS: &[&str] = &["", "disabled_at = 1", DELETED];

/// Around the session's second, of client, user and authority.
const WATERMARKS: [&str; 4] = ["NULL", "1699999999999", "1700000000000", "1700000000999"];

const DELETED: &str = "deleted";

#[tokio::test]
async fn decisions_and_statements_let_the_same_sessions_pass() {
    let database = Database::new().await;
    let count = [OF_SESSIONS, OF_CLIENTS, OF_USERS].map(<[_]>::len).iter().product::<usize>() * 4 * 4;
    database.write(move |write| (0..count).try_for_each(|number| begin(write, number))).await;
    database.tamper(&(0..count).map(tampering).collect::<String>());

    let mut passed = 0;
    for watermark in WATERMARKS {
        database.tamper(&format!("UPDATE authority SET watermark_at = {watermark}"));
        let outcomes = database
            .write(move |write| (0..count).map(|number| pass(write, number)).collect::<Result<Vec<_>, _>>())
            .await;
        let decided_at = rotation("", 1, "").rotated_at;
        let counted = database.read(move |read| read.count_living_sessions(decided_at)).await;
        assert_eq!(usize::try_from(counted).unwrap(), outcomes.iter().filter(|passed| passed[0]).count());
        for (number, [decided, kept, rotated]) in outcomes.into_iter().enumerate() {
            assert_eq!([kept, rotated], [decided; 2], "{watermark}: {}", tampering(number));
            passed += usize::from(decided);
        }
    }
    // Open session, client and user, and the watermarks that do not cover: three ways, two by two by two.
    assert_eq!(passed, 3 * 2 * 2 * 2);
}

fn begin(write: &mut Write<'_>, number: usize) -> Result<(), StoreError> {
    let [sid, client_id, user_id] = names(number);
    let (client_id, user_id) = (ClientId(client_id), UserId(user_id));
    let mut user = user("ada");
    (user.id, user.username) = (user_id.clone(), Username::new(&user_id.0).unwrap());
    write.insert_client(&client(&client_id.0), &event(Event::ClientAdded))?;
    write.insert_user(&user, &event(Event::UserAdded))?;
    let mut session = session(&sid, NOW);
    (session.client_id, session.user_id) = (client_id, user_id);
    write.insert_session(&session, 1, &event(Event::SignedIn))?;
    Ok(())
}

/// Whether the gate lets it pass, whether its token may stay, and whether it is rotated.
fn pass(write: &mut Write<'_>, number: usize) -> Result<[bool; 3], StoreError> {
    let [sid, ..] = names(number);
    let standing = write.find_standing(&SessionId(sid.clone()))?.expect("a session");
    let session = &standing.session;
    let (from, idle_expires_at) = (session.generation, session.idle_expires_at);
    let next = Rotation { idle_expires_at, ..rotation(&sid, from, "next") };
    let decided = standing.gate(&session.client_id, next.rotated_at).is_none();
    let mut stays = Keep { idle_expires_at, ..keep(session, from) };
    stays.access.issued_at = next.rotated_at;
    let kept = write.change().keep_session(&stays)? == Moved::Yes;
    Ok([decided, kept, write.change().rotate_session(&next)? == Moved::Yes])
}

fn names(number: usize) -> [String; 3] {
    ["session", "client", "user"].map(|what| format!("{what}{number:04}"))
}

/// The number as digits, one for each thing that can be in the way.
fn tampering(number: usize) -> String {
    let [sid, client_id, user_id] = names(number);
    let mut rest = number;
    let mut digit = |base: usize| {
        let digit = rest % base;
        rest /= base;
        digit
    };
    let of_session = OF_SESSIONS[digit(OF_SESSIONS.len())];
    let of_client = OF_CLIENTS[digit(OF_CLIENTS.len())];
    let of_user = OF_USERS[digit(OF_USERS.len())];
    let [of_clients, of_users] =
        [digit(4), digit(4)].map(|digit| format!("watermark_at = {}", WATERMARKS[digit]));
    let update = |table: &str, id: &str, what: &str| match what {
        "" => String::new(),
        DELETED => format!("DELETE FROM {table} WHERE id = '{id}'; "),
        what => format!("UPDATE {table} SET {what} WHERE id = '{id}'; "),
    };
    [
        update("sessions", &sid, of_session),
        update("clients", &client_id, of_client),
        update("clients", &client_id, &of_clients),
        update("users", &user_id, of_user),
        update("users", &user_id, &of_users),
    ]
    .concat()
}
