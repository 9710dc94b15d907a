//! Web identity: the token of a service account against keys, once.

use std::io::Write;

use planner::Reason;
use store::{Environment, StoreSettings, Stores};

use crate::jobs::{Spooled, job, put};
use crate::scripted::{Scripted, answer};
use crate::server::{KEY, SECRET, Server, policy, settings};

const ROLE: &str = "arn:aws:iam::123456789012:role/profiling";

/// Settings of a pod with IRSA whose token service is at `sts`.
fn irsa(s3: &str, sts: &str, token: &std::path::Path) -> StoreSettings {
    let mut settings = settings(s3);
    settings.allowed_endpoints.push(format!("http://{sts}"));
    settings.environment = Environment::from_pairs([
        ("AWS_ROLE_ARN", ROLE.to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
        ("AWS_ENDPOINT_URL_STS", format!("http://{sts}")),
        ("AWS_REGION", "us-east-1".to_owned()),
    ]);
    settings
}

fn credentials() -> String {
    answer(
        "200 OK",
        "Content-Type: text/xml\r\n",
        &format!(
            "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
             <SessionToken>session</SessionToken><SecretAccessKey>{SECRET}</SecretAccessKey>\
             <Expiration>2099-01-01T00:00:00Z</Expiration><AccessKeyId>{KEY}</AccessKeyId>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    )
}

#[tokio::test]
async fn failure_22_many_uploads_make_one_token_exchange() {
    // The real server knows no sessions, so the store is a scripted one here.
    let server = Scripted::start(|_, _| answer("200 OK", "", "")).await;
    let sts = Scripted::start(|_, _| credentials()).await;
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"the-token").unwrap();
    let stores = Stores::new(irsa(&server.address, &sts.address, token.path()));
    let other = planner::StorePolicy {
        bucket: "other-bucket".into(),
        ..policy(&server.address)
    };
    let (one, another) = (
        stores.open(&policy(&server.address)).unwrap(),
        stores.open(&other).unwrap(),
    );
    let (job, spooled) = (job(1, policy(&server.address)), Spooled::new(b"x"));
    // At once, when there are no credentials yet, and afterwards.
    let puts = [&one, &one, &another, &another].map(|store| store.put_profile(&job, spooled.body()));
    assert!(futures::future::join_all(puts).await.iter().all(Result::is_ok));
    one.put_profile(&job, spooled.body()).await.unwrap();
    assert_eq!(server.methods(), ["PUT"; 5]);
    for request in server.seen() {
        assert_eq!(request.header("x-amz-security-token"), Some("session"));
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains(&format!("credential={KEY}/")), "{authorization}");
        assert!(authorization.contains("x-amz-meta-captureid") && authorization.contains("if-none-match"));
    }
    let [request] = &sts.seen()[..] else {
        panic!("{} exchanges", sts.seen().len())
    };
    assert!(
        request.head.contains("action=assumerolewithwebidentity"),
        "{}",
        request.head
    );
    assert!(request.head.contains("webidentitytoken=the-token"), "{}", request.head);
}

#[tokio::test]
async fn a_token_service_that_refuses_is_told_apart_from_the_store() {
    let server = Server::start().unwrap();
    let sts = Scripted::start(|_, _| answer("403 Forbidden", "", "<Error><Code>AccessDenied</Code></Error>")).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    let settings = StoreSettings {
        attempts_max: 1,
        ..irsa(&server.address, &sts.address, token.path())
    };
    let store = Stores::new(settings).open(&policy(&server.address)).unwrap();
    let error = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::CredentialsUnavailable, "{error}");
}

#[tokio::test]
async fn a_token_goes_nowhere_in_the_clear_unless_allowed() {
    let server = Server::start().unwrap();
    let sts = Scripted::start(|_, _| credentials()).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    let mut settings = irsa(&server.address, &sts.address, token.path());
    settings.allowed_endpoints.pop();
    settings.attempts_max = 1;
    let store = Stores::new(settings).open(&policy(&server.address)).unwrap();
    let error = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::CredentialsUnavailable, "{error}");
    assert_eq!(sts.seen().len(), 0);
}

#[tokio::test]
async fn failure_14_a_token_service_that_redirects_is_not_followed() {
    let server = Server::start().unwrap();
    let elsewhere = Scripted::start(|_, _| credentials()).await;
    let target = format!("Location: http://{}/\r\n", elsewhere.address);
    let sts = Scripted::start(move |_, _| answer("307 Temporary Redirect", &target, "")).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    let mut settings = irsa(&server.address, &sts.address, token.path());
    settings.allowed_endpoints.push(format!("http://{}", elsewhere.address));
    settings.attempts_max = 1;
    let store = Stores::new(settings).open(&policy(&server.address)).unwrap();
    let error = put(&store, 1, policy(&server.address), &Spooled::new(b"x"))
        .await
        .unwrap_err();
    assert_eq!(error.reason(), Reason::CredentialsUnavailable, "{error}");
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn pod_identity_hands_its_token_to_the_agent() {
    let server = Server::start().unwrap();
    let agent = Scripted::start(|_, _| {
        let keys = format!(r#"{{"AccessKeyId":"{KEY}","SecretAccessKey":"{SECRET}","#);
        answer(
            "200 OK",
            "",
            &format!(r#"{keys}"Token":"session","Expiration":"2099-01-01T00:00:00Z"}}"#),
        )
    })
    .await;
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(b"the-token").unwrap();
    let mut settings = settings(&server.address);
    settings.allowed_endpoints.push(format!("http://{}", agent.address));
    settings.environment = Environment::from_pairs([
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            format!("http://{}/v1/credentials", agent.address),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            token.path().display().to_string(),
        ),
    ]);
    let store = Stores::new(settings).open(&policy(&server.address)).unwrap();
    // The real server knows no sessions and says so: the keys arrived, the store refuses them.
    let error = store.probe().await.unwrap_err();
    assert_eq!(error.reason(), Reason::StorageDenied, "{error}");
    let [request] = &agent.seen()[..] else {
        panic!("{} exchanges", agent.seen().len())
    };
    assert!(request.head.starts_with("get /v1/credentials "), "{}", request.head);
    assert_eq!(request.header("authorization"), Some("the-token"));
}
