use std::sync::Arc;

use actix_web::http::Method;
use actix_web::http::header::{
    self, AcceptEncoding, ETag, Encoding, EntityTag, Header as _, HeaderName, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::access::require_access;
use super::answer::Answer;
use super::counts::Content;
use super::failure::Failure;
use super::published::Position;
use super::query::Query;
use crate::app::App;

/// An answer has two forms.
const VARY: (HeaderName, &str) = (header::VARY, "Accept-Encoding");

/// `GET /revocations`: what is revoked, signed. All of it, or what is new after a position that the caller knows, as
/// soon as there is something.
pub async fn revocations(app: web::Data<App>, request: HttpRequest) -> HttpResponse {
    respond(&app, &request).await.unwrap_or_else(|failure| failure.respond())
}

async fn respond(app: &web::Data<App>, request: &HttpRequest) -> Result<HttpResponse, Failure> {
    require_access(app, request)?;
    let query = Query::parse(request.query_string())?;
    match query.after {
        Some(after) => news(app, request, query, after).await,
        None => snapshot(app, request).await,
    }
}

/// Everything that is alive.
async fn snapshot(app: &web::Data<App>, request: &HttpRequest) -> Result<HttpResponse, Failure> {
    let present = app.feed.present()?;
    let Position { epoch, seq } = present.position;
    // Weak: the bytes also say when they were signed.
    let etag = EntityTag::new_weak(format!("{}.{seq}", epoch.as_millis()));
    let has_it = has_it(request, &etag);
    let mut response = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(ETag(etag)).insert_header((header::CACHE_CONTROL, "no-store"));
    if has_it {
        return Ok(response.insert_header(VARY).finish());
    }
    send(app, request, response, Content::Snapshot, &present.answer(0, app).await?).await
}

/// What comes after a position; everything, if that is not a position of this feed.
async fn news(
    app: &web::Data<App>,
    request: &HttpRequest,
    query: Query,
    after: i64,
) -> Result<HttpResponse, Failure> {
    let mut present = app.feed.present()?;
    let known = Position { epoch: query.epoch.unwrap_or(present.position.epoch), seq: after };
    // Who does not wait needs no place.
    if known == present.position && !query.wait.is_zero() {
        app.feed.wait(known, query.wait, &app.stopping).await?;
        present = app.feed.present()?;
    }
    app.feed.ahead.look(known, present.position, app.clock.now());
    let is_known = known.epoch == present.position.epoch && known.seq <= present.position.seq;
    let (start, content) = if !is_known {
        (0, Content::Snapshot)
    } else if after < present.position.seq {
        (after, Content::News)
    } else {
        (after, Content::Idle)
    };
    let answer = present.answer(start, app).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    send(app, request, response, content, &answer).await
}

fn has_it(request: &HttpRequest, etag: &EntityTag) -> bool {
    IfNoneMatch::parse(request).is_ok_and(|known| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|tag| tag.weak_eq(etag)),
    })
}

async fn send(
    app: &App,
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    content: Content,
    answer: &Arc<Answer>,
) -> Result<HttpResponse, Failure> {
    response.content_type("application/revocations+jwt").insert_header(VARY);
    let compressed = if takes_gzip(request) { answer.gzip().await? } else { None };
    let bytes = match compressed {
        Some(bytes) => {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
            bytes
        }
        None => answer.plain(),
    };
    // Of HEAD, nothing is sent.
    if request.method() == Method::GET {
        app.feed.counts.answered(content, bytes.len());
    }
    Ok(response.body(app.feed.lending.body(bytes)))
}

fn takes_gzip(request: &HttpRequest) -> bool {
    AcceptEncoding::parse(request).is_ok_and(|accepted| {
        accepted.negotiate([Encoding::gzip(), Encoding::identity()].iter()) == Some(Encoding::gzip())
    })
}
