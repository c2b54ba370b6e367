//! The endpoints of SimpleJWT, as its clients use them: Attesto has the same.

use std::net::SocketAddr;

use serde_json::json;

use super::asker::{Asker, Body, Newest};
use crate::Outcome;
use crate::authority::{CHEAPLY_HASHED, PASSWORD};
use crate::connection::{Connection, post_json};

/// A first pair.
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// Gets a first pair, without spending time on a hash.
pub async fn sign_in(address: SocketAddr) -> Outcome<Tokens> {
    let request = post_json(address, "/api/token/", &credentials(CHEAPLY_HASHED));
    let mut connection = Connection::open(address).await?;
    let answer = connection.ask(request.as_bytes()).await?;
    Ok(Tokens { access: answer.text("access")?, refresh: answer.text("refresh")? })
}

/// All of them ask about one token.
pub fn verifying(address: SocketAddr, access: &str, count: usize) -> Vec<Asker> {
    let body = json!({"token": access}).to_string();
    (0..count).map(|_| Asker::post(address, "/api/token/verify/", Body::Fixed(body.clone()))).collect()
}

fn credentials(username: &str) -> String {
    json!({"username": username, "password": PASSWORD}).to_string()
}

/// All of them sign in as the same user.
pub fn signing_in(address: SocketAddr, username: &str, count: usize) -> Vec<Asker> {
    let body = credentials(username);
    (0..count).map(|_| Asker::post(address, "/api/token/", Body::Fixed(body.clone()))).collect()
}

/// Each with a session of its own.
pub fn refreshing(address: SocketAddr, tokens: Vec<Tokens>) -> Vec<Asker> {
    let newest =
        |token| Newest { before: "{\"refresh\":\"", token, after: "\"}", member: "refresh", seed: None };
    let asker =
        |Tokens { refresh, .. }| Asker::post(address, "/api/token/refresh/", Body::Newest(newest(refresh)));
    tokens.into_iter().map(asker).collect()
}
