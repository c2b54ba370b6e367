use actix_web::test::TestRequest;

use crate::fixture::Authority;

#[actix_web::test]
async fn a_server_that_runs_says_so() {
    let authority = Authority::new().await;
    for (path, body) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        for request in [TestRequest::get(), TestRequest::default().method(actix_web::http::Method::HEAD)] {
            let answer = authority.send(request.uri(path)).await;
            assert_eq!((answer.status, answer.body.as_str()), (200, body));
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

#[actix_web::test]
async fn probes_are_read_only() {
    let authority = Authority::new().await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(authority.send(TestRequest::post().uri(path)).await.status, 405);
        assert_eq!(authority.send(TestRequest::get().uri(&format!("{path}/"))).await.status, 404);
    }
}
