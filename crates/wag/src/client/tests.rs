use super::*;

#[tokio::test]
async fn a_list_that_names_the_same_page_again_does_not_go_on_for_ever() {
    let listed = all(async |token: String| {
        assert!(token.len() < 3);
        Ok((vec![token.clone()], "x".to_owned()))
    })
    .await;
    assert!(matches!(listed, Err(ClientError::Endless)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_not_answered_ends() {
    let silent =
        async |_: Request<()>| -> Result<Response<()>, Status> { std::future::pending().await };
    assert!(matches!(ask((), silent).await, Err(ClientError::Late)));
}

#[tokio::test(start_paused = true)]
async fn only_unavailability_is_tried_again() {
    for (code, tries) in [(Code::Unavailable, 4), (Code::Internal, 1), (Code::Aborted, 1)] {
        let calls = std::cell::Cell::new(0);
        let call = async |_: Request<()>| -> Result<Response<()>, Status> {
            calls.set(calls.get() + 1);
            Err(Status::new(code, "no"))
        };
        ask((), call).await.unwrap_err();
        assert_eq!(calls.get(), tries, "{code:?}");
    }
}

#[test]
fn a_token_is_not_shown() {
    let bearer = Bearer::new(&"wgt_secret".into()).unwrap();
    assert_eq!(format!("{bearer:?}"), "Bearer(…)");
    assert!(matches!(Bearer::new(&"a\nb".into()), Err(ClientError::Token)));
}
