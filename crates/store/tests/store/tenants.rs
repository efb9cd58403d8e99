use secrecy::{ExposeSecret as _, SecretString};
use waggoner_store::{
    Error, Kind, PageRequest,
    request::{Claimed, Request},
    secret::Overwrite,
    token::ApiToken,
};
use waggoner_types::{TenantName, TokenId};

use crate::scene::{Scene, at, digest, id, tenant};

/// In seconds.
const DAY: i64 = 24 * 60 * 60;

fn token(number: u128) -> ApiToken {
    ApiToken {
        id: TokenId(id(number)),
        tenant: tenant(),
        description: "for tests".to_owned(),
        admin: true,
        created_at: at(1),
    }
}

#[tokio::test]
async fn a_tenant_is_deleted_only_when_it_is_empty() {
    let Scene { store, directory: _directory } = Scene::new().await;
    assert!(matches!(store.create_tenant(tenant(), at(1)).await, Err(Error::Exists(_))));
    store.create_api_token(token(1), digest(1)).await.unwrap();

    let refused = store.delete_tenant(tenant()).await.unwrap_err();
    let Error::InUse { thing, by } = &refused else { panic!("{refused:?}") };
    assert_eq!((thing.kind, by.kind), (Kind::Tenant, Kind::ApiToken));
    assert_eq!(by.names, [id(1).to_string()]);

    store.delete_api_token(tenant(), TokenId(id(1))).await.unwrap();
    store.delete_tenant(tenant()).await.unwrap();
    assert!(matches!(store.delete_tenant(tenant()).await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_list_neither_repeats_nor_hides_what_stays_while_others_come_and_go() {
    let Scene { store, directory: _directory } = Scene::new().await;
    let name = |text: &str| text.parse::<TenantName>().unwrap();
    for text in ["b", "d", "f", "h"] {
        store.create_tenant(name(text), at(0)).await.unwrap();
    }
    let mut request = PageRequest::new(2, "");
    let mut seen = Vec::new();
    let mut changes = vec![("e", "b"), ("a", "d"), ("g", "e")];
    loop {
        let page = store.tenants(&request).await.unwrap();
        seen.extend(page.items.into_iter().map(|tenant| tenant.name.to_string()));
        let Some(next) = page.next else { break };
        if let Some((added, deleted)) = changes.pop() {
            store.create_tenant(name(added), at(0)).await.unwrap();
            store.delete_tenant(name(deleted)).await.ok();
        }
        request = PageRequest::new(2, next);
    }
    assert_eq!(seen, ["b", "d", "f", "g", "h", "t"]);

    let foreign = PageRequest::new(2, "bm9uZQ");
    assert!(matches!(store.tenants(&foreign).await, Err(Error::InvalidPageToken)));
}

#[tokio::test]
async fn an_api_token_is_found_by_its_hash_until_it_is_deleted() {
    let Scene { store, directory: _directory } = Scene::new().await;
    store.create_api_token(token(1), digest(1)).await.unwrap();
    store.create_api_token(token(2), digest(2)).await.unwrap();
    assert_eq!(store.find_api_token(digest(2)).await.unwrap(), Some(token(2)));
    assert_eq!(store.find_api_token(digest(3)).await.unwrap(), None);

    store.delete_api_token(tenant(), TokenId(id(2))).await.unwrap();
    assert_eq!(store.find_api_token(digest(2)).await.unwrap(), None);
    let page = store.api_tokens(tenant(), &PageRequest::default()).await.unwrap();
    assert_eq!(page.items, [token(1)]);

    let stranger = ApiToken { tenant: "nobody".parse().unwrap(), ..token(3) };
    let refused = store.create_api_token(stranger, digest(3)).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is no tenant `nobody`");
}

#[tokio::test]
async fn a_secret_is_read_back_and_never_lies_open_on_the_disk() {
    let scene = Scene::new().await;
    let (first, second) = (SecretString::from("open-sesame"), SecretString::from("abracadabra"));
    let store = &scene.store;
    let put = |value, overwrite, second| {
        store.put_secret(tenant(), "k".to_owned(), value, overwrite, at(second))
    };
    put(&first, Overwrite::No, 1).await.unwrap();
    assert!(matches!(put(&second, Overwrite::No, 2).await, Err(Error::Exists(_))));
    let secret = put(&second, Overwrite::Yes, 3).await.unwrap();
    assert_eq!((secret.created_at, secret.updated_at), (at(1), at(3)));

    let scene = scene.reopened().await;
    let (stored, value) = scene.store.secret(tenant(), "k".to_owned()).await.unwrap();
    assert_eq!((stored, value.expose_secret()), (secret, "abracadabra"));
    for file in ["store.db", "store.db-wal"] {
        let bytes =
            fs_err::read(scene.directory.path().join("data").join(file)).unwrap_or_default();
        for value in [&first, &second] {
            let value = value.expose_secret().as_bytes();
            assert!(!bytes.windows(value.len()).any(|window| window == value), "{file}");
        }
    }
    scene.store.delete_secret(tenant(), "k".to_owned()).await.unwrap();
    let gone = scene.store.secret(tenant(), "k".to_owned()).await;
    assert!(matches!(gone, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_request_is_worked_on_once_and_answered_alike() {
    let scene = Scene::new().await;
    let request = Request {
        tenant: tenant(),
        id: id(1),
        method: "CreateTenant".to_owned(),
        digest: digest(1),
    };
    let other = Request { digest: digest(2), ..request.clone() };
    let claim = |request: &Request, second| scene.store.claim_request(request.clone(), at(second));

    assert_eq!(claim(&request, 0).await.unwrap(), Claimed::Fresh);
    assert_eq!(claim(&request, 0).await.unwrap(), Claimed::Running);
    scene.store.forget_request(tenant(), id(1)).await.unwrap();
    assert_eq!(claim(&request, 0).await.unwrap(), Claimed::Fresh);
    scene.store.answer_request(tenant(), id(1), b"done".to_vec()).await.unwrap();
    let answered = Claimed::Answered(b"done".to_vec());
    assert_eq!(claim(&request, 1).await.unwrap(), answered);
    assert!(matches!(claim(&other, 1).await, Err(Error::RequestReused { .. })));

    assert_eq!(claim(&request, DAY).await.unwrap(), answered);
    assert_eq!(claim(&other, DAY + 1).await.unwrap(), Claimed::Fresh);

    // The manager ended while it worked on it.
    let scene = scene.reopened().await;
    let claimed = scene.store.claim_request(request, at(DAY + 2)).await.unwrap();
    assert_eq!(claimed, Claimed::Fresh);
}
