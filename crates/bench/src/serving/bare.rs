//! What Attesto is measured against: a program that keeps nothing, and only signs a pair or sends a document.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use attesto_keyring::random_id;
use attesto_token::{AccessTokenClaims, RefreshTokenClaims, typ};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Outcome;
use crate::authority::USER_ID;

/// Of its document.
pub const ETAG: &str = "\"unchanging\"";

/// Run the program that only signs and sends
#[derive(clap::Args)]
pub struct Bare {
    /// The length of the document
    #[arg(long)]
    document_bytes: usize,
}

/// What its one worker holds.
struct Held {
    key: RsaKeyPair,
    custom: Map<String, Value>,
    document: web::Bytes,
}

#[derive(Deserialize)]
struct Refresh {
    refresh: String,
}

#[derive(Serialize)]
struct Pair {
    refresh: String,
    access: String,
}

impl Bare {
    /// Serves until it is killed.
    pub fn serve(&self) -> Outcome<()> {
        let held = web::Data::from(Arc::new(Held {
            key: RsaKeyPair::generate(KeySize::Rsa2048)?,
            custom: serde_json::from_str(r#"{"name": "Ada Lovelace", "roles": ["staff", "orders"]}"#)?,
            document: vec![b' '; self.document_bytes].into(),
        }));
        attesto_server::block_on(async {
            let application = move || {
                App::new()
                    .app_data(held.clone())
                    .route("/pair", web::post().to(pair))
                    .route("/document", web::get().to(document))
            };
            let server = HttpServer::new(application).workers(1).bind("127.0.0.1:0")?;
            println!("listening on http://{}", server.addrs()[0]);
            Ok(server.run().await?)
        })
    }
}

async fn pair(held: web::Data<Held>, asked: web::Json<Refresh>) -> HttpResponse {
    // Something that depends on what was sent, so that it has to be read.
    let sid = asked.refresh[..32.min(asked.refresh.len())].to_owned();
    match held.pair(&sid) {
        Ok(pair) => HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(pair),
        Err(cause) => HttpResponse::InternalServerError().body(cause.to_string()),
    }
}

async fn document(held: web::Data<Held>, request: HttpRequest) -> HttpResponse {
    let has_it = request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known == ETAG);
    let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, ETAG)).insert_header((header::CACHE_CONTROL, "max-age=300"));
    if has_it { response.finish() } else { response.body(held.document.clone()) }
}

impl Held {
    fn pair(&self, sid: &str) -> Outcome<Pair> {
        let (issuer, user) = ("https://auth.example.com".to_owned(), USER_ID.to_owned());
        let refresh = RefreshTokenClaims {
            iss: issuer.clone(),
            sub: user.clone(),
            aud: issuer.clone(),
            exp: 1_800_604_800,
            iat: 1_800_000_000,
            jti: random_id(),
            client_id: "simplejwt".to_owned(),
            sid: sid.to_owned(),
            generation: 1,
            token_type: "refresh".to_owned(),
            user_id: user.clone(),
            custom: self.custom.clone(),
        };
        let access = AccessTokenClaims {
            iss: issuer,
            sub: user.clone(),
            aud: "shop".to_owned(),
            exp: 1_800_000_600,
            iat: 1_800_000_000,
            jti: random_id(),
            client_id: "simplejwt".to_owned(),
            scope: None,
            sid: sid.to_owned(),
            auth_time: 1_800_000_000,
            token_type: "access".to_owned(),
            user_id: user,
            custom: self.custom.clone(),
        };
        Ok(Pair { refresh: self.sign(typ::REFRESH, &refresh)?, access: self.sign(typ::ACCESS, &access)? })
    }

    fn sign(&self, typ: &str, claims: &impl Serialize) -> Outcome<String> {
        // As long as a thumbprint.
        let kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
        let header = json!({"typ": typ, "alg": "RS256", "kid": kid}).to_string();
        let mut token = BASE64_URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(claims)?, &mut token);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)?;
        token.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
        Ok(token)
    }
}
