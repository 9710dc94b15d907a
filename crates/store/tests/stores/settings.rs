//! What may be opened.

use std::sync::Arc;

use planner::{Reason, StorePolicy, keys};
use store::{Environment, StoreError, StoreSettings, Stores};

use crate::scripted::{Scripted, answer};
use crate::server::{policy, settings};

fn refused(settings: StoreSettings, policy: &StorePolicy) -> StoreError {
    Stores::new(settings).open(policy).unwrap_err()
}

#[tokio::test]
async fn only_listed_endpoints_are_used() {
    let listed = settings("127.0.0.1:9000");
    for endpoint in [
        "http://127.0.0.1:9001",
        "http://127.0.0.1",
        "https://127.0.0.1:9000",
        "http://user@127.0.0.1:9000",
        "http://127.0.0.1:9000/admin",
        "http://127.0.0.1:9000?x",
        "http://169.254.169.254",
        "file:///etc",
        "not a url",
        "",
    ] {
        let policy = StorePolicy {
            endpoint: Some(endpoint.into()),
            ..policy("")
        };
        let error = refused(listed.clone(), &policy);
        assert!(
            matches!(error, StoreError::EndpointNotAllowed { .. }),
            "{endpoint}: {error}"
        );
        assert_eq!(error.reason(), Reason::EndpointNotAllowed);
    }
    Stores::new(listed.clone()).open(&policy("127.0.0.1:9000/")).unwrap();
    let encrypted = StoreSettings {
        allow_http: false,
        ..listed
    };
    let error = refused(encrypted, &policy("127.0.0.1:9000"));
    assert!(matches!(error, StoreError::HttpNotAllowed { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_region_is_said_and_not_guessed() {
    let own = StorePolicy {
        endpoint: None,
        ..policy("")
    };
    let error = refused(settings(""), &own);
    assert!(matches!(error, StoreError::RegionMissing), "{error}");
    assert_eq!(error.reason(), Reason::StorageMisconfigured);
    let mut of_environment = settings("");
    let keys = [
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
    ];
    of_environment.environment = Environment::from_pairs(keys);
    let store = Stores::new(of_environment).open(&own).unwrap();
    assert!(
        format!("{store:?}").contains("https://profiles.s3.eu-west-1.amazonaws.com"),
        "{store:?}"
    );
    for (bucket, region, base) in [
        ("with.dot", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/with.dot"),
        ("plain", "us-gov-west-1", "https://plain.s3.us-gov-west-1.amazonaws.com"),
        ("plain", "cn-north-1", "https://plain.s3.cn-north-1.amazonaws.com.cn"),
        (
            "plain",
            "eusc-de-east-1",
            "https://plain.s3.eusc-de-east-1.amazonaws.eu",
        ),
        (
            "with.dot",
            "us-iso-east-1",
            "https://s3.us-iso-east-1.c2s.ic.gov/with.dot",
        ),
        (
            "plain",
            "us-isob-east-1",
            "https://plain.s3.us-isob-east-1.sc2s.sgov.gov",
        ),
    ] {
        let policy = StorePolicy {
            bucket: bucket.into(),
            region: Some(region.into()),
            ..own.clone()
        };
        let store = Stores::new(settings("")).open(&policy).unwrap();
        assert!(format!("{store:?}").contains(base), "{store:?}");
    }
}

#[tokio::test]
async fn a_custom_endpoint_is_asked_for_the_region_that_somebody_names() {
    let server = Scripted::start(|_, _| answer("200 OK", "", "<ListBucketResult></ListBucketResult>")).await;
    let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    for (own, environment, asked) in [
        (Some("eu-north-1"), Some("eu-west-1"), "eu-north-1"),
        (None, Some("eu-west-1"), "eu-west-1"),
        (None, None, "us-east-1"),
    ] {
        let named = environment.map(|region| ("AWS_REGION", region));
        let settings = StoreSettings {
            environment: Environment::from_pairs(keys.into_iter().chain(named)),
            ..settings(&server.address)
        };
        let policy = StorePolicy {
            region: own.map(Into::into),
            ..policy(&server.address)
        };
        Stores::new(settings).open(&policy).unwrap().probe().await.unwrap();
        let request = server.seen().pop().unwrap();
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains(&format!("/{asked}/s3/")), "{authorization}");
    }
}

#[tokio::test]
async fn a_prefix_that_leaves_no_room_in_a_key_is_refused() {
    let stores = Stores::new(settings("127.0.0.1:9000"));
    let of = |bytes: usize| StorePolicy {
        prefix: "p".repeat(bytes).into(),
        ..policy("127.0.0.1:9000")
    };
    stores.open(&of(keys::PREFIX_BYTES_MAX)).unwrap();
    let error = stores.open(&of(keys::PREFIX_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.reason(), Reason::StorageMisconfigured, "{error}");
}

#[tokio::test]
async fn without_credentials_the_instance_is_asked_only_where_allowed() {
    let bare = StoreSettings {
        environment: Environment::default(),
        ..settings("127.0.0.1:9000")
    };
    let policy = policy("127.0.0.1:9000");
    let error = refused(bare.clone(), &policy);
    assert_eq!(error.reason(), Reason::CredentialsUnavailable);
    assert!(error.to_string().contains("IRSA"), "{error}");
    Stores::new(StoreSettings {
        allow_instance_identity: true,
        ..bare.clone()
    })
    .open(&policy)
    .unwrap();
    let half = Environment::from_pairs([("AWS_ACCESS_KEY_ID", "k")]);
    let error = refused(
        StoreSettings {
            environment: half,
            ..bare
        },
        &policy,
    );
    assert_eq!(error.reason(), Reason::CredentialsUnavailable);
}

#[tokio::test]
async fn names_that_would_leave_their_place_in_a_url_are_refused() {
    for bucket in [
        "",
        "a",
        "evil.com/",
        "a b",
        "../x",
        "a..b",
        "-ab",
        "ab-",
        "a@b",
        "a#b",
        &"x".repeat(64),
    ] {
        let policy = StorePolicy {
            bucket: bucket.into(),
            ..policy("127.0.0.1:9000")
        };
        assert_eq!(
            refused(settings("127.0.0.1:9000"), &policy).reason(),
            Reason::StorageMisconfigured,
            "{bucket}"
        );
    }
    for region in ["evil.com/", "a.b", "eu west", &"x".repeat(64)] {
        let policy = StorePolicy {
            region: Some(region.into()),
            endpoint: None,
            ..policy("")
        };
        assert_eq!(
            refused(settings(""), &policy).reason(),
            Reason::StorageMisconfigured,
            "{region}"
        );
    }
}

#[tokio::test]
async fn a_store_is_opened_once_per_bucket_region_and_endpoint() {
    let stores = Stores::new(settings("127.0.0.1:9000"));
    let one = policy("127.0.0.1:9000");
    let first = stores.open(&one).unwrap();
    let elsewhere = StorePolicy {
        prefix: "elsewhere".into(),
        ..one.clone()
    };
    assert!(
        Arc::ptr_eq(&first, &stores.open(&elsewhere).unwrap()),
        "a prefix is not another store"
    );
    let other = StorePolicy {
        bucket: "other".into(),
        ..one.clone()
    };
    assert!(!Arc::ptr_eq(&first, &stores.open(&other).unwrap()));
    for number in 0..1_000 {
        stores
            .open(&StorePolicy {
                bucket: format!("bucket-{number}").into(),
                ..one.clone()
            })
            .unwrap();
    }
    assert!(
        !Arc::ptr_eq(&first, &stores.open(&one).unwrap()),
        "what was not used for long is given up"
    );
    assert_eq!(Arc::strong_count(&first), 1);
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", settings("127.0.0.1:9000"));
    assert!(
        shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("test-secret"),
        "{shown}"
    );
}
